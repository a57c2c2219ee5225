import Engine
import Glibc
import Permissions
import SMSText
import Store
public import StrictTOML
import Wire

/// The configuration file: TOML, strict. Every number has its range here, by the floors and caps of the standards.
public enum Config {
    /// Reads and checks a file; touches nothing else.
    public static func load(_ path: String) throws(ConfigError) -> ServerSettings {
        try settings(ConfigFile.read(path))
    }

    /// The same from text.
    public static func parse(_ text: String, name: String) throws(ConfigError) -> ServerSettings {
        try settings(ConfigFile.parse(text, name: name))
    }

    private static func settings(_ root: ConfigReader) throws(ConfigError) -> ServerSettings {
        let data = try absolute(root, "data", "/var/lib/otpd/data")
        let key = try absolute(root, "master_key", "/etc/otpd/master.key")
        guard let issuer = try root.shown("issuer", most: 64) else { throw root.missing("issuer", "add `issuer = \"shop.example\"`") }
        guard issuer != "dev" else { throw root.fail("issuer", "`dev` is kept for development servers") }
        let commit = try root.choice("commit", CommitMode.allCases.map(\.rawValue)) ?? "auto"
        let connections = try root.integer("max_connections", 8...16_384)
        let perUID = try root.integer("max_connections_per_uid", 1...16_384)
        // From what one batch needs to what a start reads quickly.
        let segment = try root.integer("segment_kib", 256...1_048_576)
        let map = try root.integer("map_gib", 1...16_384)
        var texts = MessageTexts()
        var tenants: [TenantPolicy] = []
        for reader in try root.tables("tenant") {
            let found = try tenant(reader, &texts)
            guard !tenants.contains(where: { $0.name == found.name }) else {
                throw reader.fail("name", "another tenant is named `\(found.name)`; give each a name of its own")
            }
            tenants.append(found)
        }
        guard !tenants.isEmpty else { throw root.missing("tenant", "add a `[[tenant]]`") }
        try unique(tenants.map { Int($0.number) }, root, "tenant", "number")
        var listeners: [ListenerRule] = []
        for reader in try root.tables("listener") { listeners.append(try listener(reader, tenants)) }
        guard !listeners.isEmpty else { throw root.missing("listener", "add a `[[listener]]`") }
        try unique(listeners.map(\.path), root, "listener", "path")
        let peerReaders = try root.tables("peer")
        var peers: [PeerRule] = []
        for reader in peerReaders { peers.append(try peer(reader, tenants)) }
        guard !peers.isEmpty else { throw root.missing("peer", "add a `[[peer]]` for the web tier's user") }
        try unambiguous(listeners, peers, peerReaders)
        try letThrough(listeners, peers, peerReaders)
        try root.finish()
        var settings = ServerSettings(
            dataPath: data, masterKeyPath: key, issuer: issuer, tenants: tenants, texts: texts,
            listeners: listeners, peers: peers)
        settings.file = root.file
        settings.commit = CommitMode(rawValue: commit) ?? .auto
        if let connections { settings.maxConnections = connections }
        settings.maxConnectionsPerUID = perUID
        if let segment { settings.segmentBytes = segment << 10 }
        if let map { settings.mapBytes = map << 30 }
        return settings
    }

    /// A uid at a listener is one tenant, by one `[[peer]]`: else who asks would be a matter of order.
    private static func unambiguous(
        _ listeners: [ListenerRule], _ peers: [PeerRule], _ readers: [ConfigReader]
    ) throws(ConfigError) {
        for (index, peer) in peers.enumerated() {
            for former in peers[..<index] where former.uid == peer.uid {
                let uid = peer.uid.map { "uid \($0)" } ?? "any uid"
                guard former.tenant != peer.tenant else {
                    throw readers[index].fail(
                        "uid", "\(uid) has a `[[peer]]` for tenant \(peer.tenant) already; put all its roles there")
                }
                for listener in listeners where listener.serves(former.tenant) && listener.serves(peer.tenant) {
                    throw readers[index].fail(
                        "uid",
                        "\(uid) would be tenant \(former.tenant) and tenant \(peer.tenant) at \(listener.path); "
                            + "give each tenant a listener of its own with `tenants = [\(peer.tenant)]`")
                }
            }
        }
    }

