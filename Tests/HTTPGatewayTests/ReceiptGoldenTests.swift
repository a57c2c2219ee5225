@testable import HTTPGateway
import Testing

/// Callbacks as the vendors' own SDKs sign them (scripts/vendor-goldens.py), and the same with anything changed.
@Suite struct ReceiptGoldenTests {
    static let now: UInt64 = 1_764_061_200

    struct Golden {
        var vendor: String
        var source: any ReceiptSource
        var call: ReceiptCall
        var receipts: [VendorReceipt]
    }

    static func goldens() throws -> [Golden] {
        try #require(try GoldenTests.golden()["callbacks"]?.items).map { entry in
            func text(_ key: String) throws -> String { try #require(entry[key]?.text) }
            let secret = Credential(Array(try text("secret").utf8))
            let url = "https://shop.example/sms"
            let source: (any ReceiptSource)? =
                switch try text("vendor") {
                case "twilio": TwilioReceipts(url: url, token: secret)
                case "plivo": PlivoReceipts(url: url, token: secret)
                case "vonage": VonageReceipts(secret: secret, method: try #require(VonageReceipts.Method(rawValue: try text("algorithm"))))
                case "telnyx": TelnyxReceipts(publicKey: secret)
                case "messagebird": MessageBirdReceipts(url: url, key: secret)
                default: nil
                }
            var call = ReceiptCall(method: try text("method"), query: try text("query"), body: Array(try text("body").utf8))
            guard case .object(let headers) = entry["headers"] else { throw GoldenError() }
            call.headers = headers.map { ($0.key, $0.value.text ?? "") }
            let receipts = try #require(entry["receipts"]?.items).map { receipt in
                try #require(VendorReceipt(receipt[0]?.text, isDelivered: receipt[1]?.text == "true", reason: receipt[2]?.text))
            }
            return Golden(vendor: try text("vendor"), source: try #require(source), call: call, receipts: receipts)
        }
    }

    struct GoldenError: Error {}

    static func isForged(_ source: any ReceiptSource, _ call: ReceiptCall, at now: UInt64 = now) -> Bool {
        do throws(ReceiptRefusal) { _ = try source.receipts(in: call, unixSeconds: now) } catch {
            if case .forged = error { return true }
        }
        return false
    }

    @Test func asSigned() throws {
        let goldens = try ReceiptGoldenTests.goldens()
        #expect(goldens.count == 22)
        for golden in goldens {
            #expect(try golden.source.receipts(in: golden.call, unixSeconds: ReceiptGoldenTests.now) == golden.receipts, "\(golden.vendor) \(golden.call.query)")
        }
    }

    /// Each byte of query and body, one after the other: what was signed isn't what came.
    @Test func anyChangeIsForged() throws {
        for golden in try ReceiptGoldenTests.goldens() {
            for place in golden.call.body.indices {
                var call = golden.call
                // A digit or a letter stays one: a form that is another form, not one that can't be read.
                call.body[place] = call.body[place] == 0x61 ? 0x62 : 0x61
                // `+` and its like read the same, so this does.
                if golden.vendor != "telnyx", Form.fields(String(decoding: call.body, as: UTF8.self)).elementsEqual(golden.call.formFields, by: ==) { continue }
                #expect(ReceiptGoldenTests.isForged(golden.source, call), "\(golden.vendor) body \(place)")
            }
            var query = Array(golden.call.query.utf8)
            for place in query.indices {
                let before = query[place]
                query[place] = before == 0x61 ? 0x62 : 0x61
                var call = golden.call
                call.query = String(decoding: query, as: UTF8.self)
                #expect(ReceiptGoldenTests.isForged(golden.source, call), "\(golden.vendor) query \(call.query)")
                query[place] = before
            }
        }
    }

    @Test func withoutSignatureOrWithAnotherSecret() throws {
        let other = Credential(Array("another secret of this length".utf8))
        for golden in try ReceiptGoldenTests.goldens() {
            var call = golden.call
            call.headers.removeAll { $0.name != "Content-Type" }
            call.query = call.query.replacing("sig=", with: "gis=")
            call.body = Array(String(decoding: call.body, as: UTF8.self).replacing("sig", with: "gis").utf8)
            #expect(ReceiptGoldenTests.isForged(golden.source, call), "\(golden.vendor)")
            let url = "https://shop.example/sms"
            let source: any ReceiptSource =
                switch golden.vendor {
                case "twilio": TwilioReceipts(url: url, token: other)
                case "plivo": PlivoReceipts(url: url, token: other)
                case "vonage": VonageReceipts(secret: other)
                case "messagebird": MessageBirdReceipts(url: url, key: other)
                default: try #require(TelnyxReceipts(publicKey: Credential(Array(Base64.encode([UInt8](repeating: 7, count: 32)).utf8))))
                }
            #expect(ReceiptGoldenTests.isForged(source, golden.call), "\(golden.vendor)")
        }
    }

    /// A signature that says when it was made is good for minutes, by either clock.
    @Test func oldOnes() throws {
        for golden in try ReceiptGoldenTests.goldens() where ["telnyx", "messagebird"].contains(golden.vendor) {
            for seconds in [ReceiptGoldenTests.now - 301, ReceiptGoldenTests.now + 301, 0, .max] {
                #expect(ReceiptGoldenTests.isForged(golden.source, golden.call, at: seconds), "\(golden.vendor) \(seconds)")
            }
        }
    }

    /// The header of a JWT may not choose `none`, nor a key of its own.
    @Test(arguments: [#"{"alg":"none"}"#, #"{"typ":"JWT"}"#, #"{"alg":"RS256"}"#, "{"]) func tokensThatSignNothing(_ header: String) throws {
        let source = MessageBirdReceipts(url: "https://shop.example/sms", key: Credential(Array("0123456789abcdef".utf8)))
        let claims = #"{"iss":"MessageBird","nbf":0,"exp":9999999999}"#
        for signature in ["", "AA"] {
            let token = "\(Base64.encode(Array(header.utf8))).\(Base64.encode(Array(claims.utf8))).\(signature)"
            let call = ReceiptCall(method: "GET", query: "id=1&status=delivered", headers: [("MessageBird-Signature-JWT", token)])
            #expect(ReceiptGoldenTests.isForged(source, call))
        }
    }
}
