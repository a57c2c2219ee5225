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
    private struct Task {
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

    private var dialect: D
    private let epoll: Int32
    private var generator: SeededGenerator
    private var pipes: [Pipe] = []
    private var tasks: [Task] = []
    private var free: [Int32] = []
    private var dirty: [Int32] = []
    private var streams: [LoadStream] = []
    private var results: [StreamResult] = []
    private var pipesOfStream: [Range<Int>] = []
    /// Open loop: errands that are due and wait for a free connection.
    private var backlog: [Backlog] = []
    private var started: [Int] = []
    private var nextPipe: [Int] = []
    private var codes: [UInt64: UInt64] = [:]
    private var waiting: [UInt64: Int32] = [:]
    private var courier: Int?
    private var credit = 0
    /// Some stream verifies: codes that come before their challenge's reply are kept.
    private var wantsCodes = false
    private var fresh: UInt64
    private var recordFrom: UInt64 = 0
    private var recordUntil: UInt64 = 0
    private var isStopping = false
    /// Errands that `keeps` kept.
    private(set) var known: [Errand]

    /// Requests that one connection may have without a reply: the protocol's bound.
    private let maxInFlight = 64

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

    private func open(_ streams: [LoadStream]) throws {
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
        if !dialect.codesAreKnown {
            courier = pipes.count
            try add(Pipe(fd: dialect.connect(), stream: -1))
            grantCredit()
        }
    }

    private func add(_ pipe: Pipe) throws {
        let result = bench_poll_add(epoll, pipe.fd, UInt32(pipes.count))
        guard result == 0 else { throw BenchError("epoll_ctl: \(String(cString: strerror(-result)))") }
        pipes.append(pipe)
    }

    /// Whatever is still under way goes with its connection.
    private func shut() {
        pipes.removeAll()
        pipesOfStream.removeAll()
        tasks.removeAll(keepingCapacity: true)
        free.removeAll(keepingCapacity: true)
        dirty.removeAll(keepingCapacity: true)
        codes.removeAll(keepingCapacity: true)
        waiting.removeAll(keepingCapacity: true)
        courier = nil
    }

    private func grantCredit() {
        guard let courier else { return }
        credit = 64
        dialect.encodeCredit(into: pipes[courier])
        markDirty(courier)
    }

    private func markDirty(_ index: Int) {
        guard !pipes[index].isDirty else { return }
        pipes[index].isDirty = true
        dirty.append(Int32(index))
    }

    private func flush() throws {
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
    private func poll(nanos: UInt64) throws {
        let bounded = min(nanos, dirty.isEmpty ? 100_000_000 : 100_000)
        try withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { keys in
            let count = bench_poll_wait(epoll, keys.baseAddress, 256, bounded)
            guard count >= 0 else { throw BenchError("epoll_pwait2: \(String(cString: strerror(-count)))") }
            for index in 0..<Int(count) { try take(Int(keys[index])) }
        }
    }

    private func take(_ index: Int) throws {
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

    // MARK: errands

    private var isFinished: Bool {
        for index in streams.indices {
            guard let limit = streams[index].limit, started[index] >= limit else { return false }
        }
        return free.count == tasks.count
    }

    private func fillClosed(_ stream: Int) throws {
        for pipe in pipesOfStream[stream] {
            for _ in 0..<streams[stream].depth { begin(stream, pipe, due: linux_monotonic_nanos()) }
        }
    }

    /// Open loop: begins what is due; arrivals are a Poisson process.
    private func arrive(_ stream: Int, _ next: inout UInt64, _ now: UInt64) {
        guard let rate = streams[stream].rate else { return }
        while next <= now {
            if next >= recordFrom, next < recordUntil { results[stream].offered += 1 }
            backlog[stream].append(next)
            let u = Double(generator.next() >> 11) * 0x1p-53
            next += UInt64(-log(1 - u) / rate * 1e9)
        }
        startBacklog(stream)
    }

    private func startBacklog(_ stream: Int) {
        let range = pipesOfStream[stream]
        while let due = backlog[stream].first {
            var chosen: Int?
            for _ in range {
                let index = range.lowerBound + nextPipe[stream]
                nextPipe[stream] = (nextPipe[stream] + 1) % range.count
                if pipes[index].inFlight < maxInFlight {
                    chosen = index
                    break
                }
            }
            guard let chosen else { return }
            backlog[stream].removeFirst()
            begin(stream, chosen, due: due)
        }
    }

    private func begin(_ stream: Int, _ pipe: Int, due: UInt64) {
        if isStopping, streams[stream].rate == nil { return }
        if let limit = streams[stream].limit, started[stream] >= limit { return }
        started[stream] += 1
        let number = free.popLast() ?? Int32(tasks.count)
        if Int(number) == tasks.count { tasks.append(Task()) }
        var task = Task()
        let first = streams[stream].mix.first
        if streams[stream].mix.needsKnown {
            task.errand = known[Int(chooseKnown(streams[stream].spread))]
        } else {
            task.errand.shopper = streams[stream].spread.next(&generator, fresh: &fresh)
        }
        if first == .request || first == .refusal {
            task.errand.requestID = Bytes16(
                timeMs: dialect.serverMs(), tailHigh: UInt16(truncatingIfNeeded: generator.next()),
                tailLow: generator.next())
            task.errand.code = task.errand.requestID.low % 1_000_000
            task.errand.challenge = .zero
        }
        task.stream = Int32(stream)
        task.pipe = Int32(pipe)
        task.due = due
        task.sent = due
        task.isLive = true
        tasks[Int(number)] = task
        send(first, number)
    }

    private func chooseKnown(_ spread: KeySpread) -> UInt64 {
        let count = UInt64(known.count)
        switch spread {
        case .fresh: return generator.next() % count
        case .uniform, .zipf, .hot:
            var unused: UInt64 = 0
            return spread.next(&generator, fresh: &unused) % count
        }
    }

    private func send(_ operation: Operation, _ number: Int32) {
        let index = Int(tasks[Int(number)].pipe)
        tasks[Int(number)].operation = operation
        let pipe = pipes[index]
        dialect.encode(operation, tasks[Int(number)].errand, task: number, into: pipe)
        pipe.order.append(number)
        pipe.inFlight += 1
        markDirty(index)
    }

    private func pushed(_ answer: Answer, _ now: UInt64) {
        credit -= 1
        if credit <= 32 { grantCredit() }
        if let number = waiting.removeValue(forKey: answer.challenge.low) {
            tasks[Int(number)].errand.code = answer.code
            tasks[Int(number)].isWaitingForCode = false
            proceed(number, now)
        } else if wantsCodes {
            codes[answer.challenge.low] = answer.code
        }
    }

    private func answered(_ number: Int32, _ answer: Answer, _ now: UInt64) throws {
        guard tasks.indices.contains(Int(number)), tasks[Int(number)].isLive else {
            throw BenchError("a reply to nothing")
        }
        let task = tasks[Int(number)]
        record(task, answer.outcome, now)
        if answer.outcome == .done, task.operation == .request {
            tasks[Int(number)].errand.challenge = answer.challenge
        }
        let mix = streams[Int(task.stream)].mix
        switch (mix, task.operation, answer.outcome) {
        case (.cycle, .request, .done), (.guess, .request, .done):
            if dialect.codesAreKnown { return proceed(number, now) }
            if let code = codes.removeValue(forKey: answer.challenge.low) {
                tasks[Int(number)].errand.code = code
                return proceed(number, now)
            }
            tasks[Int(number)].isWaitingForCode = true
            waiting[answer.challenge.low] = number
        case (.guess, .guess, .wrongCode) where task.errand.attempt < 5: proceed(number, now)
        case (.guess, .guess, .done) where task.errand.attempt < 5: proceed(number, now)  // the floor accepts anything
        default: finish(number, now)
        }
    }

    /// The next request of an errand: its code is known.
    private func proceed(_ number: Int32, _ now: UInt64) {
        tasks[Int(number)].sent = now
        tasks[Int(number)].errand.attempt += 1
        send(streams[Int(tasks[Int(number)].stream)].mix == .guess ? .guess : .verify, number)
    }

    private func record(_ task: Task, _ outcome: Outcome, _ now: UInt64) {
        guard now >= recordFrom, task.due >= recordFrom || streams[Int(task.stream)].rate == nil else {
            return
        }
        guard task.due < recordUntil else { return }
        let stream = Int(task.stream)
        results[stream].latencies[task.operation.rawValue].record(min(now - task.sent, StreamResult.topNanos))
        // Replies after the end count for latency, not for throughput.
        if now < recordUntil { results[stream].counts[task.operation.rawValue][outcome.rawValue] += 1 }
    }

    private func finish(_ number: Int32, _ now: UInt64) {
        let task = tasks[Int(number)]
        let stream = Int(task.stream)
        if streams[stream].keeps { known.append(task.errand) }
        if task.due >= recordFrom, task.due < recordUntil {
            results[stream].errands.record(min(now - task.due, StreamResult.topNanos))
        }
        tasks[Int(number)].isLive = false
        free.append(number)
        if streams[stream].rate == nil {
            begin(stream, Int(task.pipe), due: now)
        } else {
            startBacklog(stream)
        }
    }

    /// After the time is over: what was due still gets its answer, for two seconds. What has none by then counts with its age.
    private func drain() throws {
        isStopping = true
        let end = linux_monotonic_nanos() + 2_000_000_000
        while free.count < tasks.count || backlog.contains(where: { $0.first != nil }),
            linux_monotonic_nanos() < end
        {
            try flush()
            try poll(nanos: 10_000_000)
        }
        let now = linux_monotonic_nanos()
        for task in tasks where task.isLive && task.due >= recordFrom && task.due < recordUntil {
            let stream = Int(task.stream)
            guard streams[stream].rate != nil || !task.isWaitingForCode else { continue }
            results[stream].unanswered += 1
            results[stream].latencies[task.operation.rawValue].record(
                min(now - task.sent, StreamResult.topNanos))
        }
        for stream in streams.indices {
            while let due = backlog[stream].first {
                backlog[stream].removeFirst()
                guard due >= recordFrom else { continue }
                results[stream].unanswered += 1
                results[stream].latencies[streams[stream].mix.first.rawValue].record(
                    min(now - due, StreamResult.topNanos))
            }
        }
    }
}

/// Instants in order, over one array.
private struct Backlog {
    private var items: [UInt64] = []
    private var head = 0

    var first: UInt64? { head < items.count ? items[head] : nil }
    mutating func append(_ item: UInt64) { items.append(item) }
    mutating func removeFirst() {
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: true)
            head = 0
        }
    }
}
