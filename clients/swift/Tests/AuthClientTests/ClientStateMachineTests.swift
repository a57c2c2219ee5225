import Testing
import Wire

@testable import AuthClient

/// The protocol's client side as tables: an event in, actions out.
@Suite struct ClientStateMachineTests {
    enum Event {
        case submit(UInt32)
        case submitBy(UInt32, deadline: UInt64, now: UInt64)
        case submitVerify(UInt32)
        case submitHello(UInt32)
        case submitSubscribe(UInt32)
        case reply(UInt32)
        case replyAt(UInt32, now: UInt64)
        case refusal(UInt32, Status)
        case subscribed(UInt32)
        case goodbye(Goodbye.Reason)
        case event(UInt64)
        case bytes([UInt8])
        case expire(UInt32)
        case giveUp(UInt32)
        case drain
        case disconnected
    }

    struct Table: CustomTestStringConvertible, Sendable {
        let name: String
        let maxInFlight: Int
        let steps: [(Event, [String])]
        var testDescription: String { name }

        init(_ name: String, maxInFlight: Int = 2, _ steps: [(Event, [String])]) {
            (self.name, self.maxInFlight, self.steps) = (name, maxInFlight, steps)
        }
    }

    static let lost = "outcome unknown: the connection was lost"
    static let goodbyeText = "the server ended the connection"

