import CLinuxShim
import Glibc
import Store
import Synchronization

/// The one thread of the data plane: waits for sockets, reads what has come, gives the batch its turn; again and again.
///
/// It looks at its sockets before every turn, so whatever a turn leaves behind waits for them and not they for it. Our own and not a
/// library's: see ARCHITECTURE.md, *Why no NIO in the core*.
///
/// `@unchecked Sendable`: other threads touch `posted`, `signals` and the bell alone; everything else is the loop thread's from `start` on.
final class EventLoop: @unchecked Sendable {
    private static let bellToken = UInt32.max
    /// Added to a listener's index.
    private static let firstListener: UInt32 = 1 << 31
    /// Descriptors that one look reports at most; the others come with the next.
    private static let looked = 256

    private let poll: Int32
    private let bell: Int32
    private let posted = Mutex<[() -> Void]>([])
    private let signals = Atomic<UInt8>(0)

    private var batch: Batch?
    private var thread = pthread_t()
    private var isStopped = false
    /// By token; a token is used again from the round after its socket's end on.
    private var sockets: [Socket?] = []
    private var freeTokens: [UInt32] = []
    private var ending: [Socket] = []
    /// How many of them know it.
    private var told = 0
    private var openSockets = 0
    private let maxSockets: Int
    private var listeners: [Listener] = []
    /// Monotonic milliseconds when listeners are looked at again; 0 = they are.
    private var acceptsAtMs: UInt64 = 0
    private var tickAtMs: UInt64 = 0
    private var lookAtMs: UInt64 = 0
    private let ready = UnsafeMutableBufferPointer<linux_readiness>.allocate(capacity: looked)
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: Bounds.readBytes, alignment: 64)

    /// - Parameter maxSockets: of peers; beyond it they wait in the kernel's backlog.
    init(maxSockets: Int) throws {
        self.maxSockets = maxSockets
        sockets.reserveCapacity(min(maxSockets, Bounds.maxConnections))
        freeTokens.reserveCapacity(min(maxSockets, Bounds.maxConnections))
        ending.reserveCapacity(min(maxSockets, Bounds.maxConnections))
        poll = linux_poll_create()
        bell = linux_bell()
        guard poll >= 0, bell >= 0, linux_poll_add(poll, bell, EventLoop.bellToken, 1, 0) == 0 else {
            throw Listener.Failure(description: "no epoll or eventfd: \(String(cString: strerror(errno))). Raise this process's limit of open files (LimitNOFILE= in the unit).")
        }
    }

    deinit {
        ready.deallocate()
        input.deallocate()
        Glibc.close(poll)
        Glibc.close(bell)
    }

    // MARK: from other threads

    /// Its thread begins; the batch is the loop's from now on.
    func start(_ batch: Batch) {
        self.batch = batch
        tickAtMs = EventLoop.milliseconds() + Bounds.tickMs
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<EventLoop>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(code == 0, "no thread for the event loop: raise the limit of threads")
        linux_name_thread(thread, "otpd-loop")
    }

    func signal(_ signal: Signal) {
        signals.bitwiseOr(signal == .synced ? 1 : 2, ordering: .acquiringAndReleasing)
        linux_ring(bell)
    }

    /// Runs on the loop's thread, before its next turn.
    func execute(_ job: @escaping () -> Void) {
        let box = Handoff(value: job)
        posted.withLock { $0.append(box.value) }
        linux_ring(bell)
    }

    /// Runs on the loop's thread; returns what it returned. Never call it there.
    /// - Parameter seconds: throws `NoAnswer` after so many: the loop hangs in a sync, and what was asked may still run later.
    func submit<Value>(within seconds: Int = .max, _ body: @escaping () throws -> Value) throws -> Value {
        let answer = Answer<Value>()
        execute { answer.give(Result { try body() }) }
        guard let result = answer.wait(seconds: seconds) else { throw NoAnswer() }
        return try result.get()
    }

    /// The loop didn't get to it in time.
    struct NoAnswer: Error {}

    /// Ends the thread and every connection.
    func stop() throws {
        try submit { [self] in isStopped = true }
        pthread_join(thread, nil)
    }

    // MARK: on its thread

    func add(_ listener: Listener) throws {
        let token = EventLoop.firstListener + UInt32(listeners.count)
        let code = linux_poll_add(poll, listener.descriptor, token, 1, 0)
        guard code == 0 else {
            listener.stop()
            throw Listener.Failure(description: "\(listener.rule.path): \(String(cString: strerror(-code)))")
        }
        listeners.append(listener)
    }

    /// No more connections come.
    func closeListeners() {
        for listener in listeners { listener.stop() }
        listeners = []
    }

    private func run() {
        guard let batch else { return }
        while !isStopped {
            let count = Int(linux_poll_wait(poll, ready.baseAddress, Int32(EventLoop.looked), patience(batch)))
            guard count >= 0 else { return endProcess("event loop", String(cString: strerror(Int32(-count)))) }
            for index in 0..<count { handle(ready[index], batch) }
            runPosted()
            lookAtClock(batch)
            if batch.wantsTurn { batch.turn() }
            reap()
            // Codes that were derived or compared, and the states of the keys they were derived by.
            linux_wipe_stack()
        }
        for socket in sockets { socket?.close() }
        reap()
        self.batch = nil
    }

    private func handle(_ found: linux_readiness, _ batch: Batch) {
        if found.token == EventLoop.bellToken { return hear(batch) }
        if found.token >= EventLoop.firstListener { return accept(Int(found.token - EventLoop.firstListener), batch) }
        // Closed in this round: what epoll had to say of it is over.
        guard let socket = sockets[Int(found.token)] else { return }
        if found.can_write != 0 { socket.canWrite() }
        if found.can_read != 0, socket.reads {
            socket.read(into: input)
        } else if found.is_over != 0 {
            socket.close()
        }
    }

    private func hear(_ batch: Batch) {
        linux_hear(bell)
        let heard = signals.exchange(0, ordering: .acquiringAndReleasing)
        if heard & 1 != 0 { batch.take(.synced) }
        if heard & 2 != 0 { batch.take(.checkpointed) }
    }

    private func runPosted() {
        let jobs = posted.withLock { posted in
            let jobs = posted
            if !jobs.isEmpty { posted = [] }
            return Handoff(value: jobs)
        }
        for job in jobs.value { job() }
    }

    private static func milliseconds() -> UInt64 { linux_monotonic_nanos() / 1_000_000 }

    /// Milliseconds to wait for sockets.
    private func patience(_ batch: Batch) -> Int32 {
        let now = EventLoop.milliseconds()
        if lookAtMs == 0, batch.wantsLook { lookAtMs = now + 1 }
        if batch.wantsTurn { return 0 }
        var end = tickAtMs
        if lookAtMs != 0 { end = min(end, lookAtMs) }
        if acceptsAtMs != 0 { end = min(end, acceptsAtMs) }
        return Int32(end - min(end, now))
    }

    private func lookAtClock(_ batch: Batch) {
        let now = EventLoop.milliseconds()
        if now >= tickAtMs {
            tickAtMs = now + Bounds.tickMs
            batch.tick()
        }
        if lookAtMs != 0, now >= lookAtMs {
            lookAtMs = 0
            batch.lookAgain()
        }
        if acceptsAtMs != 0, now >= acceptsAtMs { pauseAccepts(false) }
    }

    // MARK: accepts

    /// Some connections of a listener; pauses while descriptors are short, and after an accept that failed.
    private func accept(_ index: Int, _ batch: Batch) {
        guard listeners.indices.contains(index) else { return }
        let listener = listeners[index]
        for _ in 0..<Bounds.acceptsInTurn {
            guard openSockets < maxSockets else { return pauseAccepts(true) }
            var uid = uid_t()
            let descriptor = linux_accept(listener.descriptor, &uid)
            if descriptor == -EAGAIN { return }
            // EMFILE, ENFILE, ENOBUFS, ENOMEM: the listener stays readable, and asking again at once would be all that the loop does.
            guard descriptor >= 0 else { return pauseAccepts(true) }
            add(descriptor, Connection(batch: batch, listener: listener.rule, uid: uid))
            // One that was pushed out makes a place for the next.
            tellTheEnded()
        }
    }

    private func pauseAccepts(_ isPaused: Bool) {
        if isPaused { batch?.counters.acceptPauses += 1 }
        acceptsAtMs = isPaused ? EventLoop.milliseconds() + Bounds.acceptPauseMs : 0
        for (index, listener) in listeners.enumerated() {
            linux_poll_change(poll, listener.descriptor, EventLoop.firstListener + UInt32(index), isPaused ? 0 : 1, 0)
        }
    }

    private func add(_ descriptor: Int32, _ connection: Connection) {
        let token: UInt32
        if let free = freeTokens.popLast() { token = free } else {
            token = UInt32(sockets.count)
            sockets.append(nil)
        }
        let socket = Socket(descriptor, token: token, loop: self, connection: connection)
        sockets[Int(token)] = socket
        openSockets += 1
        guard linux_poll_add(poll, descriptor, token, 1, 0) == 0 else { return socket.close() }
        connection.begin(on: socket)
    }

    // MARK: its sockets' calls

    func watch(_ socket: Socket, reads: Bool, writes: Bool) {
        linux_poll_change(poll, socket.descriptor, socket.token, reads ? 1 : 0, writes ? 1 : 0)
    }

    /// The descriptor is closed, and its number used again, when this round is over.
    func ends(_ socket: Socket) {
        sockets[Int(socket.token)] = nil
        ending.append(socket)
    }

    /// Connections that have ended give up their places.
    private func tellTheEnded() {
        while told < ending.count {
            told += 1
            ending[told - 1].ended()
        }
    }

    private func reap() {
        guard !ending.isEmpty else { return }
        tellTheEnded()
        for socket in ending {
            Glibc.close(socket.descriptor)
            freeTokens.append(socket.token)
        }
        openSockets -= ending.count
        ending.removeAll(keepingCapacity: true)
        told = 0
    }
}

