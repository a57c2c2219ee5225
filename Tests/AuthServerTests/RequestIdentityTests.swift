import Testing
import Wire

@testable import AuthServer

/// What a request id names (PROTOCOL §5): the request and what it is about, not the id alone.
@Suite struct RequestIdentityTests {
    private func open(_ peer: RawPeer, _ request: RequestCode) throws -> Bytes16 {
        try peer.exchange(request).decode(ChallengeReply.self).challenge
    }

    private func cancel(_ id: Bytes16, _ challenge: Bytes16) -> Cancel {
        var message = Cancel()
        (message.requestID, message.challenge, message.session) = (id, challenge, testSession)
        return message
    }

    private func status(_ received: RawPeer.Received) throws -> Status? {
        Status(rawValue: try received.refusal().statusCode)
    }

    @Test func theIdOfARequestCodeActsInVerifyAndInCancel() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let request = peer.requestCode()
        let challenge = try open(peer, request)
        var guess = peer.verify(challenge, wrongCode(for: code(in: try peer.nextMessage())))
        guess.requestID = request.requestID
        let refusal = try peer.exchange(guess).refusal()
        #expect(refusal.statusCode == Status.wrongCode.rawValue && refusal.attemptsLeft == 4)

        let other = peer.requestCode(account: "bob", phone: "+33612345679")
        let second = try open(peer, other)
        #expect(try peer.exchange(cancel(other.requestID, second)).status == .done)
        #expect(
            try peer.status(second).decode(StatusRequest.Reply.self).state
                == StatusRequest.State.cancelled.rawValue)
    }

    @Test func theIdOfAVerifyActsOnAnotherChallenge() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let first = try open(peer, peer.requestCode())
        let second = try open(peer, peer.requestCode(account: "bob", phone: "+33612345679"))
        let id = peer.requestID()
        for challenge in [first, second] {
            // One guess in a million is right.
            var guess = peer.verify(challenge, CodeBytes("000000"))
            guess.requestID = id
            let refusal = try peer.exchange(guess).refusal()
            #expect(refusal.statusCode == Status.wrongCode.rawValue && refusal.attemptsLeft == 4)
        }
    }

    @Test func theSameIdentityWithOtherFieldsIsAConflict() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let request = peer.requestCode()
        let challenge = try open(peer, request)
        var otherAccount = request
        otherAccount.account = AccountBytes("bob")
        #expect(try status(peer.exchange(otherAccount)) == .requestIdConflict)
        let guess = peer.verify(challenge, CodeBytes("000000"))
        var otherCode = guess
        otherCode.code = CodeBytes("000001")
        #expect(try status(peer.exchange(guess)) == .wrongCode)
        #expect(try status(peer.exchange(otherCode)) == .requestIdConflict)
        #expect(
            try status(peer.exchange(cancel(guess.requestID, challenge))) == .requestIdConflict,
            "one challenge, one set of ids")
        let repeated = try peer.exchange(guess).refusal()
        #expect(
            repeated.statusCode == Status.wrongCode.rawValue && repeated.attemptsLeft == 4,
            "a retry spends nothing")
    }

    /// Unknown tags and the critical bit aren't in the digest.
    @Test func whatTheServerDoesNotKnowIsNotInTheDigest() throws {
        let server = try TestServer()
        let peer = try server.peer()
        var request = peer.requestCode()
        request.locale = InlineBytes("fr")
        let challenge = try open(peer, request)
        var frame = try RawFrame(request)
        frame.body += tag(0x7E, Array("future".utf8))
        peer.send(frame.bytes)
        #expect(try peer.reply(to: 7).decode(ChallengeReply.self).challenge == challenge)
        request.locale = InlineBytes()
        frame = try RawFrame(request)
        frame.body += tag(3, critical: true, Array("fr".utf8))
        peer.send(frame.bytes)
        #expect(try peer.reply(to: 7).decode(ChallengeReply.self).challenge == challenge)
    }
}
