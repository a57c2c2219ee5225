import Glibc

/// The counters that `probe/probe.c`, preloaded into a server, keeps in a shared file: per thread, allocations and system calls.
final class Probe {
    /// In the order of `enum counter`.
    enum Counter: Int, CaseIterable {
        case allocations, allocatedBytes, reads, writes, polls, syncs, otherCalls, journalBytes, treeBytes,
            fileBytes, syncNanos
    }

    /// One thread's counts, or a difference of two.
    struct Counts {
        var values = [UInt64](repeating: 0, count: Counter.allCases.count)
        subscript(_ counter: Counter) -> UInt64 { values[counter.rawValue] }
        /// System calls of all kinds.
        var calls: UInt64 { self[.reads] + self[.writes] + self[.polls] + self[.syncs] + self[.otherCalls] }

        static func - (a: Counts, b: Counts) -> Counts {
            Counts(values: zip(a.values, b.values).map { $0 &- $1 })
        }
        static func + (a: Counts, b: Counts) -> Counts {
            Counts(values: zip(a.values, b.values).map { $0 &+ $1 })
        }
    }

    /// All threads at one instant.
    struct Snapshot {
        var threads: [UInt64: Counts] = [:]
        var total: Counts { threads.values.reduce(Counts()) { $0 + $1 } }

        static func - (a: Snapshot, b: Snapshot) -> Snapshot {
            Snapshot(
                threads: a.threads.reduce(into: [:]) {
                    $0[$1.key] = $1.value - (b.threads[$1.key] ?? Counts())
                })
        }

        /// The event loop's thread: the one that polls most.
        var loop: Counts { threads.values.max { $0[.polls] < $1[.polls] } ?? Counts() }
    }

    let path: String
    private let scratch: Scratch
    private let words: UnsafeMutablePointer<UInt64>
    private static let threads = 32
    private static let threadWords = 1 + Counter.allCases.count
    private static let bytes = 8 * (1 + threads * threadWords)

    init() throws {
        scratch = try Scratch("probe")
        path = scratch.path + "/counters"
        let fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard fd >= 0, ftruncate(fd, off_t(Probe.bytes)) == 0,
            let mapped = mmap(nil, Probe.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
            mapped != MAP_FAILED
        else { throw BenchError("\(path): \(String(cString: strerror(errno)))") }
        close(fd)
        words = mapped.assumingMemoryBound(to: UInt64.self)
    }

    deinit { munmap(words, Probe.bytes) }

    func snapshot() -> Snapshot {
        var snapshot = Snapshot()
        for slot in 0..<min(Int(words[0]), Probe.threads) {
            let start = 1 + slot * Probe.threadWords
            var counts = Counts()
            for index in counts.values.indices { counts.values[index] = words[start + 1 + index] }
            snapshot.threads[words[start]] = counts
        }
        return snapshot
    }
}
