import ArgumentParser
import CLinuxShim
import Glibc

/// Starts otpd on damaged copies of a folder whose history is known: it may refuse, it may crash, it may serve; it must never accept what
/// was used, forget what was full, or hang.
struct Bitflips: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Damage a stopped server's data folder and start it: refuse or crash, never a wrong accept.")

    @Option(help: "Damaged copies.")
    var count = 500
    @Option(help: "Seed of the damage.")
    var seed: UInt64 = 1
    @Option(help: "Seconds that a start or a reply may take before it counts as hung.")
    var patience: UInt64 = 20

    /// How long a history stays true: grants live 120 s, codes 300 s.
    private static let templateSeconds: UInt64 = 90
    /// Shoppers with a block, so that the tables of limits have branches.
    private static let blocks = 300

    private struct Tally {
        var refused = 0
        var crashed = 0
        var right = 0
        var closed = 0
        var wrong: [String] = []
    }

    func run() throws {
        guard count > 0 else { throw ValidationError("--count is at least 1") }
        let server = try BenchServer(commit: "inline")
        // What it says of the damage, hundreds of times, goes nowhere.
        server.log = "/dev/null"
        defer { server.remove() }
        print("otp-bench bitflips: \(count) damaged copies, seed \(seed)")
        var shoppers = Shoppers(seed: seed &* 6_151)
        var generator = SeededGenerator(seed: seed)
        var tally = Tally()
        var (template, history): (String, KnownHistory?) = ("", nil)
        var madeAt: UInt64 = 0
        var isKilled = false
        for sample in 0..<count {
            if history == nil || linux_monotonic_nanos() - madeAt > Bitflips.templateSeconds * 1_000_000_000 {
                isKilled.toggle()
                // The last copy is damaged, and may be refused.
                if !template.isEmpty { try server.restore(from: template) }
                (template, history) = try make(server, isKilled, &shoppers, &generator)
                madeAt = linux_monotonic_nanos()
            }
            guard let history else { break }
            try server.restore(from: template)
            var damage = SeededGenerator(seed: seed &+ UInt64(sample) &* 0x9E37_79B9)
            let what: any FolderDamage =
                sample % 2 == 0
                ? try Bitflips.damage(server.folder + "/data", &damage) : try PageDamage.pick(server.folder + "/data", &damage)
            try what.apply()
            try start(server, history, "sample \(sample), \(isKilled ? "killed" : "stopped"): \(what)", &tally, &generator)
        }
        print("refused to start \(tally.refused), crashed later \(tally.crashed), served all right \(tally.right), served with something missing that only refuses more \(tally.closed), wrong \(tally.wrong.count)")
        guard tally.wrong.isEmpty else { throw BenchError("violations:\n" + tally.wrong.joined(separator: "\n")) }
        guard tally.refused + tally.crashed > 0 || count < 100 else { throw BenchError("no damage was noticed at all: the check checks nothing") }
        print("passed")
    }

    /// Done, and what it was: in three of ten cases to the journal's end.
    private static func damage(_ folder: String, _ generator: inout SeededGenerator) throws -> any FolderDamage {
        if generator.next() % 10 < 3 {
            let segment = folder + "/journal/" + (try Damage.segment(folder + "/journal"))
            if let tail = try TailDamage(segment: segment, &generator) { return tail }
        }
        return try Damage.pick(folder, &generator)
    }

    /// A folder with a history; every second one is left by kill -9, so that the journal has to be replayed.
    private func make(
        _ server: BenchServer, _ isKilled: Bool, _ shoppers: inout Shoppers, _ generator: inout SeededGenerator
    ) throws -> (String, KnownHistory) {
        try server.start()
        let history = try KnownHistory(
            BenchPeer(server.socket), BenchPeer(server.socket), &shoppers, &generator, blocks: Bitflips.blocks)
        if isKilled { server.kill9() } else { _ = try server.stop() }
        return (try server.snapshot(), history)
    }

    private func start(
        _ server: BenchServer, _ history: KnownHistory, _ what: String, _ tally: inout Tally,
        _ generator: inout SeededGenerator
    ) throws {
        defer { server.kill9() }
        do {
            if try server.startOrEnd(seconds: patience) != nil {
                tally.refused += 1
                return
            }
        } catch {
            tally.wrong.append("\(what): \(error)")
            return
        }
        do {
            let peer = try BenchPeer(server.socket)
            peer.limitReads(seconds: Int(patience))
            switch try history.check(peer, &generator) {
            case .right: tally.right += 1
            case .closed(let text):
                tally.closed += 1
                print("  \(what): \(text)")
            case .wrong(let text): tally.wrong.append("\(what): \(text)")
            }
        } catch {
            // The connection ended: so must have the process, else it hangs.
            if server.hasEnded(seconds: patience) {
                tally.crashed += 1
            } else {
                tally.wrong.append("\(what): \(error), and otpd still runs")
            }
        }
    }
}

