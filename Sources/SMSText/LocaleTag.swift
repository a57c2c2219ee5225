/// Language tags (BCP 47) and their fall-back: `pt-BR` → `pt`.
public enum LocaleTag {
    /// The tag in small letters, then its parents. Extensions (`-u-…`, `-x-…`) are left out; `_` is read as `-`; Chinese of Taiwan, Hong Kong and Macao
    /// is `zh-hant` before it is `zh`.
    public static func chain(_ tag: String) -> [String] {
        var parts = tag.lowercased().split { $0 == "-" || $0 == "_" }
        if let cut = parts.firstIndex(where: { $0.count == 1 }) { parts.removeSubrange(cut...) }
        var chain: [String] = []
        while !parts.isEmpty {
            chain.append(parts.joined(separator: "-"))
            if ["zh-tw", "zh-hk", "zh-mo"].contains(chain[chain.count - 1]) { chain.append("zh-hant") }
            parts.removeLast()
        }
        return chain
    }

    /// Whether the two are of one language.
    static func haveSameLanguage(_ a: String, _ b: String) -> Bool { chain(a).last == chain(b).last }

    /// A tag as configuration may write it: letters, digits and `-`, at most 35 bytes as on the wire.
    public static func isTag(_ tag: String) -> Bool {
        let parts = tag.utf8.split(separator: 0x2D, omittingEmptySubsequences: false)
        return tag.utf8.count <= 35
            && parts.allSatisfy { part in
                (1...8).contains(part.count)
                    && part.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) }
            } && (2...3).contains(parts[0].count)
    }
}
