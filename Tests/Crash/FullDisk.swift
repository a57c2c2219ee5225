import ArgumentParser
import CLinuxShim
import Glibc
import Wire

/// A file system that is full, for real: sends are refused, verifies go on, nothing is lost, and it recovers when there is room.
struct FullDisk: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "full", abstract: "Fill the disk under otpd to the last block; verifies must go on. Root.")

    @Option(help: "Rounds; each leaves a different number of blocks.")
    var rounds = 8
    @OptionGroup var common: Common

    func run() throws {
        if let obstacle = try DiskImage.obstacle() { return say("otp-crash full: skipped: \(obstacle)") }
        if let code = try DiskImage.enterNamespace() { throw ExitCode(code) }
        var session: Session?
        try ending("full --rounds \(rounds) --seed \(common.seed) --commit \(common.commit)", { session?.folder }) {
            let work = try DiskImage.folder()
            let library = try CrashServer.buildLibrary(in: work)
            say("otp-crash full: \(rounds) rounds, seed \(common.seed), commit \(commitName())")
            var generator = SeededGenerator(seed: common.seed)
            var verified = 0
            for round in 0..<rounds {
                let folder = try temporaryFolder()
                let disk = try DiskImage(in: folder, mebibytes: 400)
                let made = try Session(
                    library: library, folder: folder, dataFolder: disk.mountPoint, commit: common.mode(round),
                    seed: generator.next())
                session = made
                let left = round == 0 ? 0 : Int(generator.next() % 40) * 4096
                verified += try one(made, disk, left: left)
                say("  passed: \(left / 4096) blocks left")
                made.server.kill9()
                try disk.unmount()
                try made.server.remove()
            }
            session = nil
            try removeTree(work)
            say("passed: \(rounds) rounds, \(verified) verifies on a full disk; 0 violations")
        }
    }

    /// Challenges first, then a full disk, then their verifies over many checkpoints and segments. How many.
    private func one(_ session: Session, _ disk: DiskImage, left: Int) throws -> Int {
        try session.start()
        let control = session.server.control
        let peer = try session.peer()
        var open: [(RequestCode, Bytes16)] = []
        var lease = LeaseMessages()
        lease.credit = 64
        for number in 0..<60 {
            if number % 30 == 0 { _ = try peer.exchange(lease) }
            let request = session.request(peer)
            let reply = try peer.exchange(request)
            guard reply.status == .done else { throw Violation("a request with room on the disk: \(String(describing: reply.status))") }
            open.append((request, try reply.decode(ChallengeReply.self).challenge))
        }
        while open.contains(where: { peer.pushed[$0.1] == nil }) {
            guard peer.hasInput(milliseconds: 5_000), !peer.isDead else { throw Violation("messages are missing") }
            _ = try peer.receive()
        }
        let filler = disk.mountPoint + "/filler"
        try fill(filler, leaving: left)
        try tick(control, session, times: 3)
        let refused = try peer.exchange(session.request(peer))
        guard refused.status == .overloaded else { throw Violation("a send on a full disk: \(String(describing: refused.status))") }
        var done = 0
        for (request, challenge) in open {
            guard let message = peer.pushed[challenge] else { continue }
            for isRight in [false, true] {
                let right = code(of: message)
                var verify = Verify()
                verify.requestID = session.id(peer)
                verify.challenge = challenge
                verify.session = request.session
                verify.code = isRight ? right : CodeBytes(right.array.map { ($0 - 0x30 + 1) % 10 + 0x30 })
                let reply = try peer.exchange(verify)
                guard reply.status == (isRight ? .done : .wrongCode) else {
                    throw Violation("verify \(done) on a full disk: \(String(describing: reply.status)): \(session.server.said())")
                }
                done += 1
            }
            if done % 10 == 0 { try tick(control, session, times: 1) }
        }
        lease.credit = 0
        _ = try peer.exchange(lease)
        unlink(filler)
        try tick(control, session, times: 3)
        try session.check()
        session.server.kill9()
        try session.check()
        return done
    }

    /// Makes checkpoints due, and lets them come.
    private func tick(_ control: FaultControl, _ session: Session, times: Int) throws {
        for _ in 0..<times {
            control.boottimeShiftMs += 1_100
            usleep(120_000)
            if let ended = session.server.ended(within: 0) {
                throw Violation("otpd ended on a full disk (\(ended)): \(session.server.said())")
            }
        }
    }

    /// Takes all blocks of the disk but `left` bytes.
    private func fill(_ path: String, leaving left: Int) throws {
        let fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard fd >= 0 else { throw CrashError("\(path): \(reason())") }
        defer { close(fd) }
        var size = 0
        for step in [64 << 20, 1 << 20, 64 << 10, 4096] {
            while posix_fallocate(fd, off_t(size), off_t(step)) == 0 { size += step }
        }
        guard ftruncate(fd, off_t(max(0, size - left))) == 0, fsync(fd) == 0 else { throw CrashError("\(path): \(reason())") }
    }
}
