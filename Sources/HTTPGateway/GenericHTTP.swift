/// A vendor that nobody wrote code for: request, success and errors as configured.
public struct GenericHTTP: HTTPVendor {
    /// What its answers' codes and statuses can mean.
    public enum Meaning: String, Sendable, CaseIterable {
        case number
        case route
        case transient
        case ambiguous
    }

    /// As configured. Places in url, header values and body: `phone` (with its plus), `phone_digits`, `text`, `sender`, `life_seconds`,
    /// `life_minutes`, `key` (the same for each submit of a message), `callback`, `user`, `secret`, `basic` (user and secret by RFC 7617).
    public struct Settings: Sendable {
        /// `GET` or `POST`.
        public var method = "POST"
        /// Values are percent-escaped.
        public var url = ""
        /// Values stand as they are; `text` can't stand there.
        public var headers: [(name: String, value: String)] = []
        /// Of the body, and how values are escaped in it: form, JSON, XML, else not at all.
        public var contentType = "application/x-www-form-urlencoded"
        /// Empty for GET.
        public var body = ""
        /// For `{user}`.
        public var user = ""
        /// For `{secret}`.
        public var secret = Credential([])
        /// Statuses that mean taken; empty = 200–299.
        public var success: [Int] = []
        /// The body must hold it, too; empty = whatever it holds.
        public var contains = ""
        /// `path.to.0.value=wanted` in a JSON body; empty = whatever.
        public var equals = ""
        /// Where a JSON body names the message; empty = it doesn't.
        public var id = ""
        /// The header that does.
        public var idHeader = ""
        /// Where a JSON body of a refusal has its code.
        public var code = ""
        /// By code, or by status as a decimal number; the code goes first.
        public var meanings: [String: Meaning] = [:]

        /// Nothing.
        public init() {}
    }

    /// Which setting can't work, and why.
    public struct Mistake: Error, Equatable {
        /// Its name in `Settings`.
        public let setting: String
        /// What to do.
        public let advice: String
    }

    private static let known: Set = [
        "phone", "phone_digits", "text", "sender", "life_seconds", "life_minutes", "key", "callback", "user", "secret", "basic",
    ]

    private let settings: Settings
    private let url: Template
    private let headers: [(name: String, value: Template)]
    private let body: Template
    private let escaping: Template.Escaping

    /// Refuses settings that can't work.
    public init(_ settings: Settings) throws(Mistake) {
        self.settings = settings
        url = Template(settings.url)
        headers = settings.headers.map { ($0.name, Template($0.value)) }
        body = Template(settings.body)
        escaping = GenericHTTP.escaping(settings.contentType)
        try check()
    }

    private static func escaping(_ contentType: String) -> Template.Escaping {
        let type = contentType.lowercased().prefix { $0 != ";" }.filter { $0 != " " }
        if type == "application/x-www-form-urlencoded" { return .form }
        if type.hasSuffix("json") { return .json }
        return type.hasSuffix("xml") ? .xml : .none
    }

    private func check() throws(Mistake) {
        guard ["GET", "POST"].contains(settings.method) else {
            throw Mistake(setting: "method", advice: "must be `GET` or `POST`")
        }
        guard settings.method == "POST" || settings.body.isEmpty else {
            throw Mistake(setting: "body", advice: "goes with POST alone")
        }
        for (setting, template) in [("url", url), ("body", body)] + headers.map({ ("headers", $0.value) }) {
            for place in template.places where !GenericHTTP.known.contains(place) {
                throw Mistake(
                    setting: setting, advice: "has the place `{\(place)}`; there are \(GenericHTTP.known.sorted().joined(separator: ", "))")
            }
        }
        for (name, value) in headers {
            guard !name.isEmpty, name.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x3A }) else {
                throw Mistake(setting: "headers", advice: "`\(name)` is no header's name")
            }
            guard !value.places.contains("text") else {
                throw Mistake(setting: "headers", advice: "can't hold `{text}`: it has line ends")
            }
        }
        let places = url.places + body.places
        guard places.contains("text"), places.contains("phone") || places.contains("phone_digits") else {
            throw Mistake(setting: "body", advice: "(or the url) must hold `{text}` and `{phone}` or `{phone_digits}`")
        }
        guard settings.equals.isEmpty || settings.equals.contains("=") else {
            throw Mistake(setting: "equals", advice: "must be as `messages.0.status=0`")
        }
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        let values = [
            "phone": sms.phone, "phone_digits": sms.phoneDigits, "text": sms.text, "sender": sms.sender,
            "life_seconds": "\(sms.lifeSeconds)", "life_minutes": "\((sms.lifeSeconds + 59) / 60)", "key": sms.key,
            "callback": sms.callback, "user": settings.user, "secret": settings.secret.text,
            "basic": settings.secret.basic(user: settings.user),
        ]
        var request = HTTPRequest(url: url.filled(values, .percent))
        request.method = settings.method
        if settings.method == "POST" {
            request.headers = [("Content-Type", settings.contentType)]
            request.body = Array(body.filled(values, escaping).utf8)
        }
        request.headers += headers.map { ($0.name, $0.value.filled(values, .none).filter { !$0.isNewline }) }
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        let json = JSONValue(response.body)
        func value(_ path: String) -> String? {
            path.isEmpty ? nil : json?.at(path.split(separator: ".").map(String.init))?.text
        }
        let code = value(settings.code)
        let why = SubmitVerdict.why(response, code)
        let isExpected = settings.success.isEmpty ? response.isSuccess : settings.success.contains(response.status)
        if isExpected, holds(response), equals(value) {
            let id = value(settings.id) ?? (settings.idHeader.isEmpty ? nil : response.header(settings.idHeader))
            return .taken(id)
        }
        switch code.flatMap({ settings.meanings[$0] }) ?? settings.meanings["\(response.status)"] {
        case .number: return .permanentNumber(why)
        case .route: return .permanentRoute(why)
        case .transient: return .transient(why, retryAfterSeconds: nil)
        case .ambiguous: return .ambiguous(why)
        case nil: return SubmitVerdict.byStatus(response) ?? .unknown(response, code: code)
        }
    }

    private func holds(_ response: HTTPResponse) -> Bool {
        settings.contains.isEmpty || String(decoding: response.body, as: UTF8.self).contains(settings.contains)
    }

    private func equals(_ value: (String) -> String?) -> Bool {
        guard let mark = settings.equals.firstIndex(of: "=") else { return true }
        return value(String(settings.equals[..<mark])) == String(settings.equals[settings.equals.index(after: mark)...])
    }
}