    /// A role that a peer has by its `[[peer]]` alone, and at no listener, is one that it never gets.
    private static func letThrough(
        _ listeners: [ListenerRule], _ peers: [PeerRule], _ readers: [ConfigReader]
    ) throws(ConfigError) {
        for (index, peer) in peers.enumerated() {
            let serving = listeners.filter { $0.serves(peer.tenant) }
            guard !serving.isEmpty else {
                throw readers[index].fail("tenant", "no `[[listener]]` serves tenant \(peer.tenant); add it to one's `tenants`")
            }
            for role in Role.allCases where peer.roles.contains(Roles(role)) {
                guard serving.contains(where: { $0.roles.contains(Roles(role)) }) else {
                    throw readers[index].fail(
                        "roles", "no listener that serves tenant \(peer.tenant) lets `\(role.name)` through; add it to the "
                            + "`roles` of its `[[listener]]`, or leave it out here")
                }
            }
        }
    }

    private static func unique<Value: Hashable>(
        _ numbers: [Value], _ reader: ConfigReader, _ key: String, _ what: String
    ) throws(ConfigError) {
        guard Set(numbers).count == numbers.count else { throw reader.fail(key, "two have the same \(what)") }
    }

    private static func tenant(_ r: ConfigReader, _ texts: inout MessageTexts) throws(ConfigError) -> TenantPolicy {
        guard let name = try r.shown("name", most: 64) else { throw r.missing("name", "add `name = \"shop\"`") }
        var tenant = TenantPolicy(
            number: UInt32(try r.requiredInteger("number", 1...Int(Int32.max))), name: name,
            shop: try r.shown("shop", most: 128) ?? name)
        if let limits = try r.subtable("limits") { try readLimits(limits, &tenant) }
        var purposes: [PurposePolicy] = []
        var wording: [(plain: MessageTexts.Own, payment: MessageTexts.Own)] = []
        let readers = try r.tables("purpose")
        for reader in readers {
            let (purpose, plain, payment) = try self.purpose(reader)
            guard !purposes.contains(where: { $0.name == purpose.name }) else {
                throw reader.fail("name", "another purpose of this tenant is named `\(purpose.name)`")
            }
            purposes.append(purpose)
            wording.append((plain, payment))
        }
        if purposes.isEmpty {
            purposes = [.login, .payment]
            wording = [(MessageTexts.Own(), MessageTexts.Own()), (MessageTexts.Own(), MessageTexts.Own())]
        }
        try unique(purposes.map { Int($0.number) }, r, "purpose", "number")
        tenant.purposes = purposes
        let rules = try textRules(r)
        for (index, purpose) in purposes.enumerated() {
            let own = wording[index]
            do {
                try texts.add(own.plain, payment: own.payment, tenant: tenant, purpose: purpose, rules: rules)
            } catch {
                throw misworded(error, purpose, tenant: r, purpose: index < readers.count ? readers[index] : r)
            }
        }
        try r.finish()
        return tenant
    }

    /// The error with the key to change.
    private static func misworded(
        _ error: TemplateError, _ purpose: PurposePolicy, tenant: ConfigReader, purpose reader: ConfigReader
    ) -> ConfigError {
        let prefix = error.kind == .payment ? "payment_" : ""
        let text = "purpose `\(purpose.name)`, \(error)"
        switch error.origin {
        case .standard: return reader.fail(prefix + "text", text)
        case .language(let tag): return reader.fail(tag, in: prefix + "texts", text)
        case .builtIn: return tenant.fail("shop", text)
        case .unknown: return reader.fail(prefix + "texts", text)
        }
    }

