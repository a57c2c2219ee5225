import Foundation
@testable import HTTPGateway
import Testing

/// Our requests beside those of the vendors' official SDKs (scripts/vendor-goldens.py), and our reading of the answers that the SDKs read.
@Suite struct GoldenTests {
    static let secret = Credential(Array("s3cret".utf8))

    static func golden() throws -> JSONValue {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Vectors/vendors.json")
        return try #require(JSONValue([UInt8](try Data(contentsOf: file))))
    }

    static func vendor(_ name: String) -> (any HTTPVendor)? {
        switch name {
        case "twilio": Twilio(account: "AC1", token: secret, sender: "Fleur")
        case "vonage": Vonage(key: "k", secret: secret)
        case "plivo": Plivo(account: "MAMTAWMJIZZDYWNMVIZJ", token: secret)
        case "telnyx": Telnyx(key: secret)
        case "messagebird": MessageBird(key: secret)
        case "infobip": Infobip(base: "https://x.api.infobip.com", key: secret)
        case "sns": AmazonSNS(region: "eu-west-1", accessKey: "AKID", secret: secret)
        case "eum": AWSEndUserMessaging(region: "eu-west-1", accessKey: "AKID", secret: secret, configurationSet: "otp")
        default: nil
        }
    }

    /// Without order, and numbers as their text: what a form and a JSON object have in common.
    static func flat(_ value: JSONValue, _ path: String = "") -> Set<String> {
        switch value {
        case .object(let members): Set(members.flatMap { flat($0.value, path + "/" + $0.key) })
        case .array(let items): Set(items.enumerated().flatMap { flat($1, "\(path)/\($0)") })
        case .null: []
        case .string, .number, .bool: ["\(path)=\(value.text ?? "")"]
        }
    }

    static func fields(of request: HTTPRequest) throws -> Set<String> {
        if request.header("Content-Type")?.contains("json") == true {
            return flat(try #require(JSONValue(request.body)))
        }
        let pairs = String(decoding: request.body, as: UTF8.self).split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", omittingEmptySubsequences: false).map {
                $0.replacingOccurrences(of: "+", with: " ").removingPercentEncoding ?? "?"
            }
            return "/\(parts[0])=\(parts[1])"
        }
        return Set(pairs)
    }

    @Test func requestsAndAnswers() throws {
        let entries = try #require(try GoldenTests.golden()["vendors"]?.items)
        #expect(entries.count == 8)
        let sms = OutboundSMS(
            phone: "+33612345678", text: "483920 is your Fleur code & <é>", sender: "Fleur", lifeSeconds: 300,
            key: String(repeating: "0", count: 30) + "ff", callback: "https://shop.example/r?x=1")
        for entry in entries {
            let name = try #require(entry["vendor"]?.text)
            let vendor = try #require(GoldenTests.vendor(name))
            let request = vendor.request(for: sms, unixSeconds: 0)
            let path = try #require(entry["path"]?.text)
            #expect(request.url.hasSuffix(path) && request.url.hasPrefix("https://"), "\(name) \(request)")
            guard case .object(let headers) = entry["headers"] else {
                Issue.record("\(name) has no headers")
                continue
            }
            for header in headers {
                // SNS's SDK names the charset, and so do we.
                let ours = header.key == "content-type" ? request.header(header.key)?.split(separator: ";").first.map(String.init)
                    : request.header(header.key)
                #expect(ours == header.value.text, "\(name)")
            }
            let ours = try GoldenTests.fields(of: request)
            let theirs = GoldenTests.flat(try #require(entry["fields"]))
            #expect(ours == theirs, "\(name): \(ours.symmetricDifference(theirs).sorted())")
            let body = entry["answer"].map { $0.text ?? $0.json } ?? ""
            let answer = HTTPResponse(status: Int(entry["status"]?.text ?? "") ?? 0, body: Array(body.utf8))
            #expect(vendor.verdict(on: answer, to: sms) == .accepted(id: entry["id"]?.text ?? "?"), "\(name)")
        }
    }

    /// Byte-equal to botocore's.
    @Test func signatures() throws {
        let golden = try GoldenTests.golden()
        let seconds = try #require(golden["seconds"]?.text.flatMap { UInt64($0) })
        let entries = try #require(golden["sigv4"]?.items)
        #expect(entries.count == 2)
        for entry in entries {
            var request = HTTPRequest(url: entry["url"]?.text ?? "")
            guard case .object(let headers) = entry["headers"] else { continue }
            request.headers = headers.map { ($0.key, $0.value.text ?? "") }
            request.body = Array((entry["body"]?.text ?? "").utf8)
            SigV4(
                region: "eu-west-1", service: entry["service"]?.text ?? "", accessKey: "AKID",
                secret: GoldenTests.secret
            ).sign(&request, unixSeconds: seconds)
            #expect(request.header("X-Amz-Date") == entry["date"]?.text)
            #expect(request.header("Authorization") == entry["authorization"]?.text)
        }
        #expect(SigV4.stamp(951_827_696) == "20000229T123456Z", "a leap day")
    }
}
