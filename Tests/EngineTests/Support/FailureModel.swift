import Wire

@testable import Engine

/// What `PROTOCOL.md` §9 says of failures in a row, by reading the whole list of what was typed each time it
/// is asked.
struct FailureModel {
    enum Entry {
        case code(at: UInt64, RuleWalk.Who, isRight: Bool)
        /// `nil` = the account's payments alone.
        case unblock(at: UInt64, account: String, phone: String?)
    }

    /// A block that stands, or stood.
    struct Block: Equatable {
        var began: UInt64
        var end: UInt64
    }

    var list: [Entry] = []

    private static let minutes: [UInt64] = [15, 30, 60]
    private static func length(_ before: Int) -> UInt64 { minutes[min(before, 2)] * 60_000 }

    /// The newest block of the account's payments that nothing has lifted.
    func payments(_ account: String) -> Block? {
        var (row, blocks, newest, block) = ([UInt64](), 0, nil as UInt64?, nil as Block?)
        for entry in list {
            switch entry {
            case .unblock(_, account, _): (row, blocks, newest, block) = ([], 0, nil, nil)
            case .code(_, let who, isRight: true) where who.account == account && who.purpose == 2:
                (row, blocks, newest, block) = ([], 0, nil, nil)
            case .code(let at, let who, isRight: false) where who.account == account && who.purpose == 2:
                if let newest, at - newest >= 86_400_000 { blocks = 0 }
                newest = at
                row = row.filter { at - $0 < 86_400_000 } + [at]
                guard row.count == 5 else { continue }
                block = Block(began: at, end: at + FailureModel.length(blocks))
                (row, blocks) = ([], blocks + 1)
            case .code, .unblock: continue
            }
        }
        return block
    }

    /// What a class has on an account and phone.
    struct Class {
        var wrong = 0
        var block: Block?
        var offSince: UInt64?
        fileprivate var sinceBlock = 0
        fileprivate var blocks = 0
        fileprivate var newest: UInt64 = 0
    }

    static let shares: [Assurance: Int] = [.anonymous: 50, .firstFactor: 25, .knownDevice: 25]

    func ofClass(_ asked: RuleWalk.Who, blockAfter: [UInt16: Int]) -> Class {
        var found = Class()
        for entry in list {
            switch entry {
            case .unblock(_, asked.account, asked.phone): found = Class()
            case .code(let at, let who, let isRight)
            where who.account == asked.account && who.phone == asked.phone:
                if isRight {
                    if who.asker.rawValue >= asked.asker.rawValue { found = Class() }
                } else if who.asker == asked.asker {
                    fail(&found, at, who, blockAfter)
                }
            case .code, .unblock: continue
            }
        }
        return found
    }

    private func fail(_ found: inout Class, _ at: UInt64, _ who: RuleWalk.Who, _ blockAfter: [UInt16: Int]) {
        if found.offSince == nil, at - found.newest >= 400 * 86_400_000 { found = Class() }
        found.newest = at
        found.wrong += 1
        if who.purpose != 2 { found.sinceBlock += 1 }
        if found.wrong == FailureModel.shares[who.asker] {
            (found.offSince, found.block) = (at, nil)
        } else if who.purpose != 2, found.sinceBlock >= (found.blocks == 0 ? blockAfter[who.purpose] ?? 0 : 5)
        {
            found.block = Block(began: at, end: at + FailureModel.length(found.blocks))
            found.blocks += 1
            found.sinceBlock = 0
        }
    }

    /// What stands in the way of this class, account, phone and purpose, whatever is asked: a limit and its
    /// end, or the class is off.
    enum Standing: Equatable {
        case free
        case blocked(Set<Limit>, until: UInt64)
        case off
    }

    func standing(_ who: RuleWalk.Who, _ now: UInt64, blockAfter: [UInt16: Int]) -> Standing {
        let its = ofClass(who, blockAfter: blockAfter)
        var ends: [Limit: UInt64] = [:]
        if let end = its.block?.end, end > now { ends[.failureStreak] = end }
        if who.purpose == 2, let end = payments(who.account)?.end, end > now { ends[.paymentStreak] = end }
        if let longest = ends.values.max() {
            return .blocked(Set(ends.filter { $0.value == longest }.keys), until: longest)
        }
        return its.offSince == nil ? .free : .off
    }

    /// Codes that were compared on the phone in this class in the last minute, oldest first.
    func compared(_ asked: RuleWalk.Who, _ now: UInt64) -> [UInt64] {
        list.compactMap { entry in
            guard case .code(let at, let who, _) = entry, who.phone == asked.phone, who.asker == asked.asker,
                at + 60_000 > now
            else { return nil }
            return at
        }
    }

    /// Unblocks of the account in the last 24 h, oldest first.
    func unblocks(_ asked: String, _ now: UInt64) -> [UInt64] {
        list.compactMap { entry in
            guard case .unblock(let at, asked, _) = entry, at + 86_400_000 > now else { return nil }
            return at
        }
    }
}
