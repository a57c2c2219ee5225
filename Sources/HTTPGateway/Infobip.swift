/// Infobip's SMS API, v3. The message id is ours, so receipts can be matched even if the answer was lost.
public struct Infobip: HTTPVendor {
    private let base: String
    private let key: Credential

    /// - Parameter base: the account's own, `https://….api.infobip.com`.
    public init(base: String, key: Credential) {
        self.base = base
        self.key = key
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        let destination: JSONValue = ["to": .string(sms.phoneDigits), "messageId": .string(sms.key)]
        let validity: JSONValue = ["amount": .number(sms.life(in: 5...172_800)), "timeUnit": "SECONDS"]
        let message = JSONValue.compact([
            ("sender", .string(sms.sender)), ("destinations", [destination]),
            ("content", ["text": .string(sms.text)]), ("options", ["validityPeriod": validity]),
            ("webhooks", sms.callback.isEmpty ? nil : ["delivery": ["url": .string(sms.callback)]]),
        ])
        let body: JSONValue = ["messages": [message]]
        var request = HTTPRequest(
            url: base + "/sms/3/messages", contentType: "application/json", body: body.json)
        request.headers.append(("Authorization", "App " + key.text))
        request.headers.append(("Accept", "application/json"))
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        if let verdict = SubmitVerdict.byStatus(response) { return verdict }
        let json = JSONValue(response.body)
        guard response.isSuccess, let message = json?["messages"]?[0] else { return .unknown(response) }
        let group = message["status"]?["groupId"]?.text
        let why = "group \(group.map { SubmitVerdict.isTame($0) ? $0 : "?" } ?? "?")"
        switch group {
        // Pending; delivered to the operator.
        case "1", "3": return .taken(message["messageId"]?.text ?? sms.key)
        case "2", "5":
            return message["error"]?["permanent"]?.text == "false"
                ? .transient(why, retryAfterSeconds: nil) : .permanentNumber(why)
        default: return .ambiguous(why)
        }
    }
}
