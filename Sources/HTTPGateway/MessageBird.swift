import SMSText

/// MessageBird's (Bird's) classic SMS API. Its codes aren't published: the HTTP status decides.
public struct MessageBird: HTTPVendor {
    private let base: String
    private let key: Credential

    /// - Parameter key: the live access key.
    public init(base: String = "https://rest.messagebird.com", key: Credential) {
        self.base = base
        self.key = key
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        let isPlain = GSM0338.septets(of: sms.text) != nil
        let body = JSONValue.compact([
            ("originator", .string(sms.sender)), ("body", .string(sms.text)),
            ("recipients", .string(sms.phoneDigits)), ("datacoding", isPlain ? "plain" : "unicode"),
            ("validity", .number(sms.life(in: 5...172_800))), ("reference", .string(sms.key)),
            ("reportUrl", sms.callback.isEmpty ? nil : .string(sms.callback)),
        ])
        var request = HTTPRequest(url: base + "/messages", contentType: "application/json", body: body.json)
        request.headers.append(("Authorization", "AccessKey " + key.text))
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        if let verdict = SubmitVerdict.byStatus(response) { return verdict }
        let json = JSONValue(response.body)
        guard response.isSuccess, let id = json?["id"]?.text else {
            return .unknown(response, code: json?["errors"]?[0]?["code"]?.text)
        }
        if json?["recipients"]?["items"]?[0]?["status"]?.text == "delivery_failed" {
            return .permanentNumber("delivery_failed")
        }
        return .taken(id)
    }
}
