/// Telnyx Messaging, v2.
public struct Telnyx: HTTPVendor {
    private static let numberCodes: Set = ["10002", "10016", "40001"]
    private static let routeCodes: Set = ["10009", "10010"]

    private let base: String
    private let key: Credential

    /// - Parameter key: `KEY…`.
    public init(base: String = "https://api.telnyx.com", key: Credential) {
        self.base = base
        self.key = key
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        let body = JSONValue.compact([
            ("to", .string(sms.phone)), ("from", .string(sms.sender)), ("text", .string(sms.text)),
            ("webhook_url", sms.callback.isEmpty ? nil : .string(sms.callback)),
        ])
        var request = HTTPRequest(
            url: base + "/v2/messages", contentType: "application/json", body: body.json)
        request.headers.append(("Authorization", "Bearer " + key.text))
        request.headers.append(("Idempotency-Key", sms.key))
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        let json = JSONValue(response.body)
        let code = json?["errors"]?[0]?["code"]?.text
        let why = SubmitVerdict.why(response, code)
        if !response.isSuccess, let code {
            if Telnyx.routeCodes.contains(code) { return .permanentRoute(why) }
            if Telnyx.numberCodes.contains(code) { return .permanentNumber(why) }
            if code == "10011" {
                if case .transient(_, let seconds) = SubmitVerdict.byStatus(response) {
                    return .transient(why, retryAfterSeconds: seconds)
                }
                return .transient(why, retryAfterSeconds: nil)
            }
        }
        if let verdict = SubmitVerdict.byStatus(response) { return verdict }
        guard response.isSuccess, let id = json?["data"]?["id"]?.text else {
            return .unknown(response, code: code)
        }
        switch json?["data"]?["to"]?[0]?["status"]?.text {
        case "sending_failed", "delivery_failed":
            return .permanentNumber(SubmitVerdict.why(response, json?["data"]?["errors"]?[0]?["code"]?.text))
        default: return .taken(id)
        }
    }
}
