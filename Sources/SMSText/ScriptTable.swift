/// Which characters a name may have, and which scripts they belong to (UTS #39 and Unicode's Script_Extensions).
struct ScriptTable: Sendable {
    /// Common to all scripts: digits, most marks.
    static let common = UInt64.max
    /// Read from `ScriptData` at first use.
    static let standard = ScriptTable()

    private var firsts: [UInt32] = []
    private var lasts: [UInt32] = []
    private var masks: [UInt64] = []
    private var alike: Set<UInt32> = []

    private init() {
        for entry in ScriptData.ranges.split(separator: " ") {
            let parts = entry.split(separator: ":")
            let ends = parts[0].split(separator: "-").map { ScriptTable.number($0) }
            firsts.append(UInt32(ends[0]))
            lasts.append(UInt32(ends[ends.count - 1]))
            masks.append(parts.count == 2 ? ScriptTable.number(parts[1]) : ScriptTable.common)
        }
        alike = Set(ScriptData.alike.split(separator: " ").map { UInt32(ScriptTable.number($0)) })
    }

    private static func number(_ text: Substring) -> UInt64 {
        guard let value = UInt64(text, radix: 16) else { preconditionFailure("ScriptData is hexadecimal") }
        return value
    }

    /// The scripts of an allowed letter, mark or digit; `nil`: not allowed in names.
    func scripts(of scalar: Unicode.Scalar) -> UInt64? {
        var (low, high) = (0, firsts.count)
        while low < high {
            let middle = (low + high) / 2
            if firsts[middle] <= scalar.value { low = middle + 1 } else { high = middle }
        }
        guard low > 0, scalar.value <= lasts[low - 1] else { return nil }
        return masks[low - 1]
    }

    /// A Cyrillic, Greek or Armenian letter that reads as an ASCII letter or digit.
    func looksLatin(_ scalar: Unicode.Scalar) -> Bool { alike.contains(scalar.value) }

    /// The script that readers of `language` take for granted, where it is one with look-alikes.
    static func home(of language: String) -> UInt64 {
        switch LocaleTag.chain(language).last {
        case "be", "bg", "kk", "ky", "mk", "mn", "ru", "sr", "tg", "uk": ScriptData.cyrillic
        case "el": ScriptData.greek
        case "hy": ScriptData.armenian
        default: 0
        }
    }
}
