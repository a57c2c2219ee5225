/// toml++ asserts where some mistakes stand, and would end the process: found here first, they get file, line and a word on what to do.
/// What is checked is only what the parser doesn't survive; the parser has the last word on all else.
extension ConfigFile {
    func refuseWhatEndsTheParser() throws(ConfigError) {
        // Arrays and inline tables may go on over lines; strings of several lines are refused by whoever asks for them.
        var before: UInt8 = 0
        for (index, line) in lines.enumerated() {
            guard !isStrangeHeader(line) else {
                throw ConfigError(
                    description: "\(name):\(index + 1): a table's name must begin with a letter, a digit, `-` or `_`: "
                        + "write `[[tenant]]`")
            }
            guard !lacksValue(line, &before) else {
                throw ConfigError(
                    description: "\(name):\(index + 1): a value is missing; write a number, true, false, a text in quotes, "
                        + "or a list of them")
            }
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// `[`, `[[`, and then what no bare or quoted key begins with.
    private func isStrangeHeader(_ line: Substring) -> Bool {
        // Other bytes may be the mark that some editors put before a text.
        let header = line.utf8.drop { ConfigFile.isBlank($0) || $0 >= 0x80 }
        guard header.first == UInt8(ascii: "[") else { return false }
        let name = header.dropFirst().drop(while: ConfigFile.isBlank)
        let isList = name.first == UInt8(ascii: "[")
        switch (isList ? name.dropFirst().drop(while: ConfigFile.isBlank) : name).first ?? 0 {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F, 0x22, 0x27, 0x5D: return false
        default: return true
        }
    }

    /// After `=`, `[` or `,` stands what ends a value. `before` is the last byte of meaning, over lines.
    private func lacksValue(_ line: Substring, _ before: inout UInt8) -> Bool {
        var quote: UInt8 = 0
        var isEscaped = false
        for byte in line.utf8 where !ConfigFile.isBlank(byte) || quote != 0 {
            if quote != 0 {
                if byte == quote, !isEscaped { quote = 0 }
                isEscaped = byte == UInt8(ascii: "\\") && quote == 0x22 && !isEscaped
                continue
            }
            switch (before, byte) {
            case (UInt8(ascii: "="), UInt8(ascii: "]")), (UInt8(ascii: "="), UInt8(ascii: ",")),
                (UInt8(ascii: "="), UInt8(ascii: "}")), (UInt8(ascii: "="), UInt8(ascii: "#")),
                (UInt8(ascii: "["), UInt8(ascii: ",")), (UInt8(ascii: "["), UInt8(ascii: "}")),
                (UInt8(ascii: ","), UInt8(ascii: ",")), (UInt8(ascii: ","), UInt8(ascii: "}")):
                return true
            default: break
            }
            if byte == UInt8(ascii: "#") { break }
            before = byte
            if byte == 0x22 || byte == 0x27 { quote = byte }
        }
        return false
    }
}
