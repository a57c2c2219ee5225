import HTTPGateway
import StrictTOML

/// `kind = "http"`.
extension CourierConfig {
    private static let vendors = [
        "twilio", "vonage", "plivo", "telnyx", "messagebird", "infobip", "sns", "eum", "kannel", "generic",
    ]

    static func http(_ r: ConfigReader, _ name: String) throws -> HTTPRoute {
        let sender = try r.string("sender") ?? ""
        let base = try r.string("base")
        guard let vendor = try r.choice("vendor", vendors) else {
            throw r.missing("vendor", "add `vendor = \"twilio\"`, or one of \(vendors.dropFirst().joined(separator: ", "))")
        }
        let secret = Credential(try SecretFile.read(try r.required("secret_file")))
        var route = HTTPRoute(vendor: try api(vendor, r, base, secret, sender))
        route.name = name
        route.sender = sender
        route.callback = try r.string("callback") ?? ""
        route.window = try r.integer("window", 1...256) ?? 10
        route.connectMs = UInt64(try r.integer("connect_seconds", 1...10) ?? 3) * 1_000
        route.answerMs = UInt64(try r.integer("response_seconds", 1...10) ?? 5) * 1_000
        route.proxy = try r.string("proxy")
        route.caFile = try r.string("ca_file")
        try checkWay(r, route, key: vendor == "generic" ? "request" : "base")
        return route
    }

    /// The vendor's settings and nothing of the network.
    private static func api(
        _ vendor: String, _ r: ConfigReader, _ base: String?, _ secret: Credential, _ sender: String
    ) throws -> any HTTPVendor {
        switch vendor {
        case "twilio":
            let account = try r.required("account")
            return base.map { Twilio(base: $0, account: account, token: secret, sender: sender) }
                ?? Twilio(account: account, token: secret, sender: sender)
        case "vonage":
            let key = try r.required("account")
            return base.map { Vonage(base: $0, key: key, secret: secret) } ?? Vonage(key: key, secret: secret)
        case "plivo":
            let account = try r.required("account")
            return base.map { Plivo(base: $0, account: account, token: secret) } ?? Plivo(account: account, token: secret)
        case "telnyx": return base.map { Telnyx(base: $0, key: secret) } ?? Telnyx(key: secret)
        case "messagebird": return base.map { MessageBird(base: $0, key: secret) } ?? MessageBird(key: secret)
        case "infobip":
            guard let base else { throw r.missing("base", "add `base = \"https://….api.infobip.com\"`, your own") }
            return Infobip(base: base, key: secret)
        case "sns":
            return AmazonSNS(
                base: base, region: try r.required("region"), accessKey: try r.required("account"), secret: secret)
        case "eum":
            return AWSEndUserMessaging(
                base: base, region: try r.required("region"), accessKey: try r.required("account"), secret: secret,
                configurationSet: try r.string("configuration_set"))
        case "kannel":
            guard let base else { throw r.missing("base", "add `base = \"http://127.0.0.1:13013\"`") }
            return Kannel(base: base, user: try r.required("account"), password: secret)
        default: return try generic(r, secret)
        }
    }

    private static func generic(_ r: ConfigReader, _ secret: Credential) throws -> GenericHTTP {
        var settings = GenericHTTP.Settings()
        settings.user = try r.string("account") ?? ""
        settings.secret = secret
        guard let request = try r.subtable("request") else {
            throw r.missing("request", "add a table `[gateways.request]` with url and body")
        }
        settings.url = try request.required("url")
        settings.method = try request.choice("method", ["GET", "POST"]) ?? "POST"
        settings.contentType = try request.string("content_type") ?? settings.contentType
        settings.body = try request.string("body") ?? ""
        settings.headers = try request.stringTable("headers").sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        try request.finish()
        if let answer = try r.subtable("answer") {
            settings.success = try answer.integers("success", 100...599) ?? []
            settings.contains = try answer.string("contains") ?? ""
            settings.equals = try answer.string("equals") ?? ""
            settings.id = try answer.string("id") ?? ""
            settings.idHeader = try answer.string("id_header") ?? ""
            settings.code = try answer.string("code") ?? ""
            for (code, text) in try answer.stringTable("meanings") {
                guard let meaning = GenericHTTP.Meaning(rawValue: text) else {
                    throw answer.fail(code, in: "meanings", "must be number, route, transient or ambiguous")
                }
                settings.meanings[code] = meaning
            }
            try answer.finish()
        }
        do { return try GenericHTTP(settings) } catch { throw r.fail("request", "\(error.setting) \(error.advice)") }
    }

    /// The url as it will be: what a template makes of it is known here.
    private static func checkWay(_ r: ConfigReader, _ route: HTTPRoute, key: String) throws {
        let sample = OutboundSMS(phone: "+33612345678", text: "1", sender: "1", lifeSeconds: 60, key: "1")
        let url = route.vendor.request(for: sample, unixSeconds: 0).url
        guard url.hasPrefix("https://") || url.hasPrefix("http://") else {
            throw r.fail(key, "must begin with `https://` (or `http://` to this machine)")
        }
        guard try !(r.bool("allow_plain_http") ?? false), HTTPRoute.isPlain(url, proxy: route.proxy) else { return }
        throw r.fail(
            key, "would send codes and the secret in clear to another machine: use `https://`, or say that the way is safe: allow_plain_http = true")
    }
}
