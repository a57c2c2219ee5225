@testable import Courier
import CLinuxShim
import Foundation
import HTTPGateway
import Synchronization
import Testing
import Wire

/// Each vendor's request through libcurl over TLS, beside its SDK's (scripts/vendor-fake.py); and peers that aren't who they should be.
@Suite struct VendorHTTPSTests {
    private static let secret = Credential(Array("s3cret".utf8))

    /// `scripts/vendor-fake.py`, with a certificate for `localhost`.
    private final class Fake: Sendable {
        struct Failed: Error {}

        private let folder: TemporaryFolder
        private let process: Mutex<pid_t>
        let port: Int
        var certificate: String { folder.path + "/pem" }

        init() throws {
            folder = try TemporaryFolder()
            try TestSMSC.certificate(for: "localhost", at: folder.path + "/pem")
            let fake = Process()
            fake.executableURL = URL(filePath: "/usr/bin/env")
            let script = TestSMSC.root.appending(path: "scripts/vendor-fake.py").path
            fake.arguments = ["python3", script, "--tls", folder.path + "/pem", "--log", folder.path + "/log"]
            fake.standardError = FileHandle.nullDevice
            try fake.run()
            process = Mutex(fake.processIdentifier)
            let path = folder.path + "/log"
            guard eventually(within: 20, { !Fake.lines(path).isEmpty }), let port = Fake.lines(path)[0]["port"] as? Int else {
                kill(fake.processIdentifier, SIGKILL)
                throw Failed()
            }
            self.port = port
        }

        deinit { process.withLock { _ = kill($0, SIGKILL) } }

        var requests: [(vendor: String, different: [String])] {
            Fake.lines(folder.path + "/log").dropFirst().map { ($0["vendor"] as? String ?? "?", $0["different"] as? [String] ?? ["?"]) }
        }

        private static func lines(_ path: String) -> [[String: Any]] {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
            return text.split(separator: "\n").compactMap {
                try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
            }
        }
    }

    private static func vendors(_ base: String) -> [(name: String, vendor: any HTTPVendor)] {
        [
            ("twilio", Twilio(base: base, account: "AC1", token: secret, sender: "Fleur")),
            ("vonage", Vonage(base: base, key: "k", secret: secret)),
            ("plivo", Plivo(base: base, account: "MAMTAWMJIZZDYWNMVIZJ", token: secret)),
            ("telnyx", Telnyx(base: base, key: secret)), ("messagebird", MessageBird(base: base, key: secret)),
            ("infobip", Infobip(base: base, key: secret)),
            ("sns", AmazonSNS(base: base, region: "eu-west-1", accessKey: "AKID", secret: secret)),
            (
                "eum",
                AWSEndUserMessaging(base: base, region: "eu-west-1", accessKey: "AKID", secret: secret, configurationSet: "otp")
            ),
        ]
    }

    /// The message of scripts/vendor-goldens.py through one vendor; with what was said about the route.
    private func send(_ vendor: any HTTPVendor, caFile: String?) throws -> (report: ReportMessage?, notes: [String]) {
        var route = HTTPRoute(vendor: vendor)
        (route.name, route.sender, route.caFile, route.callback) = ("vendor", "Fleur", caFile, "https://shop.example/r?x=1")
        let notes = Lines()
        var gateway = try VendorGateway(route, note: { notes.add($0) }, wallSeconds: { 1_764_061_200 })
        func now() -> UInt64 { linux_boottime_nanos() / 1_000_000 }
        var message = sampleMessage("483920 is your Fleur code & <é>")
        message.idempotencyKey = Bytes16(high: 0, low: 0xFF)
        let start = now()
        var order = submission(message, nowMs: start)
        // 300 s with what the server keeps, and half a second for the test.
        order.expiresAtMs = start + 300_500 - VendorGateway.lifeAfterLastSubmitMs
        var reports = gateway.take(order, nowMs: start)
        while reports.isEmpty, now() < start + 10_000 {
            let waits = gateway.waits(nowMs: now())
            var descriptors = waits.descriptors
            poll(&descriptors, nfds_t(descriptors.count), 20)
            reports += gateway.turn(nowMs: now())
        }
        return (reports.first, notes.all)
    }

    @Test func eachVendorsRequestIsItsSDKs() throws {
        let fake = try Fake()
        let vendors = VendorHTTPSTests.vendors("https://localhost:\(fake.port)")
        for (name, vendor) in vendors {
            let (report, notes) = try send(vendor, caFile: fake.certificate)
            #expect(report.map { ReportMessage.Outcome(rawValue: $0.outcome) } == .submitted, "\(name): \(notes)")
            #expect(report.map { !$0.reference.isEmpty } == true, "\(name)")
        }
        #expect(fake.requests.map(\.vendor) == vendors.map(\.name))
        for request in fake.requests { #expect(request.different.isEmpty, "\(request.vendor): \(request.different)") }
    }

    /// Not a byte of the message goes to a peer that can't prove its name: another name's certificate, and one that nobody vouches for.
    @Test func aPeerOfAnotherNameGetsNothing() throws {
        let fake = try Fake()
        for (base, caFile, word) in [
            ("https://127.0.0.1:\(fake.port)", fake.certificate, "certificate"), ("https://localhost:\(fake.port)", nil, "certificate"),
        ] {
            for (name, vendor) in VendorHTTPSTests.vendors(base) {
                let (report, notes) = try send(vendor, caFile: caFile)
                #expect(report.map { ReportMessage.Outcome(rawValue: $0.outcome) } == .notSubmitted, "\(name)")
                #expect(notes.count == 1 && notes[0].contains(word), "\(name): \(notes)")
            }
        }
        #expect(fake.requests.isEmpty)
    }
}
