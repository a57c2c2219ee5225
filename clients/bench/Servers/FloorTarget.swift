import Glibc
import Wire

/// The floor, built from `floor/floor.c`.
final class FloorTarget: Target {
    let kind: TargetKind
    private let scratch: Scratch
    private let child: Child
    private let socket: String
    private let admin: BenchPeer

    init(_ options: TargetOptions, echo: Bool) throws {
        kind = echo ? .echo : .floor
        scratch = try Scratch("floor")
        socket = scratch.path + "/s"
        let program = try Tools.floor(options.sources)
        child = try Child(program, [socket, scratch.path + "/journal"] + (echo ? ["--echo"] : []))
        try child.waitFor(socket)
        admin = try BenchPeer(socket)
    }

    var pid: pid_t { child.pid }

    func makeEngine(seed: UInt64, known: [Errand], firstShopper: UInt64) throws -> any LoadRunner {
        try LoadEngine(
            OTPDialect(socket: socket, codesAreKnown: true), seed: seed, known: known,
            firstShopper: firstShopper)
    }

    func journal() throws -> (syncs: UInt64, bytes: UInt64)? { try readJournal(admin) }
    func stop() throws { child.stop() }
}
