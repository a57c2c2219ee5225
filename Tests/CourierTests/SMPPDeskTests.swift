@testable import Courier
import SMPP
import Testing
import Wire

/// Messages through a session whose other side and clock are the test's own.
@Suite struct SMPPDeskTests {
    struct Bench {
        var desk: SMPPDesk
        var session: SMPPSession
        var now: UInt64 = 0
        var stream = PDUStream()

        init(_ adjust: (inout SMPPRoute) -> Void = { _ in }) throws {
            var route = SMPPRoute(host: "smsc", port: 1)
            adjust(&route)
            desk = SMPPDesk(route)
            session = try SMPPSession(route.session, nowMs: 0)
            session.wrote(session.output.count)
            _ = try say(
                PDU(.bindTransceiverResponse, sequence: 1, body: .bindResponse(systemID: [], optional: [])))
        }

        /// Words of a report: number, outcome.
        static func words(_ reports: [ReportMessage]) -> [String] {
            reports.map { report in
                "\(report.token.low) "
                    + (ReportMessage.Outcome(rawValue: report.outcome).map { "\($0)" } ?? "?")
            }
        }

        mutating func say(_ pdu: PDU) throws -> [String] {
            try handle(session.receive(pdu.encoded(), nowMs: now))
        }

        mutating func handle(_ events: [SMPPSession.Event]) -> [String] {
            var reports: [ReportMessage] = []
            for event in events {
                switch event {
                case .answered(let handle, let answer): reports += desk.answered(handle, answer, nowMs: now)
                case .receipt(let receipt): reports += desk.received(receipt, nowMs: now)
                case .bound, .ended: break
                }
            }
            return Bench.words(reports)
        }

        mutating func take(_ number: UInt64, text: String = "483920 is your code", attempt: UInt8 = 1)
            -> [String]
        {
            var message = sampleMessage(text, number: number)
            message.attempt = attempt
            return Bench.words(desk.take(submission(message, nowMs: now)))
        }

        /// Submits; returns reports, and the sequence numbers that left.
        mutating func fill() throws -> (reports: [String], sent: [PDU]) {
            let reports = Bench.words(desk.fill(&session, nowMs: now))
            stream.append(session.output)
            session.wrote(session.output.count)
            var sent: [PDU] = []
            while let pdu = try stream.next() { sent.append(pdu) }
            return (reports, sent)
        }

        mutating func accept(_ pdu: PDU, id: String) throws -> [String] {
            try say(
                PDU(
                    .submitSMResponse, sequence: pdu.sequence,
                    body: .messageResponse(id: Array(id.utf8), optional: [])))
        }

        mutating func refuse(_ pdu: PDU, _ status: CommandStatus) throws -> [String] {
            try say(PDU(.submitSMResponse, status: status, sequence: pdu.sequence))
        }

        mutating func receipt(_ id: String, _ word: String) throws -> [String] {
            var message = ShortMessage()
            message.esmClass = 0x04
            message.text = Array("id:\(id) stat:\(word) err:011 text:483920".utf8)
            return try say(PDU(.deliverSM, sequence: 7, body: .message(message)))
        }
    }

    /// Throttled three times under one lease: given back, and nothing of it is submitted again.
    @Test func throttledThreeTimes() throws {
        var bench = try Bench()
        _ = bench.take(1)
        for turn in 1...3 {
            let sent = try bench.fill().sent
            #expect(sent.count == 1)
            #expect(try bench.refuse(sent[0], .throttled) == (turn == 3 ? ["1 transientFailure"] : []))
            bench.now += 1_000
        }
        bench.now += 30_000
        #expect(try bench.fill().sent.isEmpty && bench.desk.isIdle && bench.desk.known == 0)
    }

    /// Throttled once, then taken: nothing is said of it again when its lease's time is over.
    @Test func takenAfterAPause() throws {
        var bench = try Bench()
        _ = bench.take(1)
        _ = try bench.refuse(try bench.fill().sent[0], .queueFull)
        bench.now += 500
        let sent = try bench.fill().sent
        #expect(try bench.accept(sent[0], id: "a") == ["1 submitted"])
        bench.now += 60_000
        #expect(try bench.fill() == ([], []))
        #expect(try bench.receipt("a", "DELIVRD") == ["1 delivered"])
        #expect(try bench.receipt("a", "UNDELIV") == [])
        #expect(bench.desk.known == 0)
    }

    /// The lease leaves 4.5 s to submit: 15 less 10 for the answer less a margin of 0.5.
    @Test func theLastMomentToSubmit() throws {
        var bench = try Bench { $0.session.window = 1 }
        _ = bench.take(1)
        _ = bench.take(2)
        let first = try bench.fill().sent
        #expect(bench.desk.deadline() == 4_501)
        bench.now = 4_500
        #expect(try bench.fill().reports == [])
        bench.now = 4_501
        #expect(try bench.fill().reports == ["2 notSubmitted"])
        #expect(try bench.accept(first[0], id: "a") == ["1 submitted"], "in flight, so not given back")
    }

