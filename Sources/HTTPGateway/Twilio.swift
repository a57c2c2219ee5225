/// Twilio Programmable Messaging, 2010-04-01. Refusals are read by HTTP status first, as Twilio advises; its codes then tell numbers
/// from routes.
public struct Twilio: HTTPVendor {
    private static let routeCodes: Set = ["20003", "21606", "21408"]
    private static let transientCodes: Set = ["20429", "30001", "21611"]

    private let base: String
    private let account: String
    private let token: Credential
    private let usesService: Bool

    /// - Parameter account: the SID, `AC…`. A sender `MG…` is a messaging service's.
    public init(base: String = "https://api.twilio.com", account: String, token: Credential, sender: String) {
        self.base = base
        self.account = account
        self.token = token
        usesService = sender.hasPrefix("MG") && sender.utf8.count == 34
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        var fields = [
            ("To", sms.phone), (usesService ? "MessagingServiceSid" : "From", sms.sender), ("Body", sms.text),
            // Below 6 s Twilio advises against it.
            ("ValidityPeriod", "\(sms.life(in: 6...36_000))"),
        ]
        if !sms.callback.isEmpty { fields.append(("StatusCallback", sms.callback)) }
        let path = "/2010-04-01/Accounts/\(Escape.percent(account))/Messages.json"
        var request = HTTPRequest(
            url: base + path, contentType: "application/x-www-form-urlencoded", body: Escape.form(fields))
        request.headers.append(("Authorization", token.basic(user: account)))
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        let json = JSONValue(response.body)
        let code = json?["code"]?.text
        let why = SubmitVerdict.why(response, code)
        if !response.isSuccess, let code {
            if Twilio.routeCodes.contains(code) { return .permanentRoute(why) }
            if Twilio.transientCodes.contains(code) { return .transient(why, retryAfterSeconds: nil) }
        }
        if let verdict = SubmitVerdict.byStatus(response) { return verdict }
        guard response.isSuccess, let id = json?["sid"]?.text else {
            return .unknown(response, code: code)
        }
        switch json?["status"]?.text {
        case "failed", "undelivered", "canceled":
            return .permanentNumber(SubmitVerdict.why(response, json?["error_code"]?.text))
        default: return .taken(id)
        }
    }
}
