import SMSText

/// Vonage's SMS API. HTTP 200 proves nothing: each part of the message has a status of its own.
public struct Vonage: HTTPVendor {
    private static let transientCodes: Set = ["1", "5", "10"]
    private static let numberCodes: Set = ["6", "7"]

    private let base: String
    private let key: String
    private let secret: Credential

    /// - Parameter key: the account's API key.
    public init(base: String = "https://rest.nexmo.com", key: String, secret: Credential) {
        self.base = base
        self.key = key
        self.secret = secret
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        var fields = [
            ("to", sms.phoneDigits), ("from", sms.sender), ("text", sms.text), ("client-ref", sms.key),
            ("ttl", "\(sms.life(in: 20...604_800) * 1_000)"),
        ]
        if GSM0338.septets(of: sms.text) == nil { fields.append(("type", "unicode")) }
        if !sms.callback.isEmpty { fields.append(("callback", sms.callback)) }
        var request = HTTPRequest(
            url: base + "/sms/json", contentType: "application/x-www-form-urlencoded",
            body: Escape.form(fields))
        request.headers.append(("Authorization", secret.basic(user: key)))
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        if let verdict = SubmitVerdict.byStatus(response) { return verdict }
        guard let parts = JSONValue(response.body)?["messages"]?.items, !parts.isEmpty else {
            return .unknown(response)
        }
        let statuses = parts.map { $0["status"]?.text ?? "" }
        guard let refused = statuses.first(where: { $0 != "0" }) else {
            // Its two words contradict each other.
            guard response.isSuccess else { return .ambiguous(SubmitVerdict.why(response, "0")) }
            return .taken(parts.first?["message-id"]?.text)
        }
        let why = SubmitVerdict.why(response, refused)
        // Some parts are on their way.
        if statuses.contains("0") { return .ambiguous(why) }
        if Vonage.transientCodes.contains(refused) { return .transient(why, retryAfterSeconds: nil) }
        if Vonage.numberCodes.contains(refused) { return .permanentNumber(why) }
        return ["2", "3", "4", "8", "9", "11", "14", "15"].contains(refused)
            ? .permanentRoute(why) : .unknown(HTTPResponse(status: 420), code: refused)
    }
}
