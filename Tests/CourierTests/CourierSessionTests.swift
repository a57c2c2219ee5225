@testable import Courier
import Testing
import Wire

/// The courier's side of the protocol, byte by byte, without a socket.
@Suite struct CourierSessionTests {
    static func bytes(_ encode: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let count = try buffer.withUnsafeMutableBytes { try encode($0) }
        return Array(buffer.prefix(count))
    }

    static func push<M: PushMessage>(_ message: M) throws -> [UInt8] {
        try bytes { try FieldEncoder.push(message, into: $0) }
    }

    static func done<M: Message>(_ message: M, _ opcode: Opcode, _ correlation: UInt32) throws -> [UInt8] {
        try bytes { try FieldEncoder.reply(message, to: opcode.rawValue, correlation: correlation, into: $0) }
    }

    static func refused(_ status: Status, _ opcode: Opcode) throws -> [UInt8] {
        try bytes { try FieldEncoder.refusal(Refusal(status), to: opcode.rawValue, correlation: 1, into: $0) }
    }

    static func welcome() throws -> [UInt8] {
        var reply = Hello.Reply()
        reply.version = 1
        reply.engineTimeMs = 77
        return try done(reply, .hello, 1)
    }

    /// One word an action, so that a whole answer is compared at once.
    static func shape(_ actions: [CourierSession.Action]) throws -> [String] {
        try actions.map { action in
            switch action {
            case .send(let bytes):
                let frame = try bytes.withUnsafeBytes { raw in
                    let frame = try #require(try Frame.next(in: raw))
                    try #require(frame.totalBytes == bytes.count)
                    return try #require(Opcode(rawValue: frame.opcode))
                }
                return "send \(frame)"
            case .clock(let time): return "clock \(time)"
            case .ready: return "ready"
            case .drain(let name, let isDrained): return "\(isDrained ? "drain" : "undrain") \(name)"
            case .deliver(let message): return "deliver \(message.text.text)"
            case .close(let why, let isOrderly): return (isOrderly ? "orderly: " : "") + why
            }
        }
    }

    static func greeted() throws -> CourierSession {
        var session = CourierSession()
        _ = session.start()
        _ = session.receive(try welcome())
        return session
    }

