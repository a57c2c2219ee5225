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
        #expect(snippets.count == 9)
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
            if line.hasPrefix("```swift ") {
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

    static let session = Snippets.session(ofCookie: "c1")

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
                message.session == Self.session,
                message.requestID
                    == AuthClient.formRequestID(
                        challenge: message.challenge, session: Self.session, code: "483920"),
                try wrong.decode(Verify.self).requestID != message.requestID
            else { throw FakeError.unexpected("Verify") }
            try peer.reply(to: right, answer)
            let redeem = try peer.next()
            let first = try redeem.decode(RedeemGrant.self)
            guard first.grant == answer.grant else { throw FakeError.unexpected("grant") }
            try peer.reply(to: redeem, GrantReply())
            // The same form once more.
            let again = try peer.next()
            guard again.body == right.body else { throw FakeError.unexpected("another Verify") }
            try peer.reply(to: again, answer)
            let secondRedeem = try peer.next()
            guard secondRedeem.body == redeem.body else { throw FakeError.unexpected("another RedeemGrant") }
            var repeated = GrantReply()
            repeated.repeated = 1
            try peer.reply(to: secondRedeem, repeated)
            try peer.expectClose()
        }
        let otpd = try await Snippets.connect(path: server.path)
        let (account, phone) = ("alice@example.org", "+33612345678")
        let challenge = try await Snippets.requestCode(
            otpd, account: account, phone: phone, session: Self.session)
        let error = await failure {
            _ = try await Snippets.logIn(
                otpd, account: account, session: Self.session, challenge: challenge, typed: "111111")
        }
        let refused = try #require(error as? ClientError)
        #expect(Snippets.page(for: refused) == "That code didn't work. 4 tries left.")
        for isFirst in [true, false] {
            let acted = try await Snippets.logIn(
                otpd, account: account, session: Self.session, challenge: challenge, typed: "483920")
            #expect(acted == isFirst)
        }
        await Snippets.close(otpd)
        #expect(try await server.stop() == [])
    }

    /// The lines for Package.swift name what this package has.
    @Test func packageLines() throws {
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let readme = here.appendingPathComponent("../../README.md")
        let document = try String(contentsOf: readme, encoding: .utf8)
        let package = try String(
            contentsOf: here.appendingPathComponent("../../../../Package.swift"), encoding: .utf8)
        #expect(document.contains(#".product(name: "AuthClient", package: "otpd")"#))
        #expect(document.contains(#".package(path: "../otpd")"#))
        #expect(package.contains(#"    name: "otpd","#))
        #expect(package.contains(#".library(name: "AuthClient", targets: ["AuthClient", "Wire"])"#))
    }

    /// The table of calls is the code's.
    @Test func callsAndTheirMessages() throws {
        func name<T>(_ type: T.Type) -> String {
            let full = String(reflecting: type)
            return full == "()" ? "" : "`\(full.split(separator: ".").dropFirst().joined(separator: "."))`"
        }
        func row<M, R>(_ call: String, _ body: (AuthClient, M) async throws -> R) -> String {
            "| `\(call)` | \(name(M.self)) | \(name(R.self)) |"
        }
        let rows = [
            row("requestCode") { (c, m: RequestCode) in try await c.requestCode(m) },
            row("resend") { (c, m: Resend) in try await c.resend(m) },
            row("verify") { (c, m: Verify) in try await c.verify(m) },
            row("cancel") { (c, m: Cancel) in try await c.cancel(m) },
            row("status") { (c, m: StatusRequest) in try await c.status(m) },
            row("quota") { (c, m: Quota) in try await c.quota(m) },
            row("checkGrant") { (c, m: CheckGrant) in try await c.checkGrant(m) },
            row("redeemGrant") { (c, m: RedeemGrant) in try await c.redeemGrant(m) },
            row("unblock") { (c, m: Unblock) in try await c.unblock(m) },
            row("report") { (c, m: ReportMessage) in try await c.report(m) },
            row("showRoute") { (c, m: ShowRoute) in try await c.showRoute(m) },
            row("drainRoute") { (c, m: DrainRoute) in try await c.drainRoute(m) },
        ]
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let readme = here.appendingPathComponent("../../README.md")
        let document = try String(contentsOf: readme, encoding: .utf8)
        for row in rows { #expect(document.contains(row + "\n"), "\(row)") }
    }

    @Test func pages() {
        func page(_ status: Status, retryAfterMs: UInt64 = 0) -> String {
            Snippets.page(for: .refused(Refusal(status, retryAfterMs: retryAfterMs)))
        }
        #expect(page(.limited, retryAfterMs: 29_001) == "Ask again in 30 seconds.")
        #expect(page(.blocked, retryAfterMs: 900_000) == "Ask again in 900 seconds.")
        #expect(page(.challengeNotOpen) == "Please start again.")
        #expect(page(.factorDisabled).hasPrefix("Use another way"))
        #expect(page(.invalidCode) == "That code didn't work. Try again.")
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
