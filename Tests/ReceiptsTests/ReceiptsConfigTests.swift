import Foundation
import HTTPGateway
@testable import Receipts
import StrictTOML
import Testing

/// Which files are taken, and what is said of the others.
@Suite struct ReceiptsConfigTests {
    static let secret: String = {
        let path = NSTemporaryDirectory() + "otp-receipts-test-secret-\(geteuid())"
        _ = FileManager.default.createFile(atPath: path, contents: Data("0123456789abcdef\n".utf8), attributes: [.posixPermissions: 0o600])
        return path
    }()

    static func entry(_ lines: String, path: String = "/r") -> String {
        "[[receipts]]\ngateway = \"g\"\npath = \"\(path)\"\nsecret_file = \"\(secret)\"\n\(lines)\n"
    }

    static func parse(_ text: String) throws -> ReceiptsConfig { try ReceiptsConfig.parse("socket = \"/s\"\n" + text, name: "t") }

    @Test(arguments: [
        "vendor = \"twilio\"\nurl = \"https://a.example/r\"", "vendor = \"plivo\"\nurl = \"https://a.example/r\"", "vendor = \"messagebird\"\nurl = \"https://a.example/r\"",
        "vendor = \"vonage\"", "vendor = \"vonage\"\nmethod = \"sha512\"", "vendor = \"infobip\"", "vendor = \"kannel\"",
        "vendor = \"generic\"\nid = \"i\"\nstatus = \"s\"\ndelivered = [\"d\"]",
    ]) func taken(_ lines: String) throws {
        let config = try ReceiptsConfigTests.parse(ReceiptsConfigTests.entry(lines))
        #expect(config.entries.count == 1 && config.listen == .tcp(host: "127.0.0.1", port: 8431))
    }

    @Test(arguments: [
        ("vendor = \"twilio\"", "receipts[0].url: is missing"), ("vendor = \"twilio\"\nurl = \"https://a.example/r?x=1\"", "without its query"),
        ("vendor = \"vonage\"\nmethod = \"md5\"", "sha256, sha512"), ("vendor = \"telnyx\"", "32 bytes in base64"), ("vendor = \"sns\"", "vendor: "),
        ("", "vendor: is missing"), ("vendor = \"kannel\"\nurll = \"x\"", "unknown key"), ("vendor = \"generic\"\nid = \"i\"\nstatus = \"s\"", "delivered: is missing"),
    ]) func refused(_ lines: String, _ why: String) {
        do {
            _ = try ReceiptsConfigTests.parse(ReceiptsConfigTests.entry(lines))
            Issue.record("taken: \(lines)")
        } catch { #expect("\(error)".contains(why), "\(error)") }
    }

    @Test func aSecretThatCanBeGuessed() throws {
        let path = ReceiptsConfigTests.secret + "-short"
        _ = FileManager.default.createFile(atPath: path, contents: Data("123456789012345\n".utf8), attributes: [.posixPermissions: 0o600])
        defer { unlink(path) }
        let text = "[[receipts]]\ngateway = \"g\"\npath = \"/r\"\nvendor = \"kannel\"\nsecret_file = \"\(path)\"\n"
        #expect(throws: ConfigError.self) { _ = try ReceiptsConfigTests.parse(text) }
    }

    @Test func twoOfOnePath() {
        let entry = ReceiptsConfigTests.entry("vendor = \"kannel\"")
        #expect(throws: ConfigError.self) { _ = try ReceiptsConfigTests.parse(entry + entry) }
        #expect(throws: ConfigError.self) { _ = try ReceiptsConfigTests.parse("") }
    }

    /// The world is the proxy's business.
    @Test func places() {
        #expect(ReceiptsConfig.place("127.0.0.1:80") == .tcp(host: "127.0.0.1", port: 80))
        #expect(ReceiptsConfig.place("127.1.2.3:0") == .tcp(host: "127.1.2.3", port: 0))
        #expect(ReceiptsConfig.place("[::1]:8431") == .tcp(host: "::1", port: 8431))
        #expect(ReceiptsConfig.place("/run/otp-receipts.sock") == .unix(path: "/run/otp-receipts.sock"))
        for text in ["0.0.0.0:80", "10.0.0.1:80", "localhost:80", "127.0.0.1", "127.0.0.1:70000", "[::]:80", "127.0.0.1.example:80", "127.0.0:80", ""] {
            #expect(ReceiptsConfig.place(text) == nil, "\(text)")
        }
    }

    /// The file that shows every key is taken, once its secrets are there.
    @Test func theExample() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Sources/Receipts/receipts.toml")
        let text = try String(contentsOf: file, encoding: .utf8)
        let own = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("secret_file") ? "secret_file = \"\(ReceiptsConfigTests.secret)\"" : String(line)
        }
        let config = try ReceiptsConfig.parse(own.joined(separator: "\n"), name: "receipts.toml")
        #expect(config.entries.map(\.gateway) == ["twilio", "vonage", "other"])
    }
}
