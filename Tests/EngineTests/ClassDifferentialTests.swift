import Testing
import Wire

@testable import Engine

/// Whatever a lower class does to an account and its phones, the higher ones' answers stay what they were
/// without it, byte for byte.
@Suite struct ClassDifferentialTests {
    /// Odd seeds are generous in messages, so that more codes are typed; even ones are as they come.
    private func tenant(_ seed: UInt64) -> TenantPolicy {
        guard seed % 2 == 1 else { return World.tenant() }
        return World.generous { tenant in
            tenant.modes.setAll(.off)
            tenant.verifiesPerPhoneMinute = 8
        }
    }

    /// Runs both; what the classes in `left` met in the first run.
    private func compare(
        _ seed: UInt64, purposes: [UInt16], without left: Set<Assurance>, kept: Set<Assurance>
    ) throws -> [String: Int] {
        let history = ClassHistory(seed: seed, count: 420, purposes: purposes)
        let all = try ClassRun(history, tenant: tenant(seed))
        let rest = try ClassRun(history, tenant: tenant(seed), without: left)
        var met: [String: Int] = [:]
        for (index, step) in history.steps.enumerated() {
            let replies = all.answers[index] ?? []
            for reply in replies {
                let words =
                    reply.refusal.map { "\($0.status.map { "\($0)" } ?? "?") \($0.limit?.name ?? "?")" }
                    ?? reply.text
                met["\(step.asker) \(words)", default: 0] += 1
            }
            guard kept.contains(step.asker) else { continue }
            let others = rest.answers[index] ?? []
            let isSame = try replies.map { try $0.bytes() } == others.map { try $0.bytes() }
            #expect(
                isSame,
                "seed \(seed), step \(index) \(step.asker) \(step.kind): \(replies.map(\.text)), without them \(others.map(\.text))"
            )
            if !isSame { break }
        }
        return met
    }

    @Test func anonymousChangesNothingForTheOthers() throws {
        var met: [String: Int] = [:]
        for seed in 1...5 as ClosedRange<UInt64> {
            met.merge(
                try compare(
                    seed, purposes: [1, 2], without: [.anonymous], kept: [.firstFactor, .knownDevice]),
                uniquingKeysWith: +)
        }
        // Nothing is shown by requests that did nothing.
        for name in [
            "anonymous created", "anonymous limited requestRate", "anonymous wrongCode none",
            "anonymous factorDisabled none",
            "anonymous blocked failureStreak", "anonymous limited phoneVerifyMinute",
            "anonymous invalidPhone none",
            "firstFactor created", "firstFactor verified", "firstFactor wrongCode none", "firstFactor grant",
            "knownDevice verified",
        ] { #expect(met[name] ?? 0 > 0, "no history met: \(name); met \(met.sorted { $0.key < $1.key })") }
    }

    /// Whoever holds the password changes nothing for a known device, but for the account's payments.
    @Test func firstFactorChangesNothingForAKnownDevice() throws {
        var met: [String: Int] = [:]
        for seed in 11...14 as ClosedRange<UInt64> {
            met.merge(
                try compare(seed, purposes: [1], without: [.firstFactor], kept: [.knownDevice]),
                uniquingKeysWith: +)
        }
        for name in [
            "firstFactor wrongCode none", "firstFactor blocked failureStreak", "knownDevice verified",
            "knownDevice wrongCode none",
        ] {
            #expect(met[name] ?? 0 > 0, "no history met: \(name); met \(met.sorted { $0.key < $1.key })")
        }
    }
}
