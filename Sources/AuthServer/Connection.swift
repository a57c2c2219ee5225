import Glibc
import Store
import Wire

/// One peer: its bytes in, its bytes out, and what it may do. It decides nothing: `Batch` does, once a turn.
package final class Connection {
    let batch: Batch
    let listener: ListenerRule
    let uid: UInt32
    /// Whose it is, since the batch has taken it in.
    var user: User?
    var authority: Authority?
    /// Set by LeaseMessages: pushes that this courier will still take.
    var courierCredit: UInt16 = 0
    var leaseMs = Bounds.leaseMs
    /// Set by Subscribe.
    var subscription: EventFeed.Subscription?

    /// Undecided input.
    var input = ByteQueue()
    /// Replies that may leave at the end of the turn, and what the peer hasn't taken yet.
    private var ready = ByteQueue()
    /// Replies and pushes that wait for a sync: first those of the batch that is being synced, then those of the open one.
    private var held = ByteQueue()
    /// Bytes of the first kind.
    private var heldUnderWay = 0
    private var transport: (any Transport)?
    private(set) var isClosing = false
    /// The peer has left bytes of `ready` untaken.
    private var isBlocked = false
    /// `FairQueue`'s: waits in its user's line for its turn; who comes after it there; the round in which it last had
    /// a part, and what is left of that.
    var isQueued = false
    var nextInLine: Connection?
    var lastRound: UInt64 = 0
    var partLeft = 0
    /// Waits for the sync under way, or for room.
    var isStalled = false
    /// Its index among the batch's connections.
    var place = -1

    /// `Lineup`'s: the place among those who wait for Hello, or for the peer to read its Goodbye.
    var isLinedUp = false
    var linedUpMs: UInt64 = 0
    var next: Connection?
    var previous: Connection?

    /// `CourierRing`'s: the place among the couriers that take messages.
    var isInCourierRing = false
    var nextCourier: Connection?
    var previousCourier: Connection?

    /// The peer clock's milliseconds since when the input begins with a part of a frame; 0 = it doesn't. More bytes of it don't change that.
    var frameSinceMs: UInt64 = 0
    /// The peer clock's milliseconds since when output waits for the peer, and what it had taken by then; 0 = nothing waits.
    private var unreadSinceMs: UInt64 = 0
    private var takenThen = 0
    /// Bytes that the peer has taken.
    private var taken = 0

    package init(batch: Batch, listener: ListenerRule, uid: UInt32) {
        self.batch = batch
        self.listener = listener
        self.uid = uid
    }

    // MARK: its transport's calls

    package func begin(on transport: any Transport) {
        self.transport = transport
        if let refusal = batch.add(self) { close(refusal) }
    }

    /// Only appends: the turn decides.
    package func received(_ bytes: UnsafeRawBufferPointer) {
        guard !isClosing else { return }
        input.append(bytes)
        guard input.count <= Bounds.maxInputBytes else {
            return close(Goodbye(.inputOverflow, "more than 64 KiB of requests without reading replies"))
        }
        batch.enqueue(self)
    }

    /// There is room again.
    package func canSend() {
        isBlocked = false
        flush()
        batch.couriers.reads(self)
        if ready.count <= Bounds.maxOutputBytes / 2 { batch.enqueue(self) }
    }

    package func ended() {
        batch.remove(self)
        isClosing = true
        transport = nil
        ready = ByteQueue()
        held = ByteQueue()
        heldUnderWay = 0
    }

    // MARK: the batch's calls

    /// Output is being read: decisions go on.
    var isWritable: Bool { transport != nil && !(isBlocked && isFull) }

    /// What comes next in the input changes nothing.
    var readsNext: Bool { Frame.opcode(in: input.bytes)?.readsOnly ?? false }

    /// As much is ready as may wait unread: the rest is decided in another turn.
    var isFull: Bool { ready.count >= Bounds.maxOutputBytes }

    /// As much waits for the sync as may.
    var holdsMuch: Bool { held.count >= Bounds.maxOutputBytes }

    func hasHalfAFrame(now: UInt64) {
        if frameSinceMs == 0 { frameSinceMs = now }
    }

    /// Ends the connection of a peer that dribbles a frame, or leaves its replies unread: less than the bound in the time isn't reading.
    func checkPace(now: UInt64) {
        guard !isClosing else { return }
        if frameSinceMs != 0, now >= frameSinceMs + batch.settings.frameMillis {
            return close(Goodbye(.frameTimeout, "a frame wasn't whole within \(batch.settings.frameMillis) ms"))
        }
        guard isBlocked else {
            unreadSinceMs = 0
            return
        }
        if unreadSinceMs == 0 || taken - takenThen >= Bounds.maxOutputBytes {
            unreadSinceMs = now
            takenThen = taken
        } else if now >= unreadSinceMs + batch.settings.unreadMillis {
            close(Goodbye(.outputOverflow, "replies were left unread for \(batch.settings.unreadMillis) ms"))
        }
    }

    /// No more waiting for the peer to read its Goodbye.
    func cut() { transport?.close() }

    /// Adds a frame that `encode` writes; `isHeld`: it waits for the sync. A reply that doesn't fit a frame
    /// is `unknown` to who asked, and a push that doesn't is left out (a message is leased again): what
    /// somebody told the server must never end it.
    func send(
        isHeld: Bool, answering asked: (opcode: UInt16, correlation: UInt32)? = nil,
        _ encode: (UnsafeMutableRawBufferPointer) throws -> Int
    ) {
        // By way of the batch's one frame: a queue would keep room for the largest reply, which is rare.
        var count = 0
        do { count = try encode(batch.frame) } catch {
            explicit_bzero(batch.frame.baseAddress.unsafelyUnwrapped, batch.frame.count)
            batch.unfit.note(opcode: asked?.opcode ?? 0, error, now: batch.clock.now().engineMs)
            guard let asked, let refusal = unknown(to: asked) else { return }
            count = refusal
        }
        let frame = UnsafeRawBufferPointer(rebasing: batch.frame[..<count])
        // A courier's had a code in it.
        defer { explicit_bzero(batch.frame.baseAddress.unsafelyUnwrapped, count) }
        guard isHeld else { return ready.append(frame) }
        if held.count == heldUnderWay { batch.holding.append(self) }
        held.append(frame)
    }

    /// A refusal has one length, which fits.
    private func unknown(to asked: (opcode: UInt16, correlation: UInt32)) -> Int? {
        try? FieldEncoder.refusal(
            Refusal(.unknown), to: asked.opcode, correlation: asked.correlation, into: batch.frame)
    }

    /// The open batch is being synced from now on.
    func commitHeld() { heldUnderWay = held.count }

    /// The sync is done: what it held may leave.
    func release() {
        ready.append(UnsafeRawBufferPointer(rebasing: held.bytes[..<heldUnderWay]))
        held.removeFirst(heldUnderWay)
        heldUnderWay = 0
    }

    /// Hands the ready bytes to the peer, as many as it takes.
    func flush() {
        guard !ready.isEmpty, !isBlocked, let transport else { return }
        let count = transport.send(ready.bytes)
        taken += count
        ready.removeFirst(count)
        isBlocked = !ready.isEmpty
        if isClosing, !isBlocked, held.isEmpty { transport.close() }
    }

    /// Says why as the last frame, then closes. Held replies of the batch under way go first. A peer that doesn't read its
    /// Goodbye is cut off.
    func close(_ goodbye: Goodbye) {
        guard !isClosing, let transport else { return }
        batch.farewell(self)
        isClosing = true
        transport.stopReading()
        send(isHeld: !held.isEmpty) { try FieldEncoder.push(goodbye, into: $0) }
        flush()
    }
}
