package import HTTPGateway
import StrictTOML

/// otp-receipts' configuration file: which callbacks it takes, and how they prove themselves. TOML, strict; `receipts.toml` in this folder shows
/// every key.
package struct ReceiptsConfig: Sendable {
    /// Where the shop's proxy finds us.
    package enum Place: Sendable, Equatable {
        /// A loopback address.
        case tcp(host: String, port: Int)
        /// A Unix socket.
        case unix(path: String)
    }

    /// One `[[receipts]]`.
    package struct Entry: Sendable {
        /// As the courier calls it.
        package var gateway: String
        /// Of the request that comes to us.
        package var path: String
        package var source: any ReceiptSource
    }

    /// otpd's.
    package var socket: String
    package var listen: Place
    package var entries: [Entry] = []

    private static let vendors = ["twilio", "vonage", "plivo", "telnyx", "messagebird", "infobip", "kannel", "generic"]

    /// Reads and checks a file, and the secrets that it names.
    package static func load(_ path: String) throws -> ReceiptsConfig { try ReceiptsConfig(ConfigFile.read(path)) }

    /// The same from text.
    package static func parse(_ text: String, name: String) throws -> ReceiptsConfig { try ReceiptsConfig(ConfigFile.parse(text, name: name)) }

    private init(_ root: ConfigReader) throws {
        socket = try root.required("socket")
        guard let place = ReceiptsConfig.place(try root.string("listen") ?? "127.0.0.1:8431") else {
            throw root.fail("listen", "must be a loopback address and a port, `127.0.0.1:8431` or `[::1]:8431`, or the path of a Unix socket: TLS and the world are the proxy's business")
        }
        listen = place
        for reader in try root.tables("receipts") {
            let entry = try ReceiptsConfig.entry(reader)
            guard !entries.contains(where: { $0.path == entry.path }) else {
                throw reader.fail("path", "`\(entry.path)` is there already; each callback has a path of its own")
            }
            entries.append(entry)
            try reader.finish()
        }
        guard !entries.isEmpty else { throw root.missing("receipts", "add a `[[receipts]]`") }
        try root.finish()
    }

    static func place(_ text: String) -> Place? {
        if text.hasPrefix("/") { return text.utf8.count <= 107 ? .unix(path: text) : nil }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port) else { return nil }
        let host = text[..<colon]
        if host == "[::1]" { return .tcp(host: "::1", port: port) }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "127", parts.allSatisfy({ UInt8($0) != nil }) else { return nil }
        return .tcp(host: String(host), port: port)
    }

    private static func entry(_ r: ConfigReader) throws -> Entry {
        let gateway = try r.required("gateway")
        guard (1...32).contains(gateway.utf8.count) else { throw r.fail("gateway", "must be the gateway's name in courier.toml, 1 to 32 bytes") }
        let path = try r.required("path")
        guard path.hasPrefix("/"), path.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x3F && $0 != 0x23 }) else {
            throw r.fail("path", "must begin with `/` and have no `?`")
        }
        guard let vendor = try r.choice("vendor", vendors) else {
            throw r.missing("vendor", "add `vendor = \"twilio\"`, or one of \(vendors.dropFirst().joined(separator: ", "))")
        }
        let secretFile = try r.required("secret_file")
        let bytes = try SecretFile.read(secretFile)
        // HMAC takes any key, the empty one too.
        guard bytes.count >= 16 else { throw r.fail("secret_file", "\(secretFile) holds \(bytes.count) bytes: a secret that can't be guessed has 16 or more") }
        return Entry(gateway: gateway, path: path, source: try source(vendor, r, Credential(bytes)))
    }

    private static func source(_ vendor: String, _ r: ConfigReader, _ secret: Credential) throws -> any ReceiptSource {
        switch vendor {
        case "twilio": return TwilioReceipts(url: try url(r), token: secret)
        case "plivo": return PlivoReceipts(url: try url(r), token: secret)
        case "messagebird": return MessageBirdReceipts(url: try url(r), key: secret)
        case "vonage":
            let method = try r.choice("method", VonageReceipts.Method.allCases.map(\.rawValue)).flatMap { VonageReceipts.Method(rawValue: $0) }
            return VonageReceipts(secret: secret, method: method ?? .sha256)
        case "telnyx":
            guard let source = TelnyxReceipts(publicKey: secret) else {
                throw r.fail("secret_file", "must hold Telnyx's public key: 32 bytes in base64")
            }
            return source
        case "infobip": return InfobipReceipts(token: secret)
        case "kannel": return KannelReceipts(token: secret)
        default:
            var settings = GenericReceipts.Settings()
            settings.secret = secret
            settings.signatureHeader = try r.string("signature_header") ?? ""
            settings.id = try r.required("id")
            settings.status = try r.required("status")
            settings.code = try r.string("code") ?? ""
            settings.delivered = Set(try r.strings("delivered") ?? [])
            settings.failed = Set(try r.strings("failed") ?? [])
            guard !settings.delivered.isEmpty else { throw r.missing("delivered", "add the states that mean it: `delivered = [\"delivered\"]`") }
            return GenericReceipts(settings)
        }
    }

    /// What these vendors sign: the url as they know it.
    private static func url(_ r: ConfigReader) throws -> String {
        let url = try r.required("url")
        guard url.hasPrefix("https://") || url.hasPrefix("http://"), !url.contains("?"), !url.contains("#") else {
            throw r.fail("url", "must be the callback's url as the vendor calls it, without its query: the vendor's signature is over it")
        }
        return url
    }
}