    /// Slow or paused, the route takes no more than a window, and what waits too long comes back as untried.
    @Test func roomIsTheWindow() throws {
        var bench = try Bench { $0.session.window = 2 }
        func room() -> Int { bench.desk.room(window: bench.session.window(nowMs: bench.now)) }
        #expect(room() == 2)
        for number in 1...4 as ClosedRange<UInt64> { _ = bench.take(number) }
        let sent = try bench.fill().sent
        #expect(sent.count == 2 && room() == 0)
        #expect(try bench.refuse(sent[0], .throttled) == [])
        #expect(try bench.accept(sent[1], id: "b") == ["2 submitted"])
        #expect(room() == 0, "paused")
        bench.now = 4_501
        #expect(try bench.fill().reports.sorted() == ["1 notSubmitted", "3 notSubmitted", "4 notSubmitted"])
        #expect(room() == 1, "one at a time until one is taken")
        #expect(bench.desk.deadline() == nil)
    }

    /// The peer doesn't read: what lies here is not called lost and sent later, it is untried; what left is in doubt.
    @Test func anUnreadSubmitIsUntried() throws {
        var bench = try Bench()
        _ = bench.take(1)
        _ = try bench.fill()
        _ = bench.take(2)
        #expect(bench.desk.fill(&bench.session, nowMs: 0).isEmpty)
        #expect(!bench.session.output.isEmpty)
        bench.now = 10_000
        let events = bench.session.tick(nowMs: bench.now)
        #expect(events.last == .ended(.unread))
        #expect(bench.handle(events) == ["1 ambiguous"])
        #expect(Bench.words(bench.desk.expire(nowMs: bench.now)) == ["2 notSubmitted"])
    }

    /// Half a text out when the lease is nearly over: in doubt, and no busy loop on a deadline that has passed.
    @Test func halfATextAtTheLeasesEnd() throws {
        var bench = try Bench { $0.session.window = 1 }
        _ = bench.take(1, text: String(repeating: "ş", count: 71))
        let first = try bench.fill().sent
        #expect(try bench.accept(first[0], id: "a") == [])
        let second = try bench.fill().sent
        #expect(try bench.refuse(second[0], .throttled) == [])
        bench.now = 4_501
        #expect(try bench.fill() == (["1 ambiguous"], []))
        #expect(bench.desk.deadline() == nil && bench.desk.isIdle)
    }

    /// Each part has its three submits, whichever part it is.
    @Test func aPartIsSubmittedThreeTimes() throws {
        var bench = try Bench()
        _ = bench.take(1, text: String(repeating: "ş", count: 71))
        let sent = try bench.fill().sent
        #expect(try bench.accept(sent[0], id: "a") == [])
        var part = sent[1]
        for turn in 1...3 {
            #expect(try bench.refuse(part, .throttled) == (turn == 3 ? ["1 ambiguous"] : []))
            bench.now += 1_000
            let next = try bench.fill().sent
            #expect(next.count == (turn == 3 ? 0 : 1))
            if turn < 3 { part = next[0] }
        }
        #expect(bench.desk.isIdle)
    }

    /// A stop lets a text that is half out go whole, and takes nothing more.
    @Test func aStopFinishesHalfAText() throws {
        var bench = try Bench { $0.session.window = 1 }
        _ = bench.take(1, text: String(repeating: "ş", count: 71))
        let first = try bench.fill().sent
        #expect(bench.desk.stop().isEmpty && bench.desk.room(window: 9) == 0)
        #expect(try bench.accept(first[0], id: "a") == [])
        let second = try bench.fill().sent
        #expect(try bench.accept(second[0], id: "b") == ["1 submitted"])
        #expect(bench.desk.isIdle)
    }

    /// A courier was started anew: what it doesn't know it passes on, once, under the name that the one before reported.
    @Test func receiptsOfACourierBefore() throws {
        var bench = try Bench { route in
            route.name = "fleur"
            (route.responseIDs, route.receiptIDs) = (.hexadecimal, .decimal)
        }
        _ = bench.take(1)
        var reports: [ReportMessage] = []
        for event in bench.session.receive(
            try PDU(
                .submitSMResponse, sequence: bench.fill().sent[0].sequence,
                body: .messageResponse(id: Array("2A".utf8), optional: [])
            ).encoded(), nowMs: 0)
        {
            if case .answered(let handle, let answer) = event {
                reports = bench.desk.answered(handle, answer, nowMs: 0)
            }
        }
        #expect(reports.first?.gateway.text == "fleur" && reports.first?.segments == 1)
        var next = try Bench { route in
            route.name = "fleur"
            (route.responseIDs, route.receiptIDs) = (.hexadecimal, .decimal)
        }
        #expect(try next.receipt("0042", "DELIVRD") == [])
        let strays = next.desk.takeStrays()
        #expect(strays.map { $0.reference.array } == [reports[0].reference.array])
        #expect(strays.first?.gateway.text == "fleur")
        #expect(strays.first?.outcome == ReportMessage.Outcome.delivered.rawValue)
        #expect(try next.receipt("0043", "ENROUTE") == [] && next.desk.takeStrays().isEmpty)
    }

