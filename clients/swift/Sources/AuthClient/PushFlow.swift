import Synchronization
import Wire

/// What the server sends unasked, in its order. It goes on over lost connections. It ends when the client is closed, when another stream of its
/// kind is begun, or when the server won't go on; `failure` then says why.
public struct PushStream<Element: Sendable>: AsyncSequence, Sendable {
    public typealias Failure = Never

    /// One consumer at a time.
    public struct AsyncIterator: AsyncIteratorProtocol {
        var base: AsyncStream<Element>.Iterator

        public mutating func next() async -> Element? { await base.next() }
    }

    let base: AsyncStream<Element>
    let failureOf: @Sendable () -> ClientError?

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: base.makeAsyncIterator()) }

    /// Why the stream ended; `nil` while it goes on, and after `close`.
    public var failure: ClientError? { failureOf() }
}

/// One flow of pushes over the connections that carry it: where it stands, so that the next connection can go on from there.
final class PushFlow<Element: Sendable, Place: Sendable>: Sendable {
    private struct State {
        var place: Place
        /// This connection's pushes belong to the flow.
        var isLive = false
        /// Some connection has carried it.
        var hasBegun = false
        var isEnded = false
        var failure: ClientError?
    }

    private let state: Mutex<State>
    private let continuation: AsyncStream<Element>.Continuation
    let stream: AsyncStream<Element>

    init(_ place: Place) {
        state = Mutex(State(place: place))
        // The credit given bounds the buffer.
        (stream, continuation) = AsyncStream.makeStream(of: Element.self, bufferingPolicy: .unbounded)
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.isEnded = true } }
    }

    var isLive: Bool { state.withLock { $0.isLive } }
    var isEnded: Bool { state.withLock { $0.isEnded } }
    var failure: ClientError? { state.withLock { $0.failure } }
    var place: Place { state.withLock { $0.place } }

    /// The failure of a flow that the server never began.
    var refusal: ClientError? { state.withLock { $0.hasBegun ? nil : $0.failure } }

    func markBegun() { state.withLock { $0.hasBegun = true } }

    func setLive(_ isLive: Bool) { state.withLock { $0.isLive = isLive } }

    func update<R>(_ body: (inout Place) -> R) -> R { state.withLock { body(&$0.place) } }

    /// `advance` says whether the push is new.
    func yield(_ element: Element, _ advance: (inout Place) -> Bool) {
        let isWanted = state.withLock { $0.isLive && !$0.isEnded && advance(&$0.place) }
        if isWanted { continuation.yield(element) }
    }

    func finish(_ failure: ClientError? = nil) {
        state.withLock {
            if !$0.isEnded { $0.failure = failure }
            $0.isEnded = true
        }
        continuation.finish()
    }

    /// What the caller gets.
    var asStream: PushStream<Element> { PushStream(base: stream, failureOf: { self.failure }) }
}

/// How far a subscriber has come.
struct EventPlace: Sendable {
    var start: Subscribe.Start
    var cursor: Cursor
    let limit: UInt16
    /// Events pushed and not acknowledged: they use up credit.
    var unacknowledged = 0

    /// Subscribes from here: nothing lost, nothing twice.
    var request: Subscribe {
        var message = Subscribe()
        message.start = start.rawValue
        message.cursor = cursor
        message.credit = UInt16(clamping: Int(limit) - unacknowledged)
        return message
    }

    /// The server's answer: a flow that began "now" began at its head.
    mutating func began(head: Cursor) {
        guard start == .now else { return }
        (start, cursor) = head == .zero ? (.oldest, .zero) : (.afterCursor, head)
    }

    mutating func advance(_ event: EventPush) -> Bool {
        guard start != .afterCursor || event.cursor > cursor else { return false }
        (start, cursor) = (.afterCursor, event.cursor)
        unacknowledged += 1
        return true
    }
}

/// How many messages a courier holds.
struct MessagePlace: Sendable {
    let limit: UInt16
    /// Pushed and not reported.
    var unreported = 0
    /// What the server may still push.
    var credit = 0

    /// Asks for all that is free.
    mutating func renewed() -> LeaseMessages {
        credit = max(0, Int(limit) - unreported)
        var message = LeaseMessages()
        message.credit = UInt16(clamping: credit)
        return message
    }

    mutating func advance() -> Bool {
        unreported += 1
        credit -= 1
        return true
    }

    /// Returns whether it is time for new credit: half of it is used up.
    mutating func reported() -> Bool {
        unreported = max(0, unreported - 1)
        return credit <= Int(limit) / 2 && credit + unreported < Int(limit)
    }
}
