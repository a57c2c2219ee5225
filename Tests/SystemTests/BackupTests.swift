import Foundation
import Glibc
import Synchronization
import Testing

/// `otpctl backup` of a server that works, `otpd restore`, and every code and grant that could be played
/// back.
@Suite(.serialized) struct BackupTests {
    private func data(_ server: DevServer) -> String { server.folder.path + "/.otpd-dev/data" }

    private func back(_ server: DevServer, up name: String, _ more: String...) throws -> Outcome {
        try Program.otpctl.run(
            ["backup", server.folder.path + "/" + name, "--data", data(server)] + more, in: server.folder)
    }

    /// The server dies, its folder is lost, a backup takes its place.
    private func loseAndRestore(_ server: DevServer, from name: String) throws -> Outcome {
        _ = try server.stop(SIGKILL)
        try FileManager.default.moveItem(
            atPath: data(server), toPath: server.folder.path + "/lost-" + UUID().uuidString)
        return try Program.otpd.run(
            "restore", "--from", server.folder.path + "/" + name, "--data", data(server), "--master-key",
            server.folder.path + "/.otpd-dev/master.key", in: server.folder)
    }

    private func sees(_ server: DevServer, _ field: String, _ account: String, _ phone: String) throws
        -> String
    {
        try server.ctl("quota", "--account", account, "--phone", phone).field(field)
    }

