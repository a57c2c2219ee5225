extension StringProtocol {
    /// The first place of `needle`, byte by byte.
    func range(of needle: String) -> Range<String.UTF8View.Index>? {
        let (hay, wanted) = (utf8, needle.utf8)
        var start = hay.startIndex
        while start != hay.endIndex {
            if hay[start...].starts(with: wanted) {
                return start..<hay.index(start, offsetBy: wanted.count)
            }
            hay.formIndex(after: &start)
        }
        return nil
    }
}
