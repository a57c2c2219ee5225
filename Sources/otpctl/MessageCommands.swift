import ArgumentParser
import AuthClient
import Wire

struct MessageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "message", abstract: "What became of a challenge's messages.", subcommands: [Show.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Each message of a challenge: when, through which gateway, for how much. Never what it said.",
            discussion: "Times are engine times in milliseconds, with the date beside them. A line that isn't there isn't known (yet).")
        /// More than any policy allows.
        private static let mostSends: UInt8 = 10
        @OptionGroup var common: Common
        @OptionGroup var session: SessionOption
        @Argument(help: "The challenge, from `request`.")
        var challenge: String

        func run() async throws {
            var message = StatusRequest()
            message.challenge = try identifier(challenge, "the challenge")
            message.session = try session.value()
            let request = message
            try await common.run { client in
                var asked = request
                var found = 0
                // One that nobody had leased when it was replaced is no more: there may be gaps.
                for number in 1...Show.mostSends {
                    asked.send = number
                    let reply = try await client.status(asked)
                    guard reply.send != nil else { continue }
                    found += 1
                    common.show(reply.history)
                }
                if found == 0 { common.show([("messages", .text("none"))]) }
            }
        }
    }
}

extension StatusRequest.Reply {
    /// When the message that was asked for got where.
    var times: [(String, Field)] {
        [
            ("queued_at_ms", queuedAtMs), ("leased_at_ms", leasedAtMs), ("submitted_at_ms", submittedAtMs),
            ("settled_at_ms", settledAtMs),
        ].compactMap { name, time in time.map { (name, .engineTime($0)) } }
    }

    /// All that is known of it.
    var history: [(String, Field)] {
        let delivery = sendDelivery.flatMap(StatusRequest.Delivery.init).map { String(describing: $0) } ?? "?"
        var fields: [(String, Field)] = [
            ("message", .number(UInt64(send ?? 0))), ("delivery", .text(delivery)), ("submits", .number(UInt64(submits ?? 0))),
        ]
        fields += times
        if !gateway.isEmpty { fields.append(("gateway", .text(gateway.text))) }
        if !reference.isEmpty { fields.append(("reference", .text(reference.text))) }
        if let segments { fields.append(("segments", .number(UInt64(segments)))) }
        if let priceMicros { fields.append(("price", .text(Price.text(priceMicros, currency.text)))) }
        if !reason.isEmpty { fields.append(("reason", .text(reason.text))) }
        return fields
    }
}
