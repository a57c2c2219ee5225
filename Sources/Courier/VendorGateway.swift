import CLinuxShim
import HTTPGateway
import SMPP
import SMSText
package import Wire

/// Sends through one HTTP vendor and reports what it answers. One message is one request; whether it may be sent again is the server's
/// decision, never libcurl's.
package struct VendorGateway: Gateway {
    /// From the vendor's answer to the report's arrival at the server.
    static let marginMs: UInt64 = 500
    /// The server tells the last moment for a submit, which is 40 s, at least, before the code's end.
    static let lifeAfterLastSubmitMs: UInt64 = 40_000
    /// With less it isn't begun.
    static let leastMs: UInt64 = 1_000
    /// The longest pause that a vendor gets.
    static let longestPauseMs: UInt64 = 60_000

    /// A message whose request is on its way.
    private struct Draft {
        var submission: Submission
        var sms: OutboundSMS
        var segments: UInt8
    }

    private let route: HTTPRoute
    private let multi: CurlMulti
    private var drafts: [UInt64: Draft] = [:]
    private var lastNumber: UInt64 = 0
    private var isStopping = false
    private var isFaulty = false
    /// Nothing is begun before it: the vendor asked for a pause, or can't be reached.
    private var pausedUntilMs: UInt64 = 0
    private var backOff = ReconnectDelay()
    private var trouble: String?
    private var lastTrouble: String?
    private let note: (String) -> Void
    private let wallSeconds: () -> UInt64

    /// - Parameters:
    ///   - note: gets a sentence when the route breaks or stands again; standard error by default.
    ///   - wallSeconds: Unix time, for signatures.
    package init(
        _ route: HTTPRoute, note: ((String) -> Void)? = nil,
        wallSeconds: @escaping () -> UInt64 = { linux_realtime_nanos() / 1_000_000_000 }
    ) throws(CourierError) {
        self.route = route
        self.note = note ?? CourierNote.standardError
        self.wallSeconds = wallSeconds
        multi = try CurlMulti(connections: route.window)
    }

    package var isIdle: Bool { drafts.isEmpty }

    package func room(nowMs: UInt64) -> Int {
        isStopping || nowMs < pausedUntilMs ? 0 : max(0, route.window - drafts.count)
    }

    package mutating func take(_ submission: Submission, nowMs: UInt64) -> [ReportMessage] {
        let end = min(submission.leaseUntilMs, submission.expiresAtMs)
        let left = end > nowMs + VendorGateway.marginMs ? end - nowMs - VendorGateway.marginMs : 0
        guard left >= VendorGateway.leastMs else { return [submission.report(.notSubmitted, reason: "no time left")] }
        lastNumber += 1
        let message = submission.message
        let sms = OutboundSMS(
            phone: message.phone.text, text: message.text.text,
            sender: submission.sender.isEmpty ? route.sender : submission.sender,
            lifeSeconds: (submission.expiresAtMs - nowMs + VendorGateway.lifeAfterLastSubmitMs) / 1_000,
            key: message.idempotencyKey.description, callback: route.callback)
        do throws(CourierError) {
            let transfer = try CurlTransfer(
                route.vendor.request(for: sms, unixSeconds: wallSeconds()), route, number: lastNumber,
                answerMs: min(route.answerMs, left))
            try multi.start(transfer, nowMs: nowMs)
        } catch { return [submission.report(.notSubmitted, reason: "\(error)")] }
        let segments = UInt8(clamping: SegmentCount(of: sms.text).segments)
        drafts[lastNumber] = Draft(submission: submission, sms: sms, segments: segments)
        return []
    }

    package mutating func turn(nowMs: UInt64) -> [ReportMessage] {
        var reports: [ReportMessage] = []
        for (number, result) in multi.turn(nowMs: nowMs) {
            guard let draft = drafts.removeValue(forKey: number) else { continue }
            reports.append(report(draft, result, nowMs))
        }
        tellTrouble()
        return reports
    }

    private mutating func report(_ draft: Draft, _ result: CurlResult, _ nowMs: UInt64) -> ReportMessage {
        switch result {
        case .answered(let response): return answered(draft, route.vendor.verdict(on: response, to: draft.sms), nowMs)
        case .notSent(let why):
            // The message is as good as new, and waits until the vendor can be reached or another gateway has room.
            trouble = why
            pausedUntilMs = nowMs + backOff.next(random: UInt64.random(in: .min ... .max))
            return said(draft, .notSubmitted, why)
        case .broken(let why):
            trouble = why
            return said(draft, .ambiguous, why)
        }
    }

    private mutating func answered(_ draft: Draft, _ verdict: SubmitVerdict, _ nowMs: UInt64) -> ReportMessage {
        backOff.reset()
        switch verdict {
        case .accepted(let id):
            trouble = nil
            return said(draft, .submitted, "", reference: id)
        case .permanentNumber(let why):
            trouble = nil
            return said(draft, .permanentFailure, why)
        case .permanentRoute(let why):
            (trouble, isFaulty) = (why, true)
            return said(draft, .transientFailure, why)
        case .transient(let why, let seconds):
            trouble = why
            guard let seconds else { return said(draft, .transientFailure, why) }
            // It told how long it wants to be left alone, and took nothing.
            pausedUntilMs = nowMs + min(max(1, seconds) * 1_000, VendorGateway.longestPauseMs)
            return said(draft, .notSubmitted, why)
        case .ambiguous(let why):
            trouble = why
            return said(draft, .ambiguous, why)
        }
    }

    private func said(
        _ draft: Draft, _ outcome: ReportMessage.Outcome, _ reason: String, reference: String = ""
    ) -> ReportMessage {
        var report = draft.submission.report(outcome, reference: Array(reference.utf8), reason: reason)
        report.gateway = InlineBytes(route.name.utf8.prefix(32))
        report.segments = draft.segments
        return report
    }

    /// Says each thing once, and that it is over.
    private mutating func tellTrouble() {
        guard trouble != lastTrouble else { return }
        if !isStopping { note(trouble.map { "\(route.name): \($0)" } ?? "\(route.name): the route stands") }
        lastTrouble = trouble
    }

    package func waits(nowMs: UInt64) -> GatewayWaits {
        var waits = GatewayWaits()
        waits.descriptors = multi.descriptors
        waits.untilMs = multi.untilMs
        if nowMs < pausedUntilMs { waits.untilMs = min(waits.untilMs ?? pausedUntilMs, pausedUntilMs) }
        return waits
    }

    /// What is on its way is answered or times out; nothing more is begun.
    package mutating func stop(nowMs: UInt64) { isStopping = true }

    package mutating func takeFault() -> Bool {
        defer { isFaulty = false }
        return isFaulty
    }
}
