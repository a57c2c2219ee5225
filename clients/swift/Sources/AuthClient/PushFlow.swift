import Synchronization

/// One flow of pushes over the connections that carry it: where it stands, so that the next connection can go
/// on from there.
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
