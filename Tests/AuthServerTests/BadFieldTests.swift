import Testing
import Wire

@testable import AuthServer

/// Phones, accounts, codes, purposes, challenges and request ids of wrong form: refused with a reason, nothing lost.
@Suite struct BadFieldTests {
    private func status(_ peer: RawPeer, account: [UInt8], phone: [UInt8]) throws -> Status? {
        var frame = RawFrame(
            .requestCode, body: requestCodeBody(id: peer.requestID(), account: account, phone: phone))
        frame.correlation = .random(in: 1_000...2_000)
        peer.send(frame.bytes)
        return try peer.reply(to: frame.correlation).status
    }

    static let phones = [
        "", "+", "33612345678", "0033612345678", "0612345678", "+0612345678", "+336 12 34 56 78",
        " +33612345678",
        "+33612345678 ", "+33612345678\n", "+33-612345678", "+33(0)612345", "+3361234567a", "++33612345678",
        "+123456",
        "+1234567890123456", "+33６１２３４５", "+3361234567٣", "＋33612345678", "+33612345678\0", "tel:+33612345",
        String(repeating: "1", count: 255),
    ]

    @Test func everyWrongFormOfAPhoneIsRefused() throws {
        let server = try TestServer()
        let peer = try server.peer()
        for phone in Self.phones {
            #expect(
                try status(peer, account: Array("alice".utf8), phone: Array(phone.utf8)) == .invalidPhone,
                "\(phone)")
        }
        #expect(try server.statistic("challenges_created_total") == 0)
        for phone in ["+1234567", "+123456789012345"] {
            #expect(
                try status(peer, account: Array(phone.utf8), phone: Array(phone.utf8)) == .done, "\(phone)")
        }
    }

    @Test func accountsHave1To128Bytes() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let phone = Array("+33612345678".utf8)
        for count in [0, 129, 255] {
            #expect(
                try status(peer, account: [UInt8](repeating: 0x61, count: count), phone: phone)
                    == .invalidAccount)
        }
        #expect(try status(peer, account: [], phone: []) == .invalidAccount, "the first in Status order")
        #expect(try status(peer, account: [0], phone: phone) == .done, "opaque bytes")
        let long = [UInt8](repeating: 0xFF, count: 128)
        #expect(try status(peer, account: long, phone: Array("+33612345679".utf8)) == .done)
        #expect(try server.statistic("challenges_created_total") == 2)
    }

    @Test func codesOfWrongFormBurnNoAttempt() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let challenge = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self).challenge
        let right = code(in: try peer.nextMessage())
        let digits = right.text
        for wrong in [
            "", "1", "12345", digits + "0", "12345a", " " + digits, digits.dropLast() + "\n", "１２３４５６",
            "+" + digits.dropLast(),
            "-12345", "1e5000", String(repeating: "1", count: 17), String(repeating: "1", count: 255),
        ] {
            let body = verifyBody(id: peer.requestID(), challenge: challenge, code: Array(wrong.utf8))
            var frame = RawFrame(.verify, body: body)
            frame.correlation = 500
            peer.send(frame.bytes)
            #expect(try peer.reply(to: 500).status == .invalidCode, "\(wrong)")
        }
        #expect(try peer.status(challenge).decode(StatusRequest.Reply.self).attemptsLeft == 5)
        let refusal = try peer.exchange(peer.verify(challenge, wrongCode(for: right))).refusal()
        #expect(refusal.status == .wrongCode && refusal.attemptsLeft == 4)
        #expect(try peer.exchange(peer.verify(challenge, right)).status == .done)
    }

    @Test func purposeAndSessionMustBeThere() throws {
        let server = try TestServer()
        let peer = try server.peer()
        var request = peer.requestCode()
        request.purpose = 99
        #expect(try peer.exchange(request).status == .unknownPurpose)
        request = peer.requestCode()
        request.session = .zero
        #expect(try peer.exchange(request).status == .invalidSession)
        #expect(try server.statistic("challenges_created_total") == 0)
    }

    /// Unknown, foreign and used challenges answer alike, byte for byte: the answer tells nobody that an id exists.
    @Test func foreignAndUnknownChallengesAnswerAlike() throws {
        let server = try TestServer()
        let (peer, stranger) = (try server.peer(), try server.peer(at: server.otherSocket))
        let open = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self).challenge
        let right = code(in: try peer.nextMessage())
        let used = try peer.exchange(peer.requestCode(account: "bob", phone: "+33612345679"))
            .decode(ChallengeReply.self).challenge
        let other = code(in: try peer.nextMessage())
        #expect(try peer.exchange(peer.verify(used, other)).status == .done)
        let unknown = Bytes16(high: open.high, low: open.low ^ 1)

        let answers = [
            try stranger.exchange(stranger.verify(open, right)).body,
            try stranger.exchange(stranger.verify(unknown, right)).body,
            try stranger.exchange(stranger.verify(.zero, right)).body,
            try stranger.exchange(stranger.verify(used, other)).body,
            try peer.exchange(peer.verify(used, other)).body,
            try peer.exchange(peer.verify(unknown, right)).body,
            try stranger.status(open).body, try stranger.status(unknown).body,
            try stranger.exchange(resend(stranger, open)).body,
            try stranger.exchange(resend(stranger, unknown)).body,
            try stranger.exchange(cancel(stranger, open)).body,
            try stranger.exchange(cancel(stranger, unknown)).body,
        ]
        #expect(Set(answers).count == 1, "\(answers)")
        let refusal = Refusal(.challengeNotOpen)
        #expect(answers[0].prefix(2) == be(refusal.statusCode)[...])
        #expect(
            try peer.status(open).decode(StatusRequest.Reply.self).attemptsLeft == 5,
            "a stranger burns no attempt")
        #expect(try peer.exchange(peer.verify(open, right)).status == .done)
    }

    private func resend(_ peer: RawPeer, _ challenge: Bytes16) -> Resend {
        var message = Resend()
        message.requestID = peer.requestID()
        message.challenge = challenge
        message.session = testSession
        return message
    }

    private func cancel(_ peer: RawPeer, _ challenge: Bytes16) -> Cancel {
        var message = Cancel()
        message.requestID = peer.requestID()
        message.challenge = challenge
        message.session = testSession
        return message
    }

    @Test func aRequestIdIsForOneRequest() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let request = peer.requestCode()
        let first = try peer.exchange(request)
        let challenge = try first.decode(ChallengeReply.self).challenge
        #expect(try peer.exchange(request).body == first.body, "the same request: the same outcome")
        var other = request
        other.account = AccountBytes("mallory")
        #expect(try peer.exchange(other).status == .requestIdConflict)

        let right = code(in: try peer.nextMessage())
        var wrong = peer.verify(challenge, wrongCode(for: right))
        let refused = try peer.exchange(wrong)
        #expect(try refused.refusal().attemptsLeft == 4)
        #expect(try peer.exchange(wrong).body == refused.body, "repeated: counted once")
        wrong.code = right
        #expect(try peer.exchange(wrong).status == .requestIdConflict, "another code behind the same id")
        #expect(try peer.status(challenge).decode(StatusRequest.Reply.self).attemptsLeft == 4)
    }

    @Test func requestIdsHaveATime() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let now = peer.server.engineTimeMs
        var request = peer.requestCode()
        request.requestID = Bytes16(timeMs: now - 700_000, tailHigh: 1, tailLow: 1)
        #expect(try peer.exchange(request).status == .requestTooOld)
        request.requestID = Bytes16(timeMs: now + 700_000, tailHigh: 1, tailLow: 1)
        #expect(try peer.exchange(request).status == .requestFromFuture)
        request.requestID = Bytes16(high: .max, low: .max)
        #expect(try peer.exchange(request).status == .requestFromFuture)
    }
}
