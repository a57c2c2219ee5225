/// Plivo's Message API, v1. Its codes aren't published: the HTTP status decides.
public struct Plivo: HTTPVendor {
    private let base: String
    private let account: String
    private let token: Credential

    /// - Parameter account: the auth id.
    public init(base: String = "https://api.plivo.com", account: String, token: Credential) {
        self.base = base
        self.account = account
        self.token = token
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        let body = JSONValue.compact([
            ("src", .string(sms.sender)), ("dst", .string(sms.phoneDigits)), ("text", .string(sms.text)),
            ("url", sms.callback.isEmpty ? nil : .string(sms.callback)),
            ("message_expiry", .number(sms.life(in: 5...10_800))),
            // Else Plivo keeps the text, and the code in it.
            ("log", "false"),
            // The defaults, as Plivo's SDK says them.
            ("type", "sms"), ("method", "POST"), ("trackable", .bool(false)),
        ])
        var request = HTTPRequest(
            url: base + "/v1/Account/\(Escape.percent(account))/Message/", contentType: "application/json",
            body: body.json)
        request.headers.append(("Authorization", token.basic(user: account)))
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        if let verdict = SubmitVerdict.byStatus(response) { return verdict }
        guard response.isSuccess, let id = JSONValue(response.body)?["message_uuid"]?[0]?.text else {
            return .unknown(response)
        }
        return .taken(id)
    }
}
