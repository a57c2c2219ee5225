/// What a peer may do. A connection holds a set of them, the meet of what it asked for, its uid and the listener.
public enum Role: UInt16, Sendable, CaseIterable {
    /// RequestCode, Resend, Verify, Cancel, Status, Quota.
    case verify = 0x0001
    /// CheckGrant, RedeemGrant.
    case redeem = 0x0002
    /// Enrolment of phones (later).
    case enroll = 0x0004
    /// Leases messages and reports on them.
    case courier = 0x0008
    /// Subscribes to events.
    case observer = 0x0010
    /// Unblock; masked look-ups (later).
    case support = 0x0020
    /// Stats, Drain and other operation of the server.
    case admin = 0x0040
    /// Key rotation (later).
    case keys = 0x0080
    /// Says what gateways say of messages, and sees none: for who listens to the world.
    case receipts = 0x0100

    /// The name in configuration and messages.
    public var name: String {
        switch self {
        case .verify: "verify"
        case .redeem: "redeem"
        case .enroll: "enroll"
        case .courier: "courier"
        case .observer: "observer"
        case .support: "support"
        case .admin: "admin"
        case .keys: "keys"
        case .receipts: "receipts"
        }
    }
}

/// A set of roles as the wire carries it: the sum of their bits.
public struct Roles: OptionSet, Sendable, Hashable, CustomStringConvertible {
    /// One bit a role.
    public let rawValue: UInt16
    /// From the wire's bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// One role.
    public init(_ role: Role) { rawValue = role.rawValue }

    /// Every role this version knows.
    public static let all = Roles(rawValue: 0x01FF)

    /// Whether `role` is among them.
    public func contains(_ role: Role) -> Bool { rawValue & role.rawValue != 0 }

    /// Names, comma-separated.
    public var description: String {
        Role.allCases.filter { contains($0) }.map(\.name).joined(separator: ", ")
    }
}
