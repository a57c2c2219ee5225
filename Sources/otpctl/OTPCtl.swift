import ArgumentParser
import AuthClient
import Foundation
import Launch
import Permissions
import Wire

/// `otpctl`: otpd from a shell.
@main
struct OTPCtl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otpctl", abstract: "Ask otpd from a shell.",
        discussion: """
            Exit codes: 0 done; 2 wrong usage; 3 refused; 4 refused for now (limit, block, overload): wait and try again;
            5 wrong code; 6 otpd can't be reached; 7 outcome unknown: repeat with the same --request-id. `backup`: 1 failed.
            --socket, --tenant, --json and --timeout may stand before the subcommand, too.
            """,
        version: "otpctl 0.1",
        subcommands: [
            PingCommand.self, RequestCommand.self, ResendCommand.self, VerifyCommand.self, CancelCommand.self,
            StatusCommand.self, QuotaCommand.self, GrantCommand.self, EventsCommand.self, StatsCommand.self,
            MessageCommand.self, RoutesCommand.self, UnblockCommand.self, DrainCommand.self, TemplateCommand.self,
            BackupCommand.self,
        ])

    static func main() {
        Launch.run(OTPCtl.self, CommonPlaces.moved(Array(CommandLine.arguments.dropFirst())))
    }
}

/// What every subcommand takes.
struct Common: ParsableArguments {
    @Option(help: "otpd's socket (default: $OTPD_SOCKET, ./.otpd-dev/otpd.sock, /run/otpd/otpd.sock).")
    var socket: String?
    @Option(help: "The tenant's number; 0 = the only one that you may use.")
    var tenant: UInt32 = 0
    @Flag(help: "One JSON object a line.")
    var json = false
    @Option(help: "Seconds for the whole command, retries included.")
    var timeout = 5.0

    private static let development = ".otpd-dev/otpd.sock"
    private static let production = "/run/otpd/otpd.sock"

    /// The socket that was named, else the one that is found.
    private var named: String? { socket ?? ProcessInfo.processInfo.environment["OTPD_SOCKET"] }

    var path: String {
        if let named { return named }
        return FileManager.default.fileExists(atPath: Common.development) ? Common.development : Common.production
    }

    /// Anybody may have made the folder that this one is started in: a server found there must be the caller's own, root's or otpd's, for
    /// it is told phones and codes. Only root makes a folder in /run, and whoever names a socket means it.
    private var trusted: Set<UInt32>? {
        guard named == nil, path == Common.development else { return nil }
        return Set([0, geteuid()] + (getpwnam("otpd").map { [$0.pointee.pw_uid] } ?? []))
    }

    mutating func validate() throws {
        // NaN isn't above 0; infinity and what no clock can add aren't at most a day.
        guard timeout > 0, timeout <= 86_400 else {
            throw ValidationError("--timeout takes seconds: more than 0, at most 86400 (a day)")
        }
    }

    /// Connects, runs `body`, closes; turns errors into a sentence and an exit code.
    func run(_ body: (AuthClient) async throws -> Void) async throws {
        var options = ClientOptions()
        options.tenant = tenant
        options.deadline = .seconds(timeout)
        options.name = "otpctl 0.1"
        options.serverUsers = trusted
        // No waiting for what waiting doesn't mend.
        if access(path, W_OK) != 0, errno == EACCES { throw unreachable("\(path): \(String(cString: strerror(EACCES)))") }
        let client = AuthClient(path: path, options: options)
        do {
            try await client.connect()
            if let hello = await client.server { EngineTimes.see(hello.engineTimeMs) }
            try await body(client)
            await client.close()
        } catch let error as ClientError {
            await client.close()
            throw report(error)
        }
    }

    private func report(_ error: ClientError) -> ExitCode {
        switch error {
        case .refused(let refusal):
            let status = refusal.status.map { String(describing: $0) } ?? "status\(refusal.statusCode)"
            var fields: [(String, Field)] = [("refused", .text(status))]
            if refusal.limitCode != 0 { fields.append(("limit", .text(refusal.limit?.name ?? "limit\(refusal.limitCode)"))) }
            if refusal.retryAfterMs > 0 { fields.append(("retry_after_ms", .number(UInt64(refusal.retryAfterMs)))) }
            if refusal.attemptsLeft != Refusal.noAttempts {
                fields.append(("attempts_left", .number(UInt64(refusal.attemptsLeft))))
            }
            if let advice = Advice.of(refusal.status) { fields.append(("advice", .text(advice))) }
            show(fields)
            if refusal.status == .wrongCode { return ExitCode(5) }
            if refusal.status == .unknown { return ExitCode(7) }
            // Refused for now: the same, or another request like it, passes later.
            return ExitCode(refusal.status?.isRetryable == true || refusal.retryAfterMs > 0 ? 4 : 3)
        case .invalidRequest(let why):
            complain(trusted == nil ? why : "\(why). Name the socket with --socket if it is the one that you mean.")
            return ExitCode(2)
        case .notConnected(let why):
            return unreachable(why)
        case .unknownOutcome(let why):
            complain("the outcome is unknown (\(why)). Repeat the command with the same --request-id to learn it.")
            return ExitCode(7)
        case .goodbye, .protocolViolation, .closed:
            complain("\(error)")
            return ExitCode(6)
        }
    }

