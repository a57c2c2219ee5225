/// What the server sends unasked, in its order. It goes on over lost connections. It ends when the client is
/// closed, when another stream of its kind is begun, or when the server won't go on; `failure` then says why.
public struct PushStream<Element: Sendable>: AsyncSequence, Sendable {
    /// Iterating throws nothing: look at `failure` after the loop.
    public typealias Failure = Never

    /// One consumer at a time.
    public struct AsyncIterator: AsyncIteratorProtocol {
        var base: AsyncStream<Element>.Iterator

        /// `nil`: the stream has ended.
        public mutating func next() async -> Element? { await base.next() }
    }

    let base: AsyncStream<Element>
    let failureOf: @Sendable () -> ClientError?

    /// For `for await`.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: base.makeAsyncIterator()) }

    /// Why the stream ended; `nil` while it goes on, and after `close`.
    public var failure: ClientError? { failureOf() }
}
