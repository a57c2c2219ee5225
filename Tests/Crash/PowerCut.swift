import ArgumentParser
import CLinuxShim
import Glibc

/// The power goes under load: synced bytes stay, unsynced ones are lost. On a real ext4, by its own ioctl.
struct PowerCut: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "power", abstract: "Cut the power of an ext4 under a loaded otpd; check everything that was acknowledged. Root.")

    @Option(help: "How often.")
    var cycles = 20
    @OptionGroup var common: Common

    func run() throws {
        if let obstacle = try DiskImage.obstacle() { return say("otp-crash power: skipped: \(obstacle)") }
        if let code = try DiskImage.enterNamespace() { throw ExitCode(code) }
        var session: Session?
        var disk: DiskImage?
        try ending("power --cycles \(cycles) --seed \(common.seed) --commit \(common.commit)", { session?.folder }) {
            let work = try DiskImage.folder()
            let library = try CrashServer.buildLibrary(in: work)
            say("otp-crash power: \(cycles) power cuts, seed \(common.seed), commit \(commitName())")
            var generator = SeededGenerator(seed: common.seed)
            var restarts: [UInt64] = []
            var (replies, mounts) = (0, 0)
            for cycle in 0..<cycles {
                if cycle % 10 == 0 {
                    replies += session?.totals.replies ?? 0
                    restarts += session?.restarts ?? []
                    try remove(&session, &disk)
                    let folder = try temporaryFolder()
                    let made = try DiskImage(in: folder, mebibytes: 512)
                    disk = made
                    session = try Session(
                        library: library, folder: folder, dataFolder: made.mountPoint, commit: common.mode(cycle / 10),
                        seed: generator.next())
                }
                guard let session, let disk else { return }
                try one(session, disk, &generator)
                mounts += 1
            }
            replies += session?.totals.replies ?? 0
            restarts += session?.restarts ?? []
            try remove(&session, &disk)
            try removeTree(work)
            say("  restart to first reply: \(spread(restarts))")
            say("passed: \(mounts) power cuts; \(replies) replies of writes, all kept; 0 violations")
        }
    }

    private func remove(_ session: inout Session?, _ disk: inout DiskImage?) throws {
        guard let old = session else { return }
        old.server.kill9()
        try disk?.unmount()
        disk = nil
        try old.server.remove()
        session = nil
    }

    private func one(_ session: Session, _ disk: DiskImage, _ generator: inout SeededGenerator) throws {
        let server = session.server
        if server.pid == 0 { try session.start() }
        let cutter = Cutter(disk, afterMicros: 5_000 + generator.next() % 120_000)
        try session.load(Load.Shape(), milliseconds: 2_000)
        try cutter.join()
        // It must notice by itself: no reply may leave that isn't on the disk.
        if let ended = server.ended(within: 50) {
            guard case .exited(let code) = ended, code != 0, server.said().contains("otpd: ") else {
                throw Violation("after a power cut otpd ended with \(ended): \(server.said())")
            }
        }
        server.kill9()
        try disk.unmount()
        try disk.mount()
        try session.check()
    }
}

/// Cuts the power after a while, from a thread of its own.
final class Cutter {
    private final class Order {
        let disk: DiskImage
        let micros: UInt64
        var failure: (any Error)?
        init(_ disk: DiskImage, _ micros: UInt64) {
            self.disk = disk
            self.micros = micros
        }
    }

    private var thread = pthread_t()
    private let order: Order

    init(_ disk: DiskImage, afterMicros micros: UInt64) {
        order = Order(disk, micros)
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let order = Unmanaged<Order>.fromOpaque(context).takeRetainedValue()
                usleep(useconds_t(order.micros))
                do { try order.disk.cutPower() } catch { order.failure = error }
                return nil
            }, Unmanaged.passRetained(order).toOpaque())
    }

    func join() throws {
        pthread_join(thread, nil)
        if let failure = order.failure { throw failure }
    }
}
