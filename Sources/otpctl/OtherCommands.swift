import ArgumentParser
import AuthClient
import Wire

struct PingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ping", abstract: "Is otpd there, and how far away?")
    @OptionGroup var common: Common

    func run() async throws {
        try await common.run { client in
            try await client.connect()
            let start = ContinuousClock.now
            let reply = try await client.ping()
            let micros = (ContinuousClock.now - start).components.attoseconds / 1_000_000_000_000
            let server = await client.server
            common.show([
                ("server", .text(server?.server.text ?? "")), ("issuer", .text(server?.issuer.text ?? "")),
                ("tenant", .number(UInt64(server?.tenant ?? 0))),
                ("roles", .text(Roles(rawValue: server?.roles ?? 0).description)),
                ("engine_time_ms", .engineTime(reply.engineTimeMs)), ("round_trip_us", .number(UInt64(micros))),
            ])
        }
    }
}

struct GrantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant", abstract: "Look at a grant, or spend it.", subcommands: [Check.self, Redeem.self])

    struct Options: ParsableArguments {
        @Argument(help: "The grant, from `verify`.")
        var grant: String
        @Option(help: "Whose it must be.")
        var account: String
        @Option(help: "What it must be for: login (1), payment (2) or a number.")
        var purpose = "login"

        func token() throws -> Bytes32 {
            guard let value = Bytes32(hexadecimal: grant) else {
                throw ValidationError("the grant has 64 hexadecimal digits")
            }
            return value
        }
    }

    static func show(_ reply: GrantReply, _ common: Common) {
        common.show([
            ("challenge", .text("\(reply.challenge)")), ("verified_at_ms", .engineTime(reply.verifiedAtMs)),
            ("expires_at_ms", .engineTime(reply.expiresAtMs)), ("issuer", .text(reply.issuer.text)),
            ("repeated", .number(UInt64(reply.repeated ?? 0))),
        ])
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Is the grant good? Doesn't spend it.")
        @OptionGroup var common: Common
        @OptionGroup var options: Options
        @OptionGroup var session: SessionOption

        func run() async throws {
            var message = CheckGrant()
            message.grant = try options.token()
            message.purpose = try purposeNumber(options.purpose)
            message.account = AccountBytes(options.account)
            message.session = try session.value()
            let request = message
            try await common.run { client in GrantCommand.show(try await client.checkGrant(request), common) }
        }
    }

    struct Redeem: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Spend the grant: works once.")
        @OptionGroup var common: Common
        @OptionGroup var options: Options
        @OptionGroup var session: SessionOption
        @OptionGroup var requestID: RequestIDOption

        func run() async throws {
            var message = RedeemGrant()
            message.requestID = try requestID.value()
            message.grant = try options.token()
            message.purpose = try purposeNumber(options.purpose)
            message.account = AccountBytes(options.account)
            message.session = try session.value()
            let request = message
            try await common.run { client in GrantCommand.show(try await client.redeemGrant(request), common) }
        }
    }
}

struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "events", abstract: "What happens, as it happens.")
    @OptionGroup var common: Common
    @Option(help: "Where to begin: now, oldest, or a cursor EPOCH:SEQUENCE:INDEX (its event isn't repeated).")
    var from = "oldest"
    @Flag(help: "Go on with what comes; else stop when half a second brings nothing.")
    var follow = false

    func run() async throws {
        let (start, cursor) = try place()
        try await common.run { client in
            let events = try await client.events(from: start, cursor: cursor)
            let silence = follow ? nil : Silence(client: client)
            for await event in events {
                show(event)
                await silence?.heard()
                try await client.acknowledge(event.cursor, count: 1)
            }
        }
    }

    private func place() throws -> (Subscribe.Start, Cursor) {
        if from == "now" { return (.now, .zero) }
        if from == "oldest" { return (.oldest, .zero) }
        let parts = from.split(separator: ":")
        guard parts.count == 3, let epoch = UInt32(parts[0]), let sequence = UInt64(parts[1]), let index = UInt16(parts[2])
        else { throw ValidationError("--from is now, oldest or EPOCH:SEQUENCE:INDEX") }
        return (.afterCursor, Cursor(epoch: epoch, sequence: sequence, index: index))
    }

    private func show(_ event: EventPush) {
        let cursor = "\(event.cursor.epoch):\(event.cursor.sequence):\(event.cursor.index)"
        let kind = EventPush.Kind(rawValue: event.kind)?.name ?? "kind\(event.kind)"
        if common.json {
            common.show([
                ("cursor", .text(cursor)), ("kind", .text(kind)), ("wall_time_ms", .wallTime(event.wallTimeMs)),
                ("challenge", .text("\(event.challenge)")), ("subject", .text("\(event.subject)")),
                ("purpose", .number(UInt64(event.purpose))), ("status", .number(UInt64(event.status))),
                ("limit", .text(Limit(rawValue: event.limit)?.name ?? "")),
                ("attempts_left", .number(UInt64(event.attemptsLeft))), ("count", .number(event.count ?? 1)),
            ] + who(event))
            return
        }
        var line = cursor + String(repeating: " ", count: max(1, 14 - cursor.count)) + kind
        if event.status != 0 { line += "  " + (Status(rawValue: event.status).map { "\($0)" } ?? "status\(event.status)") }
        if event.challenge != .zero { line += "  challenge \("\(event.challenge)".prefix(12))…" }
        if event.limit != 0 { line += "  limit \(Limit(rawValue: event.limit)?.name ?? "?")" }
        if event.attemptsLeft != 0xFF { line += "  attempts left \(event.attemptsLeft)" }
        if let count = event.count { line += "  count \(count)" }
        for (name, value) in who(event) { line += "  \(name) \(value.shown)" }
        if let date = EngineTimes.date(wall: event.wallTimeMs) { line += "  at \(date)" }
        Common.print(line: line)
    }

    /// What an event says of who asked or acted, as far as it says it.
    private func who(_ event: EventPush) -> [(String, Field)] {
        var fields: [(String, Field)] = []
        if let uid = event.uid { fields.append(("uid", .number(uid))) }
        if let code = event.assurance { fields.append(("assurance", .text(Assurance(rawValue: code).map { "\($0)" } ?? "\(code)"))) }
        if !event.shadowLimits.isEmpty {
            let names = event.shadowLimits.array.map { Limit(rawValue: $0)?.name ?? "limit\($0)" }
            fields.append(("shadow", .text(names.joined(separator: ","))))
        }
        if !event.actor.isEmpty { fields += [("actor", .text(event.actor.text)), ("reason", .text(event.reason.text))] }
        return fields
    }

    /// Closes the client when nothing was heard for half a second.
    private actor Silence {
        private var last = ContinuousClock.now

        init(client: AuthClient) {
            Task { [weak self] in
                while let self, await ContinuousClock.now - self.last < .milliseconds(500) {
                    try await Task.sleep(for: .milliseconds(50))
                }
                await client.close()
            }
        }

        func heard() { last = ContinuousClock.now }
    }
}

struct StatsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stats", abstract: "The server's counters and gauges.")
    @OptionGroup var common: Common

    func run() async throws {
        try await common.run { client in
            let lines = try await client.stats().split(separator: "\n").map { $0.split(separator: " ") }
            common.show(
                lines.compactMap { pair in
                    guard pair.count == 2, let value = UInt64(pair[1]) else { return nil }
                    return (String(pair[0]), Field.number(value))
                })
        }
    }
}

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "drain", abstract: "Stop the server in good order.")
    @OptionGroup var common: Common

    func run() async throws {
        try await common.run { client in
            try await client.drain()
            common.show([("drain", .text("the server is stopping"))])
        }
    }
}
