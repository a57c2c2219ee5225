@testable import Courier
import Foundation
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
            .replacingOccurrences(of: "/etc/otpd/fleur.password", with: folder.path + "/password")
        let config = try CourierConfig.parse(text, name: "courier.toml")
        #expect(config.gateways.map { $0.name } == ["fleur", "folder"])
        #expect(config.gateways[0].perSecond == 50 && config.gateways[0].priceMicros == 45_000)
        guard case .smpp(let route) = config.gateways[0].kind else {
            Issue.record("not SMPP")
            return
        }
        #expect(
            route.session.responseMs == 5_000 && route.tls?.name == "smsc.example" && route.name == "fleur")
        #expect(route.session.bind.password == Array("secret".utf8))
        #expect(route.session.vendorStatuses == [0x417: .permanentNumber])
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
}