    @Test func begins() throws {
        var session = CourierSession()
        let first = session.start()
        let hello = try first.withUnsafeBytes { raw in
            let frame = try #require(try Frame.next(in: raw))
            #expect(frame.opcode == Opcode.hello.rawValue && frame.flags == [] && frame.correlation == 1)
            return try FieldDecoder.decode(Hello.self, from: frame.body)
        }
        #expect(
            hello.magic == Hello.magic && hello.minVersion == 1 && hello.maxVersion == 1 && hello.tenant == 0)
        #expect(hello.roles == Role.courier.rawValue, "the courier's role and no other")
        #expect(try Self.shape(session.receive(try Self.welcome())) == ["clock 77", "send leaseMessages"])
        let granted = try Self.done(LeaseMessages.Reply(), .leaseMessages, 2)
        #expect(try Self.shape(session.receive(granted)) == ["ready"])
    }

    @Test func anyCutGivesTheSame() throws {
        let text = "483920 is your code"
        let stream =
            try Self.welcome() + Self.push(sampleMessage(text)) + Self.push(Goodbye(.shuttingDown, "bye"))
        for cut in 0...stream.count {
            var session = CourierSession()
            _ = session.start()
            let actions = session.receive(stream[..<cut]) + session.receive(stream[cut...])
            let shape = try Self.shape(actions).filter { $0 != "send leaseMessages" }
            #expect(
                shape == ["clock 77", "deliver \(text)", "orderly: the server ended the connection: bye"],
                "cut at \(cut)")
            #expect(actions.count == 4, "credit is given once, cut at \(cut)")
        }
        var session = CourierSession()
        let whole = try stream.flatMap { try Self.shape(session.receive([$0])) }
        #expect(whole.count == 4, "byte by byte")
    }

    /// Pushes use credit up whether they are reported or not (an expired message never is): half of it used,
    /// it is renewed.
    @Test func creditIsRenewed() throws {
        var session = try Self.greeted()
        var leases: [Int] = []
        for number in 1...48 {
            #expect(try Self.shape(session.receive(try Self.push(sampleMessage("x")))) == ["deliver x"])
            if !session.set(room: .max).isEmpty { leases.append(number) }
        }
        #expect(leases == [16, 32, 48])
    }

    @Test(arguments: ReportMessage.Outcome.allCases) func report(_ outcome: ReportMessage.Outcome) throws {
        var session = try Self.greeted()
        let message = sampleMessage(number: 9)
        let bytes = session.report(submission(message).report(outcome, reference: [0x61], reason: "why"))
        let report = try bytes.withUnsafeBytes { raw in
            let frame = try #require(try Frame.next(in: raw))
            #expect(frame.opcode == Opcode.reportMessage.rawValue && frame.totalBytes == bytes.count)
            return try FieldDecoder.decode(ReportMessage.self, from: frame.body)
        }
        #expect(report.challenge == message.challenge && report.send == 2 && report.token == message.token)
        #expect(report.outcome == outcome.rawValue)
        #expect(report.reference.text == "a" && report.reason.text == "why")
    }

    private static func reports(in bytes: [UInt8]) throws -> [UInt64] {
        var rest = bytes[...]
        var tokens: [UInt64] = []
        while !rest.isEmpty {
            let count = try Array(rest).withUnsafeBytes { raw in
                let frame = try #require(try Frame.next(in: raw))
                if frame.opcode == Opcode.reportMessage.rawValue {
                    tokens.append(try FieldDecoder.decode(ReportMessage.self, from: frame.body).token.low)
                }
                return frame.totalBytes
            }
            rest = rest.dropFirst(count)
        }
        return tokens
    }

    /// No more than 48 without an answer; each answer makes room for one; what has none at the end goes to the next session, which
    /// sends it when the server has greeted it.
    @Test func reportsWaitForTheirAnswers() throws {
        var session = try Self.greeted()
        var sent: [UInt64] = []
        for number in 1...60 as ClosedRange<UInt64> {
            let report = submission(sampleMessage(number: number)).report(.submitted)
            sent += try Self.reports(in: session.report(report))
        }
        #expect(sent == Array(1...48))
        // Hello was 1, LeaseMessages 2: the first report is 3.
        let room = session.receive(try Self.done(Empty(), .reportMessage, 3))
        #expect(try room.flatMap { try Self.reports(in: Self.bytes(of: $0)) } == [49])
        let refused = try Self.bytes {
            try FieldEncoder.refusal(
                Refusal(.overloaded), to: Opcode.reportMessage.rawValue, correlation: 4, into: $0)
        }
        #expect(session.receive(refused).isEmpty, "not repeated at once")
        #expect(Set(session.unsettled.map(\.token.low)) == Set(2...60))
        #expect(try Self.reports(in: session.sendReports()) == [50], "there is room for one")
        var next = CourierSession(unsettled: session.unsettled)
        _ = next.start()
        let greeted = try next.receive(try Self.welcome()).flatMap {
            try Self.reports(in: Self.bytes(of: $0))
        }
        #expect(greeted.count == 48 && greeted.first == 3)
        #expect(next.unsettled.count == 59)
    }

    private static func bytes(of action: CourierSession.Action) -> [UInt8] {
        if case .send(let bytes) = action { bytes } else { [] }
    }

    /// A gateway that is closed takes no message; the server is told once each time.
    @Test func aClosedGatewayGivesNoCredit() throws {
        var session = CourierSession(room: 0)
        _ = session.start()
        func credit(_ bytes: [UInt8]) throws -> UInt16? {
            try bytes.withUnsafeBytes { raw in
                try Frame.next(in: raw).map {
                    try FieldDecoder.decode(LeaseMessages.self, from: $0.body).credit
                }
            }
        }
        let actions = session.receive(try Self.welcome())
        #expect(try actions.compactMap { try credit(Self.bytes(of: $0)) } == [0])
        #expect(try credit(session.set(room: 0)) == nil)
        #expect(try credit(session.set(room: .max)) == 32)
        #expect(try credit(session.set(room: .max)) == nil)
        #expect(try credit(session.set(room: 0)) == 0)
        #expect(try credit(session.set(room: 3)) == 3, "no more than there is room for")
        _ = session.receive(try Self.push(sampleMessage("x")))
        #expect(try credit(session.set(room: 2)) == nil)
        _ = session.receive(try Self.push(sampleMessage("x")))
        #expect(try credit(session.set(room: 2)) == 2)
    }

    /// At most eight receipts of others' messages without an answer; each answer lets one more go.
    @Test func receiptsOfOthersMessages() throws {
        var session = try Self.greeted()
        var sent = 0
        for number in 1...10 {
            var receipt = ReportReceipt()
            receipt.gateway = InlineBytes("smpp")
            receipt.reference = InlineBytes("\(number)")
            receipt.outcome = ReportMessage.Outcome.delivered.rawValue
            if !session.tell(receipt).isEmpty { sent += 1 }
        }
        #expect(sent == 8)
        let next = session.receive(try Self.refused(.referenceUnknown, .reportReceipt))
        #expect(try Self.shape(next) == ["send reportReceipt"])
        #expect(
            try Self.shape(session.receive(try Self.done(Empty(), .reportReceipt, 4))) == [
                "send reportReceipt"
            ])
        #expect(session.receive(try Self.done(Empty(), .reportReceipt, 5)).isEmpty)
    }

    @Test func refusals() throws {
        var session = CourierSession()
        let answer = try Self.shape(session.receive(try Self.refused(.notPermitted, .hello)))
        #expect(answer == ["the server refused this courier: notPermitted"], "and no credit is given")
        session = try Self.greeted()
        for (status, expected) in [
            (Status.overloaded, "the server refused this courier: overloaded"),
            (.draining, "orderly: the server refused this courier: draining"),
        ] {
            #expect(try Self.shape(session.receive(try Self.refused(status, .leaseMessages))) == [expected])
        }
        #expect(
            session.receive(try Self.refused(.leaseNotHeld, .reportMessage)).isEmpty,
            "that lease is over, no more")
    }

    @Test func goodbyeSaysWhy() throws {
        var session = try Self.greeted()
        let goodbye = try Self.push(Goodbye(.notPermitted, "uid 1000 has no role here"))
        #expect(
            try Self.shape(session.receive(goodbye)) == [
                "the server ended the connection: uid 1000 has no role here"
            ])
    }

    @Test func unknownPushesAreIgnored() throws {
        var session = try Self.greeted()
        var later = try Self.push(sampleMessage("x"))
        later[4] = 0x77
        #expect(session.receive(later).isEmpty)
        #expect(try Self.shape(session.receive(try Self.push(sampleMessage("y")))) == ["deliver y"])
    }

    @Test func brokenFramesEndTheConnection() throws {
        var tooLong: [UInt8] = [0, 0, 0x10, 0]
        tooLong += [UInt8](repeating: 0, count: 8)
        var badFlags = try Self.welcome()
        badFlags[7] = 3
        var cut = Array(try Self.push(sampleMessage("x")).dropLast(5))
        cut[3] -= 5
        for bytes in [tooLong, badFlags, cut] {
            var session = try Self.greeted()
            let shape = try Self.shape(session.receive(bytes))
            #expect(shape.count == 1 && shape[0].hasPrefix("the server broke the protocol: "), "\(shape)")
        }
    }

    /// How gateways do is told again when the server has answered, and a wish comes with the answer.
    @Test func gatewaysAreToldAndWishesHeard() throws {
        func route(_ name: String) -> ReportRoute {
            var route = ReportRoute()
            route.gateway = InlineBytes(name)
            return route
        }
        var session = CourierSession()
        _ = session.start()
        #expect(session.tell([route("a")]).isEmpty, "not before Hello")
        _ = session.receive(try Self.welcome())
        let told = session.tell([route("a"), route("b")])
        let first = try told.withUnsafeBytes { try #require(try Frame.next(in: $0)) }.correlation
        #expect(session.tell([route("a")]).isEmpty, "two are without an answer")
        var wish = ReportRoute.Reply()
        wish.drained = 1
        #expect(try Self.shape(session.receive(try Self.done(wish, .reportRoute, first))) == ["drain a"])
        #expect(session.tell([route("a")]).isEmpty, "one is without an answer")
        wish.drained = 0
        #expect(try Self.shape(session.receive(try Self.done(wish, .reportRoute, first + 1))) == ["undrain b"])
        #expect(try Self.shape(session.receive(try Self.done(wish, .reportRoute, first + 1))) == [], "an answer to nothing")
        #expect(!session.tell((0..<40).map { route("g\($0)") }).isEmpty)
        #expect(CourierSession.maxReports + CourierSession.maxReceiptsSent + CourierSession.maxRoutes + 2 < 64)
    }

    /// An older server knows no such request: nothing more is told, and nothing breaks.
    @Test func aServerWithoutRoutesIsNoTrouble() throws {
        var session = try Self.greeted()
        var route = ReportRoute()
        route.gateway = InlineBytes("a")
        let told = session.tell([route])
        let number = try told.withUnsafeBytes { try #require(try Frame.next(in: $0)) }.correlation
        let refusal = try Self.bytes {
            try FieldEncoder.refusal(
                Refusal(.unsupportedOperation), to: Opcode.reportRoute.rawValue, correlation: number, into: $0)
        }
        #expect(try Self.shape(session.receive(refusal)) == [])
        #expect(!session.tell([route]).isEmpty)
    }
}
