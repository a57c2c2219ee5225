/// What a route's provider wants of a session, and its timers.
package struct SessionSettings: Sendable {
    /// Whether one connection sends messages and takes receipts, or only either.
    package enum Mode: String, Sendable, CaseIterable {
        case transceiver, transmitter, receiver
    }

    package var bind = BindRequest()
    /// Submits without an answer at any time; nothing in the protocol negotiates it.
    package var window = 10
    /// A submit without an answer for so long may or may not be on its way.
    package var responseMs: UInt64 = 10_000
    package var bindMs: UInt64 = 10_000
    /// A connection on which nothing came for so long is asked whether it is alive.
    package var enquireLinkMs: UInt64 = 30_000
    /// The first pause after "throttled" or "queue full"; it doubles up to the longest.
    package var throttleMs: UInt64 = 500
    package var longestThrottleMs: UInt64 = 30_000
    /// The provider's own status numbers.
    package var vendorStatuses: [UInt32: CommandStatus.Meaning] = [:]

    package init() {}
}
