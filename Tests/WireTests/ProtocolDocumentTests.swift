import Foundation
import Testing
import Wire

/// PROTOCOL.md is normative: its tables and the code must say the same.
@Suite struct ProtocolDocumentTests {
    static let document: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return (try? String(contentsOf: root.appending(path: "Sources/Wire/PROTOCOL.md"), encoding: .utf8)) ?? ""
    }()

    /// Every message with the heading of its table.
    static let messages: [(name: String, lines: [String])] = [
        ("Hello", FieldLister.list(Hello.self)), ("Hello reply", FieldLister.list(Hello.Reply.self)),
        ("Ping", FieldLister.list(Ping.self)), ("Ping reply", FieldLister.list(Ping.Reply.self)),
        ("Goodbye", FieldLister.list(Goodbye.self)), ("Refusal", FieldLister.list(Refusal.self)),
        ("RequestCode", FieldLister.list(RequestCode.self)), ("Challenge reply", FieldLister.list(ChallengeReply.self)),
        ("Resend", FieldLister.list(Resend.self)), ("Verify", FieldLister.list(Verify.self)),
        ("Verify reply", FieldLister.list(Verify.Reply.self)), ("Cancel", FieldLister.list(Cancel.self)),
        ("Status", FieldLister.list(StatusRequest.self)), ("Status reply", FieldLister.list(StatusRequest.Reply.self)),
        ("Quota", FieldLister.list(Quota.self)), ("Quota reply", FieldLister.list(Quota.Reply.self)),
        ("CheckGrant", FieldLister.list(CheckGrant.self)), ("RedeemGrant", FieldLister.list(RedeemGrant.self)),
        ("Grant reply", FieldLister.list(GrantReply.self)), ("LeaseMessages", FieldLister.list(LeaseMessages.self)),
        ("LeaseMessages reply", FieldLister.list(LeaseMessages.Reply.self)),
        ("Message", FieldLister.list(MessagePush.self)), ("ReportMessage", FieldLister.list(ReportMessage.self)),
        ("ReportReceipt", FieldLister.list(ReportReceipt.self)),
        ("ReportRoute", FieldLister.list(ReportRoute.self)), ("ReportRoute reply", FieldLister.list(ReportRoute.Reply.self)),
        ("ShowRoute", FieldLister.list(ShowRoute.self)), ("ShowRoute reply", FieldLister.list(ShowRoute.Reply.self)),
        ("DrainRoute", FieldLister.list(DrainRoute.self)),
        ("Subscribe", FieldLister.list(Subscribe.self)), ("Subscribe reply", FieldLister.list(Subscribe.Reply.self)),
        ("Event", FieldLister.list(EventPush.self)), ("Acknowledge", FieldLister.list(Acknowledge.self)),
        ("Unblock", FieldLister.list(Unblock.self)),
        ("Stats reply", FieldLister.list(Stats.Reply.self)),
    ]

    /// The rows `| type | name | … |` under `#### heading`.
    static func rows(under heading: String) -> [String] {
        var rows: [String] = []
        var isInside = false
        for line in document.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("#") { isInside = line == "#### \(heading)" }
            guard isInside, line.hasPrefix("| "), !line.hasPrefix("| type"), !line.hasPrefix("|--") else { continue }
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            if cells.count >= 2 { rows.append("\(cells[0]) \(cells[1])") }
        }
        return rows
    }

    @Test(arguments: messages.map(\.name)) func tableMatchesCode(_ name: String) {
        let expected = Self.messages.first { $0.name == name }?.lines
        #expect(Self.rows(under: name) == expected, "fields of \(name)")
    }

    @Test func statusesMatch() {
        for status in Status.allCases {
            let row = String(format: "| 0x%04X | %@ |", Int(status.rawValue), "\(status)")
            #expect(Self.document.contains(row), "missing: \(row)")
            let line = Self.document.split(separator: "\n").first { $0.hasPrefix(row) } ?? ""
            #expect(line.contains(status.isRetryable ? "| yes |" : "| no |"), "retryable of \(status)")
            #expect(line.contains("| \(status.neutralClass) |"), "neutral class of \(status)")
        }
    }

    @Test func numbersMatch() {
        for opcode in Opcode.allCases {
            #expect(Self.document.contains(String(format: "| 0x%04X | %@ |", Int(opcode.rawValue), "\(opcode)")))
        }
        for limit in Limit.allCases { #expect(Self.document.contains("| \(limit.rawValue) | \(limit.name) |")) }
        for reason in Goodbye.Reason.allCases { #expect(Self.document.contains("| \(reason.rawValue) | \(reason) |")) }
        for kind in EventPush.Kind.allCases { #expect(Self.document.contains("| \(kind.rawValue) | \(kind.name) |")) }
        for role in Role.allCases { #expect(Self.document.contains("| 0x\(String(role.rawValue, radix: 16)) | \(role.name) |")) }
    }
}
