import Foundation
import Glibc
import Testing
import Wire

/// Stops, good and bad: SIGTERM, Ctrl-C, kill -9.
@Suite struct StopTests {
    @Test func sigtermAnswersWhatIsInFlightAndExits0() throws {
        let server = try DevServer(courier: "none")
        let peer = try Peer(server.socket)
        for number in 0..<64 { try peer.send(peer.requestCode(number), UInt32(100 + number)) }
        let (code, duration) = try server.stop()
        #expect(code == 0)
        #expect(duration < .seconds(2), "\(duration)")
        var done: Set<UInt32> = []
        var goodbye: Goodbye?
        while let frame = try peer.next() {
            if frame.flags == .push {
                goodbye = try frame.body.withUnsafeBytes { try FieldDecoder.decode(Goodbye.self, from: $0) }
            } else if frame.body.starts(with: [0, 0]) {
                done.insert(frame.correlation)
            }
        }
        #expect(done.count == 64)
        #expect(goodbye?.reason == Goodbye.Reason.shuttingDown.rawValue)
        #expect(!FileManager.default.fileExists(atPath: server.socket))
        try server.startAgain()
        #expect(
            try server.ctl("quota", "--account", "account-5", "--phone", "+33612341005").code == 4,
            "it was debited")
    }

    @Test func aConsoleCourierShowsTheMessageAndLeavesWithTheServer() throws {
        let server = try DevServer(courier: "console")
        let challenge = try server.request(account: "alice", phone: "+33612345678")
        #expect(try eventually { try server.log(".out").contains("SMS to +33612345678") })
        #expect(try server.ctl("status", challenge).code == 0)
        let (code, duration) = try server.stop(SIGINT)
        #expect(code == 0)
        #expect(duration < .seconds(2), "\(duration)")
        #expect(couriers(of: server.socket).isEmpty)
    }

    @Test func kill9KeepsWhatWasAnswered() throws {
        let server = try DevServer()
        let challenge = try server.request(account: "alice", phone: "+33612345678")
        let right = try server.code(challenge)
        #expect(try server.ctl("verify", challenge, wrongCode(for: right)).field("attempts_left") == "4")
        #expect(try server.ctl("verify", challenge, right).code == 0)
        let open = try server.request(account: "bob", phone: "+33612345679")
        let code = try server.code(open)
        #expect(try server.ctl("verify", open, wrongCode(for: code)).field("attempts_left") == "4")

        #expect(try server.stop(SIGKILL).code == 128 + SIGKILL)
        #expect(eventually { couriers(of: server.socket).isEmpty }, "the courier ends with its parent")
        try server.startAgain()

        let used = try server.ctl("verify", challenge, right)
        #expect(used.code == 3)
        #expect(try used.field("refused") == "challengeNotOpen")
        #expect(try server.ctl("status", challenge).field("state") == "verified")
        #expect(try server.ctl("status", open).field("attempts_left") == "4")
        let limited = try server.ctl(
            "request", "--account", "bob", "--phone", "+33612345679", "--session",
            String(repeating: "2", count: 64))
        #expect(limited.code == 4, "the send is still debited")
        #expect(try limited.field("limit") == "resendGap")
        #expect(try server.ctl("verify", open, code).code == 0)
        #expect(try server.stop().code == 0)
    }

    /// The pids of couriers that serve this socket.
    private func couriers(of socket: String) -> [String] {
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return processes.filter { name in
            guard Int(name) != nil,
                let line = try? String(contentsOfFile: "/proc/\(name)/cmdline", encoding: .utf8)
            else { return false }
            return line.contains("otp-courier") && line.contains(socket)
        }
    }
}
