import CLinuxShim
import Foundation
import Glibc
import Testing
import Wire

/// Every otpctl command against a real server: text, `--json`, exit codes.
@Suite struct OTPCtlTests {
    /// A courier's word can't steer the operator's terminal.
    @Test func whatACourierSaysIsEscaped() throws {
        let server = try DevServer()
        let courier = try Peer(server.socket)
        var route = ReportRoute()
        (route.gateway, route.breaker) = (InlineBytes("g\u{1B}[2J\u{9B}\u{202E}é"), 1)
        try courier.send(route, 2)
        while let frame = try courier.next(), frame.correlation != 2 {}
        let routes = try server.both("routes")
        #expect(routes.text.out.contains("g\\u{1b}[2J\\u{9b}\\u{202e}é"), "\(routes.text)")
        #expect(!routes.text.out.contains("\u{1B}"))
        #expect(routes.json.out.contains("\\u001b[2J"))
    }

    @Test func theMainJob() throws {
        let server = try DevServer()
        let ping = try server.both("ping")
        #expect(ping.text.code == 0 && ping.json.code == 0)
        #expect(try ping.text.field("issuer") == "dev")
        #expect(try ping.json.objects().first?["issuer"] as? String == "dev")

        let alice = ["--account", "alice@example.org", "--phone", "+33612345678"]
        let quota = try server.both("quota", alice[0], alice[1], alice[2], alice[3])
        #expect(try quota.text.field("sends_left_hour") == "5")
        #expect(try quota.json.objects().first?["open_left"] as? Int == 3)

        let challenge = try server.request(account: alice[1], phone: alice[3])
        let joined = try Program.otpctl.run(["request", "--json"] + alice, in: server.folder)
        #expect(joined.code == 0)
        #expect(try joined.objects().first?["disposition"] as? String == "joined")
        #expect(try joined.objects().first?["challenge"] as? String == challenge)

        let early = try server.both("resend", challenge)
        #expect(early.text.code == 4 && early.json.code == 4)
        #expect(try early.text.field("limit") == "resendGap")
        #expect(try early.json.objects().first?["retry_after_ms"] as? Int ?? 0 > 0)

        let right = try server.code(challenge)
        let wrong = try server.ctl("verify", challenge, wrongCode(for: right))
        #expect(wrong.code == 5)
        #expect(try wrong.field("attempts_left") == "4")
        let malformed = try server.both("verify", challenge, "12345")
        #expect(malformed.text.code == 3 && malformed.json.code == 3)
        #expect(try malformed.json.objects().first?["refused"] as? String == "invalidCode")

        let status = try server.both("status", challenge)
        #expect(try status.text.field("state") == "open")
        #expect(try status.json.objects().first?["attempts_left"] as? Int == 4)

        let verified = try server.ctl("verify", challenge, right, "--json")
        #expect(verified.code == 0)
        let grant = try #require(try verified.objects().first?["grant"] as? String)
        let used = try server.both("verify", challenge, right)
        #expect(used.text.code == 3 && used.json.code == 3)
        #expect(try used.text.field("refused") == "challengeNotOpen")

        let check = try server.both("grant", "check", grant, "--account", alice[1])
        #expect(check.text.code == 0 && check.json.code == 0)
        #expect(try check.text.field("challenge") == challenge)
        let mallory = try server.ctl("grant", "redeem", grant, "--account", "mallory")
        #expect(mallory.code == 3)
        #expect(try server.ctl("grant", "redeem", grant, "--account", alice[1]).code == 0)
        let spent = try server.both("grant", "redeem", grant, "--account", alice[1])
        #expect(spent.text.code == 3 && spent.json.code == 3)
        #expect(try spent.text.field("refused") == "grantInvalid")

        let events = try server.both("events", "--from", "oldest")
        #expect(events.text.code == 0 && events.json.code == 0)
        let kinds = try events.json.objects().compactMap { $0["kind"] as? String }
        for kind in ["serverStarted", "codeRequested", "wrongCode", "codeVerified", "grantRedeemed"] {
            #expect(kinds.contains(kind), "\(kind) in \(kinds)")
            #expect(events.text.out.contains(kind))
        }
    }

    @Test func theOtherCommands() throws {
        let server = try DevServer(courier: "none")
        let challenge = try server.request(account: "bob", phone: "+33612345679")
        let id = "0123456789abcdef0123456789abcdef"
        let old = try server.ctl("cancel", challenge, "--request-id", id)
        #expect(old.code == 3)
        #expect(try old.field("refused") == "requestTooOld")
        #expect(try server.ctl("cancel", challenge, "--session", String(repeating: "1", count: 64)).code == 3)
        let cancelled = try server.ctl("cancel", challenge, "--json")
        #expect(cancelled.code == 0)
        #expect(try cancelled.objects().first?["cancelled"] as? String == challenge)
        #expect(try server.ctl("status", challenge).field("state") == "cancelled")
        #expect(try server.ctl("cancel", challenge).code == 3)
        let phone = try server.both("request", "--account", "bob", "--phone", "0612345679")
        #expect(phone.text.code == 3 && phone.json.code == 3)
        #expect(try phone.text.field("refused") == "invalidPhone")

        let stats = try server.both("stats")
        #expect(try stats.text.field("challenges_created_total") == "1")
        #expect(try stats.json.objects().first?["challenges_created_total"] as? Int == 1)

        let drained = try server.ctl("drain", "--json")
        #expect(drained.code == 0)
        #expect(try drained.objects().count == 1)
        #expect(try server.ended() == 0)
        #expect(try server.ctl("ping").code == 6)
    }

    /// Before anything is looked for: no such number of seconds can be waited.
    @Test(arguments: ["nan", "-nan", "inf", "-inf", "1e300", "86401", "0", "-1"])
    func exit2ForATimeThatNobodyCanWait(seconds: String) throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.otpctl.run("ping", "--timeout=\(seconds)", in: folder)
        #expect(outcome.code == 2, "\(outcome)")
        #expect(outcome.err.contains("--timeout takes seconds: more than 0, at most 86400"), "\(outcome)")
    }

    @Test func exit6WhenNobodyIsThere() throws {
        let folder = try TemporaryFolder()
        for arguments in [
            ["ping"], ["events"], ["drain"], ["request", "--account", "a", "--phone", "+33612345678"],
        ] {
            let outcome = try Program.otpctl.run(
                arguments + ["--socket", folder.path + "/none", "--timeout", "0.3"], in: folder)
            #expect(outcome.code == 6, "\(outcome)")
            #expect(outcome.err.contains("can't be reached (\(folder.path)/none"), "\(outcome)")
        }
    }

    @Test func exit7WhenTheOutcomeIsUnknown() throws {
        let folder = try TemporaryFolder()
        let silent = try SilentServer(folder.path + "/s")
        let outcome = try Program.otpctl.run(
            [
                "request", "--account", "a", "--phone", "+33612345678", "--timeout", "0.5", "--socket",
                silent.path,
            ],
            in: folder)
        #expect(outcome.code == 7, "\(outcome)")
        #expect(outcome.err.contains("--request-id"), "\(outcome)")
    }
}
