public import Wire

/// How a client connects and how long it tries.
public struct ClientOptions: Sendable {
    /// The tenant's number; 0 = the only one that this process may use.
    public var tenant: UInt32 = 0
    /// Roles wanted; empty = all that this process may have.
    public var roles = Roles()
    /// For one call, its retries included.
    public var deadline: Duration = .seconds(5)
    /// Retries of a request whose outcome is unknown; always with the same request id.
    public var maxRetries = 3
    /// Before the first retry or reconnect; doubled each time up to `maxBackOff`, with jitter.
    public var backOff: Duration = .milliseconds(50)
    public var maxBackOff: Duration = .seconds(2)
    /// Tells the operator who connects.
    public var name = "AuthClient (Swift)"

    /// Defaults for a web tier.
    public init() {}
}

/// Why a call has no result.
public enum ClientError: Error, Sendable {
    /// The server said no, and nothing more will come of this request.
    case refused(Refusal)
    /// Connection lost or deadline passed, retries used up: the request may or may not have acted. Only the same request id is safe.
    case unknownOutcome(String)
    /// No connection could be made: nothing was sent.
    case notConnected(String)
    /// The server ended the connection and said why.
    case goodbye(Goodbye.Reason?, String)
    /// The server's bytes aren't of this protocol.
    case protocolViolation(String)
    /// `close` was called.
    case closed
}

extension ClientError: CustomStringConvertible {
    /// A sentence for a log: no secret in it.
    public var description: String {
        switch self {
        case .refused(let refusal):
            "refused: \(refusal.status.map { String(describing: $0) } ?? "status \(refusal.statusCode)")"
        case .unknownOutcome(let why): "outcome unknown: \(why)"
        case .notConnected(let why): "not connected: \(why)"
        case .goodbye(_, let text): "the server ended the connection: \(text)"
        case .protocolViolation(let why): "not the protocol: \(why)"
        case .closed: "the client is closed"
        }
    }
}
