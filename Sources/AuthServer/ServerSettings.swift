public import Engine
public import Store
import StrictTOML
import Wire

/// Everything that a server needs to know, from a configuration file or from `--dev`.
public struct ServerSettings: Sendable {
    /// The data folder.
    public var dataPath: String
    /// The master key's file: 32 bytes, mode 0400.
    public var masterKeyPath: String
    /// Goes into every Hello and grant; `dev` for a development server.
    public let issuer: String
    /// The issuer as Hello and grants carry it.
    let issuerBytes: InlineBytes<64>
    public var tenants: [TenantPolicy]
    public var texts: MessageTexts
    public var listeners: [ListenerRule]
    public var peers: [PeerRule]
    public var maxConnections = Bounds.maxConnections
    /// Of one uid; `nil`: three quarters of all, so that one uid can't keep the operator and the others out.
    public var maxConnectionsPerUID: Int?
    var connectionsPerUID: Int { maxConnectionsPerUID ?? max(1, maxConnections * 3 / 4) }
    public var commit = CommitMode.auto
    /// Where it stands, if in a file.
    var file: ConfigFile?
    /// Accept a wall clock that is far ahead, once.
    public var acceptClock = false
    /// Go on without acknowledged requests that are gone, once.
    public var acceptLostRequests = false
    /// Milliseconds until Hello must have come.
    package var helloMillis = Bounds.helloSeconds * 1_000
    /// Milliseconds until a begun frame must be whole, and in which a peer must take what waits for it.
    var frameMillis = Bounds.frameMs
    var unreadMillis = Bounds.unreadMs
    /// Messages that may be due or leased; fewer are for tests.
    var maxDueMessages = Bounds.maxDueMessages
    /// Bytes of a journal segment; bytes and records of an overlay. Small ones are for tests.
    package var segmentBytes = 32 << 20
    package var overlayBytes = 48 << 20
    package var overlayRecords = 131_072
    /// LMDB's address space.
    package var mapBytes = 256 << 30
    /// The store's jobs run when the simulation says so, on its one thread.
    package var runsJobsByHand = false
    /// Where the clocks come from.
    package var clockSource: @Sendable () throws -> ClockSource = { try .system() }
    /// For tests: sees each request just before it is decoded.
    var trap: (@Sendable (Frame) -> Void)?
    /// Name and version, as Hello tells it.
    public let version = "otpd 0.1"

    /// The required ones.
    /// - Parameter texts: of every purpose of every tenant.
    public init(
        dataPath: String, masterKeyPath: String, issuer: String, tenants: [TenantPolicy], texts: MessageTexts,
        listeners: [ListenerRule], peers: [PeerRule]
    ) {
        self.dataPath = dataPath
        self.masterKeyPath = masterKeyPath
        self.issuer = issuer
        issuerBytes = InlineBytes(issuer.utf8.prefix(64))
        self.tenants = tenants
        self.texts = texts
        self.listeners = listeners
        self.peers = peers
    }

    /// The same with the built-in texts, for a development server's hosts.
    public init(
        dataPath: String, masterKeyPath: String, issuer: String, tenants: [TenantPolicy], listeners: [ListenerRule],
        peers: [PeerRule]
    ) throws {
        var texts = MessageTexts()
        for tenant in tenants {
            for purpose in tenant.purposes { try texts.add(tenant: tenant, purpose: purpose, rules: .development) }
        }
        self.init(
            dataPath: dataPath, masterKeyPath: masterKeyPath, issuer: issuer, tenants: tenants, texts: texts,
            listeners: listeners, peers: peers)
    }

    /// What a start tells the operator: nothing is wrong, but it may not be what was meant.
    public var remarks: [String] { missingClients + hostRolesOfShops + unboundPurposes + noCourier + openSockets }

    private var noCourier: [String] {
        let isThere = peers.contains { peer in
            peer.roles.contains(.courier) && listeners.contains { $0.serves(peer.tenant) && $0.roles.contains(.courier) }
        }
        return isThere
            ? []
            : [place("peer", in: "") + "none has the role `courier`: messages would wait for ever. Add a `[[peer]]` with "
                + "`roles = [\"courier\"]` for the user that otp-courier runs as."]
    }

    private var openSockets: [String] {
        listeners.enumerated().filter { $0.element.mode & 0o002 != 0 }.map { index, rule in
            place("mode", in: "listener[\(index)]") + "every user of the machine may connect to \(rule.path). Write \"0660\" and a "
                + "`group` whose members are the peers' users."
        }
    }

    /// `otpd.toml:7: peer[0].uid: `, or without file and line.
    func place(_ key: String, in path: String) -> String {
        file?.place(of: key, in: path) ?? ((path.isEmpty ? key : "\(path).\(key)") + ": ")
    }

    private var missingClients: [String] {
        tenants.flatMap { tenant in
            let who = "tenant \(tenant.number) (\(tenant.name))"
            let rules = tenant.purposes.map { texts.rules(tenant: tenant, purpose: $0) }
            var remarks: [String] = []
            if rules.allSatisfy(\.hosts.isEmpty) {
                remarks.append(
                    "\(who) has no `hosts`: no message gets the last line `@host #code`, by which browsers "
                        + "fill the code in. Add `hosts = [\"shop.example\"]` if its shoppers use browsers.")
            }
            if rules.allSatisfy(\.androidHashes.isEmpty) {
                remarks.append(
                    "\(who) has no `android_hashes`: no message gets an app's hash as last line, by which its Android "
                        + "app would read the code. Add `android_hashes = [\"FA+9qCX9VSu\"]`, with your app's hash, "
                        + "if it has one.")
            }
            return remarks
        }
    }

    /// Courier, receipts and admin concern every tenant: a web tier that is broken into mustn't hold them. A
    /// development server's one user has all.
    private var hostRolesOfShops: [String] {
        let (shop, host): (Roles, Roles) = (
            [Roles(.verify), Roles(.redeem)], [Roles(.courier), Roles(.receipts), Roles(.admin)]
        )
        return peers.filter {
            issuer != "dev" && !$0.roles.isDisjoint(with: shop) && !$0.roles.isDisjoint(with: host)
        }.map { peer in
            "\(peer.name) has `\(peer.roles.intersection(shop))` and `\(peer.roles.intersection(host))`: the latter "
                + "are roles of the host, which reach every tenant. Give them to a user of their own, not to a shop's."
        }
    }

    /// Without a session a code can be used by whoever is told it, from anywhere.
    private var unboundPurposes: [String] {
        peers.filter { $0.roles.contains(.verify) }.flatMap { peer in
            let purposes =
                tenants.first { $0.number == peer.tenant }?.purposes.filter { !$0.requiresSession } ?? []
            return purposes.map { purpose in
                "\(peer.name) may ask for codes of `\(purpose.name)` of tenant \(peer.tenant), which has "
                    + "`require_session = false`: such a code isn't bound to a browser, so whoever reads it can use "
                    + "it. Leave it true unless no browser is there."
            }
        }
    }
}