    private static func textRules(_ r: ConfigReader) throws(ConfigError) -> TextRules {
        var rules = TextRules()
        if let locale = try r.string("locale") {
            guard LocaleTag.isTag(locale) else { throw r.fail("locale", "write a language tag such as \"en\" or \"pt-BR\"") }
            rules.locale = locale
        }
        for host in try r.strings("hosts") ?? [] {
            guard LastLine.isHost(host), host.utf8.count <= 60, host == host.lowercased() else {
                throw r.fail("hosts", "`\(host)` isn't a host; write \"shop.example\": small letters, no scheme, port or path, at most 60 bytes")
            }
            rules.hosts.append(host)
        }
        for hash in try r.strings("android_hashes") ?? [] {
            guard LastLine.isAppHash(hash) else {
                throw r.fail(
                    "android_hashes",
                    "`\(hash)` isn't an app's hash; write 11 characters of base64, such as \"FA+9qCX9VSu\"")
            }
            rules.androidHashes.append(hash)
        }
        rules.payeeLength = try r.integer("payee_length", Payee.lengths) ?? rules.payeeLength
        rules.amountDigits = try r.integer("amount_digits", 4...15) ?? rules.amountDigits
        return rules
    }

    private static func readLimits(_ r: ConfigReader, _ tenant: inout TenantPolicy) throws(ConfigError) {
        tenant.unverifiedPerHour = try r.integer("unverified_per_hour", 1...50) ?? tenant.unverifiedPerHour
        tenant.unverifiedPerDay = try r.integer("unverified_per_day", 1...50) ?? tenant.unverifiedPerDay
        tenant.totalPerHour = try r.integer("total_per_hour", 1...50) ?? tenant.totalPerHour
        tenant.totalPerDay = try r.integer("total_per_day", 1...50) ?? tenant.totalPerDay
        tenant.phonesPerAccountDay = try r.integer("phones_per_account_day", 1...5) ?? tenant.phonesPerAccountDay
        tenant.accountsPerPhoneDay = try r.integer("accounts_per_phone_day", 1...5) ?? tenant.accountsPerPhoneDay
        tenant.openPerPhone = try r.integer("open_per_phone", 1...5) ?? tenant.openPerPhone
        tenant.verifiesPerPhoneMinute =
            try r.integer("verifies_per_phone_minute", 1...50) ?? tenant.verifiesPerPhoneMinute
        try dayHolds(r, "unverified", hour: tenant.unverifiedPerHour, day: tenant.unverifiedPerDay)
        try dayHolds(r, "total", hour: tenant.totalPerHour, day: tenant.totalPerDay)
        if let mode = try mode(r, "mode") { tenant.modes.setAll(mode) }
        if let own = try r.subtable("modes") {
            for limit in LimitModes.limits {
                if let mode = try mode(own, key(limit)) { tenant.modes[limit] = mode }
            }
            try own.finish()
        }
        try r.finish()
    }

    /// A day has no fewer than its hours, else the hour's limit never binds.
    private static func dayHolds(_ r: ConfigReader, _ what: String, hour: Int, day: Int) throws(ConfigError) {
        guard day < hour else { return }
        let key = r.has("\(what)_per_day") ? "\(what)_per_day" : "\(what)_per_hour"
        throw r.fail(key, "the day's limit (\(day)) is below the hour's (\(hour)); write \(what)_per_day of at least \(hour)")
    }

    private static func mode(_ r: ConfigReader, _ key: String) throws(ConfigError) -> LimitMode? {
        switch try r.choice(key, ["enforce", "shadow", "off"]) {
        case "enforce": .enforce
        case "shadow": .shadow
        case "off": .off
        case .some, .none: nil
        }
    }

    /// A limit's name as keys are written: `phoneTotalDay` is `phone_total_day`.
    static func key(_ limit: Limit) -> String {
        limit.name.reduce(into: "") { key, letter in key += letter.isUppercase ? "_" + letter.lowercased() : String(letter) }
    }

