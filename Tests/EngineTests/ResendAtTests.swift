import Testing
import Wire

@testable import Engine

/// `resend_at_ms` is the later of the challenge's gap and the phone's, in every reply; before it nothing is
/// sent, and from then on the gap refuses nothing.
@Suite struct ResendAtTests {
    /// Messages by counting: plain lists of what was sent when.
    private struct Model {
        struct Sent {
            var at: UInt64
            var phone: String
            var asker: Assurance
            var isVerified = false
        }

        var sent: [Sent] = []
        /// The end of each challenge's own gap.
        var own: [Bytes16: UInt64] = [:]

        private func gap(_ unverified: Int, _ gaps: [UInt64]) -> UInt64 {
            gaps[min(max(1, unverified), gaps.count) - 1]
        }

        /// Unverified messages on the phone in the class that were less than a day old when the newest was
        /// sent.
        private func unverified(_ who: RuleWalk.Who) -> (count: Int, newest: UInt64) {
            let open = sent.filter { $0.phone == who.phone && $0.asker == who.asker && !$0.isVerified }
            guard let newest = open.last?.at else { return (0, 0) }
            return (open.count { $0.at + 86_400_000 > newest }, newest)
        }

        func phoneEnd(_ who: RuleWalk.Who, _ gaps: [UInt64]) -> UInt64 {
            let (count, newest) = unverified(who)
            return count == 0 ? 0 : newest + gap(count, gaps)
        }

        mutating func send(_ id: Bytes16, _ who: RuleWalk.Who, _ now: UInt64, _ gaps: [UInt64]) {
            sent.append(Sent(at: now, phone: who.phone, asker: who.asker))
            own[id] = now + gap(unverified(who).count, gaps)
        }

        mutating func verified(_ who: RuleWalk.Who) {
            for index in sent.indices where sent[index].phone == who.phone && sent[index].asker == who.asker {
                sent[index].isVerified = true
            }
        }

        func resendAt(_ id: Bytes16, _ who: RuleWalk.Who, _ gaps: [UInt64]) -> UInt64 {
            max(own[id] ?? 0, phoneEnd(who, gaps))
        }
    }

    @Test func isExact() throws {
        var (met, byPhone, renewed) = (Set<String>(), 0, 0)
        for seed in 81...86 as ClosedRange<UInt64> {
            let tenant = seed % 2 == 0 ? RetryAfterTests.tenant(2) : RulePropertyTests.tenant
            let walk = RuleWalk(seed: seed, tenant: tenant)
            var model = Model()
            func gaps(_ who: RuleWalk.Who) -> [UInt64] {
                tenant.purposes.first { $0.number == who.purpose }?.gapMs ?? []
            }
            try walk.run(350) { done in
                switch (done.act, done.reply) {
                case (.resend(let target), .challenge):
                    #expect(done.now <= target.lastMoment, done.note)
                    model.send(target.id, target.who, done.now, gaps(target.who))
                case (.request(let who), .challenge(let m)):
                    if m.disposition != ChallengeReply.Disposition.joined.rawValue {
                        #expect(done.now >= model.phoneEnd(who, gaps(who)), done.note)
                        model.send(m.challenge, who, done.now, gaps(who))
                    } else {
                        #expect(done.now < model.resendAt(m.challenge, who, gaps(who)), done.note)
                    }
                    met.insert(done.reply.text)
                    // The open one again as long as a message of it is of use; then another.
                    if let former = done.former, done.reply.text != "joined" {
                        #expect(
                            done.reply.text == (done.now <= former.lastMoment ? "resent" : "created"),
                            done.note)
                        if done.now > former.lastMoment { renewed += 1 }
                    }
                    #expect(m.resendAtMs == model.resendAt(m.challenge, who, gaps(who)), done.note)
                case (.verify(let target, _), .verified): model.verified(target.who)
                case (.resend, _), (.request, _), (.verify, _), (.cancel, _), (.unblock, _): break
                }
                for target in walk.known where target.isOpen(done.now) {
                    let due = model.resendAt(target.id, target.who, gaps(target.who))
                    let status = walk.world.status(target.id, session: target.who.session).statusReply
                    #expect(
                        status?.resendAtMs == due,
                        "\(done.note): \(target.who.text), due in \(Int64(due) - Int64(done.now))")
                    if due > done.now, due > model.own[target.id] ?? 0 { byPhone += 1 }
                }
                guard let target = walk.known.last(where: { $0.isOpen(done.now) }) else { return }
                tries(
                    walk, done, target,
                    at: max(done.now, model.resendAt(target.id, target.who, gaps(target.who))))
            }
        }
        #expect(
            met == ["created", "joined", "resent"] && byPhone > 50 && renewed > 5,
            "met \(met), \(byPhone) by the phone, \(renewed) renewed")
    }

    private func tries(_ walk: RuleWalk, _ done: RuleWalk.Done, _ target: RuleWalk.Known, at due: UInt64) {
        func resend(at time: UInt64) -> Reply {
            var m = Resend()
            (m.requestID, m.challenge) = (walk.world.newID(time), target.id)
            m.session = World.session(target.who.session)
            return walk.answer(.resend(m), at: time)
        }
        let then = resend(at: due)
        #expect(then.refusal?.limit != .resendGap, "\(done.note): at resend_at \(then.text)")
        guard due > done.now else { return }
        let early = resend(at: due - 1)
        #expect(early.challenge == nil, "\(done.note): before resend_at \(early.text)")
        // Nothing else stands in its way: then it is the gap that does.
        if then.challenge != nil { #expect(early.text == "limited resendGap 1", done.note) }
    }
}
