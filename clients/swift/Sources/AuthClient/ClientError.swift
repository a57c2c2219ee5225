public import Wire

/// Why a call has no result.
///
/// `refused`, `invalidRequest` and `notConnected` are certain: the request did nothing. After any other the request may or may
/// not have acted, and only the same request id is safe to send again.
public enum ClientError: Error, Equatable, Sendable {
    /// The server said no, and nothing more will come of this request.
    case refused(Refusal)
    /// A field is longer than the protocol can say, or the server isn't one of `serverUsers`: nothing was sent.
    case invalidRequest(String)
    /// Connection lost or deadline passed, retries used up: the request may or may not have acted.
    case unknownOutcome(String)
    /// No connection, or no room on it, before the deadline: nothing was sent.
    case notConnected(String)
    /// The server ended the connection and said why: it doesn't take this client, or couldn't read a frame.
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
        case .invalidRequest(let why): "invalid request: \(why)"
        case .unknownOutcome(let why): "outcome unknown: \(why)"
        case .notConnected(let why): "not connected: \(why)"
        case .goodbye(let reason, let text):
            "the server ended the connection: \(reason.map { "\($0): " } ?? "")\(text)"
        case .protocolViolation(let why): "not the protocol: \(why)"
        case .closed: "the client is closed"
        }
    }
}
