public import Wire

/// How a client connects and how long it tries.
public struct ClientOptions: Sendable {
    /// The tenant's number; 0 = the only one that this process may use.
    public var tenant: UInt32 = 0
    /// Roles wanted; empty = all that this process may have.
    public var roles = Roles()
    /// For one call, its retries included; a day at most.
    public var deadline: Duration = .seconds(5)
    /// Times that a request of unknown outcome is sent again, always with the same request id; the protocol's
    /// bound is 3.
    public var maxRetries = 3
    /// Before the first retry or reconnect; doubled each time up to `maxBackOff`, with jitter.
    public var backOff: Duration = .milliseconds(50)
    /// No pause is longer; an hour at most.
    public var maxBackOff: Duration = .seconds(2)
    /// Tells the operator who connects.
    public var name = "AuthClient (Swift)"

    /// Users that the server's process may belong to, by SO_PEERCRED; `nil` = whoever listens. Another's is told nothing.
    public var serverUsers: Set<UInt32>?

    /// Defaults for a web tier.
    public init() {}

    /// As the client takes them: whatever was set, no sum or product of these overflows.
    var bounded: ClientOptions {
        var options = self
        options.deadline = min(max(deadline, .zero), .seconds(86_400))
        options.maxBackOff = min(max(maxBackOff, .zero), .seconds(3_600))
        options.backOff = min(max(backOff, .zero), options.maxBackOff)
        return options
    }
}

/// What a client takes from the world: time, pauses, chance. Tests bring their own.
struct ClientEnvironment: Sendable {
    var now: @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    /// Between one half and one: the share of a pause that is waited.
    var jitter: @Sendable () -> Double = { Double.random(in: 0.5...1) }
}
