public import Glibc
public import Wire

/// Something that takes messages and says what becomes of them, now or later. The courier's loop calls it on one thread and waits on its
/// behalf; no call may block.
///
/// Times in ms are of the machine's monotonic clock where their name doesn't say otherwise.
public protocol Gateway {
    /// How many messages it takes now. The courier asks the server for no more: they wait there, and cost no lease.
    func room(nowMs: UInt64) -> Int
    /// Takes a message. What is known of it at once is returned; the rest comes out of `turn`.
    mutating func take(_ submission: Submission, nowMs: UInt64) -> [ReportMessage]
    /// Reads, writes, looks at the clock; called after every wait.
    mutating func turn(nowMs: UInt64) -> [ReportMessage]
    /// Receipts about messages that it doesn't know: a courier before this one submitted them.
    mutating func takeReceipts() -> [ReportReceipt]
    /// Whether it was told since the last call that no message will pass until somebody mends its account or settings.
    mutating func takeFault() -> Bool
    /// How its gateways do, one by one; a gateway that is alone tells nothing.
    func routes(nowMs: UInt64) -> [ReportRoute]
    /// What an operator wishes of one of them.
    mutating func set(drained: Bool, _ name: String)
    /// What to wait for.
    func waits(nowMs: UInt64) -> GatewayWaits
    /// No more messages come: ends what is under way, and says goodbye where that is the custom.
    mutating func stop(nowMs: UInt64)
    /// Nothing is under way.
    var isIdle: Bool { get }
}

extension Gateway {
    /// None.
    public mutating func takeReceipts() -> [ReportReceipt] { [] }
    /// No.
    public mutating func takeFault() -> Bool { false }
    /// None.
    public func routes(nowMs: UInt64) -> [ReportRoute] { [] }
    /// There is none to drain.
    public mutating func set(drained: Bool, _ name: String) {}
}

/// What wakes a gateway, besides new messages.
public struct GatewayWaits {
    /// For poll(2).
    public var descriptors: [pollfd] = []
    /// When `turn` has something to do next, if nothing happens before.
    public var untilMs: UInt64?

    /// Nothing.
    public init() {}
}

/// A message on its way through a gateway.
public struct Submission: Sendable {
    /// As the server pushed it.
    public var message: MessagePush
    /// Nothing is submitted after it.
    public var expiresAtMs: UInt64
    /// The server may lease the message to another courier after it.
    public var leaseUntilMs: UInt64
    /// Nothing of it may be kept after it (Unix ms).
    public var expiresAtWallMs: UInt64
    /// What phones show, where the route says so; empty = the gateway's own.
    public var sender = ""

    /// What becomes of it.
    public func report(
        _ outcome: ReportMessage.Outcome, reference: [UInt8] = [], reason: String = ""
    ) -> ReportMessage {
        var report = ReportMessage()
        report.challenge = message.challenge
        report.send = message.send
        report.token = message.token
        report.outcome = outcome.rawValue
        report.reference = InlineBytes(reference.prefix(64))
        report.reason = InlineBytes(reason.utf8.prefix(64))
        return report
    }
}

/// A gateway that is done with a message when `submit` returns: a screen, a folder.
public protocol InstantGateway: Gateway {
    /// Hands the message on. `expiresAtWallMs`: nothing of it may be kept after it (Unix ms).
    mutating func submit(_ message: MessagePush, expiresAtWallMs: UInt64) -> ReportMessage.Outcome
    /// Called now and then: removes what has expired.
    mutating func sweep(nowWallMs: UInt64)
}

/// Why a courier doesn't start.
public struct CourierError: Error, CustomStringConvertible, Equatable {
    /// What happened and what to do.
    public let description: String

    /// A sentence or two.
    public init(_ description: String) { self.description = description }
}

/// Console and spool put codes on a screen or a disk in clear: whoever wants that must say so.
public enum PlaintextConsent {
    /// Refuses without consent.
    public static func check(_ isAllowed: Bool, gateway: String) throws(CourierError) {
        guard isAllowed else {
            throw CourierError(
                "the \(gateway) gateway shows codes in clear to anyone who can read its output. "
                    + "Use it for development only, and say so: --allow-plaintext (allow_plaintext = true).")
        }
    }
}
