import Engine
import Foundation
import Testing
import Wire

@testable import AuthServer

/// What PROTOCOL §6 calls a write is what waits for the sync.
@Suite struct KindTests {
    private static let decided: [(opcode: Opcode, request: Request)] = [
        (.requestCode, .requestCode(RequestCode())), (.resend, .resend(Resend())),
        (.verify, .verify(Verify())),
        (.cancel, .cancel(Cancel())), (.status, .status(StatusRequest())), (.quota, .quota(Quota())),
        (.checkGrant, .checkGrant(CheckGrant())), (.redeemGrant, .redeemGrant(RedeemGrant())),
        (.unblock, .unblock(Unblock())),
        (.reportMessage, .report(ReportMessage())), (.reportReceipt, .receipt(ReportReceipt())),
    ]

    /// `opcode: kind` of the table of opcodes.
    private func kinds() throws -> [String: String] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "Sources/Wire/PROTOCOL.md"), encoding: .utf8)
        var kinds: [String: String] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("| 0x00") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            if cells.count == 5 { kinds[cells[1]] = cells[3] }
        }
        return kinds
    }

    @Test func theTableSaysWhatWaitsForTheSync() throws {
        let kinds = try kinds()
        for opcode in Opcode.allCases where !opcode.isPush && opcode != .hello && opcode != .ping {
            // Those that the rules don't decide live in memory alone.
            let isWrite = Self.decided.first { $0.opcode == opcode }?.request.isWrite ?? false
            #expect(kinds["\(opcode)"] == (isWrite ? "write" : "lookup"), "\(opcode)")
        }
        for (opcode, request) in Self.decided where opcode.readsOnly {
            #expect(!request.isWrite, "\(opcode)")
        }
    }
}
