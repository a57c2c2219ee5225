@testable import Courier
import Foundation
import HTTPGateway
import SMPP
import StrictTOML
import Testing

/// The courier's file: the committed example, and what is wrong with others.
@Suite struct CourierConfigTests {
    static let rest = """
        [[gateways]]
        name = "screen"
        kind = "console"
        allow_plaintext = true
        [[routes]]
        gateways = ["screen"]

        """

    static func wrong(_ text: String) -> String {
        do { _ = try CourierConfig.parse(text, name: "c.toml") } catch { return "\(error)" }
        return "nothing is wrong"
    }

    @Test func theExample() throws {
        let folder = try TemporaryFolder()
        try folder.write("password", "secret\n")
        #expect(chmod(folder.path + "/password", 0o600) == 0)
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/Courier/courier.toml")
        let text = try String(contentsOf: path, encoding: .utf8)
            .replacing(/\/etc\/otp-courier\/[a-z]+\.(password|secret)/, with: folder.path + "/password")
        let config = try CourierConfig.parse(text, name: "courier.toml")
        #expect(config.gateways.map { $0.name } == ["fleur", "folder", "twilio", "other"])
        #expect(config.gateways[0].perSecond == 50 && config.gateways[0].priceMicros == 45_000)
        guard case .smpp(let route) = config.gateways[0].kind else {
            Issue.record("not SMPP")
            return
        }
        #expect(
            route.session.responseMs == 5_000 && route.tls?.name == "smsc.example" && route.name == "fleur")
        #expect(route.session.bind.password == Array("secret".utf8))
        #expect(route.session.vendorStatuses == [0x417: .permanentNumber])
        guard case .http(let twilio) = config.gateways[2].kind, case .http(let other) = config.gateways[3].kind else {
            Issue.record("not HTTP")
            return
        }
        #expect(twilio.vendor is Twilio && twilio.sender == "+15005550006" && twilio.answerMs == 5_000 && twilio.proxy == nil)
        let request = other.vendor.request(
            for: OutboundSMS(phone: "+33612345678", text: "a \"b\"", sender: "Example", lifeSeconds: 60, key: "k"), unixSeconds: 0)
        #expect(
            String(decoding: request.body, as: UTF8.self)
                == #"{"to": "+33612345678", "from": "Example", "text": "a \"b\"", "ttl": 60, "ref": "k"}"#)
        #expect(request.header("Authorization") == "Basic c2hvcDpzZWNyZXQ=")
        #expect(config.router.routes.map { $0.gateways } == [["fleur", "folder"], ["folder"]])
        #expect(config.router.routes[0].weights == [1, 0] && config.router.routes[0].sender == "Fleur")
    }

    @Test(arguments: [
        ("", "c.toml:1: socket: is missing; add `socket = \"…\"`"),
        ("socket = \"s\"", "c.toml:1: gateways: is missing; add a `[[gateways]]`"),
        ("socket = \"s\"\nrats = 1\n" + rest, "c.toml:2: rats: unknown key"),
        ("socket = \"s\"\n" + rest.replacing("\"console\"", with: "\"smp\""), "did you mean `smpp`?"),
        ("socket = \"s\"\n" + rest.replacing("[\"screen\"]", with: "[\"scren\"]"), "did you mean `screen`?"),
        ("socket = \"s\"\n" + rest + "prefixes = [\"33\"]", "`33` must be as `+33`"),
        ("socket = \"s\"\n" + rest + "weights = [0]", "weights: must be one number for each gateway"),
        ("socket = \"s\"\n" + rest + "sender = \"A very long name\"", "sender: must be +number"),
        (
            "socket = \"s\"\n" + rest.replacing("[[routes]]", with: "price = \"0.05\"\n[[routes]]"),
            "currency: must be"
        ),
        ("socket = \"s\"\n" + rest, "nothing is wrong"),
    ]) func mistakes(_ text: String, _ expected: String) {
        #expect(Self.wrong(text).contains(expected), "\(Self.wrong(text))")
    }

    @Test(
        arguments: [
            ("0.045", 45_000), ("1", 1_000_000), ("0.000001", 1), ("", nil), (".5", nil), ("0.0000001", nil),
            ("-1", nil),
            ("+1", nil), ("1e3", nil), ("1.", nil),
        ] as [(String, UInt64?)]) func prices(_ text: String, _ micros: UInt64?)
    {
        #expect(CourierConfig.micros(text) == micros)
    }

    /// What is wrong with an HTTP gateway of these lines.
    private func wrong(http lines: String) throws -> String {
        let folder = try TemporaryFolder()
        try folder.write("secret", "s\n")
        chmod(folder.path + "/secret", 0o600)
        let text =
            "socket = \"s\"\n"
            + Self.rest.replacing(
                "kind = \"console\"", with: "kind = \"http\"\nsecret_file = \"\(folder.path)/secret\"\n" + lines)
        return CourierConfigTests.wrong(text)
    }

    @Test(arguments: [
        ("", "vendor: is missing; add `vendor = \"twilio\"`"),
        ("vendor = \"twillio\"\n", "did you mean `twilio`?"),
        ("vendor = \"twilio\"\n", "account: is missing"),
        ("vendor = \"sns\"\naccount = \"AK\"\n", "region: is missing"),
        ("vendor = \"infobip\"\n", "base: is missing"),
        ("vendor = \"telnyx\"\nbase = \"ftp://x\"\n", "base: must begin with `https://`"),
        ("vendor = \"telnyx\"\nbase = \"http://sms.example\"\n", "base: would send codes and the secret in clear"),
        ("vendor = \"telnyx\"\nbase = \"http://127.0.0.1@sms.example\"\n", "in clear"),
        ("vendor = \"telnyx\"\nbase = \"http://127.0.0.1.sms.example\"\n", "in clear"),
        ("vendor = \"telnyx\"\nbase = \"http://localhost.sms.example\"\n", "in clear"),
        ("vendor = \"telnyx\"\nbase = \"http://sms.example\"\nallow_plain_http = true\n", "nothing is wrong"),
        ("vendor = \"kannel\"\naccount = \"u\"\nbase = \"http://127.0.0.1:13013\"\n", "nothing is wrong"),
        ("vendor = \"kannel\"\naccount = \"u\"\nbase = \"http://[::1]:13013\"\n", "nothing is wrong"),
        ("vendor = \"kannel\"\naccount = \"u\"\nbase = \"http://127.0.0.1:13013\"\nproxy = \"http://proxy.example:3128\"\n", "in clear"),
        ("vendor = \"kannel\"\naccount = \"u\"\nbase = \"http://127.0.0.1:13013\"\nproxy = \"proxy.example\"\n", "in clear"),
        ("vendor = \"kannel\"\naccount = \"u\"\nbase = \"http://127.0.0.1\"\nproxy = \"socks5h://127.0.0.1@10.0.0.1:1\"\n", "in clear"),
        ("vendor = \"kannel\"\naccount = \"u\"\nbase = \"http://[::1]\"\nproxy = \"http://u:p@[::1]:3128\"\n", "nothing is wrong"),
        ("vendor = \"kannel\"\naccount = \"u\"\nbase = \"http://[::1]\"\nproxy = \"127.0.0.1:3128\"\n", "nothing is wrong"),
        ("vendor = \"telnyx\"\nproxy = \"http://proxy.example:3128\"\n", "nothing is wrong"),
        ("vendor = \"telnyx\"\nwindow = 0\n", "window: must be"),
        ("vendor = \"telnyx\"\nregion = \"x\"\n", "region: unknown key"),
        ("vendor = \"generic\"\n", "request: is missing"),
    ])
    func wrongVendors(_ lines: String, _ said: String) throws {
        let why = try wrong(http: lines)
        #expect(why.contains(said), "\(why)")
    }

    /// SMPP without TLS shows the password and every code to whoever is on the way.
    @Test(arguments: [
        ("host = \"smsc.example\"\n", false), ("host = \"10.0.0.7\"\n", false), ("host = \"127.0.0.1.smsc.example\"\n", false),
        ("host = \"localhost.example\"\n", false), ("host = \"smsc.example\"\ntls = false\n", false),
        ("host = \"smsc.example\"\nallow_plain_smpp = true\n", true), ("host = \"smsc.example\"\ntls = true\n", true),
        ("host = \"127.0.0.1\"\n", true), ("host = \"localhost\"\n", true), ("host = \"::1\"\n", true),
    ])
    func smppInClear(_ lines: String, _ isTaken: Bool) throws {
        let folder = try TemporaryFolder()
        try folder.write("secret", "s\n")
        chmod(folder.path + "/secret", 0o600)
        let kind = "kind = \"smpp\"\nsystem_id = \"shop\"\npassword_file = \"\(folder.path)/secret\"\n" + lines
        let why = CourierConfigTests.wrong("socket = \"s\"\n" + Self.rest.replacing("kind = \"console\"", with: kind))
        #expect(why.contains(isTaken ? "nothing is wrong" : "host: codes and the password would go to"), "\(why)")
    }
}
