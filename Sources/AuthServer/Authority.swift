public import Wire

/// What a connection may do: the meet of its listener, its uid and what it asked for.
struct Authority: Equatable {
    var tenant: UInt32
    var roles: Roles
    var uid: UInt32
}

/// One `[[peer]]` of the configuration.
public struct PeerRule: Sendable, Equatable {
    /// `nil` = any uid but 65534.
    public var uid: UInt32?
    public var tenant: UInt32
    public var roles: Roles
    /// The file names the user, not the uid.
    var isByName = false

    /// How the operator knows it.
    var name: String { uid.map { "the `[[peer]]` with uid \($0)" } ?? "the `[[peer]]` of any uid" }

    /// All three.
    public init(uid: UInt32?, tenant: UInt32, roles: Roles) {
        self.uid = uid
        self.tenant = tenant
        self.roles = roles
    }
}

/// One `[[listener]]` of the configuration.
public struct ListenerRule: Sendable, Equatable {
    /// `sun_path` less its NUL.
    static let maxPathBytes = 107

    /// At most `maxPathBytes`.
    public var path: String
    /// Permission bits of the socket.
    public var mode: UInt32
    /// Tenants that may be served here; empty = all.
    public var tenants: [UInt32]
    public var roles: Roles
    /// The socket's group; `nil`: the primary one of otpd's user.
    public var group: UInt32?

    /// All five.
    public init(
        path: String, mode: UInt32 = 0o660, tenants: [UInt32] = [], roles: Roles = .all, group: UInt32? = nil
    ) {
        self.group = group
        self.path = path
        self.mode = mode
        self.tenants = tenants
        self.roles = roles
    }

    /// Whether the tenant may be served here.
    func serves(_ tenant: UInt32) -> Bool { tenants.isEmpty || tenants.contains(tenant) }
}

extension Authority {
    /// The uid that the kernel shows for users of another namespace: it names nobody.
    static let overflowUID: UInt32 = 65_534

    /// What this peer gets at this listener when it asks for `hello`; `nil` = nothing.
    static func decide(_ hello: Hello, uid: UInt32, listener: ListenerRule, peers: [PeerRule]) -> Authority? {
        guard uid != overflowUID else { return nil }
        let named = peers.filter { $0.uid == uid }
        let candidates = (named.isEmpty ? peers.filter { $0.uid == nil } : named).filter { rule in
            listener.serves(rule.tenant) && (hello.tenant == 0 || hello.tenant == rule.tenant)
        }
        guard candidates.count == 1, let rule = candidates.first else { return nil }
        let allowed = rule.roles.intersection(listener.roles)
        let wanted = Roles(rawValue: hello.roles)
        let roles = hello.roles == 0 ? allowed : allowed.intersection(wanted)
        guard roles.rawValue != 0 else { return nil }
        return Authority(tenant: rule.tenant, roles: roles, uid: uid)
    }
}
