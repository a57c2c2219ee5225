import Wire

/// What to do about a refusal, where its name alone doesn't say.
enum Advice {
    static func of(_ status: Status?) -> String? {
        if status == .invalidPhone {
            return "write the phone as E.164: + and 7 to 15 digits, the country's first, without spaces: +33612345678"
        }
        if status == .quarantined {
            return "otpd has ended twice while it worked on this very request, and takes it no more: keep otpd's log and report "
                + "it. Other requests are served; `otpctl stats` counts those (quarantined_requests)"
        }
        return nil
    }
}
