public import Wire

/// The tables of the rules. Numbers are the store's table ids: never reused.
public enum Table: UInt8, Sendable, CaseIterable {
    /// A challenge, or the alias that a joined or resent RequestCode leaves. Key: id, 16 bytes, time first.
    case challenge = 0
    /// (tenant, account, purpose, binding, session) → its open challenge. Key: index key.
    case slot = 1
    /// Windows and lists of a phone. Key: index key.
    case phone = 2
    /// Windows and subject of an account. Key: index key.
    case account = 3
    /// Failures in a row of (account, phone). Key: index key.
    case streak = 4
    /// A grant. Key: id, 16 bytes, time first.
    case grant = 5
    /// A message. Key: challenge id, send; 17 bytes, time first.
    case outbox = 6
    /// An event. Key: epoch, sequence, index; 14 bytes, order of commits.
    case event = 7
    /// A subject's account. Key: its id, 16 bytes, the time of its making first.
    case subject = 8
    /// A gateway and its id of a message → the message. Key: index key.
    case reference = 9
    /// What a start must know of an earlier one. Key: the mark's number, 8 bytes.
    case mark = 10

    /// Width of the key.
    public var keyBytes: Int {
        switch self {
        case .challenge, .grant, .subject: 16
        case .slot, .phone, .account, .streak, .outbox, .reference: 17
        case .event: 14
        case .mark: 8
        }
    }
}

/// The rows of table `mark`. Numbers are stored: never reused.
public enum Mark: UInt64, Sendable {
    /// When the clock was last found behind at a start: challenges from before are void.
    case clockStepped = 1
}

/// A key of fixed width, big-endian, in place.
public struct RecordKey: Sendable, Equatable {
    @usableFromInline var a: UInt64
    @usableFromInline var b: UInt64
    @usableFromInline var c: UInt64
    /// Bytes in use.
    public let count: Int

    /// Sixteen bytes.
    public init(_ id: Bytes16) { (a, b, c, count) = (id.high.bigEndian, id.low.bigEndian, 0, 16) }
    /// Sixteen bytes and one.
    public init(_ id: Bytes16, _ last: UInt8) {
        (a, b, c, count) = (id.high.bigEndian, id.low.bigEndian, (UInt64(last) << 56).bigEndian, 17)
    }
    /// The index key's id, then sixteen bytes of HMAC.
    public init(index keyID: UInt8, _ digest: Bytes16) {
        a = (UInt64(keyID) << 56 | digest.high >> 8).bigEndian
        b = (digest.high << 56 | digest.low >> 8).bigEndian
        c = (digest.low << 56).bigEndian
        count = 17
    }
    /// An event's place.
    public init(_ cursor: Cursor) {
        a = (UInt64(cursor.epoch) << 32 | cursor.sequence >> 32).bigEndian
        b = (cursor.sequence << 32 | UInt64(cursor.index) << 16).bigEndian
        (c, count) = (0, 14)
    }

    /// A mark.
    public init(_ mark: Mark) { (a, b, c, count) = (mark.rawValue.bigEndian, 0, 0, 8) }

    /// Lends the bytes.
    @inlinable public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        withUnsafeBytes(of: (a, b, c)) { body(UnsafeRawBufferPointer(rebasing: $0[0..<count])) }
    }
}

/// What the rules need of a store: three operations on keyed records. Ordered scans are the store's own business.
public protocol State {
    /// Copies the newest live record; `false` when there is none.
    mutating func read(_ table: Table, _ key: RecordKey, into record: borrowing RecordBuffer) -> Bool
    /// Writes a record that reads as absent from `expiresAt` (engine milliseconds) on.
    mutating func put(_ table: Table, _ key: RecordKey, _ record: borrowing RecordBuffer, expiresAt: UInt64)
    /// Deletes a record.
    mutating func delete(_ table: Table, _ key: RecordKey)
}
