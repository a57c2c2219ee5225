import Glibc
import Testing
import Wire

@testable import AuthClient

/// From nothing to Hello's reply, and all the ways in which that fails.
@Suite struct OpeningTests {
    @Test func helloSaysWhoConnects() async throws {
        var options = quickOptions()
        options.tenant = 7
        options.roles = [Roles(.verify), Roles(.redeem)]
        options.name = "shop 2.0"
        let seen = Seen<Hello>()
        try await withServer(options: options) { _, peer in
            seen.add(try peer.hello())
            try peer.expectClose()
        } test: { client, server in
            #expect(await client.server == nil)
            #expect(server.connections == 0)
            try await client.connect()
            #expect(await client.server?.server.text == "fake 1")
        }
        let hello = try #require(seen.all.first)
        #expect(hello.magic == Hello.magic)
        #expect((hello.minVersion, hello.maxVersion) == (1, 1))
        #expect(hello.tenant == 7)
        #expect(hello.roles == 3)
        #expect(hello.client.text == "shop 2.0")
    }

    @Test func callsThatBeginTogetherShareOneConnection() async throws {
        try await withServer { _, peer in
            try peer.hello()
            for _ in 0..<20 {
                let request = try peer.next()
                try peer.reply(to: request, pong(try request.decode(Ping.self).token))
            }
            try peer.expectClose()
        } test: { client, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for token in 0..<20 as Range<UInt64> {
                    group.addTask { expectSame(try await client.ping(token).token, token) }
                }
                try await group.waitForAll()
            }
            #expect(server.connections == 1)
        }
    }

    /// Each ends at once: the same Hello again would get the same answer.
    @Test(arguments: [Goodbye.Reason.notPermitted, .badMagic, .unsupportedVersion, .badBody, .badFrameLength])
    func goodbyeToHelloIsFinal(reason: Goodbye.Reason) async throws {
        try await withServer { _, peer in
            _ = try peer.next()
            try peer.push(Goodbye(reason, "not you"))
            try peer.expectClose()
        } test: { client, server in
            let error = await failure { try await client.requestCode(loginRequest()) } as? ClientError
            #expect(error == .goodbye(reason, "not you"))
            #expect(error?.description == "the server ended the connection: \(reason): not you")
            #expect(server.connections == 1)
        }
    }

    @Test func fullServerIsTriedAgainButNotForEver() async throws {
        try await withServer { number, peer in
            _ = try peer.next()
            try peer.push(Goodbye(.tooManyConnections, "full"))
            try peer.expectClose()
        } test: { client, server in
            let error = await failure { try await client.ping() } as? ClientError
            #expect(error == .goodbye(.tooManyConnections, "full"))
            #expect(server.connections == 4)
        }
    }

    @Test func refusedHelloIsFinal() async throws {
        try await withServer { _, peer in
            try peer.refuse(try peer.next(), Refusal(.unsupportedField))
            try peer.expectClose()
        } test: { client, server in
            let error = await failure { try await client.connect() } as? ClientError
            #expect(error == .refused(Refusal(.unsupportedField)))
            #expect(server.connections == 1)
        }
    }

    /// Another protocol answers: an HTTP server, and a frame of the wrong direction.
    @Test(arguments: [Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), [0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0, 1]])
    func otherProtocolIsFinal(bytes: [UInt8]) async throws {
        try await withServer { _, peer in
            _ = try peer.next()
            try peer.send(bytes)
            try peer.expectClose()
        } test: { client, server in
            let error = await failure { try await client.connect() } as? ClientError
            guard case .protocolViolation? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(server.connections == 1)
        }
    }

    @Test func silentServerCostsTheDeadlineAndNoMore() async throws {
        try await withServer(options: quickOptions(deadline: .milliseconds(50))) { _, peer in
            while try peer.nextUnlessClosed() != nil {}
        } test: { client, server in
            let error = await failure { try await client.ping() } as? ClientError
            guard case .notConnected? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    /// A program that the web tier starts has no connection to otpd.
    @Test func theConnectionEndsAtExec() async throws {
        try await withServer { _, peer in
            try peer.hello()
            try peer.expectClose()
        } test: { client, server in
            try await client.connect()
            let own = (0..<4_096 as Range<Int32>).filter { Self.peer(of: $0) == server.path }
            #expect(own.count == 1)
            for fd in own { #expect(fcntl(fd, F_GETFD) & FD_CLOEXEC != 0) }
        }
    }

    /// The path of the socket at the other end of a descriptor.
    private static func peer(of fd: Int32) -> String? {
        var address = sockaddr_un()
        var size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(fd, $0, &size) }
        }
        guard result == 0, address.sun_family == sa_family_t(AF_UNIX) else { return nil }
        return withUnsafeBytes(of: address.sun_path) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    @Test func pathBeyondTheSocketsLimitIsAClearError() async throws {
        let client = AuthClient(path: "/" + String(repeating: "x", count: 120), options: quickOptions())
        let error = await failure { try await client.connect() } as? ClientError
        guard case .notConnected(let why)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.contains("xxx") && why.contains("121 bytes"))
    }
}
