import Glibc
import SMSText
public import Wire

/// Prints each SMS as a phone would show it.
public struct ConsoleGateway: Gateway {
    private static let width = 46
    private let write: (String) -> Void

    /// - Parameter write: gets whole boxes; standard output by default.
    public init(
        allowPlaintext: Bool, write: ((String) -> Void)? = nil
    ) throws(CourierError) {
        try PlaintextConsent.check(allowPlaintext, gateway: "console")
        self.write = write ?? { text in
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
        let title = " SMS to \(phone) "
        let foot = " \(count.encoding == .gsm7 ? "GSM-7" : "UCS-2"), \(count.segments) segment\(count.segments == 1 ? "" : "s") "
        var lines = ["╭─" + title + line(width - 1 - title.count) + "╮"]
        for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
            for row in wrap(String(paragraph)) {
                lines.append("│ " + row + String(repeating: " ", count: max(0, width - 1 - row.count)) + "│")
            }
        }
        lines.append("╰" + line(width - foot.count - 1) + foot + "─╯")
        return lines.joined(separator: "\n")
    }

    private static func line(_ count: Int) -> String { String(repeating: "─", count: max(0, count)) }

    private static func wrap(_ text: String) -> [String] {
        var rows: [String] = []
        var row = ""
        for word in text.split(separator: " ") {
            if !row.isEmpty, row.count + 1 + word.count > width - 2 {
                rows.append(row)
                row = ""
            }
            row += (row.isEmpty ? "" : " ") + word
        }
        return rows + [row]
    }
}
