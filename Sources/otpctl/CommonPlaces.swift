/// The options that every subcommand takes may stand before it: they are moved to the end, where the subcommand reads them.
enum CommonPlaces {
    private static let withValue: Set<String> = ["--socket", "--tenant", "--timeout"]
    /// Between a group and its subcommand, too.
    private static let groups: Set<String> = ["grant", "message", "routes", "template"]

    static func moved(_ arguments: [String]) -> [String] {
        var rest = arguments[...]
        var before: [String] = []
        var options: [String] = []
        while let word = rest.first {
            if groups.contains(word) {
                before.append(word)
                rest = rest.dropFirst()
            } else if word == "--json" || withValue.contains(where: { word.hasPrefix($0 + "=") }) {
                options.append(word)
                rest = rest.dropFirst()
            } else if withValue.contains(word), rest.count > 1 {
                options += rest.prefix(2)
                rest = rest.dropFirst(2)
            } else {
                break
            }
        }
        // After `--` nothing is an option.
        let end = rest.firstIndex(of: "--") ?? rest.endIndex
        return before + rest[..<end] + options + rest[end...]
    }
}
