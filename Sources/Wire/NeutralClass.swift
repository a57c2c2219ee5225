/// What a web tier may tell the shopper: the same for a number or account that exists and for one that doesn't.
public enum NeutralClass: UInt8, Sendable, CaseIterable {
    case none = 0
    /// "That code didn't work. Try again."
    case tryAgain = 1
    /// "Wait a little before you ask again." With `retryAfterMs`.
    case wait = 2
    /// "Start again": the challenge can't be used any more.
    case restart = 3
    /// "Use another way to sign in, or contact us."
    case otherFactor = 4
    /// "Something went wrong on our side."
    case unavailable = 5
    /// The web tier's own mistake: nothing to show a shopper.
    case invalidRequest = 6
}

extension Status {
    /// The class that goes with a refusal of this status.
    public var neutralClass: NeutralClass {
        switch self {
        case .done: .none
        case .wrongCode, .invalidCode: .tryAgain
        case .limited, .blocked: .wait
        case .startAnew, .challengeNotOpen, .alreadyVerified, .grantInvalid, .requestTooOld: .restart
        case .factorDisabled, .undeliverable: .otherFactor
        case .draining, .overloaded, .unknown, .quarantined: .unavailable
        case .unsupportedOperation, .unsupportedField, .notPermitted, .unknownPurpose, .invalidAccount,
            .invalidPhone,
            .invalidSession, .assuranceTooLow, .requestFromFuture, .requestIdConflict, .leaseNotHeld, .cursorGone,
            .referenceUnknown:
            .invalidRequest
        }
    }
}