    /// The first block of log-ins must come before the least share is used up, else it never does; payments under PSD2 have no more than five
    /// wrong codes (RTS art. 4(3)(b)).
    private static func blockAfter(_ r: ConfigReader, _ streak: StreakPolicy) throws(ConfigError) -> UInt16? {
        let share = (0..<3).map { Int(RuleBounds.failureShares[$0]) }.min() ?? 1
        let most = streak.profile == .psd2Payment ? Int(RuleBounds.paymentFailures) : share - 1
        guard let value = try r.integer("block_after", 1...Int(UInt16.max)) else { return nil }
        guard value <= most else {
            throw r.fail(
                "block_after",
                streak.profile == .psd2Payment
                    ? "is \(value); PSD2 allows at most \(most) wrong payment codes in a row (RTS art. 4(3)(b))"
                    : "is \(value); write 1 to \(most): at \(share) failures in a row a class is off (its share of NIST SP 800-63B's 100), and a block "
                        + "must come before")
        }
        return UInt16(value)
    }

    private static func purpose(_ r: ConfigReader) throws(ConfigError)
        -> (PurposePolicy, MessageTexts.Own, MessageTexts.Own)
    {
        var purpose = PurposePolicy(
            number: UInt16(try r.requiredInteger("number", 1...65_535)), name: try r.required("name"))
        if try r.choice("profile", ["shop-login", "psd2-payment"]) == "psd2-payment" {
            purpose.streak = .psd2Payment
            purpose.codeLength = 8
        }
        if let blockAfter = try blockAfter(r, purpose.streak) { purpose.streak.blockAfter = blockAfter }
        if try r.choice("alphabet", ["digits", "letters-and-digits"]) == "letters-and-digits" {
            purpose.alphabet = .lettersAndDigits
        }
        purpose.codeLength = UInt8(try r.integer("code_length", 6...10) ?? Int(purpose.codeLength))
        purpose.lifeMs = UInt64(try r.integer("life_seconds", 120...600) ?? 300) * 1_000
        purpose.attempts = UInt8(try r.integer("attempts", 1...5) ?? 5)
        purpose.sendsPerChallenge = UInt8(try r.integer("sends_per_challenge", 1...5) ?? 3)
        if let gaps = try r.integers("resend_gap_seconds", 20...600) {
            guard !gaps.isEmpty else { throw r.fail("resend_gap_seconds", "is empty; write at least one number of seconds, or leave it out") }
            purpose.gapMs = gaps.map { UInt64($0) * 1_000 }
        }
        try gapsFit(r, purpose)
        purpose.grantLifeMs = UInt64(try r.integer("grant_seconds", 10...300) ?? 120) * 1_000
        purpose.requiresSession = try r.bool("require_session") ?? true
        switch try r.choice("priority", ["high", "normal", "low"]) {
        case "high": purpose.priority = .high
        case "low": purpose.priority = .low
        case .some, .none: purpose.priority = .normal
        }
        let plain = MessageTexts.Own(text: try r.string("text"), texts: try r.stringTable("texts"))
        let payment = MessageTexts.Own(text: try r.string("payment_text"), texts: try r.stringTable("payment_texts"))
        guard payment.isEmpty || MessageTexts.isPayment(purpose) else {
            throw r.fail(payment.text == nil ? "payment_texts" : "payment_text", "only a purpose with `profile = \"psd2-payment\"` has one")
        }
        try r.finish()
        return (purpose, plain, payment)
    }

    /// A gap that is as long as the code's life allows no further message.
    private static func gapsFit(_ r: ConfigReader, _ purpose: PurposePolicy) throws(ConfigError) {
        let used = purpose.gapMs.prefix(Int(purpose.sendsPerChallenge) - 1)
        guard let longest = used.max(), longest >= purpose.lifeMs else { return }
        throw r.fail(
            r.has("resend_gap_seconds") ? "resend_gap_seconds" : "life_seconds",
            "a gap of \(longest / 1_000) s before a resend is no shorter than the code's life, \(purpose.lifeMs / 1_000) s; "
                + "write shorter gaps or a longer life_seconds")
    }

