import SMPP
import Wire

/// Messages on their way through an SMPP route: what waits, what is in flight, what a receipt will be about. Pure: answers in,
/// reports out.
///
/// It promises: nothing is submitted after its life, nor so late that another courier could have the lease before our answer is due; each
/// part of a text is submitted three times a lease at most, and never again while its outcome is in doubt; what the SMSC had no room for
/// is given back as untried; a text is forgotten when the SMSC has taken it.
struct SMPPDesk {
    static let maxSubmits = 3
    /// From the SMSC's answer to the report's arrival at the server.
    static let marginMs: UInt64 = 500
    /// The server tells the last moment for a submit, and that is 40 s, at least, before the code's end: a third of the shortest
    /// life there is.
    static let lifeAfterLastSubmitMs: UInt64 = 40_000
    /// Messages given up whose SMSC may still answer.
    static let maxDoubtful = 1_024
    /// Receipts on their way to the server.
    static let maxStrays = 1_024

    /// A message that the SMSC hasn't taken whole.
    private struct Draft {
        var phone: [UInt8]
        /// Instead of the route's own; empty = that.
        var sender: String
        var text: MessageText
        /// Parts to submit, from the last to the first.
        var unsent: [Int]
        var inFlight = 0
        /// Of each part.
        var submits: [Int]
        var expiresAtMs: UInt64
        /// Later, the answer could come after the lease's end.
        var lastSubmitMs: UInt64
    }

    /// What the server must be told about a message, until its end.
    private struct Ticket {
        /// But for outcome and reason.
        var report: ReportMessage
        var parts: Int
        var accepted = 0
        var delivered = 0
        /// A failure was reported; only a late success changes that.
        var isGivenUp = false

        func said(_ outcome: ReportMessage.Outcome, _ reason: String = "") -> ReportMessage {
            var said = report
            said.outcome = outcome.rawValue
            said.reason = InlineBytes(reason.utf8.prefix(64))
            return said
        }
    }

    private let route: SMPPRoute
    private var lastNumber: UInt64 = 0
    private var drafts: [UInt64: Draft] = [:]
    private var tickets: [UInt64: Ticket] = [:]
    /// Drafts with unsent parts, in order; and some that have been given up since.
    private var queue: [UInt64] = []
    private var doubtful: [UInt64] = []
    private var receipts: ReceiptTable
    private var strays: [ReportReceipt] = []
    private var isStopping = false
    private var isFaulty = false

    init(_ route: SMPPRoute) {
        self.route = route
        receipts = ReceiptTable(responseIDs: route.responseIDs, receiptIDs: route.receiptIDs)
    }

    /// Messages that may wait besides those that do: a window at most, and none while the SMSC wants a pause.
    func room(window: Int) -> Int { isStopping ? 0 : max(0, window - queue.count) }
    /// Nothing waits and nothing is in flight; receipts may still come.
    var isIdle: Bool { drafts.isEmpty }
    /// Messages that receipts or late answers may be about.
    var known: Int { tickets.count }

    /// Receipts about messages that this desk doesn't know (any more): a courier before it took them.
    mutating func takeStrays() -> [ReportReceipt] {
        defer { strays = [] }
        return strays
    }

    mutating func takeFault() -> Bool {
        defer { isFaulty = false }
        return isFaulty
    }

    mutating func take(_ submission: Submission) -> [ReportMessage] {
        lastNumber += 1
        let text = MessageText(
            submission.message.text.text, alphabet: route.alphabet, dataCoding: route.dataCoding,
            reference: UInt8(truncatingIfNeeded: lastNumber))
        guard let text else { return [submission.report(.permanentFailure, reason: "the text is too long")] }
        let needed = route.session.responseMs + SMPPDesk.marginMs
        drafts[lastNumber] = Draft(
            phone: submission.message.phone.array, sender: submission.sender, text: text, unsent: text.parts.indices.reversed(),
            submits: text.parts.map { _ in 0 }, expiresAtMs: submission.expiresAtMs,
            lastSubmitMs: submission.leaseUntilMs > needed ? submission.leaseUntilMs - needed : 0)
        var report = submission.report(.submitted)
        report.gateway = InlineBytes(route.name.utf8.prefix(32))
        report.segments = UInt8(text.parts.count)
        tickets[lastNumber] = Ticket(report: report, parts: text.parts.count)
        queue.append(lastNumber)
        return []
    }

