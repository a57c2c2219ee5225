import ArgumentParser
import AuthClient
import Wire

struct RoutesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "routes", abstract: "The couriers' gateways: how they do, and draining them.",
        discussion: "Couriers tell of theirs every two seconds.",
        subcommands: [List.self, Drain.self, Undrain.self], defaultSubcommand: List.self)

    /// All that couriers tell of now.
    static func all(_ client: AuthClient) async throws -> [ShowRoute.Reply] {
        var found: [ShowRoute.Reply] = []
        while true {
            var message = ShowRoute()
            message.index = UInt16(found.count)
            let reply = try await client.showRoute(message)
            guard found.count < Int(reply.count) else { return found }
            found.append(reply)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One gateway after the other: circuit breaker, room, messages taken and failed since its courier's start.",
            discussion: "--json prints one list, a gateway an element, a line each.")
        @OptionGroup var common: Common

        func run() async throws {
            try await common.run { client in
                let routes = try await RoutesCommand.all(client)
                if common.json { return Common.print(list: routes.map(\.fields)) }
                if routes.isEmpty { common.show([("routes", .text("none: no courier is connected, or it has just come"))]) }
                for route in routes { common.show(route.fields) }
            }
        }
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a gateway no new messages; what it has goes on.",
            discussion:
                "otpd remembers it until it stops, and a courier until it stops: only if both do it is forgotten. For good: drained = true in the courier's file.")
        @OptionGroup var common: Common
        @Argument(help: "The gateway's name, from `routes`.")
        var gateway: String

        func run() async throws { try await RoutesCommand.set(gateway, drained: true, common) }
    }

    struct Undrain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Give a drained gateway messages again.")
        @OptionGroup var common: Common
        @Argument(help: "The gateway's name, from `routes`.")
        var gateway: String

        func run() async throws { try await RoutesCommand.set(gateway, drained: false, common) }
    }

    private static func set(_ gateway: String, drained: Bool, _ common: Common) async throws {
        guard (1...32).contains(gateway.utf8.count) else { throw ValidationError("a gateway's name has 1 to 32 bytes") }
        var message = DrainRoute()
        message.gateway = InlineBytes(gateway)
        message.drained = drained ? 1 : 0
        let request = message
        try await common.run { client in
            try await client.drainRoute(request)
            let isKnown = try await RoutesCommand.all(client).contains { $0.gateway == request.gateway }
            let what = drained ? "no new messages, within two seconds" : "takes messages again, within two seconds"
            common.show([("gateway", .text(gateway)), ("drained", .text(drained ? "yes" : "no"))]
                + [("note", .text(isKnown ? what : "no courier tells of a gateway of this name now; it holds when one does"))])
        }
    }
}

extension ShowRoute.Reply {
    fileprivate var fields: [(String, Field)] {
        let state = ReportRoute.Breaker(rawValue: breaker).map { String(describing: $0) } ?? "?"
        var fields: [(String, Field)] = [
            ("gateway", .text(gateway.text)), ("breaker", .text(state)), ("drained", .text(drained != 0 ? "yes" : "no")),
            ("room", .number(UInt64(room))), ("taken", .number(taken)), ("failed", .number(failed)),
        ]
        if let priceMicros { fields.append(("price_a_segment", .text(Price.text(priceMicros, currency.text)))) }
        return fields + [("courier_uid", .number(UInt64(uid))), ("told_ms_ago", .number(ageMs))]
    }
}
