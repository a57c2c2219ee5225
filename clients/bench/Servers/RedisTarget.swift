import CLinuxShim
import Glibc

/// Redis 7 with the same rules in Lua, one script an operation.
final class RedisTarget: Target {
    let kind: TargetKind
    private let scratch: Scratch
    private let child: Child
    private let socket: String
    private let scripts: [String]

    /// `policy`: of appendfsync.
    init(_ options: TargetOptions, policy: String) throws {
        kind = policy == "always" ? .redisAlways : .redisEverysec
        func source(_ name: String) throws -> String {
            let path = "\(options.sources)/peers/\(name).lua"
            guard let text = contents(path) else {
                throw BenchError("no \(path): run otp-bench from the repository's root")
            }
            return text
        }
        let common = try source("common")
        scripts = try ["request", "verify", "status"].map { try common + source($0) }
        scratch = try Scratch("redis")
        socket = scratch.path + "/s"
        // What Redis's documentation recommends for durability; no snapshots, no TCP port.
        child = try Child(
            "redis-server",
            [
                "--port", "0", "--unixsocket", socket, "--dir", scratch.path, "--save", "", "--appendonly",
                "yes",
                "--appendfsync", policy, "--daemonize", "no", "--loglevel", "warning",
            ], log: scratch.path + "/log")
        try child.waitFor(socket)
    }

    var pid: pid_t { child.pid }

    func makeEngine(seed: UInt64, known: [Errand], firstShopper: UInt64) throws -> any LoadRunner {
        try LoadEngine(
            RESPDialect(socket: socket, scripts: scripts), seed: seed, known: known,
            firstShopper: firstShopper)
    }

    func journal() throws -> (syncs: UInt64, bytes: UInt64)? { nil }
    func stop() throws { child.stop() }
}