    /// One code or grant in each state before the backup, and what becomes of it after.
    @Test func nothingCanBePlayedBack() throws {
        let server = try DevServer()
        let phone = { (number: Int) in "+3361234567\(number)" }
        func request(_ number: Int) throws -> (challenge: String, code: String) {
            let challenge = try server.request(account: "account-\(number)", phone: phone(number))
            return (challenge, try server.code(challenge))
        }
        func verify(_ it: (challenge: String, code: String)) throws -> Outcome {
            try server.ctl("verify", it.challenge, it.code)
        }
        func redeem(_ grant: String, _ number: Int) throws -> Outcome {
            try server.ctl("grant", "redeem", grant, "--account", "account-\(number)")
        }
        let usedBefore = try request(1)
        let grantRedeemedBefore = try verify(usedBefore).field("grant")
        #expect(try redeem(grantRedeemedBefore, 1).code == 0)
        let usedAfter = try request(2)
        let neverUsed = try request(3)
        let grantRedeemedAfter = try verify(try request(4)).field("grant")
        let grantNeverRedeemed = try verify(try request(5)).field("grant")
        let guessed = try request(6)
        #expect(try server.ctl("verify", guessed.challenge, wrongCode(for: guessed.code)).code == 5)

        let made = try back(server, up: "b")
        #expect(made.code == 0, "\(made)")
        let sends = try sees(server, "sends_left_hour", "account-1", phone(1))

        let grantOfAfter = try verify(usedAfter).field("grant")
        #expect(try redeem(grantRedeemedAfter, 4).code == 0)
        let askedAfter = try request(7)

        let restored = try loseAndRestore(server, from: "b")
        #expect(restored.code == 0, "\(restored)")
        #expect(restored.out.contains("epoch: 1") && restored.out.contains("Void from now on"))
        try server.startAgain()
        for (name, it) in [
            ("used before", usedBefore), ("used after", usedAfter), ("never used", neverUsed),
            ("guessed", guessed),
            ("asked after", askedAfter),
        ] {
            let outcome = try verify(it)
            #expect(outcome.code == 3, "\(name): \(outcome)")
            #expect(!outcome.out.contains("grant:"), "\(name): \(outcome)")
            #expect(try server.ctl("resend", it.challenge).code != 0, "\(name)")
        }
        for (name, grant, number) in [
            ("redeemed before", grantRedeemedBefore, 1), ("redeemed after", grantRedeemedAfter, 4),
            ("never redeemed", grantNeverRedeemed, 5), ("made after", grantOfAfter, 2),
        ] {
            #expect(try redeem(grant, number).code == 3, "\(name)")
            #expect(
                try server.ctl("grant", "check", grant, "--account", "account-\(number)").code == 3, "\(name)"
            )
        }
        #expect(
            try sees(server, "sends_left_hour", "account-1", phone(1)) == sends,
            "limits count what the backup knows")
        let anew = try request(8)
        #expect(try verify(anew).code == 0, "and it serves")
        let kinds = try server.ctl("events", "--json").objects().compactMap { $0["kind"] as? String }
        #expect(kinds.contains("grantRedeemed"), "the backup's events are there")
    }

    /// Requests go on; each backup has every one that was answered before it, and none that was asked after
    /// it.
    @Test func underLoad() throws {
        let server = try DevServer(courier: "none")
        let asked = Atomic(0)
        let answered = Atomic(0)
        let isOver = Atomic(false)
        let socket = server.socket
        let thread = Thread {
            do {
                let peer = try Peer(socket)
                var number: UInt32 = 1
                while !isOver.load(ordering: .relaxed) {
                    number += 1
                    asked.add(1, ordering: .relaxed)
                    try peer.send(peer.requestCode(Int(number) % 8_000), number)
                    while let frame = try peer.next(), frame.correlation != number {}
                    answered.add(1, ordering: .relaxed)
                }
            } catch { return }
        }
        thread.start()
        defer { isOver.store(true, ordering: .relaxed) }
        for round in 0..<4 {
            #expect(eventually { answered.load(ordering: .relaxed) > 100 * (round + 1) })
            let before = answered.load(ordering: .relaxed)
            let made = try back(server, up: "b\(round)", "--json")
            let after = asked.load(ordering: .relaxed)
            #expect(made.code == 0, "\(made)")
            let restored = try Program.otpd.run(
                "restore", "--from", server.folder.path + "/b\(round)", "--data",
                server.folder.path + "/r\(round)",
                "--master-key", server.folder.path + "/.otpd-dev/master.key", in: server.folder)
            #expect(restored.code == 0, "\(restored)")
            // An event a request, and the start's own.
            let events = try Int(restored.field("events")) ?? 0
            #expect((before...after + 3).contains(events), "\(before) \(events) \(after)")
        }
        #expect(try server.ctl("ping").code == 0)
    }

    /// Killed, it leaves nothing in the data folder and nothing that looks whole; told to stop, nothing at
    /// all.
    @Test func killedInTheMiddle() throws {
        let server = try DevServer()
        let challenge = try server.request(account: "a", phone: "+33612345678")
        let folder = server.folder.path
        let before = try FileManager.default.contentsOfDirectory(atPath: data(server)).sorted()
        func staging() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("b.new-") }
        }
        for signal in [SIGTERM, SIGINT, SIGKILL] {
            var isCaught = false
            for _ in 0..<20 where !isCaught {
                let process = try Program.otpctl.start(
                    ["backup", folder + "/b", "--data", data(server), "--rate", "1"], in: server.folder,
                    log: "killed")
                #expect(try eventually { try !staging().isEmpty })
                kill(process.processIdentifier, signal)
                let code = try end(of: process, seconds: 10)
                isCaught = code == 128 + signal
                if !isCaught { try FileManager.default.removeItem(atPath: folder + "/b") }
            }
            #expect(isCaught, "always whole before the signal \(signal)")
            #expect(!FileManager.default.fileExists(atPath: folder + "/b"))
            #expect(try staging().count == (signal == SIGKILL ? 1 : 0))
        }
        #expect(
            try server.ctl("verify", challenge, server.code(challenge)).code == 0, "the server is unharmed")
        #expect(try FileManager.default.contentsOfDirectory(atPath: data(server)).sorted() == before)
        let made = try back(server, up: "b", "--progress")
        #expect(made.code == 0 && made.err.contains("copied 0 of 0 MiB (100 %)"), "\(made)")
        #expect(try staging().isEmpty, "the next one removes it")
        let again = try back(server, up: "b")
        #expect(again.code == 1 && again.err.contains("is not empty"), "\(again)")
    }

    /// One that stands still, at any point, holds no lock of the server's: checkpoints go on, and so does it
    /// when it is let.
    @Test func aStoppedBackupStopsNobody() throws {
        let server = try DevServer(courier: "none")
        let folder = server.folder.path
        let peer = try Peer(server.socket)
        var number: UInt32 = 1
        func ask() throws {
            number += 1
            try peer.send(peer.requestCode(Int(number)), number)
            while let frame = try peer.next(), frame.correlation != number {}
        }
        func checkpoints() throws -> Int { try Int(server.ctl("stats").field("checkpoints_total")) ?? 0 }
        for round in 0..<4 {
            let process = try Program.otpctl.start(
                ["backup", folder + "/b\(round)", "--data", data(server), "--rate", "1"], in: server.folder,
                log: "stopped")
            usleep(UInt32(round) * 30_000)
            kill(process.processIdentifier, SIGSTOP)
            let before = try checkpoints()
            #expect(
                try eventually(seconds: 10) {
                    try ask()
                    return try checkpoints() > before
                }, "no checkpoint beside a stopped backup")
            kill(process.processIdentifier, SIGCONT)
            #expect(try end(of: process, seconds: 10) == 0)
            let sums = Process()
            sums.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
            sums.arguments = ["--check", "--quiet", "SHA256SUMS"]
            sums.currentDirectoryURL = URL(fileURLWithPath: folder + "/b\(round)")
            try sums.run()
            #expect(try end(of: sums, seconds: 10) == 0)
        }
    }

    @Test func whatStandsInTheWay() throws {
        let server = try DevServer()
        let key = server.folder.path + "/.otpd-dev/master.key"
        #expect(try back(server, up: "b").code == 0)
        func restore(_ from: String, _ to: String) throws -> Outcome {
            try Program.otpd.run(
                "restore", "--from", from, "--data", to, "--master-key", key, in: server.folder)
        }
        let inUse = try restore(data(server), "r")
        #expect(inUse.code == 1 && inUse.err.contains("in use by another otpd"), "\(inUse)")
        let upgrade = try Program.otpd.run(
            "upgrade", "--data", data(server), "--master-key", key, in: server.folder)
        #expect(upgrade.code == 1 && upgrade.err.contains("in use by another otpd"), "\(upgrade)")
        let full = try restore("b", data(server))
        #expect(full.code == 1 && full.err.contains("is not empty"), "\(full)")
        _ = try server.stop()
        // The backup itself is none that a server takes.
        try FileManager.default.removeItem(atPath: data(server))
        try FileManager.default.copyItem(atPath: server.folder.path + "/b", toPath: data(server))
        let served = try Program.otpd.run("--dev", "--courier", "none", in: server.folder)
        #expect(served.code == 1 && served.err.contains("otpd restore --from"), "\(served)")
        for arguments in [["backup"], ["backup", "x", "--rate", "0"]] {
            #expect(try Program.otpctl.run(arguments, in: server.folder).code == 2)
        }
        let none = try Program.otpctl.run(
            "backup", "x", "--data", server.folder.path + "/none", in: server.folder)
        #expect(none.code == 1 && none.err.contains("not an otpd data folder"), "\(none)")
        #expect(try restore("b", "r").code == 0)
        let upgraded = try Program.otpd.run("upgrade", "--data", "r", "--master-key", key, in: server.folder)
        #expect(upgraded.code == 0 && upgraded.out.contains("store: otpd-store"), "\(upgraded)")
    }

    /// Root becomes the folder's owner: nothing in it may become root's, and it makes the backup where that
    /// user may.
    @Test(.enabled(if: geteuid() == 0)) func asRoot() throws {
        let server = try DevServer()
        _ = try server.stop()
        let root = server.folder.path
        chmod(root, 0o755)
        chmod(root + "/.otpd-dev", 0o755)
        let owner: UInt32 = 65_534
        let paths = try FileManager.default.subpathsOfDirectory(atPath: data(server)).map {
            data(server) + "/" + $0
        }
        for path in paths + [data(server)] { chown(path, owner, owner) }
        let refused = try back(server, up: "b")
        #expect(refused.code == 1 && refused.err.contains("can't make files in"), "\(refused)")
        mkdir(root + "/backups", 0o700)
        chown(root + "/backups", owner, owner)
        let made = try back(server, up: "backups/b")
        #expect(made.code == 0, "\(made)")
        var info = stat()
        for path in [data(server), root + "/backups/b"] {
            for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
                #expect(stat(path + "/" + name, &info) == 0 && info.st_uid == owner, "\(name)")
            }
        }
        let restored = try Program.otpd.run(
            "restore", "--from", root + "/backups/b", "--data", root + "/backups/data", "--master-key",
            root + "/.otpd-dev/master.key", in: server.folder)
        #expect(restored.code == 1 && restored.err.contains("runuser -u"), "\(restored)")
    }
}
