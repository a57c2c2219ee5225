import Testing
import Wire

@testable import Engine

/// A history that is fixed before it is run: each step has its time, its class, its request id and its
/// entropy in it, so that taking some steps out changes nothing in the others but what the rules make of it.
struct ClassHistory {
    enum Kind {
        case request
        /// RequestCodes in the same second, the phone as it is or made invalid.
        case flood(Int, invalidPhone: Bool)
        /// On the challenge of the step `target`.
        case resend, right, wrong(Int), cancel, status
        case quota
        /// On the grant that step `target` got.
        case check, redeem
        case unblock
    }

    struct Step {
        var at: UInt64
        var asker: Assurance
        var account: String
        var phone: String
        var session: UInt64
        var purpose: UInt16
        var kind: Kind
        var target = 0
        var seed: UInt64
    }

    /// In the order of their times.
    private(set) var steps: [Step] = []
    private var draw: SeededGenerator
    private var now = World.start
    private let purposes: [UInt16]

    /// - Parameter purposes: those that are asked for; of two, the second seldom.
    init(seed: UInt64, count: Int, purposes: [UInt16]) {
        draw = SeededGenerator(seed: seed)
        self.purposes = purposes
        while steps.count < count { scene() }
    }

    private mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &draw) }

    private mutating func add(
        _ kind: Kind, as asker: Assurance? = nil, like other: Step? = nil, target: Int? = nil
    ) {
        let lot = below(10)
        var step = Step(
            at: now,
            asker: asker ?? [.anonymous, .anonymous, .firstFactor, .firstFactor, .knownDevice][below(5)],
            account: ["alice", "alice", "alice", "bob"][below(4)],
            phone: RuleWalk.phones[[0, 0, 0, 1][below(4)]],
            session: UInt64(1 + below(3)), purpose: purposes[lot < 2 ? purposes.count - 1 : 0], kind: kind,
            seed: draw.next())
        if let other {
            (step.account, step.phone, step.session, step.purpose) = (
                other.account, other.phone, other.session, other.purpose
            )
        }
        step.target = target ?? 0
        steps.append(step)
    }

    /// The newest step of this class that asked for a code.
    private func newest(_ asker: Assurance) -> Int? {
        steps.lastIndex { step in if case .request = step.kind { step.asker == asker } else { false } }
    }

    private mutating func scene() {
        now += [0, 0, 1_000, 35_000, 200_000, UInt64(below(3_600_000)), UInt64(below(9_000_000))][below(7)]
        let asker: Assurance = [.anonymous, .firstFactor, .knownDevice][below(3)]
        guard let target = newest(asker) else { return add(.request, as: asker) }
        let other = steps[target]
        switch below(16) {
        case 0..<4: add(.request)
        case 4: add(.request, as: asker, like: other)
        case 5: add(.resend, as: asker, like: other, target: target)
        case 6, 7: add(.right, as: asker, like: other, target: target)
        case 8: add(.wrong(1 + below(3)), as: asker, like: other, target: target)
        case 9: add(.cancel, as: asker, like: other, target: target)
        case 10: add(.status, as: asker, like: other, target: target)
        case 11:
            add(.quota)
            if steps.count % 3 == 0 { add(.unblock, as: .knownDevice) }
        case 12:
            add(.check, as: asker, like: other, target: target)
            add(.redeem, as: asker, like: other, target: target)
        case 13: flood()
        case 14 where steps.count % 4 == 0: siege(as: [.anonymous, .firstFactor][below(2)])
        default: guesses()
        }
    }

    /// More than a minute's requests of nobody, and then the owner's.
    private mutating func flood() {
        for isInvalid in [true, false] {
            add(.flood(61, invalidPhone: isInvalid), as: .anonymous)
            add(.request, as: .firstFactor, like: steps[steps.count - 1])
            add(.resend, as: .firstFactor, like: steps[steps.count - 1], target: steps.count - 1)
            now += 60_000
        }
    }

    /// One class alone, hour after hour, up to its share of failures and beyond; then the others, all at
    /// once.
    private mutating func siege(as asker: Assurance) {
        add(.request, as: asker)
        let first = steps[steps.count - 1]
        for round in 0..<12 as Range<UInt64> {
            now += 3_700_000
            add(.request, as: asker, like: first)
            (steps[steps.count - 1].session, steps[steps.count - 1].purpose) = (10 + round, 1)
            let challenge = steps.count - 1
            add(.wrong(5), as: asker, like: steps[challenge], target: challenge)
            add(.quota, as: asker, like: steps[challenge])
        }
        for other in Assurance.allCases {
            add(.quota, as: other, like: first)
            add(.request, as: other, like: first)
            add(.right, as: other, like: first, target: steps.count - 1)
        }
    }

    /// Nobody's wrong codes for as long as there are challenges, around an owner's challenge and its code.
    private mutating func guesses() {
        add(.request, as: .firstFactor)
        let (owner, session) = (steps.count - 1, steps[steps.count - 1].session)
        for round in 0..<2 as Range<UInt64> {
            now += round * 31_000
            add(.request, as: .anonymous, like: steps[owner])
            (steps[steps.count - 1].session, steps[steps.count - 1].purpose) = (session + round, 1)
            let challenge = steps.count - 1
            add(.wrong(5), as: .anonymous, like: steps[challenge], target: challenge)
        }
        add(.wrong(1), as: .firstFactor, like: steps[owner], target: owner)
        add(below(2) == 0 ? .status : .right, as: .firstFactor, like: steps[owner], target: owner)
        add(.check, as: .firstFactor, like: steps[owner], target: steps.count - 1)
        now += [0, 1_000_000, 4_000_000][below(3)]
    }
}
