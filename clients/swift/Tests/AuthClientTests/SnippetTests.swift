import Foundation
import Testing
import Wire

@testable import AuthClient

/// README.md's code is this target's code, and it does what the document says.
@Suite struct SnippetTests {
    @Test func documentAndSourceAreEqual() throws {
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let source = try String(contentsOf: here.appendingPathComponent("Snippets.swift"), encoding: .utf8)
        let readme = here.appendingPathComponent("../../README.md")
        let document = try String(contentsOf: readme, encoding: .utf8)
        let snippets = Self.snippets(source)
        let blocks = Self.blocks(document)
        #expect(blocks.map(\.name) == snippets.map(\.name))
        for (block, snippet) in zip(blocks, snippets) { #expect(block.text == snippet.text, "\(block.name)") }
        #expect(snippets.count == 8)
    }

    /// Between `// snippet.NAME` and `// snippet.end`, less the marker's indentation.
    private static func snippets(_ source: String) -> [(name: String, text: String)] {
        var found: [(name: String, text: String)] = []
        var indentation: Int?
        for line in source.split(separator: "\n", omittingEmptySubsequences: false) {
            let bare = line.drop { $0 == " " }
            if bare == "// snippet.end" {
                indentation = nil
            } else if bare.hasPrefix("// snippet.") {
                indentation = line.count - bare.count
                found.append((String(bare.dropFirst("// snippet.".count)), ""))
            } else if let indentation, let last = found.indices.last {
                found[last].text += line.dropFirst(min(indentation, line.count - bare.count)) + "\n"
            }
        }
        return found
    }

    /// Fences whose info string is `swift NAME`.
    private static func blocks(_ document: String) -> [(name: String, text: String)] {
        var found: [(name: String, text: String)] = []
        var isInside = false
        for line in document.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```swift") {
                isInside = true
                found.append((String(line.dropFirst("```swift ".count)), ""))
            } else if line.hasPrefix("```") {
                isInside = false
            } else if isInside, let last = found.indices.last {
                found[last].text += line + "\n"
            }
        }
        return found
    }

    // MARK: they run

    static let session = Bytes32(head: Bytes16(high: 1, low: 2), tail: Bytes16(high: 3, low: 4))

    @Test func login() async throws {
        var verified = Verify.Reply()
        verified.grant = Bytes32(head: Bytes16(high: 5, low: 6), tail: .zero)
        let answer = verified
        let server = try FakeServer { _, peer in
            let hello = try peer.hello()
            guard hello.roles == 3, hello.client.text == "shop-web 4.2" else {
                throw FakeError.unexpected("Hello")
            }
            let request = try peer.next()
            guard try request.decode(RequestCode.self).webHost.text == "shop.example" else {
                throw FakeError.unexpected("host")
            }
            try peer.reply(to: request, challengeReply())
            let wrong = try peer.next()
            try peer.refuse(wrong, Refusal(.wrongCode, attemptsLeft: 4))
            let right = try peer.next()
            let message = try right.decode(Verify.self)
            guard message.code.text == "483920", message.challenge == challengeReply().challenge,
                message.session == Self.session, try wrong.decode(Verify.self).requestID != message.requestID
            else { throw FakeError.unexpected("Verify") }
            try peer.reply(to: right, answer)
            let redeem = try peer.next()
            guard try redeem.decode(RedeemGrant.self).grant == answer.grant else {
                throw FakeError.unexpected("grant")
            }
            try peer.reply(to: redeem, GrantReply())
            try peer.expectClose()
        }
        let otpd = try await Snippets.connect(path: server.path)
        let (account, phone) = ("alice@example.org", "+33612345678")
        let challenge = try await Snippets.requestCode(
            otpd, account: account, phone: phone, session: Self.session)
        let error = await failure {
            try await Snippets.logIn(
                otpd, account: account, session: Self.session, challenge: challenge, typed: "111111")
        }
        let refused = try #require(error as? ClientError)
        #expect(Snippets.page(for: refused) == "That code didn't work. 4 tries left.")
        try await Snippets.logIn(
            otpd, account: account, session: Self.session, challenge: challenge, typed: "483920")
        await Snippets.close(otpd)
        #expect(try await server.stop() == [])
    }

    @Test func pages() {
        func page(_ status: Status, retryAfterMs: UInt64 = 0) -> String {
            Snippets.page(for: .refused(Refusal(status, retryAfterMs: retryAfterMs)))
        }
        #expect(page(.limited, retryAfterMs: 29_001) == "Ask again in 30 seconds.")
        #expect(page(.blocked, retryAfterMs: 900_000) == "Ask again in 900 seconds.")
        #expect(page(.challengeNotOpen) == "Please start again.")
        #expect(page(.factorDisabled).hasPrefix("Use another way"))
        #expect(page(.invalidPhone) == "Something went wrong on our side.")
        #expect(Snippets.page(for: .unknownOutcome("x")).hasPrefix("We couldn't check"))
    }

    @Test func repeatAfterUnknownUsesTheSameId() async throws {
        let seen = Seen<[UInt8]>()
        try await withServer { number, peer in
            try peer.hello()
            let request = try peer.next()
            seen.add(request.body)
            if number < 4 { return }
            try peer.reply(to: request, Verify.Reply())
            try peer.expectClose()
        } test: { client, _ in
            _ = try await Snippets.verifySurely(client, Verify())
        }
        #expect(seen.all.count == 5)
        #expect(Set(seen.all).count == 1)
    }

    @Test func eventsAreHandledAndAcknowledged() async throws {
        let seen = Seen<UInt64>()
        try await withServer { _, peer in
            try peer.hello()
            try EventStreamTests.subscribe(peer, .afterCursor, after: 4, credit: 256, head: 6)
            for sequence in [5, 6] as [UInt64] {
                try peer.push(event(sequence))
                let request = try peer.next()
                guard try request.decode(Acknowledge.self).cursor.sequence == sequence else {
                    throw FakeError.unexpected("another cursor")
                }
                try peer.reply(to: request, Empty())
            }
            try peer.push(event(7))
            try peer.expectClose()
        } test: { client, _ in
            let error = await failure {
                try await Snippets.follow(client, from: Cursor(epoch: 1, sequence: 4, index: 0)) { event in
                    seen.add(event.cursor.sequence)
                    if event.cursor.sequence == 7 { throw CancellationError() }
                }
            }
            #expect(error is CancellationError)
        }
        #expect(seen.all == [5, 6, 7])
    }
}
