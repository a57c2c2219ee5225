import SMSText

/// Kannel's sendsms (and those who imitate it). It names no id of its own: the reference is ours and comes back in the dlr-url.
///
/// Its request is a GET: user, password and text stand in the query. Talk to it over loopback or TLS, and keep its access log short.
public struct Kannel: HTTPVendor {
    /// Delivered, failed, at the SMSC, refused by it. Not 4, buffered.
    private static let mask = "27"

    private let base: String
    private let user: String
    private let password: Credential

    /// - Parameter base: up to `/cgi-bin/sendsms`, exclusively.
    public init(base: String, user: String, password: Credential) {
        self.base = base
        self.user = user
        self.password = password
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        var fields = [
            ("username", user), ("password", password.text), ("to", sms.phone), ("text", sms.text),
            ("charset", "UTF-8"), ("coding", GSM0338.septets(of: sms.text) == nil ? "2" : "0"),
            // Without it, Kannel delivers what it queued at its next start, however late that is.
            ("validity", "\(max(1, (sms.lifeSeconds + 59) / 60))"),
        ]
        if !sms.sender.isEmpty { fields.append(("from", sms.sender)) }
        if !sms.callback.isEmpty {
            let mark = sms.callback.contains("?") ? "&" : "?"
            // Not %A: the SMSC's reply repeats the text.
            fields += [
                ("dlr-mask", Kannel.mask),
                ("dlr-url", "\(sms.callback)\(mark)reference=\(sms.key)&state=%d"),
            ]
        }
        var request = HTTPRequest(url: base + "/cgi-bin/sendsms?" + Escape.form(fields))
        request.method = "GET"
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        if let verdict = SubmitVerdict.byStatus(response) { return verdict }
        // "0: Accepted for delivery", "3: Queued for later delivery".
        guard response.isSuccess else { return .unknown(response) }
        return [0x30, 0x33].contains(response.body.first) ? .taken(sms.key) : .unknown(response)
    }
}
