import CBenchPoll
import CLinuxShim
import Glibc
import Histogram
import Wire

/// A load engine, whatever its protocol.
protocol LoadRunner: AnyObject {
    var known: [Errand] { get }
    var nextShopper: UInt64 { get }
    func run(
        _ streams: [LoadStream], warmUp: Double, seconds: Double, atStart: () throws -> Void,
        atEnd: () throws -> Void
    ) throws -> [StreamResult]
}

/// The load generator: one thread, one epoll, streams of errands. A process of its own beside the measured server; `floor --echo` shows
/// its ceiling.
final class LoadEngine<D: Dialect>: LoadRunner {
    struct Task {
        var errand = Errand()
        var stream: Int32 = 0
        var pipe: Int32 = 0
        var operation = Operation.request
        /// When the errand was due, and when its last request was sent (or due).
        var due: UInt64 = 0
        var sent: UInt64 = 0
        var isWaitingForCode = false
        var isLive = false
    }

    var dialect: D
    let epoll: Int32
    var generator: SeededGenerator
    var pipes: [Pipe] = []
    var tasks: [Task] = []
    var free: [Int32] = []
    var dirty: [Int32] = []
    var streams: [LoadStream] = []
    var results: [StreamResult] = []
    var pipesOfStream: [Range<Int>] = []
    /// Open loop: errands that are due and wait for a free connection.
    var backlog: [Backlog] = []
    var started: [Int] = []
    var nextPipe: [Int] = []
    var codes: [UInt64: UInt64] = [:]
    var waiting: [UInt64: Int32] = [:]
    var courier: Int?
    var credit = 0
    /// Some stream verifies: codes that come before their challenge's reply are kept.
    var wantsCodes = false
    var fresh: UInt64
    var recordFrom: UInt64 = 0
    var recordUntil: UInt64 = 0
    var isStopping = false
    /// Errands that `keeps` kept.
    var known: [Errand]

    /// Requests that one connection may have without a reply: the protocol's bound.
    let maxInFlight = 64

    init(_ dialect: D, seed: UInt64, known: [Errand] = [], firstShopper: UInt64) throws {
        self.dialect = dialect
        self.known = known
        generator = SeededGenerator(seed: seed)
        fresh = firstShopper
        epoll = bench_poll_create()
        guard epoll >= 0 else { throw BenchError("epoll_create1: \(String(cString: strerror(-epoll)))") }
    }

    deinit { close(epoll) }

    /// The next shopper that nobody has been yet.
    var nextShopper: UInt64 { fresh }

    /// Runs the streams side by side. `atStart` and `atEnd` are called at the ends of the recorded time.
    func run(
        _ streams: [LoadStream], warmUp: Double, seconds: Double, atStart: () throws -> Void,
        atEnd: () throws -> Void
    ) throws -> [StreamResult] {
        try open(streams)
        defer { shut() }
        let start = linux_monotonic_nanos()
        recordFrom = start + UInt64(warmUp * 1e9)
        recordUntil = recordFrom + UInt64(seconds * 1e9)
        var arrivals = streams.map { $0.rate == nil ? UInt64.max : start }
        for index in streams.indices where streams[index].rate == nil { try fillClosed(index) }
        var isRecording = false
        while true {
            let now = linux_monotonic_nanos()
            if !isRecording, now >= recordFrom {
                isRecording = true
                try atStart()
            }
            if now >= recordUntil || isFinished { break }
            for index in streams.indices { arrive(index, &arrivals[index], now) }
            try flush()
            let next = min(arrivals.min() ?? .max, isRecording ? recordUntil : recordFrom)
            let later = linux_monotonic_nanos()
            try poll(nanos: next > later ? next - later : 0)
        }
        try atEnd()
        let ended = linux_monotonic_nanos()
        try drain()
        for index in results.indices {
            results[index].nanos = min(ended, recordUntil) - min(recordFrom, ended)
        }
        return results
    }

    // MARK: connections

    func open(_ streams: [LoadStream]) throws {
        self.streams = streams
        results = streams.map { _ in StreamResult() }
        backlog = streams.map { _ in Backlog() }
        started = streams.map { _ in 0 }
        nextPipe = streams.map { _ in 0 }
        isStopping = false
        wantsCodes = streams.contains { $0.mix == .cycle || $0.mix == .guess }
        for (index, stream) in streams.enumerated() {
            if stream.mix.needsKnown, known.isEmpty {
                throw BenchError("\(stream.mix.rawValue) needs challenges that exist")
            }
            let first = pipes.count
            for _ in 0..<stream.clients { try add(Pipe(fd: dialect.connect(), stream: index)) }
            pipesOfStream.append(first..<pipes.count)
        }
        if !dialect.codesAreKnown, streams.contains(where: { $0.mix.createsMessages }) {
            courier = pipes.count
            try add(Pipe(fd: dialect.connect(), stream: -1))
            grantCredit()
        }
    }

    func add(_ pipe: Pipe) throws {
        let result = bench_poll_add(epoll, pipe.fd, UInt32(pipes.count))
        guard result == 0 else { throw BenchError("epoll_ctl: \(String(cString: strerror(-result)))") }
        pipes.append(pipe)
    }

    /// Whatever is still under way goes with its connection.
    func shut() {
        pipes.removeAll()
        pipesOfStream.removeAll()
        tasks.removeAll(keepingCapacity: true)
        free.removeAll(keepingCapacity: true)
        dirty.removeAll(keepingCapacity: true)
        codes.removeAll(keepingCapacity: true)
        waiting.removeAll(keepingCapacity: true)
        courier = nil
    }

    func grantCredit() {
        guard let courier else { return }
        credit = 64
        dialect.encodeCredit(into: pipes[courier])
        markDirty(courier)
    }

    func markDirty(_ index: Int) {
        guard !pipes[index].isDirty else { return }
        pipes[index].isDirty = true
        dirty.append(Int32(index))
    }

    func flush() throws {
        var kept = 0
        for index in dirty {
            let pipe = pipes[Int(index)]
            guard pipe.flush() else { throw BenchError("the server closed a connection") }
            if pipe.outputCount > 0 {
                dirty[kept] = index
                kept += 1
            } else {
                pipe.isDirty = false
            }
        }
        dirty.removeLast(dirty.count - kept)
    }

    /// Waits for input until `nanos` are over, and works on it.
    func poll(nanos: UInt64) throws {
        let bounded = min(nanos, dirty.isEmpty ? 100_000_000 : 100_000)
        try withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { keys in
            let count = bench_poll_wait(epoll, keys.baseAddress, 256, bounded)
            guard count >= 0 else { throw BenchError("epoll_pwait2: \(String(cString: strerror(-count)))") }
            for index in 0..<Int(count) { try take(Int(keys[index])) }
        }
    }

    func take(_ index: Int) throws {
        let pipe = pipes[index]
        guard pipe.fill() else { throw BenchError("the server closed a connection") }
        var done = 0
        let now = linux_monotonic_nanos()
        while done < pipe.inputCount {
            let answer = dialect.parse(UnsafeRawBufferPointer(rebasing: pipe.unread[done...]))
            guard answer.bytes > 0 else { break }
            done += answer.bytes
            if answer.isPush {
                pushed(answer, now)
            } else if !answer.isIgnored {
                pipe.inFlight -= 1
                try answered(answer.task < 0 ? pipe.order.removeFirst() : answer.task, answer, now)
            }
        }
        pipe.consume(done)
    }
}
