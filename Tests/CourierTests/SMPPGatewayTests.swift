@testable import Courier
import Foundation
import Glibc
import SMPP
import Testing
import Wire

/// The whole courier between a scripted server and a real SMSC, smpp.twisted3's.
@Suite(.serialized) struct SMPPGatewayTests {
    /// A courier that the server has greeted and given messages' credit from.
    final class Bench {
        let folder: TemporaryFolder
        let server: FakeServer
        let courier: RunningCourier
        let peer: FakePeer
        let gatewayNotes = Lines()

        init(_ port: UInt16, _ adjust: @Sendable (inout SMPPRoute) -> Void = { _ in }) throws {
            folder = try TemporaryFolder()
            server = try FakeServer(folder.path + "/s")
            var route = SMPPRoute(host: "127.0.0.1", port: port)
            route.session.bind.systemID = Array("otpd".utf8)
            route.session.bind.password = Array("secret".utf8)
            route.session.responseMs = 3_000
            try route.setSource("Fleur")
            adjust(&route)
            let made = route
            courier = RunningCourier(folder.path + "/s") { [gatewayNotes] in
                SMPPGateway(made) { gatewayNotes.add($0) }
            }
            peer = try server.accept()
            let hello = try peer.expect(Hello.self)
            var welcome = Hello.Reply()
            welcome.version = 1
            welcome.engineTimeMs = 1_000_000
            try peer.reply(welcome, to: hello.frame)
        }

        /// Waits until the courier asks for messages, as many as the window has places (or, with 0, for none).
        func expectCredit(_ credit: UInt16 = 10) throws {
            for _ in 0..<8 {
                let lease = try peer.expect(LeaseMessages.self)
                try peer.reply(LeaseMessages.Reply(), to: lease.frame)
                if lease.message.credit == credit { return }
            }
            throw TestSMSC.Failed(why: "the courier didn't ask for \(credit) messages")
        }

        func push(
            _ number: UInt64, to phone: String, text: String = "483920 is your code", attempt: UInt8 = 1
        ) throws {
            var message = sampleMessage(text, phone: phone, number: number)
            message.attempt = attempt
            try peer.push(message)
        }

        /// The next report, answered; credit on the way is taken.
        func report(within seconds: Double = 10) throws -> ReportMessage {
            while true {
                guard let frame = try peer.next(within: seconds) else {
                    throw TestSMSC.Failed(why: "the courier left")
                }
                if frame.opcode == Opcode.reportMessage.rawValue {
                    try peer.reply(Empty(), to: frame)
                    return try frame.decode(ReportMessage.self)
                }
                try peer.reply(LeaseMessages.Reply(), to: frame)
            }
        }

        /// `count` reports as "number outcome", sorted.
        func reports(_ count: Int) throws -> [String] {
            try (0..<count).map { _ in
                let report = try report()
                let outcome = ReportMessage.Outcome(rawValue: report.outcome).map { "\($0)" } ?? "?"
                return "\(report.token.low) \(outcome)"
            }
        }

        func expectQuiet(_ milliseconds: Double = 300) throws {
            #expect(throws: FakeServer.Failed.self) { try self.peer.next(within: milliseconds / 1_000) }
        }
    }

    private func bench(
        _ smsc: TestSMSC, _ adjust: @Sendable (inout SMPPRoute) -> Void = { _ in }
    ) throws -> Bench {
        let bench = try Bench(smsc.port, adjust)
        var route = SMPPRoute(host: "", port: 1)
        adjust(&route)
        try bench.expectCredit(UInt16(route.session.window))
        return bench
    }

