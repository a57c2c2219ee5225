import Foundation
import Glibc

/// A real `otpd --config`, on a folder that `otpd init` made.
final class RealServer {
    let folder: TemporaryFolder
    private var processes: [Process] = []

    var socket: String { folder.path + "/s" }
    var data: String { folder.path + "/data" }

    static func configuration(_ folder: String, socket: String) -> String {
        """
        data = "\(folder)/data"
        master_key = "\(folder)/master.key"
        issuer = "system-test"
        commit = "inline"
        [[tenant]]
        number = 1
        name = "shop"
        [[listener]]
        path = "\(socket)"
        mode = "0600"
        [[peer]]
        uid = \(geteuid())
        tenant = 1
        roles = ["verify", "redeem", "courier", "observer", "admin"]
        """
    }

    init() throws {
        folder = try TemporaryFolder()
        _ = try folder.write(
            RealServer.configuration(folder.path, socket: folder.path + "/s"), to: "otpd.toml")
        let key = folder.path + "/master.key"
        let made = try Program.otpd.run("init", "--data", data, "--master-key", key, in: folder)
        guard made.code == 0 else { throw TestError("init: \(made)") }
    }

    deinit { for process in processes where process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    /// Starts it; returns once it accepts.
    func start() throws -> Process {
        let process = try Program.otpd.start(
            ["--config", folder.path + "/otpd.toml"], in: folder, log: "otpd")
        processes.append(process)
        let isReady = eventually(seconds: 20) {
            guard process.isRunning else { return true }
            do {
                _ = try Peer(socket)
                return true
            } catch { return false }
        }
        guard isReady, process.isRunning else {
            throw TestError(try String(contentsOfFile: folder.path + "/otpd.err", encoding: .utf8))
        }
        return process
    }

    /// A start that must fail by itself, with another configuration if one is given.
    func failedStart(config: String = "otpd.toml") throws -> Outcome {
        try Program.otpd.run("--config", folder.path + "/" + config, in: folder)
    }
}
