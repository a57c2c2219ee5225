import Engine
import StrictTOML
import Wire

@testable import AuthServer

/// The configuration file: any text is settings within the floors and caps of the standards, or one error with the file's name and line.
/// Input: the text.
enum ConfigFuzz: FuzzTarget {
    static let name = "config"

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard bytes.count <= 4_096, let text = String(validating: bytes, as: UTF8.self) else { return }
        let settings: ServerSettings
        do throws(ConfigError) { settings = try Config.parse(text, name: "fuzz.toml") } catch {
            return try expectHelp(error.description, text)
        }
        try expect(!settings.issuer.isEmpty || text.contains("issuer"), "an issuer that the file doesn't name")
        try expect((8...16_384).contains(settings.maxConnections), "\(settings.maxConnections) connections")
        try expect((1...16_384).contains(settings.connectionsPerUID), "\(settings.connectionsPerUID) connections of a uid")
        try expect(!settings.tenants.isEmpty && !settings.listeners.isEmpty && !settings.peers.isEmpty, "a part is missing")
        try expect(areDifferent(settings.tenants.map(\.number)), "two tenants with one number")
        try expect(areDifferent(settings.listeners.map(\.path)), "two listeners at one path")
        for tenant in settings.tenants { try check(tenant) }
        for listener in settings.listeners {
            try expect(listener.path.utf8.count <= 107 && listener.mode <= 0o777, "a listener that can't be")
            try expect(listener.tenants.allSatisfy { has(settings, $0) }, "a listener for no tenant")
        }
        for peer in settings.peers {
            try expect(peer.uid != 65_534 && peer.uid != nil && has(settings, peer.tenant), "a peer that can't be")
        }
        try unambiguous(settings)
    }

    /// `fuzz.toml:LINE: …` with a line that the file has.
    private static func expectHelp(_ words: String, _ text: String) throws(FuzzFailure) {
        let parts = words.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        let lines = text.utf8.count { $0 == 0x0A } + 1
        let line = parts.count == 3 ? Int(parts[1]) : nil
        try expect(
            parts.first == "fuzz.toml" && line.map { $0 >= 1 && $0 <= lines + 1 } ?? false && parts[2].utf8.count > 8,
            "an error that helps nobody: \(words)")
    }

    private static func areDifferent<V: Hashable>(_ values: [V]) -> Bool { Set(values).count == values.count }

    private static func has(_ settings: ServerSettings, _ tenant: UInt32) -> Bool {
        settings.tenants.contains { $0.number == tenant }
    }

    private static func check(_ tenant: TenantPolicy) throws(FuzzFailure) {
        try expect(tenant.number >= 1 && !tenant.purposes.isEmpty, "a tenant without number or purpose")
        try expect(areDifferent(tenant.purposes.map(\.number)), "two purposes with one number")
        let windows = [tenant.unverifiedPerHour, tenant.unverifiedPerDay, tenant.totalPerHour, tenant.totalPerDay]
        try expect((windows + [tenant.verifiesPerPhoneMinute]).allSatisfy { (1...50).contains($0) }, "a window beyond its list")
        let sets = [tenant.phonesPerAccountDay, tenant.accountsPerPhoneDay, tenant.openPerPhone]
        try expect(sets.allSatisfy { (1...5).contains($0) }, "a count beyond its list")
        for purpose in tenant.purposes {
            try expect(purpose.number >= 1 && (6...10).contains(purpose.codeLength), "a code of \(purpose.codeLength)")
            try expect((120_000...600_000).contains(purpose.lifeMs), "a life of \(purpose.lifeMs) ms")
            try expect((1...5).contains(purpose.attempts), "\(purpose.attempts) attempts")
            try expect((1...5).contains(purpose.sendsPerChallenge), "\(purpose.sendsPerChallenge) sends")
            try expect(purpose.gapMs.allSatisfy { $0 >= 20_000 } && !purpose.gapMs.isEmpty, "gaps of \(purpose.gapMs) ms")
            try expect(purpose.grantLifeMs <= 300_000, "a grant of \(purpose.grantLifeMs) ms")
            let most: UInt16 = purpose.isPayment ? 5 : 24
            try expect((1...most).contains(purpose.streak.blockAfter), "a block after \(purpose.streak.blockAfter) failures")
        }
    }

    /// A uid at a listener is at most one tenant.
    private static func unambiguous(_ settings: ServerSettings) throws(FuzzFailure) {
        for listener in settings.listeners {
            for peer in settings.peers {
                let same = settings.peers.filter { rule in
                    rule.uid == peer.uid && (listener.tenants.isEmpty || listener.tenants.contains(rule.tenant))
                }
                try expect(same.count <= 1, "uid \(peer.uid ?? 0) is two tenants at \(listener.path)")
            }
        }
    }
}
