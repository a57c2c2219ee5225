import NIOCore
import NIOPosix
import Testing

@testable import AuthClient

/// What a client that finds nobody leaves behind: it may try for days.
@Suite struct FailedConnectTests {
    private final class Token: Sendable {}

    private func connect(holding token: Token) async {
        await #expect(throws: (any Error).self) {
            _ = try await ClientConnection.connect(
                path: "/nowhere/otpd.sock", group: .singletonMultiThreadedEventLoopGroup,
                onPush: { [token] _ in withExtendedLifetime(token) {} }, onEnd: {})
        }
    }

    @Test func aFailedConnectHoldsNothing() async throws {
        weak var left: Token?
        do {
            let token = Token()
            left = token
            await connect(holding: token)
        }
        for _ in 0..<500 where left != nil { try await Task.sleep(for: .milliseconds(10)) }
        #expect(left == nil)
    }
}