/// A value that moves to another thread and is used there alone from then on.
struct Handoff<Value>: @unchecked Sendable {  // the loop's queue, or its start, orders the hand-over
    let value: Value
}

/// What a job on the loop's thread has come to, for the one thread that waits for it.
private final class Answer<Value>: @unchecked Sendable {  // the semaphore orders the hand-over
    private let given = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private var result: Result<Value, any Error>?

    init() { sem_init(given, 0, 0) }

    deinit {
        sem_destroy(given)
        given.deallocate()
    }

    func give(_ result: Result<Value, any Error>) {
        self.result = result
        sem_post(given)
    }

    /// `nil` = it hasn't come in so many seconds.
    func wait(seconds: Int) -> Result<Value, any Error>? {
        let end = linux_monotonic_nanos() / 1_000_000_000 + UInt64(min(seconds, 1 << 32))
        while true {
            // The semaphore's waits go by the wall clock, which may jump: they are short, and another clock counts them.
            var soon = timespec()
            clock_gettime(CLOCK_REALTIME, &soon)
            soon.tv_sec += 1
            if sem_timedwait(given, &soon) == 0 { break }
            if linux_monotonic_nanos() / 1_000_000_000 > end { return nil }
        }
        guard let result else { preconditionFailure("it was given before the semaphore rose") }
        return result
    }
}
