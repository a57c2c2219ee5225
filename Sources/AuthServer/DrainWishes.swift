/// Which gateways are to get no new messages, by name: what the operator said, and what couriers had drained
/// when they first told of them.
struct DrainWishes {
    /// Names in all, and names learned from one user's couriers.
    static let most = 256
    static let mostOfUID = 32
    /// Milliseconds for which the operator's word on a gateway is kept at least, though no courier tells of
    /// it.
    static let keepMs: UInt64 = 3_600_000

    private struct Wish {
        let gateway: [UInt8]
        var isDrained: Bool
        /// Whose courier it was learned from; `nil` = the operator said it.
        var uid: UInt32?
        var saidAtMs: UInt64
    }

    /// In the order said.
    private var wishes: [Wish] = []

    var count: Int { wishes.count }

    /// `nil` = nobody said anything of it.
    subscript(gateway: [UInt8]) -> Bool? { wishes.first { $0.gateway == gateway }?.isDrained }

    /// A courier has it drained; without room, that remains the courier's own affair.
    mutating func learn(
        _ gateway: [UInt8], from uid: UInt32, now: UInt64,
        isReported: ([UInt8]) -> (isThere: Bool, isDrained: Bool)
    ) {
        guard self[gateway] == nil else { return }
        if wishes.count(where: { $0.uid == uid }) >= DrainWishes.mostOfUID {
            guard let gone = wishes.firstIndex(where: { $0.uid == uid && !isReported($0.gateway).isThere })
            else { return }
            wishes.remove(at: gone)
        }
        if wishes.count >= DrainWishes.most {
            guard let done = wishes.firstIndex(where: { !$0.isDrained && !isReported($0.gateway).isDrained })
            else { return }
            wishes.remove(at: done)
        }
        wishes.append(Wish(gateway: gateway, isDrained: true, uid: uid, saidAtMs: now))
    }

    /// The operator's word; whether there was room for it.
    mutating func say(
        _ gateway: [UInt8], _ isDrained: Bool, now: UInt64,
        isReported: ([UInt8]) -> (isThere: Bool, isDrained: Bool)
    ) -> Bool {
        if let former = wishes.firstIndex(where: { $0.gateway == gateway }) {
            wishes.remove(at: former)
        } else if wishes.count >= DrainWishes.most {
            // In this order: what has come true, what a courier said, what is said of a gateway that nobody
            // has any more.
            let leaver =
                wishes.firstIndex { !$0.isDrained && !isReported($0.gateway).isDrained }
                ?? wishes.firstIndex { $0.uid != nil && !isReported($0.gateway).isThere }
                ?? wishes.firstIndex { $0.uid != nil }
                ?? wishes.firstIndex {
                    now >= $0.saidAtMs + DrainWishes.keepMs && !isReported($0.gateway).isThere
                }
            guard let leaver else { return false }
            wishes.remove(at: leaver)
        }
        wishes.append(Wish(gateway: gateway, isDrained: isDrained, uid: nil, saidAtMs: now))
        return true
    }
}
