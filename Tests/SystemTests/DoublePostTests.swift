import AuthClient
import Foundation
import Glibc
import Testing
import Wire

/// One form, posted twice, to web processes that know nothing of each other: two `otpctl` and this process,
/// against a real server.
@Suite struct DoublePostTests {
    private static let session = Bytes32(sha256Of: "the browser's cookie")

    /// Both at once; then a third, from this process.
    private func posts(_ server: DevServer, _ arguments: [String]) throws -> [Outcome] {
        let names = ["first", "second"]
        let processes = try names.map {
            try Program.otpctl.start(arguments, in: server.folder, log: $0)
        }
        return try zip(names, processes).map { name, process in
            let code = try end(of: process, seconds: 20)
            func text(_ suffix: String) throws -> String {
                try String(contentsOfFile: server.folder.path + "/" + name + suffix, encoding: .utf8)
            }
            return Outcome(code: code, out: try text(".out"), err: try text(".err"))
        }
    }

    private func begin(_ server: DevServer) throws -> (challenge: Bytes16, code: String) {
        let asked = try server.ctl(
            "request", "--account", "alice", "--phone", "+33612345678", "--session",
            Self.session.revealedHexadecimal)
        let challenge = try asked.field("challenge")
        return (try #require(Bytes16(hexadecimal: challenge)), try server.code(challenge))
    }

    /// `--session` and `--request-id` of a post.
    private func options(_ id: Bytes16) -> [String] {
        ["--session", Self.session.revealedHexadecimal, "--request-id", "\(id)"]
    }

    private func message(_ challenge: Bytes16, _ code: String, _ generation: UInt32) -> Verify {
        var message = Verify()
        message.challenge = challenge
        message.session = Self.session
        message.code = CodeBytes(code)
        message.requestID = AuthClient.formRequestID(
            challenge: challenge, session: Self.session, code: code, generation: generation)
        return message
    }

    @Test func theRightCode() async throws {
        let server = try DevServer()
        let (challenge, code) = try begin(server)
        let verify = message(challenge, code, 0)
        let verified = try posts(server, ["verify", "\(challenge)", code] + options(verify.requestID))
        #expect(verified.allSatisfy { $0.code == 0 }, "\(verified)")
        #expect(try Set(verified.map { try $0.field("repeated") }) == ["0", "1"])
        let client = AuthClient(path: server.socket)
        let third = try await client.verify(verify)
        #expect(third.repeated == 1)
        #expect(try Set(verified.map { try $0.field("grant") }) == [third.grant.revealedHexadecimal])

        let redeemID = AuthClient.formRequestID(grant: third.grant, session: Self.session)
        let redeem = ["grant", "redeem", third.grant.revealedHexadecimal, "--account", "alice"]
        try FileManager.default.removeItem(atPath: server.folder.path + "/first.out")
        try FileManager.default.removeItem(atPath: server.folder.path + "/second.out")
        let redeemed = try posts(server, redeem + options(redeemID))
        #expect(redeemed.allSatisfy { $0.code == 0 }, "\(redeemed)")
        #expect(try Set(redeemed.map { try $0.field("repeated") }) == ["0", "1"])
        var last = RedeemGrant()
        last.requestID = redeemID
        last.grant = third.grant
        last.purpose = 1
        last.account = AccountBytes("alice")
        last.session = Self.session
        #expect(try await client.redeemGrant(last).repeated == 1)
        let stats = try await client.stats()
        await client.close()
        for line in ["verified_total 1", "grants_redeemed_total 1"] {
            #expect(stats.contains(line + "\n"), "\(stats)")
        }
    }

    /// One attempt for one form; another when the form is shown anew.
    @Test func aWrongCode() async throws {
        let server = try DevServer()
        let (challenge, code) = try begin(server)
        let wrong = wrongCode(for: code)
        let verify = message(challenge, wrong, 0)
        for outcome in try posts(server, ["verify", "\(challenge)", wrong] + options(verify.requestID)) {
            #expect(outcome.code == 5)
            #expect(try outcome.field("attempts_left") == "4")
        }
        let client = AuthClient(path: server.socket)
        for (generation, left) in [(0, 4), (1, 3), (1, 3), (2, 2)] as [(UInt32, UInt8)] {
            let message = message(challenge, wrong, generation)
            let refusal = await #expect(throws: ClientError.self) { try await client.verify(message) }
            #expect(refusal == .refused(Refusal(.wrongCode, attemptsLeft: left)), "\(generation)")
        }
        await client.close()
    }
}