    /// Submitted, then delivered; what the SMSC saw is what we meant.
    @Test func deliversWithAReceipt() throws {
        let smsc = try TestSMSC()
        let bench = try bench(smsc)
        try bench.push(1, to: "+33612345678", text: "483920 is your Fleur code [€]")
        let submitted = try bench.report()
        #expect(submitted.outcome == ReportMessage.Outcome.submitted.rawValue)
        #expect(submitted.token == sampleMessage(number: 1).token && submitted.reference.text == "0000000a")
        let delivered = try bench.report()
        #expect(
            delivered.outcome == ReportMessage.Outcome.delivered.rawValue
                && delivered.token == submitted.token)
        let seen = try #require(smsc.submits.first)
        #expect(seen.text("to") == "33612345678" && seen.text("ton") == "INTERNATIONAL")
        #expect(seen.text("source") == "Fleur" && seen.text("source_ton") == "ALPHANUMERIC")
        #expect(seen.text("text") == "483920 is your Fleur code \u{1B}<\u{1B}e\u{1B}>", "GSM 03.38, unpacked")
        #expect(seen.text("receipt") == "SMSC_DELIVERY_RECEIPT_REQUESTED")
        // 300 s of life to the last submit and 40 s after it, less the milliseconds since the push.
        #expect(
            ["minutes=5, seconds=39", "5:39", "minutes=5, seconds=40", "5:40"].contains {
                seen.text("validity").contains($0)
            },
            "\(seen.text("validity"))")
        #expect(eventually { smsc.log.contains { $0.event == "receipt answered" } })
        let seconds = try #require(bench.courier.stop())
        #expect(seconds < 2)
        #expect(bench.gatewayNotes.all.isEmpty)
    }

    /// Each of the SMSC's ways, at once: what one message meets doesn't touch the others.
    @Test func outcomes() throws {
        let smsc = try TestSMSC()
        let bench = try bench(smsc)
        let ways: [(UInt64, String, [String])] = [
            (3, "0003", ["permanentFailure"]), (4, "0004", ["transientFailure"]),
            (5, "0005", ["submitted", "undelivered"]), (6, "0006", ["submitted", "undelivered"]),
            (7, "0007", ["submitted"]), (8, "0008", ["ambiguous"]),
            (10, "0010", ["submitted", "delivered"]),
            (11, "0011", ["submitted", "delivered"]), (12, "0012", ["submitted", "delivered"]),
            (16, "0016", ["transientFailure"]), (17, "0017", ["submitted", "delivered"]),
            (99, "0099", ["submitted", "delivered"]),
        ]
        for (number, suffix, _) in ways { try bench.push(number, to: "+3361234\(suffix)") }
        let expected = ways.flatMap { way in way.2.map { "\(way.0) \($0)" } }
        let said = try bench.reports(expected.count)
        #expect(said.sorted() == expected.sorted())
        let late = said.firstIndex(of: "12 submitted") ?? 0
        #expect((said.firstIndex(of: "99 submitted") ?? 99) < late, "answers in any order")
        try bench.expectQuiet()
        #expect(smsc.submits.count == ways.count, "nothing was submitted twice")
        #expect(bench.courier.stop() != nil)
    }

    /// 0x58 and 0x14: the same lease, a little later.
    @Test func throttledAndQueueFull() throws {
        let smsc = try TestSMSC()
        let bench = try bench(smsc) { $0.session.throttleMs = 50 }
        try bench.push(1, to: "+33612340001")
        let throttled = try bench.reports(2)
        #expect(throttled == ["1 submitted", "1 delivered"])
        try bench.push(2, to: "+33612340002")
        let full = try bench.reports(2)
        #expect(full == ["2 submitted", "2 delivered"])
        #expect(smsc.submits.map { $0.text("count") } == ["1", "2", "3", "1", "2"])
        #expect(bench.courier.stop() != nil)
    }

    /// No answer: in doubt. Leased again it is tried once more; the server sees to it that there is no third time.
    @Test func inDoubtIsTriedOnceMore() throws {
        let smsc = try TestSMSC()
        let bench = try bench(smsc) { $0.session.responseMs = 1_500 }
        try bench.push(1, to: "+33612340013")
        let doubt = try bench.report()
        #expect(doubt.outcome == ReportMessage.Outcome.ambiguous.rawValue)
        #expect(doubt.reason.text == "no answer: it may have been sent")
        try bench.push(1, to: "+33612340013", attempt: 2)
        #expect(try bench.reports(2) == ["1 submitted", "1 delivered"])
        try bench.push(2, to: "+33612340008", attempt: 2)
        #expect(try bench.reports(1) == ["2 ambiguous"])
        #expect(smsc.submits.count == 3)
        #expect(bench.courier.stop() != nil)
    }

    /// The connection is reset with a window in flight: all of it is in doubt, and none of it is lost.
    @Test func resetInMidWindow() throws {
        let smsc = try TestSMSC(["--answer-ms", "200"])
        let bench = try bench(smsc)
        for number in 1...4 as ClosedRange<UInt64> { try bench.push(number, to: "+3361234555\(number)") }
        try bench.push(9, to: "+33612340014")
        #expect(
            try bench.reports(5).sorted()
                == [
                    "1 ambiguous", "2 ambiguous", "3 ambiguous", "4 ambiguous", "9 ambiguous",
                ])
        try bench.expectCredit(0)
        try bench.expectCredit()
        #expect(bench.gatewayNotes.all.count == 2, "\(bench.gatewayNotes.all)")
        #expect(bench.gatewayNotes.all.last == "127.0.0.1:\(smsc.port): the route stands")
        for number in [1, 2, 3, 4] as [UInt64] {
            try bench.push(number, to: "+3361234555\(number)", attempt: 2)
        }
        try bench.push(9, to: "+33612340014", attempt: 2)
        let said = try bench.reports(10)
        #expect(said.filter { $0.hasSuffix("delivered") }.count == 5)
        #expect(bench.courier.stop() != nil)
    }

    /// An SMSC that dies and comes back: no message is asked for meanwhile, receipts of before still find theirs.
    @Test func reconnects() throws {
        let first = try TestSMSC(["--receipt-ms", "60000"])
        let bench = try bench(first)
        try bench.push(1, to: "+33612345678")
        #expect(try bench.reports(1) == ["1 submitted"])
        first.stop()
        try bench.expectCredit(0)
        let second = try TestSMSC(port: first.port)
        try bench.expectCredit()
        try bench.push(2, to: "+33612345679")
        // The new one counts from 10 again: its receipt names the id that the old one gave.
        #expect(try bench.reports(2) == ["2 submitted", "2 delivered"])
        #expect(second.submits.count == 1)
        #expect(bench.courier.stop() != nil)
    }

    /// An SMSC that unbinds, one that isn't there, one that refuses us.
    @Test func unboundAbsentRefused() throws {
        let smsc = try TestSMSC()
        let bench = try bench(smsc)
        try bench.push(1, to: "+33612340015")
        #expect(try bench.reports(2) == ["1 submitted", "1 delivered"])
        try bench.expectCredit(0)
        try bench.expectCredit()
        #expect(bench.gatewayNotes.all.first == "127.0.0.1:\(smsc.port): the SMSC unbound")
        #expect(bench.courier.stop() != nil)
        let stranger = try Bench(smsc.port) { $0.session.bind.password = Array("wrong".utf8) }
        #expect(eventually { !stranger.gatewayNotes.all.isEmpty })
        #expect(
            stranger.gatewayNotes.all == [
                "127.0.0.1:\(smsc.port): the SMSC refused the bind: ESME_RINVPASWD (0x0000000E)"
            ])
        #expect(stranger.courier.stop() != nil)
        let port = smsc.port
        smsc.stop()
        let lonely = try Bench(port)
        #expect(eventually { lonely.gatewayNotes.all.last == "127.0.0.1:\(port): Connection refused" })
        #expect(lonely.courier.stop() != nil)
    }

    /// Ids in hexadecimal and decimal; receipts without tags; two connections; a text in two parts.
    @Test func otherProviders() throws {
        let smsc = try TestSMSC(["--ids", "hex-dec", "--no-tags"])
        let bench = try bench(smsc) { route in
            route.bind = .pair
            route.responseIDs = .hexadecimal
            route.receiptIDs = .decimal
        }
        for number in 1...6 as ClosedRange<UInt64> { try bench.push(number, to: "+3361234555\(number)") }
        let expected = (1...6).flatMap { ["\($0) delivered", "\($0) submitted"] }
        #expect(try bench.reports(12).sorted() == expected)
        try bench.push(7, to: "+33612345557", text: String(repeating: "ş", count: 71))
        #expect(try bench.reports(2) == ["7 submitted", "7 delivered"])
        let parts = smsc.submits.filter { $0.text("to") == "33612345557" }
        #expect(parts.count == 2)
        #expect(
            parts.allSatisfy {
                ["1", "true"].contains($0.text("header")) && $0.text("text").hasPrefix("\u{05}\u{00}\u{03}")
            })
        #expect(bench.courier.stop() != nil)
    }

    /// TLS to a certificate of the right name; one of another name, and one that nobody vouches for, are refused.
    @Test func tls() throws {
        let folder = try TemporaryFolder()
        let pem = folder.path + "/smsc.pem"
        try TestSMSC.certificate(for: "smsc.example", at: pem)
        let smsc = try TestSMSC(["--tls", pem])
        let bench = try bench(smsc) { $0.tls = TLSSettings(name: "smsc.example", caFile: pem) }
        try bench.push(1, to: "+33612345678")
        #expect(try bench.reports(2) == ["1 submitted", "1 delivered"])
        #expect(bench.courier.stop() != nil)
        let wrong = try Bench(smsc.port) { $0.tls = TLSSettings(name: "other.example", caFile: pem) }
        let unknown = try Bench(smsc.port) { $0.tls = TLSSettings(name: "smsc.example") }
        let address = try Bench(smsc.port) { $0.tls = TLSSettings(name: "127.0.0.1", caFile: pem) }
        let said = "127.0.0.1:\(smsc.port): the certificate isn't to be trusted: "
        for (bench, why) in [
            (wrong, "hostname mismatch"), (unknown, "self-signed certificate"),
            (address, "IP address mismatch"),
        ] {
            #expect(eventually { !bench.gatewayNotes.all.isEmpty })
            #expect(bench.gatewayNotes.all == [said + why])
            #expect(bench.courier.stop() != nil)
        }
        #expect(smsc.submits.count == 1)
    }

    /// Nothing is submitted when an answer could come after the lease's end; messages beyond the window wait.
    @Test func whatComesTooLateIsGivenBack() throws {
        let smsc = try TestSMSC(["--answer-ms", "400"])
        let bench = try bench(smsc) { $0.session.window = 1 }
        for number in 1...3 as ClosedRange<UInt64> {
            var message = sampleMessage(phone: "+3361234555\(number)", number: number)
            // 3 s for the answer and 500 ms of margin leave 200 ms to submit.
            message.leaseUntilMs = message.engineTimeMs + 3_700
            try bench.peer.push(message)
        }
        let said = try bench.reports(4)
        #expect(said.sorted() == ["1 delivered", "1 submitted", "2 notSubmitted", "3 notSubmitted"])
        #expect(smsc.submits.count == 1)
        #expect(bench.courier.stop() != nil)
    }

    /// A stop waits for the answers of what is in flight, and unbinds.
    @Test func stopsWhenTheWindowIsAnswered() throws {
        let smsc = try TestSMSC(["--answer-ms", "300", "--receipt-ms", "60000"])
        let bench = try bench(smsc) { $0.session.window = 2 }
        for number in 1...5 as ClosedRange<UInt64> { try bench.push(number, to: "+3361234555\(number)") }
        #expect(eventually { smsc.submits.count == 2 })
        let courier = bench.courier
        Thread { #expect(courier.stop() != nil) }.start()
        let said = try bench.reports(5)
        #expect(
            said.sorted() == [
                "1 submitted", "2 submitted", "3 notSubmitted", "4 notSubmitted", "5 notSubmitted",
            ])
        #expect(eventually { courier.isOver })
        #expect(smsc.submits.count == 2)
    }
}