    private static func roles(_ r: ConfigReader) throws(ConfigError) -> Roles? {
        guard let names = try r.strings("roles") else { return nil }
        var roles = Roles()
        for name in names {
            guard let role = Role.allCases.first(where: { $0.name == name }) else {
                throw r.fail(
                    "roles", "`\(name)` is unknown; \(ConfigReader.suggestion(name, Role.allCases.map(\.name)))")
            }
            roles.insert(Roles(role))
        }
        return roles
    }

    private static func listener(_ r: ConfigReader, _ known: [TenantPolicy]) throws(ConfigError) -> ListenerRule {
        let path = try absolute(r, "path", "/run/otpd/otpd.sock")
        guard path.utf8.count <= ListenerRule.maxPathBytes else {
            throw r.fail("path", "has \(path.utf8.count) bytes; a socket path has at most \(ListenerRule.maxPathBytes)")
        }
        let mode = try r.string("mode") ?? "0660"
        guard let bits = UInt32(mode, radix: 8), bits <= 0o777 else { throw r.fail("mode", "write it as \"0660\"") }
        guard bits & 0o600 == 0o600 else { throw r.fail("mode", "shuts out otpd's own user; write it as \"0660\"") }
        let tenants = try r.integers("tenants", 1...Int(Int32.max)) ?? []
        for number in tenants where !known.contains(where: { $0.number == number }) {
            throw r.fail("tenants", "there is no `[[tenant]]` with number \(number)")
        }
        let rule = ListenerRule(
            path: path, mode: bits, tenants: tenants.map { UInt32($0) }, roles: try roles(r) ?? .all,
            group: try group(r))
        try r.finish()
        return rule
    }

    /// A path that means the same wherever otpd is started, and names something in a folder.
    private static func absolute(_ r: ConfigReader, _ key: String, _ example: String) throws(ConfigError) -> String {
        let path = try r.required(key)
        guard path.hasPrefix("/"), !path.hasSuffix("/"), !path.contains("//") else {
            throw r.fail(key, "write an absolute path, such as \"\(example)\"")
        }
        return path
    }

    private static func group(_ r: ConfigReader) throws(ConfigError) -> UInt32? {
        guard let name = try r.string("group") else { return nil }
        guard let gid = Account.group(named: name) else {
            throw r.fail("group", "there is no group `\(name)` on this machine: as root, `groupadd --system \(name)`")
        }
        return gid
    }

    private static func peer(_ r: ConfigReader, _ tenants: [TenantPolicy]) throws(ConfigError) -> PeerRule {
        var uid: UInt32?
        if let number = try r.integer("uid", 0...Int(UInt32.max)) { uid = UInt32(number) }
        if let user = try r.string("user") {
            guard uid == nil else { throw r.fail("user", "`uid` and `user` are both given; leave one out") }
            guard let entry = getpwnam(user) else { throw r.fail("user", "there is no user `\(user)` on this machine") }
            uid = entry.pointee.pw_uid
        }
        guard let uid else { throw r.missing("uid", "add `uid = 33` or `user = \"www-data\"`") }
        guard uid != Authority.overflowUID else { throw r.fail("uid", "65534 names nobody: it is what the kernel shows for users of other namespaces") }
        let number = UInt32(try r.requiredInteger("tenant", 1...Int(Int32.max)))
        guard tenants.contains(where: { $0.number == number }) else {
            throw r.fail("tenant", "there is no `[[tenant]]` with number \(number)")
        }
        guard let roles = try roles(r) else { throw r.missing("roles", "add `roles = [\"verify\", \"redeem\"]`") }
        try r.finish()
        var rule = PeerRule(uid: uid, tenant: number, roles: roles)
        rule.isByName = r.has("user")
        return rule
    }
}
