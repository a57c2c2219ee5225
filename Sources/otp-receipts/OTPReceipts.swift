import ArgumentParser
import AuthClient
import CLinuxShim
import Glibc
import Launch
import Permissions
import Receipts
import StrictTOML
import Wire

/// `otp-receipts`: what gateways say of messages over HTTP, checked and told to otpd.
@main
struct OTPReceipts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otp-receipts",
        abstract: "Takes HTTP gateways' delivery receipts behind the shop's proxy and tells otpd (role `receipts`).",
        discussion: """
            Sources/Receipts/receipts.toml shows every key. A receipt must bear its vendor's signature (or, where the vendor signs nothing,
            the callback's token); it is answered 200 once otpd has it on disk, and 503 or 404 otherwise, so that the vendor says it again.
            Nothing is kept, and no number, text or code is logged. SIGTERM ends it when what came in is answered, for 5 s at most.
            """,
        version: "otp-receipts 0.1")

    static func main() { Launch.run(OTPReceipts.self) }

    @Option(help: "The configuration file.")
    var config: String
    @Flag(help: "Read the file, its secrets and nothing else; say what is wrong.")
    var check = false

    func run() async throws {
        do {
            // A Unix socket of ours is for the proxy, another user of our group.
            umask(0o117)
            let config = try ReceiptsConfig.load(config)
            if check {
                print("ok: \(config.entries.count) callbacks")
                return
            }
            try await serve(config)
        } catch {
            say("\(error)")
            throw ExitCode(1)
        }
    }

    private func serve(_ config: ReceiptsConfig) async throws {
        var options = ClientOptions()
        options.roles = Roles(.receipts)
        options.name = "otp-receipts 0.1"
        let client = AuthClient(path: config.socket, options: options)
        let notes = QuietNotes(minute: { linux_monotonic_nanos() / 60_000_000_000 }, say: say)
        let desk = ReceiptDesk(
            config.entries, forward: { _ = try await client.call($0) }, note: notes.note)
        let signals = StopSignals()
        let server: ReceiptServer
        do { server = try await ReceiptServer.start(config.listen, desk) } catch { throw NotListening(place: config.listen, why: "\(error)") }
        let reached = Task { await tellIfOutOfReach(client, config.socket) }
        defer { reached.cancel() }
        say("listening on \(config.listen.text(port: server.port)), \(config.entries.count) callbacks")
        await signals.wait()
        await server.stop()
        await client.close()
    }

    /// Each receipt would say so, too, but not what to do.
    private func tellIfOutOfReach(_ client: AuthClient, _ socket: String) async {
        do { try await client.connect() } catch {
            let mending = Access.obstacle(socket, needs: .connect, by: .current()) ?? "is otpd running?"
            say("otpd can't be reached yet (\(error)): \(mending)")
        }
    }
}

/// One line on standard error.
@Sendable func say(_ text: String) {
    let line = Array("otp-receipts: \(text)\n".utf8)
    _ = write(2, line, line.count)
}

private struct NotListening: Error, CustomStringConvertible {
    let place: ReceiptsConfig.Place
    let why: String
    var description: String { "\(place.text(port: nil)): \(why). Is another otp-receipts there?" }
}

extension ReceiptsConfig.Place {
    func text(port: Int?) -> String {
        switch self {
        case .tcp(let host, let wanted): "\(host.contains(":") ? "[\(host)]" : host):\(port ?? wanted)"
        case .unix(let path): path
        }
    }
}
