import Glibc
import SMSText
public import Wire

/// Prints each SMS as a phone would show it.
public struct ConsoleGateway: InstantGateway {
    private static let width = 46
    private let write: (String) -> Void

    /// - Parameter write: gets whole boxes; standard output by default.
    public init(
        allowPlaintext: Bool, write: ((String) -> Void)? = nil
    ) throws(CourierError) {
        try PlaintextConsent.check(allowPlaintext, gateway: "console")
        self.write =
            write ?? { text in
                print(text)
                fflush(nil)
            }
    }

    public mutating func submit(_ message: MessagePush, expiresAtWallMs: UInt64) -> ReportMessage.Outcome {
        write(ConsoleGateway.box(to: message.phone.text, text: message.text.text))
        return .submitted
    }

    public mutating func sweep(nowWallMs: UInt64) {}

    /// The box, without a newline at the end.
    static func box(to phone: String, text: String) -> String {
        let count = SegmentCount(of: text)
        let title = " SMS to \(printable(phone)) "
        let foot =
            " \(count.encoding == .gsm7 ? "GSM-7" : "UCS-2"), \(count.segments) segment\(count.segments == 1 ? "" : "s") "
        var lines = ["╭─" + title + line(width - 1 - columns(title)) + "╮"]
        for paragraph in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) {
            for row in wrap(printable(String(paragraph))) {
                let padding = String(repeating: " ", count: max(0, width - 1 - columns(row)))
                lines.append("│ " + row + padding + "│")
            }
        }
        lines.append("╰" + line(width - foot.count - 1) + foot + "─╯")
        return lines.joined(separator: "\n")
    }

    /// A text must not steer the terminal: control characters are shown as a replacement character.
    private static func printable(_ text: String) -> String {
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            shown.append(scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar)
        }
        return String(shown)
    }

    private static func line(_ count: Int) -> String { String(repeating: "─", count: max(0, count)) }

    /// Terminal columns: East Asian characters and most emoji take two.
    private static func columns(_ text: String) -> Int { text.reduce(0) { $0 + columns($1) } }

    private static func columns(_ character: Character) -> Int {
        switch character.unicodeScalars.first?.value ?? 0 {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1F9FF,
            0x20000...0x3FFFD:
            2
        default: 1
        }
    }

    /// At spaces where there are any; a word longer than a row is cut.
    private static func wrap(_ text: String) -> [String] {
        var rows: [String] = []
        var row = ""
        for word in text.split(separator: " ") {
            if !row.isEmpty, columns(row) + 1 + columns(String(word)) > width - 2 {
                rows.append(row)
                row = ""
            }
            if !row.isEmpty { row += " " }
            for character in word {
                if columns(row) + columns(character) > width - 2 {
                    rows.append(row)
                    row = ""
                }
                row.append(character)
            }
        }
        return rows + [row]
    }
}