    static let calls: [Table] = [
        Table(
            "a reply answers its call",
            [
                (.submit(1), ["write ping 1"]), (.reply(1), ["succeed 1"]), (.reply(1), []),
            ]),
        Table(
            "replies overtake one another",
            [
                (.submit(1), ["write ping 1"]), (.submit(2), ["write ping 2"]), (.reply(2), ["succeed 2"]),
                (.reply(1), ["succeed 1"]),
            ]),
        Table(
            "a refusal is an answer too",
            [(.submit(1), ["write ping 1"]), (.refusal(1, .limited), ["succeed 1"])]),
        Table(
            "beyond the bound calls wait in line", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), []), (.submit(3), []),
                (.reply(1), ["succeed 1", "write ping 2"]), (.reply(2), ["succeed 2", "write ping 3"]),
                (.reply(3), ["succeed 3"]),
            ]),
        Table(
            "time's up: the outcome is unknown, the place is free when the late reply comes", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), []),
                (.expire(1), ["fail 1 outcome unknown: no reply in time"]), (.expire(1), []),
                (.reply(1), ["write ping 2"]), (.reply(2), ["succeed 2"]), (.expire(2), []),
            ]),
        Table(
            "behind calls whose time was up, calls run out of time unsent", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), []),
                (.expire(1), ["fail 1 outcome unknown: no reply in time"]),
                (.expire(2), ["fail 2 not connected: no place in flight in time"]), (.reply(1), []),
                (.submit(3), ["write ping 3"]), (.reply(3), ["succeed 3"]),
            ]),
        Table(
            "a place that a held-up loop frees isn't for a call whose time was up before", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submitBy(2, deadline: 20, now: 10), []),
                (.submitBy(3, deadline: 30, now: 11), []), (.submitBy(4, deadline: 31, now: 12), []),
                (
                    .replyAt(1, now: 30),
                    [
                        "succeed 1", "fail 2 not connected: no place in flight in time",
                        "fail 3 not connected: no place in flight in time", "write ping 4",
                    ]
                ), (.expire(2), []), (.reply(4), ["succeed 4"]),
            ]),
        Table(
            "a call that the loop takes after its time isn't sent",
            [(.submitBy(1, deadline: 10, now: 10), ["fail 1 not connected: no place in flight in time"])]),
        Table(
            "time's up in the line: nothing was sent", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), []), (.submit(3), []),
                (.expire(2), ["fail 2 not connected: no place in flight in time"]),
                (.reply(1), ["succeed 1", "write ping 3"]),
            ]),
        Table(
            "a call given up holds its place until its reply, which is dropped", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), []), (.submit(3), []), (.giveUp(2), []),
                (.giveUp(1), []), (.expire(1), []), (.giveUp(1), []), (.reply(1), ["write ping 3"]),
                (.giveUp(1), []), (.reply(3), ["succeed 3"]),
            ]),
    ]

    static let ends: [Table] = [
        Table(
            "lost: what was sent is unknown, what was not is not", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), []),
                (.disconnected, ["fail 1 \(lost)", "fail 2 not connected: \(lost)"]), (.disconnected, []),
                (.submit(3), ["fail 3 not connected: \(lost)"]), (.reply(1), []),
            ]),
        Table(
            "lost: nobody waits for a call that has ended", maxInFlight: 2,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), ["write ping 2"]), (.submit(3), []),
                (.expire(1), ["fail 1 outcome unknown: no reply in time"]), (.giveUp(2), []),
                (.disconnected, ["fail 3 not connected: \(lost)"]),
            ]),
        Table(
            "lost before Hello's reply: nothing was asked",
            [
                (.submitHello(1), ["write hello 1"]),
                (.disconnected, ["fail 1 not connected: the connection was lost"]),
            ]),
        Table(
            "goodbye to Hello is the error itself",
            [
                (.submitHello(1), ["write hello 1"]), (.goodbye(.notPermitted), ["close"]),
                (.disconnected, ["fail 1 \(goodbyeText): notPermitted: why"]),
            ]),
        Table(
            "goodbye to a request leaves its outcome unknown",
            [
                (.submitVerify(1), ["write verify 1"]), (.goodbye(.shuttingDown), ["close"]),
                (.reply(1), []), (.submit(2), ["fail 2 not connected: \(goodbyeText): shuttingDown: why"]),
                (.disconnected, ["fail 1 outcome unknown: \(goodbyeText): shuttingDown: why"]),
            ]),
        Table(
            "goodbye for a broken frame: the same bytes won't do better",
            [
                (.submitVerify(1), ["write verify 1"]), (.goodbye(.badBody), ["close"]),
                (.disconnected, ["fail 1 \(goodbyeText): badBody: why"]),
            ]),
        Table(
            "draining: the last answer closes", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), []), (.drain, []), (.drain, []),
                (.submit(3), ["fail 3 the client is closed"]), (.reply(1), ["succeed 1", "write ping 2"]),
                (.reply(2), ["succeed 2", "close"]), (.disconnected, []),
            ]),
        Table("draining with nothing under way closes at once", [(.drain, ["close"])]),
        Table(
            "draining: the last call given up closes", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), []), (.drain, []), (.giveUp(2), []),
                (.giveUp(1), ["close"]),
            ]),
        Table(
            "draining waits for calls, not for the replies of those that have ended", maxInFlight: 1,
            [
                (.submit(1), ["write ping 1"]), (.submit(2), []), (.drain, []), (.giveUp(1), []),
                (.expire(2), ["fail 2 not connected: no place in flight in time", "close"]),
            ]),
        Table(
            "draining: the last deadline closes",
            [
                (.submit(1), ["write ping 1"]), (.drain, []),
                (.expire(1), ["fail 1 outcome unknown: no reply in time", "close"]),
            ]),
    ]

    static let pushes: [Table] = [
        Table(
            "events come in their order, after the reply that began them",
            [
                (.submitSubscribe(1), ["write subscribe 1"]), (.event(3), ["event 3"]),
                (.subscribed(1), ["subscribed", "succeed 1"]), (.event(4), ["event 4"]),
                (.event(5), ["event 5"]),
            ]),
        Table(
            "a refused Subscribe begins nothing",
            [
                (.submitSubscribe(1), ["write subscribe 1"]), (.refusal(1, .cursorGone), ["succeed 1"]),
            ]),
        Table(
            "a Subscribe that was given up begins nothing",
            [(.submitSubscribe(1), ["write subscribe 1"]), (.giveUp(1), []), (.subscribed(1), [])]),
        Table(
            "a push of a later server is skipped",
            [
                (.bytes([0, 0, 0, 10, 0x77, 0x77, 0, 2, 0, 0, 0, 0, 1, 2]), []), (.event(1), ["event 1"]),
            ]),
        Table(
            "a request from a server isn't the protocol",
            [
                (.submit(1), ["write ping 1"]), (.bytes([0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 0, 1]), ["close"]),
                (.disconnected, ["fail 1 not the protocol: a frame that is neither reply nor push"]),
            ]),
        Table(
            "a push with a request's opcode isn't the protocol",
            [
                (.bytes([0, 0, 0, 8, 0, 2, 0, 2, 0, 0, 0, 0]), ["close"]), (.event(1), []),
            ]),
        Table(
            "a reply with another opcode isn't the protocol",
            [
                (.submitVerify(1), ["write verify 1"]), (.reply(1), ["close"]),
                (.disconnected, ["fail 1 not the protocol: a reply of opcode 2 to verify"]),
            ]),
        Table(
            "nor is one to a call that has ended",
            [(.submitVerify(1), ["write verify 1"]), (.giveUp(1), []), (.reply(1), ["close"])]),
        Table(
            "a length out of range isn't the protocol",
            [
                (.submit(1), ["write ping 1"]), (.bytes([0xFF, 0xFF, 0xFF, 0xFF]), ["close"]),
                (.bytes([0]), []),
            ]),
        Table(
            "an event that ends inside a field isn't the protocol",
            [
                (.bytes([0, 0, 0, 9, 0, 0x41, 0, 2, 0, 0, 0, 0, 1]), ["close"])
            ]),
    ]

    @Test(arguments: calls + ends + pushes) func table(_ table: Table) throws {
        var machine = ClientStateMachine()
        machine.maxInFlight = table.maxInFlight
        for (number, (event, expected)) in table.steps.enumerated() {
            let actions = try Self.apply(event, to: &machine).map(Self.describe)
            #expect(actions == expected, "step \(number)")
        }
    }

    @Test func lineIsBounded() {
        var machine = ClientStateMachine()
        var number: UInt32 = 0
        for _ in 0...ClientStateMachine.maxWaiting {
            number += 1
            _ = machine.submit(Ping(), correlation: number)
        }
        let actions = machine.submit(Ping(), correlation: number + 1).map(Self.describe)
        #expect(actions == ["fail \(number + 1) not connected: 8192 calls are waiting already"])
        #expect(machine.unanswered == ClientStateMachine.maxWaiting + 1)
    }

    /// Whatever the order of calls, replies, deadlines and cancellations: no more requests without a reply
    /// than the bound, none written after its call has ended, and one verdict for each.
    @Test func placesAreBoundedInAnyOrder() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var generator = SplitMix(state: seed)
        for _ in 0..<50 {
            var machine = ClientStateMachine()
            machine.maxInFlight = Int.random(in: 1...5, using: &generator)
            var (written, ended): (Set<UInt32>, Set<UInt32>) = ([], [])
            var last: UInt32 = 0
            for _ in 0..<300 {
                let any = UInt32.random(in: 1...max(1, last), using: &generator)
                let event: Event
                switch Int.random(in: 0..<4, using: &generator) {
                case 0:
                    guard last < 255 else { continue }
                    last += 1
                    event = .submit(last)
                case 1: event = .expire(any)
                case 2:
                    event = .giveUp(any)
                    if any <= last { ended.insert(any) }
                case _:
                    guard let oldest = written.min() else { continue }
                    written.remove(oldest)
                    event = .reply(oldest)
                }
                for action in try Self.apply(event, to: &machine) {
                    switch action {
                    case .write(let bytes):
                        let number = UInt32(bytes[11])
                        #expect(!ended.contains(number), "\(number) was written after its end")
                        written.insert(number)
                    case .succeed(let number, _), .fail(let number, _):
                        #expect(ended.insert(number).inserted, "two verdicts on \(number)")
                    case .push, .close: Issue.record("\(action)")
                    }
                }
                #expect(written.count <= machine.maxInFlight)
            }
        }
    }

    /// The same actions whatever the cut: at each offset, and byte by byte.
    @Test func splitsDoNotMatter() throws {
        let stream =
            try replyFrame(pong(1), opcode: Opcode.ping.rawValue, correlation: 1) + pushFrame(event(4))
            + refusalFrame(Refusal(.limited), opcode: Opcode.verify.rawValue, correlation: 2)
            + replyFrame(head(4), opcode: Opcode.subscribe.rawValue, correlation: 3) + pushFrame(event(5))
            + pushFrame(Goodbye(.shuttingDown, "why"))
        let expected = ["succeed 1", "event 4", "succeed 2", "subscribed", "succeed 3", "event 5", "close"]
        func feed(_ chunks: [ArraySlice<UInt8>]) throws -> [String] {
            var machine = ClientStateMachine()
            machine.maxInFlight = 3
            for event in [Event.submit(1), .submitVerify(2), .submitSubscribe(3)] {
                _ = try Self.apply(event, to: &machine)
            }
            return chunks.flatMap { machine.receive($0) }.map(Self.describe)
        }
        for cut in 0...stream.count {
            #expect(try feed([stream[..<cut], stream[cut...]]) == expected, "cut at \(cut)")
        }
        #expect(try feed(stream.indices.map { stream[$0...$0] }) == expected)
    }

    // MARK: events and actions as text

    static func apply(_ event: Event, to machine: inout ClientStateMachine) throws -> [ClientStateMachine
        .Action]
    {
        switch event {
        case .submit(let number): return machine.submit(Ping(), correlation: number)
        case .submitBy(let number, let deadline, let now):
            return machine.submit(Ping(), correlation: number, deadline: deadline, now: now)
        case .submitVerify(let number): return machine.submit(Verify(), correlation: number)
        case .submitHello(let number): return machine.submit(Hello(), correlation: number)
        case .submitSubscribe(let number): return machine.submit(Subscribe(), correlation: number)
        case .reply(let number): return try apply(.replyAt(number, now: 0), to: &machine)
        case .replyAt(let number, let now):
            let bytes = try replyFrame(pong(1), opcode: Opcode.ping.rawValue, correlation: number)
            return machine.receive(bytes, now: now)
        case .refusal(let number, let status):
            let opcode: Opcode = status == .cursorGone ? .subscribe : .ping
            return machine.receive(
                try refusalFrame(Refusal(status), opcode: opcode.rawValue, correlation: number))
        case .subscribed(let number):
            return machine.receive(
                try replyFrame(head(3), opcode: Opcode.subscribe.rawValue, correlation: number))
        case .goodbye(let reason): return machine.receive(try pushFrame(Goodbye(reason, "why")))
        case .event(let sequence): return machine.receive(try pushFrame(AuthClientTests.event(sequence)))
        case .bytes(let bytes): return machine.receive(bytes)
        case .expire(let number): return machine.expire(number)
        case .giveUp(let number): return machine.giveUp(number)
        case .drain: return machine.drain()
        case .disconnected: return machine.disconnected()
        }
    }

    static func describe(_ action: ClientStateMachine.Action) -> String {
        switch action {
        case .write(let bytes):
            let opcode = Opcode(rawValue: UInt16(bytes[4]) << 8 | UInt16(bytes[5]))
            return "write \(opcode.map { "\($0)" } ?? "?") \(bytes[11])"
        case .succeed(let number, _): return "succeed \(number)"
        case .fail(let number, let error): return "fail \(number) \(error)"
        case .push(.event(let event)): return "event \(event.cursor.sequence)"
        case .push(.message(let message)): return "message \(message.send)"
        case .push(.subscribed): return "subscribed"
        case .close: return "close"
        }
    }
}
