import Wire

/// The server's bounds; each has a unit and a reason.
enum Bounds {
    /// Requests of one connection that one turn decides: the protocol's in-flight cap.
    static let maxInFlight = 64
    /// Bytes of undecided input of one connection: beyond it the peer isn't keeping to the cap, and is cut off.
    static let maxInputBytes = 64 << 10
    /// Bytes of unread output at which decisions for a connection pause.
    static let maxOutputBytes = 16 << 10
    /// Seconds until Hello must have come.
    static let helloSeconds: Int64 = 2
    /// Seconds that a peer has to read its Goodbye.
    static let goodbyeSeconds: Int64 = 2
    /// Milliseconds until a frame that was begun must be whole.
    static let frameMs: UInt64 = 5_000
    /// Milliseconds in which a peer must take `maxOutputBytes` of what waits for it.
    static let unreadMs: UInt64 = 10_000
    /// Ticks in which each connection is looked at for the two above once: a part of them at each tick, because a look at thousands in one
    /// would hold up everybody's requests for milliseconds.
    static let ticksOfSweep = 10
    /// Connections that are ended at once because they are late, some 25 µs each.
    static let endsAtOnce = 8
    /// Bytes of one read: the buffers are fixed, partial frames are copied.
    static let readBytes = 8 << 10
    /// Connections in all; each costs up to some 300 KiB at worst: input, held and ready replies, whose memory grows by doubling.
    static let maxConnections = 1_024
    /// Connections that the kernel holds until they are accepted, a flood of connects among them; it cuts this to its `somaxconn`.
    static let backlog: Int32 = 4_096
    /// Accepts of one turn of the loop, some 25 µs each: a few would let a flood of connects keep others in the backlog for seconds.
    static let acceptsInTurn = 8
    /// Descriptors that peers never get: journal, database, keyring, the loop, standard streams, and a good many to spare, because a journal
    /// segment that can't be opened ends the process.
    static let ownDescriptors = 64
    /// Milliseconds without accepts after one failed, or while descriptors are short.
    static let acceptPauseMs: UInt64 = 100
    /// Other requests in one record of a user that is alone with its round: some 20 ms; and messages that a batch
    /// leases.
    static let maxBatch = 1_024
    /// Other requests of a user in one record that somebody else waits for: a millisecond or two a user.
    static let writesInCompany = 64
    /// Lookups that a turn decides, a microsecond or two each: what a write of somebody else waits for.
    static let lookupsInTurn = 256
    /// Other requests that a turn decides, some 20 µs each, before the loop looks at its sockets again: what a lookup
    /// waits for. A user's visit, too.
    static let writesInTurn = 16
    /// Connections that wait for a batch from which on it is worth the hop to the journal thread: so many clients send their next ones meanwhile.
    static let largeBatch = 6
    /// Messages that are due or leased, some 60 bytes each; beyond it new challenges are refused as `overloaded`, and
    /// those of a tenant that has more than what is left for all. With couriers that take 15 s for each it bounds a
    /// sustained rate: 26,000 messages a second.
    static let maxDueMessages = 400_000
    /// Milliseconds that writes wait for a checkpoint to make room, before they are `overloaded`: less than clients wait.
    static let stallMs: UInt64 = 1_000
    /// Rows of the outbox that one turn reads after a start: a quarter of a millisecond.
    static let outboxPage = 256
    /// Milliseconds after their requests in which people watch for a code: after a start, their messages are looked for first.
    static let watchedMs: UInt64 = 60_000
    /// Events that are kept: beyond it the oldest go before their 30 days (a flood must not fill the disk). About 5 GB.
    static let maxEvents = 32_000_000
    /// Milliseconds without a commit after which the journal is told the time.
    static let idleClockMs: UInt64 = 600_000
    /// Events that one page for a subscriber that is behind looks at, other tenants' among them.
    static let eventPage = 32
    /// Such pages that one turn reads: many subscribers that are behind share what the turn has to spare, and requests don't wait for them.
    static let maxPages = 2
    /// Subscribers of one user id: a few forwarders, with some to spare.
    static let maxSubscribersPerUID = 64
    /// Pushes of one batch's events, each a write to a socket, some 5 µs: subscribers beyond it take pages.
    static let maxPushes = 32
    /// Milliseconds that a lease lasts by default, and at most.
    static let leaseMs: UInt64 = 15_000
    /// And at least: nobody can submit and report in less, and each lease that ends untold costs a commit.
    static let leastLeaseMs: UInt64 = 500
    /// Milliseconds between looks at leases and checkpoints when nothing else happens.
    static let tickMs: UInt64 = 50
    /// Milliseconds between two ticks that count against peers at most: what is beyond was the loop's delay.
    static let lateTickMs: UInt64 = 250
}
