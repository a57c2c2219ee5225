/// What became of a request. Declared in order of precedence: where several hold, the first is answered. Numbers have gaps
/// and are never reused.
public enum Status: UInt16, Sendable, CaseIterable {
    case done = 0

    case unsupportedOperation = 0x0100
    case unsupportedField = 0x0110
    case notPermitted = 0x0120
    case draining = 0x0130
    case overloaded = 0x0140

    case unknownPurpose = 0x0200
    case invalidAccount = 0x0210
    case invalidPhone = 0x0220
    case invalidSession = 0x0230
    case invalidCode = 0x0240
    case assuranceTooLow = 0x0250

    case requestTooOld = 0x0300
    case requestFromFuture = 0x0310
    case requestIdConflict = 0x0320
    case quarantined = 0x0330

    case blocked = 0x0400
    case factorDisabled = 0x0410
    case limited = 0x0420
    case startAnew = 0x0430

    case challengeNotOpen = 0x0500
    case wrongCode = 0x0510
    case alreadyVerified = 0x0520
    case grantInvalid = 0x0530
    case leaseNotHeld = 0x0540
    case cursorGone = 0x0550
    case undeliverable = 0x0560
    case referenceUnknown = 0x0570

    case unknown = 0x0F00

    /// The same request, with the same request id, may be sent again and may then succeed (after `retryAfterMs`).
    /// An *unknown* must be retried with the same id or not at all. A block outlives every request id and challenge: after it only a new
    /// request can pass, as after `startAnew`.
    public var isRetryable: Bool {
        switch self {
        case .draining, .overloaded, .limited, .unknown: true
        case .done, .unsupportedOperation, .unsupportedField, .notPermitted, .unknownPurpose, .invalidAccount,
            .invalidPhone, .invalidSession, .invalidCode, .assuranceTooLow, .requestTooOld, .requestFromFuture, .requestIdConflict,
            .quarantined, .blocked, .factorDisabled, .startAnew, .challengeNotOpen, .wrongCode, .alreadyVerified, .grantInvalid,
            .leaseNotHeld, .cursorGone, .undeliverable, .referenceUnknown:
            false
        }
    }
}