    @Test func nothingAfterItsLife() throws {
        var bench = try Bench()
        var message = sampleMessage(number: 1)
        message.expiresAtMs = message.engineTimeMs + 100
        _ = bench.desk.take(submission(message))
        bench.now = 100
        #expect(try bench.fill() == (["1 notSubmitted"], []))
    }

    /// A late answer that accepts still counts, once.
    @Test func inDoubtThenLate() throws {
        var bench = try Bench()
        _ = bench.take(1)
        _ = bench.take(2, attempt: 2)
        let sent = try bench.fill().sent
        bench.now = 10_000
        #expect(
            bench.handle(bench.session.tick(nowMs: bench.now)).sorted() == [
                "1 ambiguous", "2 ambiguous",
            ])
        #expect(try bench.fill().sent.map(\.command) == [])
        #expect(try bench.accept(sent[0], id: "late") == ["1 submitted"])
        #expect(try bench.receipt("late", "DELIVRD") == ["1 delivered"])
        #expect(try bench.refuse(sent[1], .systemError) == [])
    }

    /// What never left is submitted again on the next connection, under the same lease.
    @Test func notSent() throws {
        var bench = try Bench()
        _ = bench.take(1)
        #expect(bench.desk.fill(&bench.session, nowMs: 0).isEmpty)
        #expect(bench.handle(bench.session.lost()) == [])
        #expect(!bench.desk.isIdle)
        var next = try Bench()
        next.desk = bench.desk
        #expect(try next.fill().sent.count == 1)
    }

    /// Two parts: submitted when both are taken, delivered when both are; failed with the first that is.
    @Test func twoParts() throws {
        var bench = try Bench()
        let long = String(repeating: "ş", count: 71)
        for number in 1...3 as ClosedRange<UInt64> { _ = bench.take(number, text: long) }
        let sent = try bench.fill().sent
        #expect(sent.count == 6)
        #expect(try bench.accept(sent[1], id: "b") == [])
        #expect(try bench.receipt("b", "DELIVRD") == [])
        #expect(try bench.accept(sent[0], id: "a") == ["1 submitted"])
        #expect(try bench.receipt("a", "DELIVRD") == ["1 delivered"])
        #expect(try bench.accept(sent[2], id: "c") == [])
        #expect(try bench.refuse(sent[3], .invalidDestination) == ["2 permanentFailure"])
        #expect(try bench.accept(sent[4], id: "e") == [])
        #expect(try bench.accept(sent[5], id: "f") == ["3 submitted"])
        #expect(try bench.receipt("f", "EXPIRED") == ["3 undelivered"])
        #expect(try bench.receipt("e", "DELIVRD") == [])
        #expect(bench.desk.isIdle)
    }

    @Test func aLongText() throws {
        var bench = try Bench()
        let text = String(repeating: "😀", count: 159)
        #expect(bench.take(1, text: text) == [])
        #expect(try bench.fill().sent.count == 5)
    }

    @Test func aStopGivesBackWhatWaits() throws {
        var bench = try Bench { $0.session.window = 1 }
        _ = bench.take(1)
        _ = bench.take(2)
        let sent = try bench.fill().sent
        #expect(Bench.words(bench.desk.stop()) == ["2 notSubmitted"])
        #expect(!bench.desk.isIdle)
        #expect(try bench.accept(sent[0], id: "a") == ["1 submitted"])
        #expect(bench.desk.isIdle)
    }

    @Test func senders() throws {
        var route = SMPPRoute(host: "smsc", port: 1)
        let cases: [(String, UInt8, UInt8)] = [
            ("", 0, 0), ("+447700900123", 1, 1), ("447700900123", 1, 1), ("36789", 3, 0), ("Fleur", 5, 0),
        ]
        for (text, ton, npi) in cases {
            try route.setSource(text)
            #expect(route.sourceTON == ton && route.sourceNPI == npi, "\(text)")
        }
        #expect(throws: CourierError.self) { try route.setSource("Twelve chars") }
        #expect(throws: CourierError.self) { try route.setSource("Flèur") }
    }
}
