@testable import HTTPGateway
import LibCrypto
import Testing

/// Vendors that sign nothing, and the one of the configuration.
@Suite struct TokenReceiptTests {
    static let token = Credential(Array("0123456789abcdef".utf8))

    static func call(_ query: String, body: String = "") -> ReceiptCall {
        ReceiptCall(method: body.isEmpty ? "GET" : "POST", query: query, body: Array(body.utf8))
    }

    static func receipt(_ reference: String, _ isDelivered: Bool, _ reason: String = "") -> VendorReceipt? {
        VendorReceipt(reference, isDelivered: isDelivered, reason: reason)
    }

    @Test(arguments: ["", "token=", "token=0123456789abcde", "token=0123456789abcdeg", "token=0123456789abcdef&token=0123456789abcdef", "Token=0123456789abcdef"])
    func withoutTheToken(_ query: String) {
        for source in [KannelReceipts(token: TokenReceiptTests.token), InfobipReceipts(token: TokenReceiptTests.token)] as [any ReceiptSource] {
            let call = TokenReceiptTests.call(query + "&reference=1&state=1", body: #"{"results":[]}"#)
            #expect(ReceiptGoldenTests.isForged(source, call), "\(query)")
        }
    }

    /// What Kannel sends: facts of a real one.
    @Test(arguments: [
        ("1", receipt("r-1", true)), ("2", receipt("r-1", false, "state-2")), ("16", receipt("r-1", false, "state-16")), ("34", receipt("r-1", false, "state-34")),
        ("8", nil), ("4", nil),
    ]) func kannel(_ state: String, _ expected: VendorReceipt?) throws {
        let call = TokenReceiptTests.call("token=0123456789abcdef&reference=r-1&state=\(state)")
        #expect(try KannelReceipts(token: TokenReceiptTests.token).receipts(in: call, unixSeconds: 0) == (expected.map { [$0] } ?? []))
    }

    @Test func infobip() throws {
        let results = [
            #"{"messageId":"a","status":{"groupId":3,"id":5},"error":{"id":0}}"#, #"{"messageId":"b","status":{"groupId":3,"id":2}}"#,
            #"{"messageId":"c","status":{"groupId":5,"id":6},"error":{"id":4096,"permanent":true}}"#, #"{"messageId":"d","status":{"groupId":1,"id":7}}"#,
            #"{"messageId":"e","status":{"groupId":4,"id":15}}"#,
        ]
        let call = TokenReceiptTests.call("token=0123456789abcdef", body: #"{"results":[\#(results.joined(separator: ","))]}"#)
        let receipts = try InfobipReceipts(token: TokenReceiptTests.token).receipts(in: call, unixSeconds: 0)
        #expect(receipts == [("a", true, ""), ("c", false, "4096"), ("e", false, "15")].compactMap(TokenReceiptTests.receipt))
    }

    static func generic(signed: Bool) -> GenericReceipts {
        var settings = GenericReceipts.Settings()
        settings.secret = token
        settings.signatureHeader = signed ? "X-Signature" : ""
        (settings.id, settings.status, settings.code) = ("message.id", "message.status", "message.error")
        (settings.delivered, settings.failed) = (["ok"], ["bad"])
        return GenericReceipts(settings)
    }

    @Test func generic() throws {
        for (status, expected) in [("ok", TokenReceiptTests.receipt("g", true)), ("bad", TokenReceiptTests.receipt("g", false, "7")), ("sent", nil)] {
            let json = #"{"message":{"id":"g","status":"\#(status)","error":7}}"#
            let form = "message.id=g&message.status=\(status)&message.error=7"
            let wanted = expected.map { [$0] } ?? []
            #expect(try TokenReceiptTests.generic(signed: false).receipts(in: TokenReceiptTests.call("token=0123456789abcdef", body: json), unixSeconds: 0) == wanted)
            let query = TokenReceiptTests.call("token=0123456789abcdef&" + form)
            #expect(try TokenReceiptTests.generic(signed: false).receipts(in: query, unixSeconds: 0) == wanted)
            let mac = Hash.hmacSHA256(key: Array("0123456789abcdef".utf8), Array(json.utf8))
            for signature in [Proof.hexadecimal(mac), "sha256=" + Proof.hexadecimal(mac).uppercased(), Base64.encode(mac)] {
                var call = TokenReceiptTests.call("", body: json)
                call.headers = [("x-signature", signature)]
                #expect(try TokenReceiptTests.generic(signed: true).receipts(in: call, unixSeconds: 0) == wanted, "\(signature)")
                call.body[5] ^= 1
                #expect(ReceiptGoldenTests.isForged(TokenReceiptTests.generic(signed: true), call))
            }
        }
    }

    /// The signature is over the body: a query beside it says nothing.
    @Test func anUnsignedQueryBesideASignedBody() throws {
        var call = TokenReceiptTests.call("message.id=forged&message.status=ok", body: "{}")
        call.headers = [("X-Signature", Base64.encode(Hash.hmacSHA256(key: Array("0123456789abcdef".utf8), Array("{}".utf8))))]
        #expect(throws: ReceiptRefusal.malformed("no message.status")) { _ = try TokenReceiptTests.generic(signed: true).receipts(in: call, unixSeconds: 0) }
    }

    @Test(arguments: ["token=0123456789abcdef", "token=0123456789abcdef&state=1", "token=0123456789abcdef&reference=&state=1", "token=0123456789abcdef&reference=a b&state=1"])
    func authenticButOdd(_ query: String) {
        #expect(throws: ReceiptRefusal.self) { _ = try KannelReceipts(token: TokenReceiptTests.token).receipts(in: TokenReceiptTests.call(query), unixSeconds: 0) }
        #expect(!ReceiptGoldenTests.isForged(KannelReceipts(token: TokenReceiptTests.token), TokenReceiptTests.call(query)))
    }

    /// A vendor's prose isn't a reason: it may hold the text, and the code in it.
    @Test func proseIsNoReason() {
        #expect(VendorReceipt("1", isDelivered: false, reason: "text:Your code is 123456")?.reason == "")
        #expect(VendorReceipt(String(repeating: "a", count: 65), isDelivered: true) == nil)
    }

    @Test func forms() {
        let fields = Form.fields("a=1&b&c=%C3%A9+%2B&=x&d=%4&e=%&f=1=2&&g=%zz")
        let expected = [("a", "1"), ("b", ""), ("c", "é +"), ("", "x"), ("d", "%4"), ("e", "%"), ("f", "1=2"), ("g", "%zz")]
        #expect(fields.elementsEqual(expected.map { (name: $0.0, value: $0.1) }, by: ==))
    }
}
