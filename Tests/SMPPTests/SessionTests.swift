import SMPP
import Testing

@Suite struct SessionTests {
    @Test(
        arguments: zip(
            [.transceiver, .transmitter, .receiver] as [SessionSettings.Mode],
            [
                (.bindTransceiver, .bindTransceiverResponse), (.bindTransmitter, .bindTransmitterResponse),
                (.bindReceiver, .bindReceiverResponse),
            ] as [(Command, Command)]))
    func binds(_ mode: SessionSettings.Mode, _ commands: (Command, Command)) throws {
        var peer = try Peer(mode: mode)
        let pdus = try peer.sent()
        #expect(pdus.map(\.command) == [commands.0])
        guard case .bind(let request) = pdus[0].body else {
            Issue.record("no bind")
            return
        }
        #expect(request.systemID == Array("otpd".utf8) && request.interfaceVersion == 0x34)
        #expect(peer.room == 0, "nothing is submitted before the bind is answered")
        let events = try peer.say(
            commands.1, sequence: pdus[0].sequence, .bindResponse(systemID: [0x58], optional: []))
        #expect(events == [.bound(systemID: [0x58])])
        #expect(peer.room == (mode == .receiver ? 0 : 10))
    }

    @Test func aRefusedBindEnds() throws {
        var peer = try Peer()
        let status = CommandStatus(rawValue: 0x0E)
        #expect(
            try peer.say(.bindTransceiverResponse, status: status, sequence: 1) == [
                .ended(.bindRefused(status))
            ])
        #expect(peer.room == 0 && !peer.session.isBound)
        var other = try Peer()
        #expect(
            try other.say(.genericNack, status: .invalidCommandID, sequence: 1)
                == [.ended(.bindRefused(.invalidCommandID))])
    }

    @Test func aBindWithoutAnAnswerEnds() throws {
        var peer = try Peer()
        #expect(peer.session.deadline(nowMs: peer.now) == 11_000)
        #expect(peer.tick(after: 9_999) == [])
        #expect(peer.tick(after: 1) == [.ended(.bindTimedOut)])
        #expect(peer.session.deadline(nowMs: peer.now) == nil)
    }

    /// Ten without an answer and no more; answers in any order; a place for each.
    @Test func theWindow() throws {
        var peer = try Peer.bound()
        let numbers = try peer.submit(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
        #expect(Set(numbers).count == 10)
        #expect(peer.room == 0)
        for handle in [7, 2, 10] {
            let events = try peer.accept(numbers[handle - 1], id: "id\(handle)")
            #expect(events == [.answered(UInt64(handle), .accepted(id: Array("id\(handle)".utf8)))])
        }
        #expect(peer.room == 3)
        #expect(try peer.accept(numbers[6], id: "again") == [], "an answer is taken once")
        #expect(try peer.accept(9_999, id: "nobody's") == [])
    }

    @Test func refusalsAreClassed() throws {
        var peer = try Peer.bound { $0.vendorStatuses = [0x417: .permanentNumber] }
        let expected: [(UInt32, CommandStatus.Meaning)] = [
            (0x0B, .permanentNumber), (0x0A, .permanentRoute), (0x08, .transient), (0x417, .permanentNumber),
        ]
        for (number, meaning) in expected {
            let status = CommandStatus(rawValue: number)
            let sequence = try peer.submit(5)[0]
            #expect(try peer.refuse(sequence, status) == [.answered(5, .refused(status, meaning))])
            #expect(peer.room == 10)
        }
        let sequence = try peer.submit(6)[0]
        #expect(
            try peer.say(.genericNack, status: .invalidMessageLength, sequence: sequence)
                == [.answered(6, .refused(.invalidMessageLength, .permanentRoute))])
    }

    /// The response timer: the message may be on its way. A late answer still counts, once.
    @Test func noAnswerIsAmbiguous() throws {
        var peer = try Peer.bound()
        let first = try peer.submit(1)[0]
        peer.now += 4_000
        _ = try peer.submit(2)
        #expect(peer.tick(after: 5_999) == [])
        #expect(peer.session.deadline(nowMs: peer.now) == peer.now + 1)
        #expect(peer.tick(after: 1) == [.answered(1, .ambiguous)])
        #expect(peer.room == 9)
        #expect(try peer.accept(first, id: "late") == [.answered(1, .accepted(id: Array("late".utf8)))])
        #expect(try peer.accept(first, id: "late") == [])
    }

    /// What the kernel took may have arrived; what it didn't take whole can't have.
    @Test func aBrokenConnection() throws {
        var peer = try Peer.bound()
        for handle in 1...3 as ClosedRange<UInt64> {
            try peer.session.submit(ShortMessage(), handle: handle, nowMs: peer.now)
        }
        let each = peer.session.output.count / 3
        peer.session.wrote(each * 2 - 1)
        #expect(
            peer.session.lost() == [
                .answered(1, .ambiguous), .answered(2, .notSent), .answered(3, .notSent), .ended(.lost),
            ])
        #expect(peer.session.lost() == [] && peer.room == 0, "an end comes once")
    }

    @Test func throttlingSlowsTheWholeSession() throws {
        for status in [CommandStatus.throttled, .queueFull] {
            var peer = try Peer.bound()
            let numbers = try peer.submit(1, 2, 3)
            peer.now += 20
            for number in numbers.prefix(2) { _ = try peer.refuse(number, status) }
            #expect(peer.room == 0)
            #expect(peer.session.deadline(nowMs: peer.now) == peer.now + 500, "refused together: one pause")
            // Sent before the pause: says nothing of after it.
            _ = try peer.accept(numbers[2], id: "3")
            #expect(peer.room == 0)
            peer.now += 500
            #expect(peer.room == 1, "one, to see")
            var pause: UInt64 = 1_000
            for _ in 0..<8 {
                _ = try peer.refuse(try peer.submit(4)[0], status)
                #expect(peer.session.deadline(nowMs: peer.now) == peer.now + pause)
                peer.now += pause - 1
                #expect(peer.room == 0)
                peer.now += 1
                pause = min(pause * 2, 30_000)
            }
            _ = try peer.accept(try peer.submit(5)[0], id: "5")
            #expect(peer.room == 10)
            _ = try peer.refuse(try peer.submit(6)[0], status)
            peer.now += 500
            #expect(peer.room == 1, "and the next pause is short again")
        }
    }

    @Test func linksAreEnquiredBothWays() throws {
        var peer = try Peer.bound()
        #expect(try peer.say(.enquireLink, sequence: 77) == [])
        #expect(try peer.sent() == [PDU(.enquireLinkResponse, sequence: 77)])
        #expect(peer.tick(after: 29_999) == [])
        #expect(try peer.sent() == [])
        #expect(peer.tick(after: 1) == [])
        let enquiry = try peer.sent()
        #expect(enquiry.map(\.command) == [.enquireLink])
        _ = peer.tick(after: 9_999)
        #expect(try peer.say(.enquireLinkResponse, sequence: enquiry[0].sequence) == [])
        #expect(peer.tick(after: 29_999) == [])
        _ = peer.tick(after: 1)
        #expect(peer.tick(after: 10_000) == [.ended(.silent)])
    }

    @Test func deliveriesAreAnsweredAtOnce() throws {
        var peer = try Peer.bound()
        let receipt = ReceiptTests.deliver(ReceiptTests.usual)
        let other = ReceiptTests.deliver("STOP", esmClass: 0)
        for (sequence, message) in [(4, receipt), (0xFFFF_FFFF, other), (4, receipt)]
            as [(UInt32, ShortMessage)]
        {
            let events = try peer.say(.deliverSM, sequence: sequence, .message(message))
            #expect(events == (DeliveryReceipt(message).map { [.receipt($0)] } ?? []))
            let answer = try peer.sent()
            #expect(answer.map(\.command) == [.deliverSMResponse])
            #expect(answer[0].sequence == sequence && answer[0].status == .ok)
        }
    }

    @Test func drainsThenUnbinds() throws {
        var peer = try Peer.bound()
        let numbers = try peer.submit(1, 2)
        #expect(peer.session.drain(nowMs: peer.now) == [])
        #expect(peer.room == 0)
        _ = try peer.accept(numbers[0], id: "1")
        #expect(try peer.sent() == [], "one is still out")
        _ = try peer.refuse(numbers[1], .systemError)
        let unbind = try peer.sent()
        #expect(unbind.map(\.command) == [.unbind])
        #expect(try peer.say(.unbindResponse, sequence: unbind[0].sequence) == [.ended(.drained)])
        var silent = try Peer.bound()
        #expect(silent.session.drain(nowMs: silent.now) == [])
        #expect(try silent.sent().map(\.command) == [.unbind])
        #expect(silent.tick(after: 10_000) == [.ended(.drained)])
        var binding = try Peer()
        #expect(binding.session.drain(nowMs: binding.now) == [.ended(.drained)])
    }

    @Test func thePeerMayUnbind() throws {
        var peer = try Peer.bound()
        _ = try peer.submit(1)
        #expect(try peer.say(.unbind, sequence: 5) == [.answered(1, .ambiguous), .ended(.unboundByPeer)])
        #expect(try peer.sent() == [PDU(.unbindResponse, sequence: 5)])
    }

    @Test func aHostilePeer() throws {
        var peer = try Peer.bound()
        _ = try peer.submit(1)
        // A response that can't be read, an unknown request, a request that isn't for a client; the session goes on.
        #expect(
            peer.session.receive([0, 0, 0, 17, 0x80, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 0x41], nowMs: peer.now)
                == [.answered(1, .ambiguous)])
        #expect(
            peer.session.receive([0, 0, 0, 16, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 9], nowMs: peer.now) == [])
        #expect(try peer.say(.submitSM, sequence: 8, .message(ShortMessage())) == [])
        #expect(
            try peer.sent() == [
                PDU(.genericNack, status: .invalidCommandID, sequence: 9),
                PDU(.genericNack, status: .invalidCommandID, sequence: 8),
            ])
        #expect(peer.room == 10)
        #expect(
            peer.session.receive([0, 0, 0, 4, 0], nowMs: peer.now) == [.ended(.badProtocol(.badLength(4)))])
        #expect(peer.session.receive([0, 0, 0, 16], nowMs: peer.now) == [], "nothing after the end")
    }

    /// Requests without end, and no answer read.
    @Test func aPeerThatDoesNotReadIsLeft() throws {
        var peer = try Peer.bound()
        let link = try PDU(.enquireLink, sequence: 1).encoded()
        var events: [SMPPSession.Event] = []
        for _ in 0..<20 where events.isEmpty {
            events = peer.session.receive((0..<1_024).flatMap { _ in link }, nowMs: peer.now)
        }
        #expect(events == [.ended(.unread)])
        #expect(peer.session.output.count < 300 << 10)
    }
}
