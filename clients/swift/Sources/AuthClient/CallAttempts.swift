import Wire

/// One call's life over its tries, as a value: a failure in, what to do next out. It knows no clock and no
/// socket.
struct CallAttempts {
    /// The protocol's bound on sending a request again.
    static let protocolRetries = 3

    /// What follows a failed try.
    enum Verdict: Equatable {
        /// Once more, after a pause of this back-off step (from 1).
        case again(step: Int)
        case fail(ClientError)
    }

    private let maxRetries: Int
    /// A server that was there once is waited for until the deadline; one that never was, isn't.
    private let wasConnected: Bool
    private var resends = 0
    private var dials = 0
    /// A try's outcome is unknown: from here on only the server's word on this very request settles it.
    private var mayHaveActed = false

    init(maxRetries: Int, wasConnected: Bool) {
        self.maxRetries = max(0, min(maxRetries, CallAttempts.protocolRetries))
        self.wasConnected = wasConnected
    }

    /// Decides after a failure.
    mutating func after(_ error: ClientError) -> Verdict {
        if CallAttempts.isUnknown(error) {
            mayHaveActed = true
            guard resends < maxRetries else { return .fail(final(error)) }
            resends += 1
        } else if CallAttempts.isTemporary(error) {
            guard wasConnected || mayHaveActed || dials < maxRetries else { return .fail(final(error)) }
            dials += 1
        } else {
            return .fail(final(error))
        }
        return .again(step: resends + dials)
    }

    /// What the caller is told: never "refused" or "nothing was sent" while an earlier try may have acted.
    func final(_ error: ClientError) -> ClientError {
        switch error {
        case .refused(let refusal):
            switch refusal.status {
            case .unknown: return .unknownOutcome("the server couldn't say")
            case .draining, .overloaded, .notPermitted, .unsupportedOperation, .requestTooOld,
                .requestFromFuture:
                // Answered before the server looks for the request id: says nothing of the earlier try.
                return mayHaveActed ? .unknownOutcome("\(error), after a try of unknown outcome") : error
            case .done, .unsupportedField, .unknownPurpose, .invalidAccount, .invalidPhone, .invalidSession,
                .invalidCode, .assuranceTooLow,
                .requestIdConflict, .quarantined, .blocked, .factorDisabled, .limited, .startAnew, .challengeNotOpen,
                .wrongCode,
                .alreadyVerified, .grantInvalid, .leaseNotHeld, .cursorGone, .undeliverable,
                .referenceUnknown, .none:
                return error
            }
        case .unknownOutcome: return error
        case .invalidRequest, .notConnected, .goodbye, .protocolViolation, .closed:
            return mayHaveActed ? .unknownOutcome("\(error), after a try of unknown outcome") : error
        }
    }

    private static func isUnknown(_ error: ClientError) -> Bool {
        switch error {
        case .unknownOutcome: true
        case .refused(let refusal): refusal.status == .unknown
        case .invalidRequest, .notConnected, .goodbye, .protocolViolation, .closed: false
        }
    }

    /// Nothing was sent, and a later try may find the server.
    static func isTemporary(_ error: ClientError) -> Bool {
        switch error {
        case .notConnected: true
        case .goodbye(let reason, _):
            switch reason {
            case .shuttingDown, .storageFailure, .tooManyConnections, .helloTimeout: true
            case .badFrameLength, .badFlags, .badBody, .helloExpected, .helloTwice, .badMagic,
                .unsupportedVersion,
                .notPermitted, .inputOverflow, .outputOverflow, .frameTimeout, .eventsGone, .none:
                false
            }
        case .refused, .invalidRequest, .unknownOutcome, .protocolViolation, .closed: false
        }
    }

    /// The pause of a back-off step: doubled from step to step, bounded, the jitter's share of it.
    static func pause(step: Int, options: ClientOptions, jitter: Double) -> Duration {
        min(options.backOff * (1 << min(max(step - 1, 0), 20)), options.maxBackOff) * min(max(jitter, 0), 1)
    }
}