    private func unreachable(_ why: String) -> ExitCode {
        let mending = Access.obstacle(path, needs: .connect, by: .current()) ?? whyNobody
        complain("otpd can't be reached (\(why)): \(mending).")
        return ExitCode(6)
    }

    /// Nothing keeps us from the socket, and nobody answers.
    private var whyNobody: String {
        var info = stat()
        let isThere = stat(path, &info) == 0
        if isThere, info.st_mode & S_IFMT != S_IFSOCK { return "that isn't a socket: --socket names the one of otpd's `[[listener]]`" }
        if path == Common.development, named == nil, access(Common.production, F_OK) == 0 {
            return "it was found in the working directory; --socket \(Common.production) is there, too"
        }
        if path == Common.production { return "start otpd's service; for a try, `otpd --dev`" }
        return "start the otpd of this socket, or name another with --socket"
    }

    private func complain(_ text: String) {
        FileHandle.standardError.write(Data("otpctl: \(text)\n".utf8))
    }

    /// Aligned lines, or one JSON object.
    func show(_ fields: [(String, Field)]) {
        if json { Common.print(json: fields) } else { Common.print(lines: fields) }
    }

    /// Into a pipe, too, it leaves at once: events are followed by programs.
    static func print(line: String) {
        Swift.print(line)
        fflush(nil)
    }

    static func print(json fields: [(String, Field)]) {
        print(line: object(fields))
        fflush(nil)
    }

    /// One JSON list, empty or not, with an object a line.
    static func print(list: [[(String, Field)]]) {
        Swift.print("[" + list.map(object).joined(separator: ",\n") + "]")
        fflush(nil)
    }

    private static func object(_ fields: [(String, Field)]) -> String {
        "{" + fields.map { "\(Field.text($0.0).json):\($0.1.json)" }.joined(separator: ",") + "}"
    }

    static func print(lines fields: [(String, Field)]) {
        let width = fields.map(\.0.count).max() ?? 0
        for (name, value) in fields {
            Swift.print(name + ":" + String(repeating: " ", count: width - name.count + 1) + value.shown)
        }
        fflush(nil)
    }
}

/// A value of output.
enum Field {
    case text(String)
    case number(UInt64)
    /// Engine milliseconds; for people with the date beside it.
    case engineTime(UInt64)
    /// Milliseconds since 1970; likewise.
    case wallTime(UInt64)

    var plain: String {
        switch self {
        case .text(let text): text
        case .number(let number): String(number)
        case .engineTime(let time): EngineTimes.date(engine: time).map { "\(time) (\($0))" } ?? "\(time)"
        case .wallTime(let time): EngineTimes.date(wall: time).map { "\(time) (\($0))" } ?? "\(time)"
        }
    }

    /// For a terminal: what another process said mustn't steer it.
    var shown: String {
        plain.unicodeScalars.reduce(into: "") { text, scalar in
            if PlainText.steers(scalar) || scalar.properties.generalCategory == .format {
                text += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
    }

    var json: String {
        switch self {
        case .number(let number), .engineTime(let number), .wallTime(let number): return String(number)
        case .text(let text):
            var out = "\""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"": out += "\\\""
                case "\\": out += "\\\\"
                case "\n": out += "\\n"
                case _ where scalar.value < 0x20:
                    let hex = String(scalar.value, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                case _: out.unicodeScalars.append(scalar)
                }
            }
            return out + "\""
        }
    }
}

/// A browser session's digest, as text.
struct SessionOption: ParsableArguments {
    @Option(help: "The browser session's digest, 64 hexadecimal digits (default: a fixed one for trying out).")
    var session: String?

    func value() throws -> Bytes32 {
        guard let session else {
            return Bytes32(head: Bytes16(high: 0x6F74_7063_746C_2D64, low: 0x656D_6F), tail: .zero)
        }
        guard let value = Bytes32(hexadecimal: session) else {
            throw ValidationError("--session takes 64 hexadecimal digits")
        }
        return value
    }
}

/// A request id given by hand.
struct RequestIDOption: ParsableArguments {
    @Option(help: "The request id, 32 hexadecimal digits: the time in ms (12), then random ones (20). Repeats a command without acting twice.")
    var requestId: String?

    func value() throws -> Bytes16 {
        guard let requestId else { return .zero }
        let value = try identifier(requestId, "--request-id")
        guard value != .zero else { throw ValidationError("--request-id: all zeros stands for none; \(Advice.requestID)") }
        return value
    }
}

func identifier(_ text: String, _ name: String) throws -> Bytes16 {
    guard let value = Bytes16(hexadecimal: text) else {
        throw ValidationError("\(name) takes 32 hexadecimal digits, not `\(text)`")
    }
    return value
}

/// `login`, `payment` or a number.
func purposeNumber(_ text: String) throws -> UInt16 {
    switch text {
    case "login": return 1
    case "payment": return 2
    case _:
        guard let number = UInt16(text), number > 0 else {
            throw ValidationError("--purpose takes login, payment or the number of a purpose, not `\(text)`")
        }
        return number
    }
}