/// One piece of damage to a data folder, of which it tells.
protocol FolderDamage: CustomStringConvertible {
    func apply() throws
}

/// One piece of damage to a file, anywhere.
struct Damage: FolderDamage {
    private enum Kind: CaseIterable {
        case bit, twoBits, byte, sector
    }

    private let path: String
    private let offset: Int
    private let kind: Kind
    private let pattern: UInt8

    var description: String { "\(kind) at \(offset) of \(path.split(separator: "/").suffix(2).joined(separator: "/")), pattern \(pattern)" }

    /// In half of the cases the database, else the journal's used part, the keyring, or a small file.
    static func pick(_ folder: String, _ generator: inout SeededGenerator) throws -> Damage {
        let path =
            switch generator.next() % 20 {
            case 0..<10: "/lmdb/data.mdb"
            case 10..<15: "/journal/" + (try segment(folder + "/journal"))
            case 15, 16: "/keyring"
            case 17: "/format"
            case 18: "/epoch"
            default: "/crash-note"
            }
        let kind: Kind =
            switch generator.next() % 10 {
            case 0..<7: .bit
            case 7: .twoBits
            case 8: .byte
            default: .sector
            }
        let used = try usedBytes(folder + path)
        return Damage(
            path: folder + path, offset: Int(generator.next() % UInt64(max(1, used))), kind: kind,
            pattern: UInt8(truncatingIfNeeded: generator.next()) | 1)
    }

    func apply() throws {
        let fd = linux_open(path, O_RDWR, 0)
        guard fd >= 0 else { throw BenchError("\(path): \(String(cString: strerror(-fd)))") }
        defer { close(fd) }
        var bytes = [UInt8](repeating: 0, count: 512)
        let start = kind == .sector ? offset / 512 * 512 : offset
        let count = pread(fd, &bytes, kind == .sector ? 512 : 1, off_t(start))
        guard count > 0 else { throw BenchError("\(path) can't be read at \(start)") }
        switch kind {
        case .bit: bytes[0] ^= 1 << (pattern >> 1 & 7)
        case .twoBits: bytes[0] ^= 1 << (pattern >> 1 & 7) | 1 << (pattern >> 4 & 7)
        case .byte: bytes[0] = bytes[0] == pattern ? ~pattern : pattern
        case .sector: for index in 0..<count { bytes[index] = 0 }
        }
        guard pwrite(fd, bytes, count, off_t(start)) == count else { throw BenchError("\(path) can't be written at \(start)") }
    }

    /// The newest segment.
    static func segment(_ folder: String) throws -> String {
        guard let handle = opendir(folder) else { throw BenchError("\(folder) can't be read") }
        defer { closedir(handle) }
        var newest = ""
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasSuffix(".seg"), name > newest { newest = name }
        }
        return newest
    }

    /// Up to the last byte that isn't zero, and a sector more: a flip in what was never written is one too, now and then.
    private static func usedBytes(_ path: String) throws -> Int {
        guard let file = fopen(path, "r") else { throw BenchError("\(path): \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        var (used, at) = (0, 0)
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            if let last = chunk[..<count].lastIndex(where: { $0 != 0 }) { used = at + last + 1 }
            at += count
        }
        return min(at, used + 512)
    }
}
