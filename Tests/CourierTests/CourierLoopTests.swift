import Courier
import Foundation
import Glibc
import Permissions
import Testing
import Wire

/// The whole courier against a scripted server on a real socket.
@Suite struct CourierLoopTests {
    struct Bench {
        let folder: TemporaryFolder
        let server: FakeServer
        let socket: String

        init() throws {
            folder = try TemporaryFolder()
            socket = folder.path + "/s"
            server = try FakeServer(socket)
        }

        var spool: String { folder.path + "/spool" }

        func console(_ boxes: Lines) -> RunningCourier {
            RunningCourier(socket) { try ConsoleGateway(allowPlaintext: true) { boxes.add($0) } }
        }

        func spooling() -> RunningCourier {
            let spool = spool
            return RunningCourier(socket) {
                try SpoolGateway(
                    folder: spool, allowPlaintext: true,
                    nowWallMs: UInt64(Date().timeIntervalSince1970 * 1_000))
            }
        }
    }

    /// Hello, credit, a push, the box, the report with the push's token; then a prompt end on SIGTERM.
    @Test func deliversAndReports() throws {
        let bench = try Bench()
        let boxes = Lines()
        let courier = bench.console(boxes)
        let peer = try bench.server.accept()
        let hello = try peer.greet()
        #expect(hello.roles == Role.courier.rawValue)
        #expect(hello.client.text.hasPrefix("otp-courier "))
        let messages = [sampleMessage("483920 is your code", number: 1), sampleMessage("7 more", number: 2)]
        for message in messages {
            try peer.push(message)
            let report = try peer.expect(ReportMessage.self)
            #expect(report.message.token == message.token)
            #expect(report.message.challenge == message.challenge && report.message.send == message.send)
            #expect(report.message.outcome == ReportMessage.Outcome.submitted.rawValue)
            try peer.reply(Empty(), to: report.frame)
        }
        #expect(boxes.all.count == 2)
        #expect(boxes.all.first?.contains("483920 is your code") == true)
        let seconds = try #require(courier.stop(), "the courier ends on SIGTERM")
        #expect(seconds < 2)
        #expect(try peer.next() == nil, "the connection is closed")
        #expect(courier.failure == nil && courier.notes.all.isEmpty)
    }

    @Test func spoolsUntilExpiry() throws {
        let bench = try Bench()
        let courier = bench.spooling()
        let peer = try bench.server.accept()
        try peer.greet()
        let before = UInt64(Date().timeIntervalSince1970 * 1_000)
        var brief = sampleMessage("brief", number: 1)
        brief.expiresAtMs = brief.engineTimeMs + 1_500
        for message in [brief, sampleMessage("483920", number: 2)] {
            try peer.push(message)
            let report = try peer.expect(ReportMessage.self)
            #expect(report.message.outcome == ReportMessage.Outcome.submitted.rawValue)
        }
        let after = UInt64(Date().timeIntervalSince1970 * 1_000)
        let name = "01900000000000000000000000000002-2.sms"
        let text = try String(contentsOfFile: bench.spool + "/" + name, encoding: .utf8)
        let line = try #require(text.split(separator: "\n").dropFirst().first)
        let expiry = try #require(UInt64(line.dropFirst("Expires: ".count)))
        // 300 s of engine time from the push, told in wall time, less what passed between greeting and push.
        #expect(expiry > before + 290_000 && expiry <= after + 300_000)
        let isBriefGone = try eventually {
            try FileManager.default.contentsOfDirectory(atPath: bench.spool) == [name]
        }
        #expect(isBriefGone, "the loop sweeps by itself")
        #expect(courier.stop() != nil)
    }

    /// Over at the push, by the engine's clock as Hello told it, or at the very millisecond: neither
    /// submitted nor reported.
    @Test func expiredMessagesAreNotSubmitted() throws {
        let bench = try Bench()
        let boxes = Lines()
        let courier = bench.console(boxes)
        let peer = try bench.server.accept()
        try peer.greet(engineTimeMs: 2_000_000)
        var over = sampleMessage("over", number: 1)
        over.engineTimeMs = 2_000_000
        over.expiresAtMs = 1_999_999
        var now = sampleMessage("at this millisecond", number: 2)
        (now.engineTimeMs, now.expiresAtMs) = (2_000_000, 2_000_000)
        // Waited in the socket: when it was pushed, 300 s before Hello's clock, it had 200 s to live.
        var waited = sampleMessage("waited", number: 3)
        (waited.engineTimeMs, waited.expiresAtMs) = (1_700_000, 1_900_000)
        var live = sampleMessage("live", number: 4)
        (live.engineTimeMs, live.expiresAtMs) = (2_000_000, 2_300_000)
        for message in [over, now, waited, live] { try peer.push(message) }
        let report = try peer.expect(ReportMessage.self)
        #expect(report.message.token == live.token)
        #expect(boxes.all.count == 1)
        #expect(courier.stop() != nil)
    }

    @Test func aVanishedSpoolIsReported() throws {
        let bench = try Bench()
        let courier = bench.spooling()
        let peer = try bench.server.accept()
        try peer.greet()
        try FileManager.default.removeItem(atPath: bench.spool)
        try peer.push(sampleMessage("x"))
        let report = try peer.expect(ReportMessage.self)
        #expect(report.message.outcome == ReportMessage.Outcome.transientFailure.rawValue)
        #expect(report.message.token == sampleMessage("x").token)
        #expect(courier.stop() != nil)
    }

