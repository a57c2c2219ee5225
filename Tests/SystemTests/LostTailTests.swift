import Foundation
import Glibc
import Testing

/// A code is used, the server is killed, the disk changes a bit at the journal's end: the code is never
/// accepted again, whatever the operator does.
@Suite struct LostTailTests {
    /// Where the last record of the newest segment begins.
    private static func lastRecord(_ folder: String) throws -> (file: URL, offset: Int) {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
            $0.hasSuffix(".seg")
        }
        let file = URL(fileURLWithPath: folder + "/" + (names.max() ?? ""))
        let bytes = Array(try Data(contentsOf: file))
        let last = stride(from: 0, to: bytes.count, by: 512).reversed().first {
            Array(bytes[$0..<$0 + 4]) == Array("OTPJ".utf8)
        }
        return (file, try #require(last))
    }

    @Test func aUsedCodeStaysUsedOverALostTail() throws {
        let server = try DevServer()
        let challenge = try server.request(account: "alice", phone: "+33612345678")
        let code = try server.code(challenge)
        let open = try server.request(account: "bob", phone: "+33612345679")
        let openCode = try server.code(open)
        // The courier has reported both by now: the acceptance is what comes last.
        usleep(500_000)
        #expect(try server.ctl("verify", challenge, code).code == 0)
        #expect(try server.stop(SIGKILL).code == 128 + SIGKILL)
        let (file, offset) = try Self.lastRecord(server.folder.path + "/.otpd-dev/data/journal")
        var bytes = try Data(contentsOf: file)
        bytes[offset + 150] ^= 0x20
        try bytes.write(to: file)

        #expect(throws: TestError.self) { try server.startAgain() }
        let refusal = try server.log(".err")
        #expect(refusal.contains("has changed since it was written"), "\(refusal)")
        #expect(refusal.contains("start otpd once with --accept-lost-requests"), "\(refusal)")
        #expect(try Data(contentsOf: file) == bytes, "nothing was changed")

        try server.startAgain("--accept-lost-requests")
        #expect(try server.log(".err").contains("acknowledged requests were given up"))
        #expect(try server.ctl("verify", challenge, code).code != 0, "its acceptance may be what was lost")
        #expect(try server.ctl("verify", open, openCode).code != 0)
        #expect(try server.ctl("stats").field("lost_batches") == "1")
        for flags in [[], ["--accept-lost-requests"]] {
            #expect(try server.stop(SIGKILL).code == 128 + SIGKILL)
            try flags.isEmpty ? server.startAgain() : server.startAgain(flags[0])
            #expect(try server.ctl("stats").field("lost_batches") == "0")
            let events = try server.ctl("events", "--from", "oldest").out
            #expect(events.components(separatedBy: "requestsLost  count 1").count == 2, "\(events)")
        }
        #expect(try server.log(".err").contains("--accept-lost-requests changed nothing"))
        let next = try server.request(account: "carol", phone: "+33612345670")
        #expect(try server.ctl("verify", next, try server.code(next)).code == 0)
    }

    @Test func theFlagIsDocumented() throws {
        let help = try Program.otpd.run("run", "--help", in: try TemporaryFolder()).out
        #expect(help.contains("--accept-lost-requests"), "\(help)")
    }
}
