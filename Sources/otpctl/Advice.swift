import Wire

/// What to do about a refusal, where its name alone doesn't say.
enum Advice {
    static let phone = "write the phone as E.164: + and 7 to 15 digits, the country's first, without spaces: +33612345678"
    static let requestID = "its first 12 digits are the time in ms since 1970, the other 20 random; left out, otpctl makes one"

    static func of(_ status: Status?) -> String? {
        switch status {
        case .invalidPhone: phone
        case .requestTooOld, .requestFromFuture: "the request id's time is over 11 minutes from the server's: \(requestID)"
        case .notPermitted: "this user's roles don't include it: `roles` of its `[[peer]]` in otpd's configuration gives them"
        case .challengeNotOpen:
            "unknown, used, cancelled, expired or of another session: all are answered alike. Ask for another with `otpctl request`"
        case .grantInvalid: "unknown, spent, expired or for another account: all are answered alike"
        case .quarantined:
            "otpd has ended twice while it worked on this very request, and takes it no more: keep otpd's log and report "
                + "it. Other requests are served; `otpctl stats` counts those (quarantined_requests)"
        default: nil
        }
    }
}
