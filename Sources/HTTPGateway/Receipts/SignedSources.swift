import LibCrypto

// Who signs what: the vendors' own SDKs make the vectors of `GoldenTests` (scripts/vendor-goldens.py). A replay of an old request is no
// harm: it says again what it has said of the same message, whose state moves forward only.

/// Twilio: base64 of HMAC-SHA-1 over the url and the sorted form.
public struct TwilioReceipts: ReceiptSource {
    private let url: String
    private let token: Credential

    /// - Parameter url: the callback as Twilio knows it, without a query.
    public init(url: String, token: Credential) {
        self.url = url
        self.token = token
    }

    public func receipts(in call: ReceiptCall, unixSeconds: UInt64) throws(ReceiptRefusal) -> [VendorReceipt] {
        guard let signature = call.header("X-Twilio-Signature") else { throw .forged("no X-Twilio-Signature") }
        let fields = call.formFields
        // A name that comes twice: each of its values once, in order.
        var pairs: [(name: String, value: String)] = []
        for field in fields.sorted(by: { ($0.name, $0.value) < ($1.name, $1.value) }) where pairs.last.map({ $0 != field }) ?? true {
            pairs.append(field)
        }
        let signed = call.url(url) + pairs.map { $0.name + $0.value }.joined()
        let wanted = Base64.encode(Hash.hmacSHA1(key: token.bytes, Array(signed.utf8)))
        guard Proof.isEqual(signature, wanted) else { throw .forged("the signature is wrong: is `url` what Twilio calls, and the secret the auth token?") }
        guard let status = fields.only("MessageStatus") else { throw .malformed("no MessageStatus") }
        switch status {
        case "delivered": return try one(VendorReceipt(fields.only("MessageSid"), isDelivered: true))
        case "undelivered", "failed":
            return try one(VendorReceipt(fields.only("MessageSid"), isDelivered: false, reason: fields.only("ErrorCode")))
        default: return []
        }
    }
}

/// Plivo, signatures of version 3: base64 of HMAC-SHA-256 over the url, the sorted form and a nonce. The body of version 2 is unsigned.
public struct PlivoReceipts: ReceiptSource {
    private let url: String
    private let token: Credential

    /// - Parameter url: the callback as Plivo knows it, without a query.
    public init(url: String, token: Credential) {
        self.url = url
        self.token = token
    }

    public func receipts(in call: ReceiptCall, unixSeconds: UInt64) throws(ReceiptRefusal) -> [VendorReceipt] {
        guard let signatures = call.header("X-Plivo-Signature-V3"), let nonce = call.header("X-Plivo-Signature-V3-Nonce") else {
            throw .forged("no X-Plivo-Signature-V3")
        }
        let (query, form) = (sorted(call.queryFields), sorted(call.formFields))
        var signed = url
        if !query.isEmpty || !form.isEmpty { signed += "?" + query.map { "\($0.name)=\($0.value)" }.joined(separator: "&") }
        if !query.isEmpty, !form.isEmpty { signed += "." }
        signed += form.map { $0.name + $0.value }.joined() + "." + nonce
        let wanted = Base64.encode(Hash.hmacSHA256(key: token.bytes, Array(signed.utf8)))
        // One for each of the account's tokens.
        guard signatures.split(separator: ",").contains(where: { Proof.isEqual(String($0), wanted) }) else {
            throw .forged("the signature is wrong: is `url` what Plivo calls, and the secret the auth token?")
        }
        let fields = call.formFields
        guard let status = fields.only("Status") else { throw .malformed("no Status") }
        switch status {
        case "delivered": return try one(VendorReceipt(fields.only("MessageUUID"), isDelivered: true))
        case "undelivered", "failed", "rejected":
            return try one(VendorReceipt(fields.only("MessageUUID"), isDelivered: false, reason: fields.only("ErrorCode")))
        default: return []
        }
    }

    private func sorted(_ fields: [(name: String, value: String)]) -> [(name: String, value: String)] {
        fields.sorted { ($0.name, $0.value) < ($1.name, $1.value) }
    }
}

/// Vonage's SMS API: hexadecimal HMAC over the sorted fields, wherever they stand. Not its default, which is MD5: that is refused.
public struct VonageReceipts: ReceiptSource {
    /// As the account's settings name the method.
    public enum Method: String, Sendable, CaseIterable {
        case sha256
        case sha512
    }

    private let secret: Credential
    private let method: Method

    /// - Parameter secret: the signature secret, not the API secret.
    public init(secret: Credential, method: Method = .sha256) {
        self.secret = secret
        self.method = method
    }

    public func receipts(in call: ReceiptCall, unixSeconds: UInt64) throws(ReceiptRefusal) -> [VendorReceipt] {
        let fields = call.allFields
        guard let signature = fields.only("sig") else { throw .forged("no sig: ask Vonage for signed webhooks") }
        let signed = fields.filter { $0.name != "sig" }.sorted { $0.name < $1.name }.map { field in
            "&\(field.name)=" + String(field.value.map { $0 == "&" || $0 == "=" ? "_" : $0 })
        }
        let bytes = Array(signed.joined().utf8)
        let mac = method == .sha256 ? Hash.hmacSHA256(key: secret.bytes, bytes) : Hash.hmacSHA512(key: secret.bytes, bytes)
        guard Proof.isEqual(signature.lowercased(), Proof.hexadecimal(mac)) else {
            throw .forged("the signature is wrong: is the account's method HMAC with \(method.rawValue), and the secret its signature secret?")
        }
        guard let status = fields.only("status") else { throw .malformed("no status") }
        switch status {
        case "delivered": return try one(VendorReceipt(fields.only("messageId"), isDelivered: true))
        case "expired", "failed", "rejected":
            return try one(VendorReceipt(fields.only("messageId"), isDelivered: false, reason: fields.only("err-code")))
        default: return []
        }
    }
}

