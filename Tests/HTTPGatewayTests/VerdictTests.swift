@testable import HTTPGateway
import Testing

/// What each answer means, by the vendors' published codes. Time and sockets are others'.
@Suite struct VerdictTests {
    static let sms = OutboundSMS(
        phone: "+33612345678", text: "483920 is your code", sender: "Fleur", lifeSeconds: 300, key: "00ff")
    static let secret = Credential(Array("s3cret".utf8))

    enum Class { case accepted, number, route, transient, ambiguous }

    static func classOf(_ vendor: any HTTPVendor, _ status: Int, _ body: String) -> Class {
        switch vendor.verdict(on: HTTPResponse(status: status, body: Array(body.utf8)), to: sms) {
        case .accepted: .accepted
        case .permanentNumber: .number
        case .permanentRoute: .route
        case .transient: .transient
        case .ambiguous: .ambiguous
        }
    }

    static let vendors: [any HTTPVendor] = [
        Twilio(account: "AC1", token: secret, sender: "Fleur"), Vonage(key: "k", secret: secret),
        Plivo(account: "MA1", token: secret), Telnyx(key: secret), MessageBird(key: secret),
        Infobip(base: "https://x.api.infobip.com", key: secret),
        AmazonSNS(region: "eu-west-1", accessKey: "AKID", secret: secret),
        AWSEndUserMessaging(region: "eu-west-1", accessKey: "AKID", secret: secret, configurationSet: nil),
        Kannel(base: "http://127.0.0.1:13013", user: "u", password: secret),
    ]

    /// What HTTP itself says goes for all.
    @Test(arguments: vendors.indices) func statuses(_ index: Int) {
        let vendor = VerdictTests.vendors[index]
        let expected: [(Int, Class)] = [
            (401, .route), (402, .route), (403, .route), (301, .route), (429, .transient), (503, .transient),
            (500, .ambiguous), (502, .ambiguous), (504, .ambiguous), (200, .ambiguous), (400, .number),
        ]
        for (status, wanted) in expected {
            for body in ["", "<html>", "{", "[]", "{\"messages\":[]}"] {
                #expect(VerdictTests.classOf(vendor, status, body) == wanted, "\(vendor) \(status) \(body)")
            }
        }
    }

    @Test func twilio() {
        func of(_ status: Int, _ body: String) -> Class {
            VerdictTests.classOf(VerdictTests.vendors[0], status, body)
        }
        #expect(of(201, #"{"sid":"SM1","status":"queued"}"#) == .accepted)
        #expect(of(400, #"{"code":21211}"#) == .number)
        #expect(of(400, #"{"code":21606}"#) == .route)
        #expect(of(400, #"{"code":21611}"#) == .transient)
        #expect(of(201, #"{"sid":"SM1","status":"failed"}"#) == .number)
    }

    /// 200 proves nothing.
    @Test func vonage() {
        func of(_ statuses: String...) -> Class {
            let parts = statuses.map { #"{"status":"\#($0)","message-id":"m"}"# }.joined(separator: ",")
            return VerdictTests.classOf(VerdictTests.vendors[1], 200, #"{"messages":[\#(parts)]}"#)
        }
        #expect(of("0") == .accepted && of("0", "0") == .accepted)
        #expect(of("0", "1") == .ambiguous && of("9", "0") == .ambiguous)
        for status in ["1", "5", "10"] { #expect(of(status) == .transient) }
        for status in ["6", "7"] { #expect(of(status) == .number) }
        for status in ["2", "3", "4", "8", "9", "11", "14", "15"] { #expect(of(status) == .route) }
    }

    @Test func theOthers() {
        func of(_ index: Int, _ status: Int, _ body: String) -> Class {
            VerdictTests.classOf(VerdictTests.vendors[index], status, body)
        }
        #expect(of(2, 202, #"{"message_uuid":["u"]}"#) == .accepted)
        #expect(of(3, 200, #"{"data":{"id":"i","to":[{"status":"queued"}]}}"#) == .accepted)
        #expect(of(3, 400, #"{"errors":[{"code":"10009"}]}"#) == .route)
        #expect(of(3, 400, #"{"errors":[{"code":"10002"}]}"#) == .number)
        #expect(of(3, 429, #"{"errors":[{"code":"10011"}]}"#) == .transient)
        #expect(of(4, 201, #"{"id":"i","recipients":{"items":[{"status":"sent"}]}}"#) == .accepted)
        #expect(of(5, 200, #"{"messages":[{"messageId":"i","status":{"groupId":1}}]}"#) == .accepted)
        #expect(of(5, 200, #"{"messages":[{"messageId":"i","status":{"groupId":5}}]}"#) == .number)
        #expect(of(6, 200, "<R><MessageId>i</MessageId></R>") == .accepted)
        #expect(of(6, 400, "<E><Code>InvalidParameter</Code></E>") == .number)
        #expect(of(6, 400, "<E><Code>Throttling</Code></E>") == .transient)
        #expect(of(7, 200, #"{"MessageId":"i"}"#) == .accepted)
        #expect(of(7, 400, #"{"__type":"a#ServiceQuotaExceededException"}"#) == .route)
        #expect(of(7, 400, #"{"__type":"ThrottlingException"}"#) == .transient)
        #expect(of(8, 202, "0: Accepted for delivery") == .accepted)
        #expect(of(8, 202, "3: Queued for later delivery") == .accepted)
        #expect(of(8, 400, "Missing receiver number") == .number)
    }

    /// A vendor's prose may repeat the text: none of it gets into a reason; nor does an id that no receipt could match.
    @Test func noProse() {
        for body in [#"{"code":"483920 is your code"}"#, #"{"errors":[{"code":"483920 is"}]}"#] {
            for vendor in VerdictTests.vendors {
                let verdict = vendor.verdict(
                    on: HTTPResponse(status: 400, body: Array(body.utf8)), to: VerdictTests.sms)
                #expect(!"\(verdict)".contains("483920"))
            }
        }
        let long = String(repeating: "a", count: 65)
        let verdict = VerdictTests.vendors[0].verdict(
            on: HTTPResponse(status: 201, body: Array(#"{"sid":"\#(long)"}"#.utf8)), to: VerdictTests.sms)
        #expect(verdict == .accepted(id: ""))
    }

    @Test func retryAfter() {
        for (value, seconds) in [("30", 30), ("", nil), ("-1", nil), ("Wed, 25 Nov", nil)]
            as [(String, UInt64?)]
        {
            let response = HTTPResponse(status: 429, headers: [("retry-after", value)])
            #expect(SubmitVerdict.byStatus(response) == .transient("HTTP 429", retryAfterSeconds: seconds))
        }
    }

    /// Neither secret nor text shows where a request is printed.
    @Test func requestsKeepTheirSecrets() {
        for vendor in VerdictTests.vendors {
            let request = vendor.request(for: VerdictTests.sms, unixSeconds: 0)
            for shown in ["\(request)", String(reflecting: request), "\(vendor)"] {
                #expect(!shown.contains("s3cret") && !shown.contains("483920"))
            }
            #expect(vendor is Kannel || !request.url.contains("s3cret") && !request.url.contains("483920"))
        }
    }
}
