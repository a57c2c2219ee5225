@testable import Courier
import Foundation
import Testing
import Wire

/// The spool folder: what a file holds, who may read it, and when it goes.
@Suite struct SpoolGatewayTests {
    static let now: UInt64 = 1_700_000_000_000
    static let name = "01900000000000000000000000000001-2.sms"

    static func gateway(_ folder: TemporaryFolder, now: UInt64 = now) throws -> SpoolGateway {
        try SpoolGateway(folder: folder.path, allowPlaintext: true, nowWallMs: now)
    }

    static func mode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test func withoutConsent() throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: CourierError.self) {
            try SpoolGateway(folder: folder.path + "/spool", allowPlaintext: false, nowWallMs: Self.now)
        }
        #expect(
            error?.description
                == "the spool gateway shows codes in clear to anyone who can read its output. Use it for development only, "
                + "and say so: --allow-plaintext (allow_plaintext = true).")
        #expect(try folder.names().isEmpty, "nothing was made")
    }

    /// Name, content and mode, whatever the umask; a repeated submit (a second lease) replaces the file.
    @Test func aFile() throws {
        let folder = try TemporaryFolder()
        var gateway = try Self.gateway(folder)
        let text = "483920 is your Fleur code.\n@fleur.example #483920"
        for _ in 1...2 {
            #expect(gateway.submit(sampleMessage(text), expiresAtWallMs: Self.now + 300_000) == .submitted)
            #expect(try folder.names() == [Self.name], "one whole file and nothing beside it")
            #expect(try folder.read(Self.name) == "To: +33612345678\nExpires: 1700000300000\n\n" + text)
            #expect(try Self.mode(folder.path + "/" + Self.name) == 0o600)
        }
    }

    /// Who reads the folder all the time never meets half a file under the final name.
    @Test func filesAppearWhole() throws {
        let folder = try TemporaryFolder()
        var gateway = try Self.gateway(folder)
        let text = String(repeating: "я", count: 300)
        #expect(gateway.submit(sampleMessage(text), expiresAtWallMs: Self.now + 1) == .submitted)
        let path = folder.path + "/" + Self.name
        let reader = try #require(FileHandle(forReadingAtPath: path))
        #expect(gateway.submit(sampleMessage("new"), expiresAtWallMs: Self.now + 1) == .submitted)
        let old = try #require(try reader.readToEnd())
        #expect(
            String(decoding: old, as: UTF8.self).hasSuffix(text),
            "who had it open still reads the former one, whole")
        #expect(try folder.read(Self.name).hasSuffix("\n\nnew"))
    }

    @Test func looseLeftoversAreTightened() throws {
        let folder = try TemporaryFolder()
        var gateway = try Self.gateway(folder)
        try folder.write(Self.name + ".new", "left by a crash")
        #expect(chmod(folder.path + "/" + Self.name + ".new", 0o666) == 0)
        #expect(gateway.submit(sampleMessage("x"), expiresAtWallMs: Self.now + 1) == .submitted)
        #expect(try Self.mode(folder.path + "/" + Self.name) == 0o600)
    }

    @Test func deletedAtExpiry() throws {
        let folder = try TemporaryFolder()
        var gateway = try Self.gateway(folder)
        _ = gateway.submit(sampleMessage("x", number: 1), expiresAtWallMs: Self.now + 1_000)
        _ = gateway.submit(sampleMessage("x", number: 2), expiresAtWallMs: Self.now + 2_000)
        gateway.sweep(nowWallMs: Self.now + 999)
        #expect(try folder.names().count == 2)
        gateway.sweep(nowWallMs: Self.now + 1_000)
        #expect(try folder.names() == ["01900000000000000000000000000002-2.sms"])
        gateway.sweep(nowWallMs: Self.now + 2_000)
        #expect(try folder.names().isEmpty)
    }

    @Test func expirySurvivesARestart() throws {
        let folder = try TemporaryFolder()
        var gateway = try Self.gateway(folder)
        _ = gateway.submit(sampleMessage("x", number: 1), expiresAtWallMs: Self.now + 1_000)
        _ = gateway.submit(sampleMessage("x", number: 2), expiresAtWallMs: Self.now + 2_000)
        gateway = try Self.gateway(folder, now: Self.now + 500)
        #expect(try folder.names().count == 2, "neither is over")
        gateway = try Self.gateway(folder, now: Self.now + 1_500)
        #expect(try folder.names() == ["01900000000000000000000000000002-2.sms"], "gone at the start")
        gateway.sweep(nowWallMs: Self.now + 2_000)
        #expect(try folder.names().isEmpty)
    }

    /// A start removes what a crash left half-written, even with its header whole and its expiry to come; a
    /// sweep leaves it to the courier that may be at work on it.
    @Test func halfWrittenFilesGoAtTheStart() throws {
        let folder = try TemporaryFolder()
        let halves = ["", "To: +336", "To: +33612345678\nExpires: 9999999999999\n\n4839"]
        for (index, half) in halves.enumerated() {
            try folder.write("0190000000000000000000000000000\(index)-1.sms.new", half)
        }
        _ = try Self.gateway(folder)
        #expect(try folder.names().isEmpty)
        var gateway = try Self.gateway(folder)
        try folder.write(Self.name + ".new", halves[1])
        gateway.sweep(nowWallMs: Self.now)
        #expect(try folder.names() == [Self.name + ".new"])
    }

    /// A file of ours that no longer says when it ends is removed; nobody else's file is ever touched.
    @Test func otherFiles() throws {
        let folder = try TemporaryFolder()
        let foreign = [
            "notes.sms", "0190-2.sms", "01900000000000000000000000000001-999.sms",
            "01900000000000000000000000000001.sms",
            "01900000000000000000000000000001-2.txt", "01900000000000000000000000000001-2-3.sms",
        ]
        for name in foreign { try folder.write(name, "mine") }
        try folder.write(Self.name, "To: +33612345678\nExpires: never\n\n483920")
        var gateway = try Self.gateway(folder)
        gateway.sweep(nowWallMs: Self.now + 1_000_000_000)
        #expect(try folder.names() == foreign.sorted())
    }

    @Test func theFolderIsMade() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/spool"
        _ = try SpoolGateway(folder: path, allowPlaintext: true, nowWallMs: Self.now)
        #expect(try Self.mode(path) == 0o700)
        let error = #expect(throws: CourierError.self) {
            try SpoolGateway(folder: folder.path + "/none/spool", allowPlaintext: true, nowWallMs: Self.now)
        }
        #expect(
            error?.description.hasPrefix(
                "\(folder.path)/none/spool: No such file or directory: the folder \(folder.path)/none doesn't exist")
                == true
        )
    }

    /// "Not now": the server leases it again; and the gateway recovers with the folder.
    @Test func aVanishedFolderIsTransient() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/spool"
        var gateway = try SpoolGateway(folder: path, allowPlaintext: true, nowWallMs: Self.now)
        try FileManager.default.removeItem(atPath: path)
        #expect(gateway.submit(sampleMessage("x"), expiresAtWallMs: Self.now + 1) == .transientFailure)
        gateway.sweep(nowWallMs: Self.now)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        #expect(gateway.submit(sampleMessage("x"), expiresAtWallMs: Self.now + 1) == .submitted)
    }

    /// The rename fails: nothing is left beside.
    @Test func aFailedRenameLeavesNothing() throws {
        let folder = try TemporaryFolder()
        var gateway = try Self.gateway(folder)
        try FileManager.default.createDirectory(
            atPath: folder.path + "/" + Self.name, withIntermediateDirectories: false)
        #expect(gateway.submit(sampleMessage("x"), expiresAtWallMs: Self.now + 1) == .transientFailure)
        #expect(try folder.names() == [Self.name])
    }
}
