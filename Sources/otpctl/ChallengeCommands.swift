import ArgumentParser
import AuthClient
import Wire

struct AskerOptions: ParsableArguments {
    @Option(help: "The account: any text of 1 to 128 bytes.")
    var account: String
    @Option(help: "The phone, E.164: +33612345678.")
    var phone: String
    @Option(help: "login (1), payment (2) or a number.")
    var purpose = "login"
    @Option(help: "Who asks: anonymous, first-factor or known-device.")
    var assurance = "first-factor"

    func validate() throws {
        guard !PhoneBytes(phone).isTooLong else { throw ValidationError("--phone: \(Advice.phone)") }
    }

    func assuranceCode() throws -> UInt8 {
        switch assurance {
        case "anonymous": Assurance.anonymous.rawValue
        case "first-factor": Assurance.firstFactor.rawValue
        case "known-device": Assurance.knownDevice.rawValue
        case _: throw ValidationError("--assurance is anonymous, first-factor or known-device")
        }
    }
}

struct RequestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "request", abstract: "Ask for a code by SMS.")
    @OptionGroup var common: Common
    @OptionGroup var asker: AskerOptions
    @OptionGroup var session: SessionOption
    @OptionGroup var requestID: RequestIDOption
    @Option(help: "The last line of the message is `@HOST #code`.")
    var webHost: String?

    func run() async throws {
        var message = RequestCode()
        message.requestID = try requestID.value()
        message.purpose = try purposeNumber(asker.purpose)
        message.assurance = try asker.assuranceCode()
        message.account = AccountBytes(asker.account)
        message.phone = PhoneBytes(asker.phone)
        message.session = try session.value()
        if let webHost { message.webHost = InlineBytes(webHost) }
        let request = message
        try await common.run { client in common.show(fields(try await client.requestCode(request))) }
    }
}

/// The lines of a challenge.
func fields(_ reply: ChallengeReply) -> [(String, Field)] {
    let how = ChallengeReply.Disposition(rawValue: reply.disposition).map { String(describing: $0) } ?? "?"
    return [
        ("challenge", .text("\(reply.challenge)")), ("disposition", .text(how)),
        ("code_length", .number(UInt64(reply.codeLength))), ("attempts_left", .number(UInt64(reply.attemptsLeft))),
        ("sends_left", .number(UInt64(reply.sendsLeft))), ("expires_at_ms", .engineTime(reply.expiresAtMs)),
        ("resend_at_ms", .engineTime(reply.resendAtMs)),
    ]
}

struct ResendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "resend", abstract: "Send the same code once more.")
    @OptionGroup var common: Common
    @OptionGroup var session: SessionOption
    @OptionGroup var requestID: RequestIDOption
    @Argument(help: "The challenge, from `request`.")
    var challenge: String

    func run() async throws {
        var message = Resend()
        message.requestID = try requestID.value()
        message.challenge = try identifier(challenge, "the challenge")
        message.session = try session.value()
        let request = message
        try await common.run { client in common.show(fields(try await client.resend(request))) }
    }
}

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "verify", abstract: "Offer a code; prints the grant.")
    @OptionGroup var common: Common
    @OptionGroup var session: SessionOption
    @OptionGroup var requestID: RequestIDOption
    @Argument(help: "The challenge, from `request`.")
    var challenge: String
    @Argument(help: "The code, as typed.")
    var code: String

    func run() async throws {
        var message = Verify()
        message.requestID = try requestID.value()
        message.challenge = try identifier(challenge, "the challenge")
        message.session = try session.value()
        message.code = CodeBytes(code)
        let request = message
        try await common.run { client in
            let reply = try await client.verify(request)
            common.show([
                ("grant", .text(reply.grant.revealedHexadecimal)), ("purpose", .number(UInt64(reply.purpose))),
                ("expires_at_ms", .engineTime(reply.expiresAtMs)), ("expires_at_wall_ms", .wallTime(reply.expiresAtWallMs)),
                ("issuer", .text(reply.issuer.text)), ("repeated", .number(UInt64(reply.repeated ?? 0))),
            ])
        }
    }
}

struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "cancel", abstract: "Close an open challenge.")
    @OptionGroup var common: Common
    @OptionGroup var session: SessionOption
    @OptionGroup var requestID: RequestIDOption
    @Argument(help: "The challenge, from `request`.")
    var challenge: String

    func run() async throws {
        var message = Cancel()
        message.requestID = try requestID.value()
        message.challenge = try identifier(challenge, "the challenge")
        message.session = try session.value()
        let request = message
        try await common.run { client in
            try await client.cancel(request)
            common.show([("cancelled", .text("\(request.challenge)"))])
        }
    }
}

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "How a challenge stands.")
    @OptionGroup var common: Common
    @OptionGroup var session: SessionOption
    @Argument(help: "The challenge, from `request`.")
    var challenge: String

    func run() async throws {
        var message = StatusRequest()
        message.challenge = try identifier(challenge, "the challenge")
        message.session = try session.value()
        message.send = 0
        let request = message
        try await common.run { client in
            let reply = try await client.status(request)
            let state = StatusRequest.State(rawValue: reply.state).map { String(describing: $0) } ?? "?"
            let delivery = StatusRequest.Delivery(rawValue: reply.delivery).map { String(describing: $0) } ?? "?"
            common.show([
                ("state", .text(state)), ("delivery", .text(delivery)),
                ("attempts_left", .number(UInt64(reply.attemptsLeft))), ("sends_left", .number(UInt64(reply.sendsLeft))),
                ("expires_at_ms", .engineTime(reply.expiresAtMs)), ("resend_at_ms", .engineTime(reply.resendAtMs)),
            ] + reply.times)
        }
    }
}

struct QuotaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "quota", abstract: "What would refuse a request now?")
    @OptionGroup var common: Common
    @OptionGroup var asker: AskerOptions
    @OptionGroup var session: SessionOption

    func run() async throws {
        var message = Quota()
        message.purpose = try purposeNumber(asker.purpose)
        message.assurance = try asker.assuranceCode()
        message.account = AccountBytes(asker.account)
        message.phone = PhoneBytes(asker.phone)
        message.session = try session.value()
        let request = message
        try await common.run { client in
            let reply = try await client.quota(request)
            func left(_ count: UInt8) -> Field { count == Quota.Reply.unlimited ? .text("unlimited") : .number(UInt64(count)) }
            let each = reply.left.array
            common.show([
                ("sends_left_hour", left(reply.sendsLeftHour)), ("sends_left_day", left(reply.sendsLeftDay)),
                ("open_left", left(reply.openLeft)),
            ] + stride(from: 0, to: each.count - 1, by: 2).map { place in
                (Limit(rawValue: each[place])?.name ?? "limit\(each[place])", Field.number(UInt64(each[place + 1])))
            })
        }
    }
}