    // MARK: what waits

    /// Submits what the session has room for.
    mutating func fill(_ session: inout SMPPSession, nowMs: UInt64) -> [ReportMessage] {
        var reports = expire(nowMs: nowMs)
        while let number = queue.first, session.room(nowMs: nowMs) > 0 {
            guard var draft = drafts[number], let part = draft.unsent.popLast() else {
                queue.removeFirst()
                continue
            }
            if draft.unsent.isEmpty { queue.removeFirst() }
            var message = route.message(
                to: draft.phone, lifeMs: draft.expiresAtMs - nowMs + SMPPDesk.lifeAfterLastSubmitMs,
                coding: draft.text)
            if !draft.sender.isEmpty, let source = SMPPRoute.source(draft.sender) {
                (message.source, message.sourceTON, message.sourceNPI) = (source.bytes, source.ton, source.npi)
            }
            message.text = draft.text.parts[part]
            draft.inFlight += 1
            draft.submits[part] += 1
            drafts[number] = draft
            do throws(PDUError) {
                try session.submit(message, handle: number << 8 | UInt64(part), nowMs: nowMs)
            } catch { reports += giveUp(number, .permanentFailure, "\(error)") }
        }
        return reports
    }

    /// Gives back what can't wait any longer.
    mutating func expire(nowMs: UInt64) -> [ReportMessage] {
        let due = queue.filter { number in
            drafts[number].map { nowMs >= $0.expiresAtMs || nowMs > $0.lastSubmitMs } ?? true
        }
        return giveBack(due, "no room in time")
    }

    /// The courier stops: what hasn't begun is another's. A text of which a part is out is finished: half of it helps nobody.
    mutating func stop() -> [ReportMessage] {
        isStopping = true
        let waiting = queue.filter { number in
            guard let draft = drafts[number], let ticket = tickets[number] else { return true }
            return draft.inFlight + ticket.accepted == 0
        }
        return giveBack(waiting, "the courier stops")
    }

    private mutating func giveBack(_ due: [UInt64], _ why: String) -> [ReportMessage] {
        guard !due.isEmpty else { return [] }
        let gone = Set(due)
        queue.removeAll { gone.contains($0) }
        return due.flatMap { giveUp($0, outcomeOfWaiting($0), why) }
    }

    /// A text of which a part may have arrived is in doubt; one without isn't.
    private func outcomeOfWaiting(_ number: UInt64) -> ReportMessage.Outcome {
        guard let draft = drafts[number], let ticket = tickets[number] else { return .notSubmitted }
        return draft.inFlight + ticket.accepted > 0 ? .ambiguous : .notSubmitted
    }

    /// When `expire` has something to do; `nil` = nothing waits.
    func deadline() -> UInt64? {
        queue.lazy.compactMap { drafts[$0] }.map { min($0.expiresAtMs, $0.lastSubmitMs + 1) }.min()
    }

    // MARK: what became of a submit

    mutating func answered(_ handle: UInt64, _ answer: SMPPSession.Answer, nowMs: UInt64) -> [ReportMessage] {
        let (number, part) = (handle >> 8, Int(handle & 0xFF))
        guard tickets[number] != nil else { return [] }
        if let inFlight = drafts[number]?.inFlight, inFlight > 0 { drafts[number]?.inFlight = inFlight - 1 }
        switch answer {
        case .accepted(let id): return accepted(number, part, id, nowMs)
        case .notSent: return again(number, part, "the connection broke")
        case .ambiguous:
            return giveUp(number, .ambiguous, "no answer: it may have been sent", isDoubtful: true)
        case .refused(let status, .throttle): return again(number, part, "\(status)")
        case .refused(let status, .permanentRoute):
            isFaulty = true
            return giveUp(number, .transientFailure, "\(status)")
        case .refused(let status, .transient):
            // Another route may take it, or this one when its settings are mended.
            return giveUp(number, .transientFailure, "\(status)")
        case .refused(let status, .permanentNumber): return giveUp(number, .permanentFailure, "\(status)")
        }
    }

