import Foundation
import Synchronization

/// A real peer: `scripts/smsc.py` (smpp.twisted3), on a port of the machine's loopback.
final class TestSMSC: Sendable {
    struct Failed: Error { let why: String }

    /// A line of its log.
    struct Line {
        let fields: [String: any Sendable]
        var event: String { fields["event"] as? String ?? "" }
        func text(_ name: String) -> String { fields[name].map { "\($0)" } ?? "" }
    }

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The interpreter of `scripts/python-venv.sh`, made if it isn't there.
    private static let python = Result {
        let setup = Process()
        setup.executableURL = URL(filePath: "/bin/sh")
        setup.arguments = [root.appending(path: "scripts/python-venv.sh").path]
        let output = Pipe()
        setup.standardOutput = output
        try setup.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        setup.waitUntilExit()
        guard setup.terminationStatus == 0 else { throw Failed(why: "scripts/python-venv.sh failed") }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Certificate and key of a self-signed peer, by Debian's openssl.
    static func certificate(for name: String, at path: String) throws {
        let openssl = Process()
        openssl.executableURL = URL(filePath: "/usr/bin/env")
        openssl.arguments =
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2",
            ]
            + [
                "-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name)", "-keyout", path, "-out",
                path + ".crt",
            ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        guard openssl.terminationStatus == 0 else { throw Failed(why: "openssl req failed") }
        let both = try Data(contentsOf: URL(filePath: path)) + Data(contentsOf: URL(filePath: path + ".crt"))
        try both.write(to: URL(filePath: path))
    }

    let folder: TemporaryFolder
    private let process: Mutex<pid_t>
    let port: UInt16

    /// - Parameter port: 0 = one of its own.
    init(_ options: [String] = [], port: UInt16 = 0) throws {
        folder = try TemporaryFolder()
        let smsc = Process()
        smsc.executableURL = URL(filePath: try TestSMSC.python.get())
        smsc.arguments =
            [
                TestSMSC.root.appending(path: "scripts/smsc.py").path, "--port", "\(port)", "--log",
                folder.path + "/log",
            ]
            + options
        // Twisted tells of each connection's end.
        smsc.standardOutput = FileHandle.nullDevice
        smsc.standardError = FileHandle.nullDevice
        try smsc.run()
        process = Mutex(smsc.processIdentifier)
        let path = folder.path + "/log"
        let isUp = eventually(within: 20) { !TestSMSC.lines(path).isEmpty }
        guard isUp, let port = TestSMSC.lines(path).first?.fields["port"] as? Int else {
            kill(smsc.processIdentifier, SIGKILL)
            throw Failed(why: "scripts/smsc.py didn't come up")
        }
        self.port = UInt16(port)
    }

    var log: [Line] { TestSMSC.lines(folder.path + "/log") }
    var submits: [Line] { log.filter { $0.event == "submit" } }

    private static func lines(_ path: String) -> [Line] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").compactMap { line in
            let object = try? JSONSerialization.jsonObject(with: Data(line.utf8))
            return (object as? [String: any Sendable]).map { Line(fields: $0) }
        }
    }

    func stop() {
        process.withLock { pid in
            if pid > 0 { kill(pid, SIGKILL) }
            pid = 0
        }
    }

    deinit { stop() }
}