/// Telnyx: Ed25519 over time and body.
public struct TelnyxReceipts: ReceiptSource {
    private let publicKey: [UInt8]

    /// `nil` when the key isn't 32 bytes.
    /// - Parameter publicKey: the account's, in base64.
    public init?(publicKey: Credential) {
        guard let key = Base64.decode(publicKey.text), key.count == 32 else { return nil }
        self.publicKey = key
    }

    public func receipts(in call: ReceiptCall, unixSeconds: UInt64) throws(ReceiptRefusal) -> [VendorReceipt] {
        guard let signature = call.header("telnyx-signature-ed25519").flatMap(Base64.decode), let time = call.header("telnyx-timestamp"),
            let seconds = UInt64(time)
        else { throw .forged("no telnyx-signature-ed25519") }
        guard Ed25519.isValid(signature: signature, of: Array("\(time)|".utf8) + call.body, publicKey: publicKey) else {
            throw .forged("the signature is wrong: is the secret the account's public key?")
        }
        guard Proof.isNear(seconds, unixSeconds) else { throw .forged("the signature is \(Proof.maxAge) s old or more: is this machine's clock right?") }
        guard let payload = JSONValue(call.body)?["data"]?["payload"] else { throw .malformed("no data.payload") }
        switch payload["to"]?[0]?["status"]?.text {
        case "delivered": return try one(VendorReceipt(payload["id"]?.text, isDelivered: true))
        case "sending_failed", "delivery_failed", "expired":
            return try one(VendorReceipt(payload["id"]?.text, isDelivered: false, reason: payload["errors"]?[0]?["code"]?.text))
        default: return []
        }
    }
}

/// MessageBird: a JWT with the hashes of url and body.
public struct MessageBirdReceipts: ReceiptSource {
    private let url: String
    private let key: Credential

    /// - Parameters:
    ///   - url: the callback as MessageBird knows it, without a query.
    ///   - key: the signing key, not the access key.
    public init(url: String, key: Credential) {
        self.url = url
        self.key = key
    }

    public func receipts(in call: ReceiptCall, unixSeconds: UInt64) throws(ReceiptRefusal) -> [VendorReceipt] {
        guard let token = call.header("MessageBird-Signature-JWT") else { throw .forged("no MessageBird-Signature-JWT") }
        let claims = try claims(of: token)
        guard claims["iss"]?.text == "MessageBird" else { throw .forged("the token is another issuer's") }
        guard let from = claims["nbf"]?.text.flatMap({ UInt64($0) }), let until = claims["exp"]?.text.flatMap({ UInt64($0) }),
            unixSeconds &+ 60 >= from, unixSeconds < until.addingReportingOverflow(60).partialValue
        else { throw .forged("the token isn't of now: is this machine's clock right?") }
        guard let hash = claims["url_hash"]?.text, Proof.isEqual(hash, Proof.hexadecimal(Hash.sha256(Array(call.url(url).utf8)))) else {
            throw .forged("the token is for another url: is `url` what MessageBird calls?")
        }
        let body = call.body.isEmpty ? nil : Proof.hexadecimal(Hash.sha256(call.body))
        guard claims["payload_hash"]?.text == body else { throw .forged("the token is for another body") }
        let fields = call.queryFields
        guard let status = fields.only("status") else { throw .malformed("no status") }
        switch status {
        case "delivered": return try one(VendorReceipt(fields.only("id"), isDelivered: true))
        case "expired", "delivery_failed":
            return try one(VendorReceipt(fields.only("id"), isDelivered: false, reason: fields.only("statusErrorCode")))
        default: return []
        }
    }

    /// Of an authentic token (RFC 7515, compact). Its header chooses among three MACs, never none.
    private func claims(of token: String) throws(ReceiptRefusal) -> JSONValue {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Base64.decode(String(parts[0])), let claims = Base64.decode(String(parts[1])),
            let signature = Base64.decode(String(parts[2]))
        else { throw .forged("MessageBird-Signature-JWT is no token") }
        let signed = Array("\(parts[0]).\(parts[1])".utf8)
        let wanted: [UInt8]
        switch JSONValue(header)?["alg"]?.text {
        case "HS256": wanted = Hash.hmacSHA256(key: key.bytes, signed)
        case "HS384": wanted = Hash.hmacSHA384(key: key.bytes, signed)
        case "HS512": wanted = Hash.hmacSHA512(key: key.bytes, signed)
        default: throw .forged("the token's algorithm is none of HS256, HS384 and HS512")
        }
        guard Proof.isEqual(signature, wanted) else { throw .forged("the signature is wrong: is the secret the signing key?") }
        guard let json = JSONValue(claims) else { throw .forged("the token holds no claims") }
        return json
    }
}

/// A receipt whose id can't be one of ours is malformed.
func one(_ receipt: VendorReceipt?) throws(ReceiptRefusal) -> [VendorReceipt] {
    guard let receipt else { throw .malformed("no id of a message") }
    return [receipt]
}
