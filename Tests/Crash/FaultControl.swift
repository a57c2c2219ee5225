import Glibc

/// The page of memory that the harness shares with `fault/fault.c` in the server: clocks, and which call fails how.
final class FaultControl {
    /// As in fault.c, in order.
    enum Call: UInt32, CaseIterable {
        case open, write, pwrite, writev, fdatasync, fsync, rename, unlink, mkdir, read, send, receive, fallocate
    }

    enum Fault: UInt32, CaseIterable {
        case killBefore = 1, killAfter, ioError, noSpace, interrupted, short, slow
    }

    enum Scope: UInt32 { case allThreads, checkpointer, allButCheckpointer }

    private enum Offset {
        static let realtime = 0, boottime = 8, bootID = 16, armed = 32, call = 36, fault = 40, scope = 44
        static let nth = 48, forEver = 56, fired = 60, counts = 64, inLMDB = 168
    }

    let path: String
    private let page: UnsafeMutableRawPointer

    /// Makes the file, or opens one that an earlier run of the harness left.
    init(_ path: String) throws {
        self.path = path
        let fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard fd >= 0, ftruncate(fd, 4096) == 0 else { throw CrashError("\(path): \(reason())") }
        defer { close(fd) }
        guard let map = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), map != MAP_FAILED else {
            throw CrashError("mmap \(path): \(reason())")
        }
        page = map
    }

    deinit { munmap(page, 4096) }

    private func value<T>(_ offset: Int, as type: T.Type) -> T { page.load(fromByteOffset: offset, as: type) }
    private func store<T>(_ offset: Int, _ value: T) { page.storeBytes(of: value, toByteOffset: offset, as: T.self) }

    var realtimeShiftMs: Int64 {
        get { value(Offset.realtime, as: Int64.self) / 1_000_000 }
        set { store(Offset.realtime, newValue * 1_000_000) }
    }

    var boottimeShiftMs: Int64 {
        get { value(Offset.boottime, as: Int64.self) / 1_000_000 }
        set { store(Offset.boottime, newValue * 1_000_000) }
    }

    /// Zero = the machine's own.
    func setBootID(_ low: UInt64) {
        store(Offset.bootID, low == 0 ? UInt64(0) : 0x1234_5678_9ABC_4DEF)
        store(Offset.bootID + 8, low)
    }

    /// Counting begins anew.
    func arm(_ call: Call, _ fault: Fault, nth: UInt64, forEver: Bool, scope: Scope) {
        disarm()
        for index in Call.allCases.indices { store(Offset.counts + 8 * index, UInt64(0)) }
        store(Offset.fired, UInt32(0))
        store(Offset.inLMDB, UInt32(0))
        store(Offset.call, call.rawValue)
        store(Offset.fault, fault.rawValue)
        store(Offset.scope, scope.rawValue)
        store(Offset.nth, nth)
        store(Offset.forEver, UInt32(forEver ? 1 : 0))
        store(Offset.armed, UInt32(1))
    }

    func disarm() { store(Offset.armed, UInt32(0)) }

    /// Calls since it was armed.
    var counts: [Call: UInt64] {
        var counts: [Call: UInt64] = [:]
        for (index, call) in Call.allCases.enumerated() {
            counts[call] = value(Offset.counts + 8 * index, as: UInt64.self)
        }
        return counts
    }

    /// Faults made since it was armed.
    var fired: UInt32 { value(Offset.fired, as: UInt32.self) }
    /// Those of them in calls on liblmdb's files.
    var firedInLMDB: UInt32 { value(Offset.inLMDB, as: UInt32.self) }
}

/// The system's words for the newest error.
func reason() -> String { String(cString: strerror(errno)) }
