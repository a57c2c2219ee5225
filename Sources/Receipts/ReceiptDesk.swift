import AuthClient
package import HTTPGateway
package import Wire

/// From a callback to otpd's word on it: who may say what, forwarded, and the answer once the receipt is durable.
package struct ReceiptDesk: Sendable {
    /// What the vendor is told. Whatever isn't 2xx makes vendors that repeat say it again.
    package struct Answer: Sendable, Equatable {
        package var status: Int
        package var text: String

        package static let done = Answer(status: 200, text: "done")
        static let nowhere = Answer(status: 404, text: "nothing here")
        static let method = Answer(status: 405, text: "GET or POST")
        static let forged = Answer(status: 403, text: "not authentic")
        static let malformed = Answer(status: 400, text: "not a receipt")
        static let unknown = Answer(status: 404, text: "no such message")
        static let later = Answer(status: 503, text: "later")
    }

    /// Waits before a message is looked for again that nobody has reported yet: vendors can be faster than the courier's report.
    static let patience: [Duration] = [.milliseconds(100), .milliseconds(400), .seconds(1), .milliseconds(2_500)]

    private let entries: [ReceiptsConfig.Entry]
    private let forward: @Sendable (ReportReceipt) async throws -> Void
    private let sleep: @Sendable (Duration) async throws -> Void
    private let note: @Sendable (String) -> Void

    /// - Parameters:
    ///   - forward: to otpd; returns when the receipt is durable, throws `ClientError`.
    ///   - note: gets a line for the operator: no number, no text, no id in it.
    package init(
        _ entries: [ReceiptsConfig.Entry], forward: @escaping @Sendable (ReportReceipt) async throws -> Void,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }, note: @escaping @Sendable (String) -> Void
    ) {
        self.entries = entries
        self.forward = forward
        self.sleep = sleep
        self.note = note
    }

    /// - Parameter path: of the request, without its query.
    package func answer(_ call: ReceiptCall, path: String, unixSeconds: UInt64) async -> Answer {
        guard let entry = entries.first(where: { $0.path == path }) else { return .nowhere }
        guard call.method == "GET" || call.method == "POST" else { return .method }
        let receipts: [VendorReceipt]
        do throws(ReceiptRefusal) {
            receipts = try entry.source.receipts(in: call, unixSeconds: unixSeconds)
        } catch {
            switch error {
            case .forged(let why):
                note("\(entry.gateway): refused, \(why)")
                return .forged
            case .malformed(let why):
                note("\(entry.gateway): not understood, \(why)")
                return .malformed
            }
        }
        var answer = Answer.done
        for receipt in receipts {
            let told = await tell(receipt, of: entry.gateway)
            if told != .done { answer = told }
        }
        return answer
    }

    private func tell(_ receipt: VendorReceipt, of gateway: String) async -> Answer {
        var message = ReportReceipt()
        message.gateway = InlineBytes(gateway)
        message.reference = InlineBytes(receipt.reference)
        message.outcome = (receipt.isDelivered ? ReportMessage.Outcome.delivered : .undelivered).rawValue
        message.reason = InlineBytes(receipt.reason)
        for pause in ReceiptDesk.patience + [.zero] {
            do {
                try await forward(message)
                return .done
            } catch ClientError.refused(let refusal) where refusal.status == .referenceUnknown {
                if pause == .zero { break }
                do { try await sleep(pause) } catch { return .later }
            } catch {
                note("otpd doesn't take receipts: \(error)")
                return .later
            }
        }
        note("\(gateway): a receipt for a message that otpd doesn't know, or knows no more")
        return .unknown
    }
}
