import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Wire

@testable import AuthClient

// Frames as a server writes them.

private func frame(_ encode: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
    let count = try buffer.withUnsafeMutableBytes(encode)
    return Array(buffer.prefix(count))
}

func replyFrame<M: Message>(_ message: M, opcode: UInt16, correlation: UInt32) throws -> [UInt8] {
    try frame { try FieldEncoder.reply(message, to: opcode, correlation: correlation, into: $0) }
}

func refusalFrame(_ refusal: Refusal, opcode: UInt16, correlation: UInt32) throws -> [UInt8] {
    try frame { try FieldEncoder.refusal(refusal, to: opcode, correlation: correlation, into: $0) }
}

func pushFrame<M: PushMessage>(_ message: M) throws -> [UInt8] {
    try frame { try FieldEncoder.push(message, into: $0) }
}

func helloReply(engineTimeMs: UInt64 = 1_700_000_000_000, maxInFlight: UInt16 = 64) -> Hello.Reply {
    var reply = Hello.Reply()
    reply.version = Hello.version
    reply.tenant = 1
    reply.roles = Roles.all.rawValue
    reply.engineTimeMs = engineTimeMs
    reply.epoch = 1
    reply.maxFrameBytes = UInt32(FrameLimits.maxFrameBytes)
    reply.maxInFlight = maxInFlight
    reply.requestAgeSeconds = 660
    reply.server = InlineBytes("fake 1")
    return reply
}

func pong(_ token: UInt64, engineTimeMs: UInt64 = 1_700_000_000_000) -> Ping.Reply {
    var reply = Ping.Reply()
    reply.token = token
    reply.engineTimeMs = engineTimeMs
    return reply
}

func event(_ sequence: UInt64, index: UInt16 = 0) -> EventPush {
    var event = EventPush()
    event.cursor = Cursor(epoch: 1, sequence: sequence, index: index)
    event.kind = EventPush.Kind.codeRequested.rawValue
    return event
}

func head(_ sequence: UInt64) -> Subscribe.Reply {
    var reply = Subscribe.Reply()
    if sequence > 0 { reply.head = Cursor(epoch: 1, sequence: sequence, index: 0) }
    return reply
}

func challengeReply() -> ChallengeReply {
    var reply = ChallengeReply()
    reply.challenge = Bytes16(high: 7, low: 8)
    reply.disposition = ChallengeReply.Disposition.created.rawValue
    reply.codeLength = 6
    reply.alphabet = 1
    reply.attemptsLeft = 5
    reply.sendsLeft = 2
    reply.expiresAtMs = 1_700_000_300_000
    reply.resendAtMs = 1_700_000_030_000
    return reply
}

func loginRequest() -> RequestCode {
    var message = RequestCode()
    message.purpose = 1
    message.assurance = Assurance.firstFactor.rawValue
    message.account = AccountBytes("alice@example.org")
    message.phone = PhoneBytes("+33612345678")
    message.session = Bytes32(head: Bytes16(high: 1, low: 2), tail: Bytes16(high: 3, low: 4))
    return message
}

/// Options for tests: pauses are short, deadlines long enough for a busy machine.
func quickOptions(deadline: Duration = .seconds(10), retries: Int = 3) -> ClientOptions {
    var options = ClientOptions()
    options.deadline = deadline
    options.maxRetries = retries
    options.backOff = .milliseconds(1)
    options.maxBackOff = .milliseconds(4)
    return options
}

func testClient(_ path: String, _ options: ClientOptions, _ environment: ClientEnvironment) -> AuthClient {
    AuthClient(
        path: path, options: options, group: .singletonMultiThreadedEventLoopGroup, environment: environment)
}

/// Polls until `condition` holds; false after ten seconds.
func eventually(_ condition: @Sendable () -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(10)
    while !condition() {
        guard ContinuousClock.now < end else { return false }
        await Task.yield()
    }
    return true
}

/// `#expect(try await … == …)` doesn't compile in closures; this does.
func expectSame<T: Equatable>(_ value: T, _ expected: T, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(value == expected, sourceLocation: sourceLocation)
}

/// The error that `body` throws; an issue if it throws none.
func failure<R>(
    _ body: () async throws -> R, sourceLocation: SourceLocation = #_sourceLocation
) async -> (any Error)? {
    do {
        _ = try await body()
        Issue.record("no error", sourceLocation: sourceLocation)
        return nil
    } catch { return error }
}

/// A condition that a test sets and a script's thread waits for.
final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func open() { semaphore.signal() }

    func wait() throws {
        guard semaphore.wait(timeout: .now() + 10) == .success else {
            throw FakeError.unexpected("a gate stayed shut")
        }
    }
}

/// What scripts saw, for the test to look at.
final class Seen<Element: Sendable>: Sendable {
    private let list = Mutex<[Element]>([])

    func add(_ element: Element) { list.withLock { $0.append(element) } }
    var all: [Element] { list.withLock { $0 } }
}

/// Time that passes when somebody pauses, or when the test says so.
final class FakeClock: Sendable {
    private struct State {
        var now = ContinuousClock.now
        var step = Duration.zero
        var pauses: [Duration] = []
    }

    private let state = Mutex(State())

    var pauses: [Duration] { state.withLock { $0.pauses } }
    func advance(_ duration: Duration) { state.withLock { $0.now += duration } }

    /// From now on each look at the clock moves it.
    func setStep(_ step: Duration) { state.withLock { $0.step = step } }

    func environment(jitter: Double = 1) -> ClientEnvironment {
        ClientEnvironment(
            now: {
                self.state.withLock { state in
                    state.now += state.step
                    return state.now
                }
            },
            sleep: { pause in
                self.state.withLock {
                    $0.now += pause
                    $0.pauses.append(pause)
                }
            },
            jitter: { jitter })
    }
}

/// A client and a scripted server; the scripts' complaints become issues.
func withServer(
    options: ClientOptions = quickOptions(), environment: ClientEnvironment = ClientEnvironment(),
    _ script: @escaping @Sendable (Int, Peer) throws -> Void,
    sourceLocation: SourceLocation = #_sourceLocation,
    test: (AuthClient, FakeServer) async throws -> Void
) async throws {
    let server = try FakeServer(script)
    let client = testClient(server.path, options, environment)
    do {
        try await test(client, server)
    } catch {
        Issue.record(error, sourceLocation: sourceLocation)
    }
    await client.close()
    let complaints = try await server.stop()
    #expect(complaints == [], sourceLocation: sourceLocation)
}

/// Runs blocking code on a thread of its own: the pool's threads are for tasks.
func offThread(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}