    /// 40 messages at once are more than a credit: all are delivered, and credit comes again on the way.
    @Test func creditIsRenewedUnderLoad() throws {
        let bench = try Bench()
        let boxes = Lines()
        let courier = bench.console(boxes)
        let peer = try bench.server.accept()
        try peer.greet()
        for number in 1...40 { try peer.push(sampleMessage("m\(number)", number: UInt64(number))) }
        var tokens: [UInt64] = []
        var leases = 0
        while tokens.count < 40 || leases == 0 {
            let frame = try #require(try peer.next())
            if frame.opcode == Opcode.leaseMessages.rawValue {
                leases += 1
                #expect(try frame.decode(LeaseMessages.self).credit == 32)
            } else {
                tokens.append(try frame.decode(ReportMessage.self).token.low)
            }
        }
        #expect(tokens == Array(1...40), "in the order of the pushes")
        #expect(leases <= 3, "when half of it is used")
        #expect(courier.stop() != nil)
    }

    @Test func reconnectsAfterTheServerCloses() throws {
        let bench = try Bench()
        let boxes = Lines()
        let courier = bench.console(boxes)
        for number in 1...3 as ClosedRange<UInt64> {
            let peer = try bench.server.accept()
            try peer.greet()
            try peer.push(sampleMessage("m", number: number))
            let report = try peer.expect(ReportMessage.self)
            #expect(report.message.token.low == number)
            try peer.reply(Empty(), to: report.frame)
            if number == 2 { try peer.push(Goodbye(.shuttingDown, "bye")) }
            peer.close()
        }
        #expect(courier.notes.all.isEmpty, "a server's stop is nothing to complain about")
        #expect(courier.stop() != nil)
    }

    /// A report that the server didn't answer is said again on the next connection.
    @Test func reportsSurviveTheConnection() throws {
        let bench = try Bench()
        let courier = bench.console(Lines())
        let first = try bench.server.accept()
        try first.greet()
        try first.push(sampleMessage("m", number: 7))
        #expect(try first.expect(ReportMessage.self).message.token.low == 7)
        first.close()
        let second = try bench.server.accept()
        try second.greet()
        let again = try second.expect(ReportMessage.self)
        #expect(again.message.token.low == 7)
        try second.reply(Empty(), to: again.frame)
        #expect(courier.stop() != nil)
    }

    /// Turned away again and again: said once, and asked less and less often.
    @Test(arguments: [true, false]) func backsOffWhenTurnedAway(_ isGoodbye: Bool) throws {
        let bench = try Bench()
        let courier = bench.console(Lines())
        var times: [Double] = []
        for _ in 1...5 {
            let peer = try bench.server.accept()
            times.append(Date().timeIntervalSinceReferenceDate)
            let hello = try peer.expect(Hello.self)
            if isGoodbye {
                try peer.push(Goodbye(.notPermitted, "no role here"))
            } else {
                try peer.reply(Hello.Reply(), to: hello.frame)
                try peer.refuse(.overloaded, try peer.expect(LeaseMessages.self).frame)
            }
            #expect(try peer.next() == nil)
        }
        let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
        // poll(2) waits in whole milliseconds of another clock than this one.
        for (gap, least) in zip(gaps, [0.1, 0.2, 0.4, 0.8]) { #expect(gap >= least - 0.002, "\(gaps)") }
        #expect(
            courier.notes.all == [
                isGoodbye
                    ? "the server ended the connection: no role here"
                    : "the server refused this courier: overloaded"
            ])
        let seconds = try #require(courier.stop(), "ends while it waits")
        #expect(seconds < 1)
    }

    @Test func waitsForAServerThatIsNotThere() throws {
        let folder = try TemporaryFolder()
        let courier = RunningCourier(folder.path + "/s") { try ConsoleGateway(allowPlaintext: true) { _ in } }
        #expect(eventually { courier.hasStarted })
        let server = try FakeServer(folder.path + "/s")
        try server.accept().greet()
        #expect(courier.stop() != nil)
        #expect(courier.notes.all.isEmpty, "a server may take a moment to start")
    }

    @Test func saysThatNobodyIsThere() throws {
        let folder = try TemporaryFolder()
        let courier = RunningCourier(folder.path + "/s") { try ConsoleGateway(allowPlaintext: true) { _ in } }
        #expect(
            eventually {
                courier.notes.all == ["\(folder.path)/s: No such file or directory. Is otpd running?"]
            })
        #expect(courier.stop() != nil)
    }

    /// A thread of its own, because the loop blocks signals on the thread that makes it.
    @Test func socketPathsHaveABound() {
        let long = "/" + String(repeating: "x", count: 107)
        let courier = RunningCourier(long) { try ConsoleGateway(allowPlaintext: true) { _ in } }
        #expect(eventually { courier.isOver })
        #expect(courier.failure == "socket path \(long) is longer than the 107 bytes that the kernel allows")
        let fits = RunningCourier(String(long.dropLast())) {
            try ConsoleGateway(allowPlaintext: true) { _ in }
        }
        #expect(fits.stop() != nil)
        #expect(fits.failure == nil)
    }

    /// Without permission it isn't a matter of a server that runs.
    @Test func whyThereIsNoServer() {
        let stranger = Account(uid: 4_242, groups: [4_242], name: "stranger")
        #expect(NoServer.why("/root/s", ENOENT, by: stranger).hasSuffix("No such file or directory. Is otpd running?"))
        let denied = NoServer.why("/root/s", EACCES, by: stranger)
        #expect(denied.contains("user stranger (uid 4242; groups 4242)") && !denied.contains("running?"), "\(denied)")
    }
}