    private mutating func accepted(_ number: UInt64, _ part: Int, _ id: [UInt8], _ nowMs: UInt64)
        -> [ReportMessage]
    {
        guard var ticket = tickets[number] else { return [] }
        ticket.accepted += 1
        // In the form in which receipts name it: a courier after us knows no other.
        if part == 0 { ticket.report.reference = InlineBytes(route.responseIDs.key(id)) }
        tickets[number] = ticket
        let isWhole = ticket.accepted == ticket.parts
        var reports: [ReportMessage] = []
        if isWhole {
            drafts[number] = nil
            reports.append(ticket.said(.submitted))
        }
        guard route.wantsReceipts, !id.isEmpty else {
            if isWhole { tickets[number] = nil }
            return reports
        }
        let early = receipts.accepted(id: id, handle: number, nowMs: nowMs)
        for forgotten in receipts.takeForgotten() { tickets[forgotten] = nil }
        if let early { reports += delivery(number, early) }
        return reports
    }

    mutating func received(_ receipt: DeliveryReceipt, nowMs: UInt64) -> [ReportMessage] {
        let number = receipts.receipt(receipt, nowMs: nowMs)
        for forgotten in receipts.takeForgotten() { tickets[forgotten] = nil }
        if let number { return delivery(number, receipt) }
        if let isDelivered = receipt.state.isDelivered, let key = receipts.reference(of: receipt),
            strays.count < SMPPDesk.maxStrays,
            !receipts.isSettled(receipt)
        {
            var stray = ReportReceipt()
            stray.gateway = InlineBytes(route.name.utf8.prefix(32))
            stray.reference = InlineBytes(key)
            stray.outcome = (isDelivered ? ReportMessage.Outcome.delivered : .undelivered).rawValue
            if !isDelivered { stray.reason = InlineBytes(SMPPDesk.reason(receipt).utf8.prefix(64)) }
            strays.append(stray)
        }
        return []
    }

    private mutating func delivery(_ number: UInt64, _ receipt: DeliveryReceipt) -> [ReportMessage] {
        guard let ticket = tickets[number], let isDelivered = receipt.state.isDelivered else { return [] }
        guard isDelivered else {
            tickets[number] = nil
            drafts[number] = nil
            return [ticket.said(.undelivered, SMPPDesk.reason(receipt))]
        }
        tickets[number]?.delivered += 1
        guard ticket.delivered + 1 == ticket.parts else { return [] }
        tickets[number] = nil
        return [ticket.said(.delivered)]
    }

    private static func reason(_ receipt: DeliveryReceipt) -> String {
        "\(receipt.state)" + (receipt.error.map { " err:" + String(decoding: $0, as: UTF8.self) } ?? "")
    }

    /// Back to the head of the queue, to be submitted again under the same lease.
    private mutating func again(_ number: UInt64, _ part: Int, _ why: String) -> [ReportMessage] {
        guard var draft = drafts[number] else { return [] }
        if isStopping, outcomeOfWaiting(number) == .notSubmitted { return giveUp(number, .notSubmitted, why) }
        guard draft.submits[part] < SMPPDesk.maxSubmits else {
            // A part that is out makes it doubtful: the whole text would go again.
            let isHalf = outcomeOfWaiting(number) == .ambiguous
            queue.removeAll { $0 == number }
            return giveUp(number, isHalf ? .ambiguous : .transientFailure, why)
        }
        if draft.unsent.isEmpty { queue.insert(number, at: 0) }
        draft.unsent.append(part)
        drafts[number] = draft
        return []
    }

    /// Reports a failure, once, and submits nothing more of the message. While answers may still come its ticket stays: a late one that
    /// accepts counts.
    private mutating func giveUp(
        _ number: UInt64, _ outcome: ReportMessage.Outcome, _ why: String, isDoubtful: Bool = false
    ) -> [ReportMessage] {
        let draft = drafts.removeValue(forKey: number)
        guard let ticket = tickets[number], !ticket.isGivenUp else { return [] }
        if isDoubtful || (draft?.inFlight ?? 0) > 0 {
            tickets[number]?.isGivenUp = true
            doubtful.append(number)
            if doubtful.count > SMPPDesk.maxDoubtful { tickets[doubtful.removeFirst()] = nil }
        } else {
            tickets[number] = nil
        }
        return [ticket.said(outcome, why)]
    }
}
