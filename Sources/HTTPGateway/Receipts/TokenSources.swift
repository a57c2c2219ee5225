import LibCrypto

// Vendors that sign nothing: the callback's url holds a secret, `?token=…`. Keep it out of the proxy's access log.

/// Infobip's reports on deliveries.
public struct InfobipReceipts: ReceiptSource {
    /// DELIVERED_TO_OPERATOR: an intermediate state, although its group says delivered.
    private static let atOperator = "2"
    private let token: Credential

    /// With the callback's token.
    public init(token: Credential) { self.token = token }

    public func receipts(in call: ReceiptCall, unixSeconds: UInt64) throws(ReceiptRefusal) -> [VendorReceipt] {
        try Proof.checkToken(call, token)
        guard let results = JSONValue(call.body)?["results"]?.items else { throw .malformed("no results") }
        var receipts: [VendorReceipt] = []
        for result in results {
            let (id, status) = (result["messageId"]?.text, result["status"])
            switch status?["groupId"]?.text {
            case "3" where status?["id"]?.text != InfobipReceipts.atOperator: receipts += try one(VendorReceipt(id, isDelivered: true))
            case "2", "4", "5":
                receipts += try one(VendorReceipt(id, isDelivered: false, reason: result["error"]?["id"]?.text ?? status?["id"]?.text))
            default: continue
            }
        }
        return receipts
    }
}

/// Kannel's dlr-url, as `Kannel` asks for it: `reference=…&state=%d`.
public struct KannelReceipts: ReceiptSource {
    private let token: Credential

    /// With the callback's token.
    public init(token: Credential) { self.token = token }

    public func receipts(in call: ReceiptCall, unixSeconds: UInt64) throws(ReceiptRefusal) -> [VendorReceipt] {
        try Proof.checkToken(call, token)
        let fields = call.queryFields
        guard let text = fields.only("state"), let state = UInt16(text) else { throw .malformed("no state") }
        // Bits: 1 delivered, 2 failed, 4 buffered, 8 at the SMSC, 16 refused by it.
        if state & 1 != 0 { return try one(VendorReceipt(fields.only("reference"), isDelivered: true)) }
        guard state & 0x12 != 0 else { return [] }
        return try one(VendorReceipt(fields.only("reference"), isDelivered: false, reason: "state-\(state)"))
    }
}

/// A vendor that nobody wrote code for: where its callbacks have what, and how they prove themselves, as configured.
public struct GenericReceipts: ReceiptSource {
    /// As configured.
    public struct Settings: Sendable {
        /// The header with a hexadecimal or base64 HMAC-SHA-256 of the body (`sha256=` may stand before it); empty = a token in the url.
        public var signatureHeader = ""
        /// For either.
        public var secret = Credential([])
        /// Where the id stands: a field's name, or a path in a JSON body (`message.id`).
        public var id = ""
        /// Where the state stands.
        public var status = ""
        /// Where a failure's code stands; empty = nowhere.
        public var code = ""
        /// States that mean: the handset has it.
        public var delivered: Set<String> = []
        /// States that mean: it never will.
        public var failed: Set<String> = []

        /// Nothing.
        public init() {}
    }

    private let settings: Settings

    /// As configured.
    public init(_ settings: Settings) { self.settings = settings }

    public func receipts(in call: ReceiptCall, unixSeconds: UInt64) throws(ReceiptRefusal) -> [VendorReceipt] {
        try check(call)
        // Signed is the body alone: what the query says proves nothing.
        let fields = settings.signatureHeader.isEmpty ? call.queryFields + call.formFields : call.formFields
        let json = JSONValue(call.body)
        func value(_ place: String) -> String? {
            place.isEmpty ? nil : json?.at(place.split(separator: ".").map(String.init))?.text ?? fields.only(place)
        }
        guard let status = value(settings.status) else { throw .malformed("no \(settings.status)") }
        if settings.delivered.contains(status) { return try one(VendorReceipt(value(settings.id), isDelivered: true)) }
        guard settings.failed.contains(status) else { return [] }
        return try one(VendorReceipt(value(settings.id), isDelivered: false, reason: value(settings.code) ?? status))
    }

    private func check(_ call: ReceiptCall) throws(ReceiptRefusal) {
        guard !settings.signatureHeader.isEmpty else { return try Proof.checkToken(call, settings.secret) }
        guard var given = call.header(settings.signatureHeader) else { throw .forged("no \(settings.signatureHeader)") }
        if given.hasPrefix("sha256=") { given.removeFirst(7) }
        let mac = Hash.hmacSHA256(key: settings.secret.bytes, call.body)
        guard Proof.isEqual(given.lowercased(), Proof.hexadecimal(mac)) || Proof.isEqual(given, Base64.encode(mac)) else {
            throw .forged("the signature is wrong")
        }
    }
}
