import AuthClient
import HTTPGateway
@testable import Receipts
import Synchronization
import Testing
import Wire

/// What a vendor is answered, and what otpd hears.
@Suite struct ReceiptDeskTests {
    /// otpd's part: answers in turn, the last one for ever.
    final class FakeServer: Sendable {
        let heard = Mutex<[ReportReceipt]>([])
        let notes = Mutex<[String]>([])
        let slept = Mutex<[Duration]>([])
        private let answers: Mutex<[(any Error)?]>

        init(_ answers: [(any Error)?] = [nil]) { self.answers = Mutex(answers) }

        func desk(_ entries: [ReceiptsConfig.Entry]) -> ReceiptDesk {
            ReceiptDesk(
                entries,
                forward: { message in
                    self.heard.withLock { $0.append(message) }
                    let answer = self.answers.withLock { $0.count > 1 ? $0.removeFirst() : $0.first.flatMap { $0 } }
                    if let answer { throw answer }
                }, sleep: { time in self.slept.withLock { $0.append(time) } }, note: { text in self.notes.withLock { $0.append(text) } })
        }
    }

    static let token = Credential(Array("0123456789abcdef".utf8))
    static let entries = [
        ReceiptsConfig.Entry(gateway: "kannel", path: "/k", source: KannelReceipts(token: token)),
        ReceiptsConfig.Entry(gateway: "infobip", path: "/i", source: InfobipReceipts(token: token)),
    ]

    static func ask(_ server: FakeServer, _ query: String, path: String = "/k", method: String = "GET", body: String = "") async -> ReceiptDesk.Answer {
        await server.desk(entries).answer(ReceiptCall(method: method, query: query, body: Array(body.utf8)), path: path, unixSeconds: 0)
    }

    static let good = "token=0123456789abcdef&reference=abc&state=1"
    static func refusal(_ status: Status) -> ClientError { .refused(Refusal(status)) }

    @Test func told() async {
        let server = FakeServer()
        #expect(await ReceiptDeskTests.ask(server, ReceiptDeskTests.good) == .done)
        let failed = "token=0123456789abcdef&reference=def&state=2"
        #expect(await ReceiptDeskTests.ask(server, failed) == .done)
        let heard = server.heard.withLock { $0 }
        #expect(heard.map { $0.gateway.text } == ["kannel", "kannel"] && heard.map { $0.reference.text } == ["abc", "def"])
        #expect(heard.map(\.outcome) == [ReportMessage.Outcome.delivered.rawValue, ReportMessage.Outcome.undelivered.rawValue])
        #expect(heard.map { $0.reason.text } == ["", "state-2"] && server.notes.withLock { $0.isEmpty })
    }

    @Test func nothingToTell() async {
        let server = FakeServer()
        #expect(await ReceiptDeskTests.ask(server, "token=0123456789abcdef&reference=abc&state=8") == .done)
        #expect(await ReceiptDeskTests.ask(server, ReceiptDeskTests.good, path: "/other") == .nowhere)
        #expect(await ReceiptDeskTests.ask(server, ReceiptDeskTests.good, method: "DELETE") == .method)
        #expect(await ReceiptDeskTests.ask(server, "reference=abc&state=1") == .forged)
        #expect(await ReceiptDeskTests.ask(server, "token=0123456789abcdef&reference=abc") == .malformed)
        #expect(server.heard.withLock { $0.isEmpty })
        // No id, no query, nothing of the request.
        #expect(server.notes.withLock { notes in notes.count == 2 && notes.allSatisfy { !$0.contains("abc") } })
    }

    /// Vendors can be faster than the courier's report.
    @Test func aMessageThatIsReportedLater() async {
        let unknown = ReceiptDeskTests.refusal(.referenceUnknown)
        let server = FakeServer([unknown, unknown, nil])
        #expect(await ReceiptDeskTests.ask(server, ReceiptDeskTests.good) == .done)
        #expect(server.heard.withLock { $0.count } == 3 && server.slept.withLock { $0 } == Array(ReceiptDesk.patience.prefix(2)))
    }

    @Test func aMessageThatNobodyKnows() async {
        let server = FakeServer([ReceiptDeskTests.refusal(.referenceUnknown)])
        #expect(await ReceiptDeskTests.ask(server, ReceiptDeskTests.good) == .unknown)
        #expect(server.heard.withLock { $0.count } == 1 + ReceiptDesk.patience.count && server.slept.withLock { $0 } == ReceiptDesk.patience)
    }

    /// 2xx would be a promise: only what otpd has on disk is answered so.
    @Test(arguments: [
        ClientError.notConnected("x"), .unknownOutcome("x"), refusal(.overloaded), refusal(.draining), refusal(.notPermitted), .goodbye(.notPermitted, "x"),
    ]) func otpdThatDoesNotTakeIt(_ error: ClientError) async {
        let server = FakeServer([error])
        #expect(await ReceiptDeskTests.ask(server, ReceiptDeskTests.good) == .later)
    }

    /// One of a batch that isn't taken: the vendor says all of them again, which does no harm.
    @Test func batches() async {
        let results = ["a", "b", "c"].map { #"{"messageId":"\#($0)","status":{"groupId":3,"id":5}}"# }.joined(separator: ",")
        let server = FakeServer([nil, ClientError.notConnected("x"), nil])
        let answer = await ReceiptDeskTests.ask(server, "token=0123456789abcdef", path: "/i", method: "POST", body: #"{"results":[\#(results)]}"#)
        #expect(answer == .later && server.heard.withLock { $0.map { $0.reference.text } } == ["a", "b", "c"])
    }

    @Test func notesOnceAMinute() {
        let said = Mutex<[String]>([])
        let minute = Mutex<UInt64>(1)
        let notes = QuietNotes(minute: { minute.withLock { $0 } }, say: { line in said.withLock { $0.append(line) } })
        for _ in 0..<100 { notes.note("a") }
        notes.note("b")
        minute.withLock { $0 = 2 }
        notes.note("b")
        #expect(said.withLock { $0 } == ["a", "b", "a (99 more times)", "b"])
        for number in 0..<1_000 { notes.note("kind \(number)") }
        #expect(said.withLock { $0.count } < 300)
    }
}
