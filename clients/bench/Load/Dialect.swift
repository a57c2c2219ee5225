import Wire

/// What a server is asked to do; every kind has a histogram of its own.
enum Operation: Int, CaseIterable {
    /// RequestCode of a shopper, with a new request id.
    case request
    /// Verify with the right code.
    case verify
    /// Verify with a wrong one.
    case guess
    /// Status.
    case lookup
    /// RequestCode inside the resend gap, of another session: a limit refuses it.
    case refusal
    /// A RequestCode that was answered before, byte for byte.
    case retry

    var name: String { "\(self)" }
}

/// How it was answered, the same for every server.
enum Outcome: Int, CaseIterable {
    case done, wrongCode, limited, notOpen, overloaded, failed

    var name: String { "\(self)" }
}

/// One shopper's errand: what its requests are made of.
struct Errand {
    /// Number of the phone and of the account.
    var shopper: UInt64 = 0
    /// Of the RequestCode; the session is derived from it.
    var requestID = Bytes16.zero
    var challenge = Bytes16.zero
    /// Six digits.
    var code: UInt64 = 0
    /// Differs between the Verify requests of one errand.
    var attempt: UInt64 = 0
}

/// A reply, or a courier's push.
struct Answer {
    /// Bytes of it; 0 = not whole yet.
    var bytes = 0
    /// The task; -1 = the oldest in the connection's order.
    var task: Int32 = -1
    var outcome = Outcome.done
    var challenge = Bytes16.zero
    /// A message for the courier, with the code of `challenge`.
    var isPush = false
    /// Neither: a reply to the courier's own request.
    var isIgnored = false
    var code: UInt64 = 0
}

/// A protocol: how to connect, to ask, and to understand the answers. otpd's frames, RESP and PostgreSQL's are three of them.
protocol Dialect {
    /// Six digits of the request id stand for the code: the peers' web tier makes it, the floor doesn't care. otpd derives codes, so its
    /// come from the courier's push.
    var codesAreKnown: Bool { get }
    /// Milliseconds on the server's clock, for request ids.
    mutating func serverMs() -> UInt64
    /// A connected socket, past the protocol's opening.
    mutating func connect() throws -> Int32
    func encode(_ operation: Operation, _ errand: Errand, task: Int32, into pipe: Pipe)
    /// Credit for a courier; only where codes aren't known.
    func encodeCredit(into pipe: Pipe)
    func parse(_ bytes: UnsafeRawBufferPointer) -> Answer
}

extension Dialect {
    func encodeCredit(into pipe: Pipe) {}
}
