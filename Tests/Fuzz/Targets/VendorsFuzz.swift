@testable import HTTPGateway

/// What HTTP vendors say, in answers and in receipts: any bytes are a verdict whose words are ours alone, and a receipt is believed only
/// with its proof.
/// Input: a byte for whom; two for a status; a length (2) of the query, the query, the rest as body.
enum VendorsFuzz: FuzzTarget {
    static let name = "vendors"

    private static let secret = Credential(Array("s3cret-of-32-bytes-and-some-more".utf8))

    private static let vendors: [any HTTPVendor] = [
        Twilio(account: "AC1", token: secret, sender: "Fleur"), Vonage(key: "k", secret: secret),
        Plivo(account: "MA", token: secret), Telnyx(key: secret), MessageBird(key: secret),
        Infobip(base: "https://x.api.infobip.com", key: secret),
        AmazonSNS(region: "eu-west-1", accessKey: "AKID", secret: secret),
        AWSEndUserMessaging(region: "eu-west-1", accessKey: "AKID", secret: secret, configurationSet: nil),
        Kannel(base: "http://127.0.0.1:13013", user: "u", password: secret),
    ]

    private static let sms = OutboundSMS(
        phone: "+33612345678", text: "483920 is your code", sender: "Fleur", lifeSeconds: 300, key: "00ff", callback: "")

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        var input = FuzzInput(bytes)
        let whom = Int(input.u8())
        let status = input.u16() % 1_000
        let query = String(decoding: input.take(input.u16()), as: UTF8.self)
        let body = Array(input.rest)
        try answer(whom, status, query, body)
        try receipt(whom, query, body)
        try json(body)
    }

    private static func answer(_ whom: Int, _ status: Int, _ header: String, _ body: [UInt8]) throws(FuzzFailure) {
        let vendor = vendors[whom % vendors.count]
        let response = HTTPResponse(status: status, headers: [("Retry-After", header)], body: body)
        let verdict = vendor.verdict(on: response, to: sms)
        switch verdict {
        case .accepted(let id):
            try expect((200..<300).contains(status), "taken with HTTP \(status)")
            try expect(id.isEmpty || SubmitVerdict.isTame(id), "an id that no report can hold")
        case .permanentNumber(let why), .permanentRoute(let why), .ambiguous(let why), .transient(let why, _):
            try expect(why.utf8.count <= 200 && why.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "a reason that isn't ours: \(why)")
        }
    }

    /// The secrets stay with us, so nothing that a stranger sends is a receipt.
    private static func receipt(_ whom: Int, _ query: String, _ body: [UInt8]) throws(FuzzFailure) {
        let sources: [any ReceiptSource] = [
            TwilioReceipts(url: "https://shop.example/sms", token: secret), PlivoReceipts(url: "https://shop.example/sms", token: secret),
            VonageReceipts(secret: secret), MessageBirdReceipts(url: "https://shop.example/sms", key: secret),
            InfobipReceipts(token: secret), KannelReceipts(token: secret),
        ]
        let form = ("Content-Type", "application/x-www-form-urlencoded")
        let proofs = ["X-Twilio-Signature", "X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce", "MessageBird-Signature-JWT"]
        let call = ReceiptCall(
            method: whom & 64 == 0 ? "POST" : "GET", query: query, headers: [form] + proofs.map { ($0, query) }, body: body)
        let source = sources[whom % sources.count]
        do throws(ReceiptRefusal) { _ = try source.receipts(in: call, unixSeconds: 1_764_061_200) } catch {
            guard case .forged = error else { throw FuzzFailure(description: "\(error): it was read before its proof was") }
            return
        }
        throw FuzzFailure(description: "read without a proof")
    }

    private static func json(_ body: [UInt8]) throws(FuzzFailure) {
        guard let value = JSONValue(body) else { return }
        let written = Array(value.json.utf8)
        try expect(JSONValue(written) == value, "\(value.json) is another value when it is read again")
    }
}
