import ArgumentParser
import CLinuxShim
import Courier
import Glibc
import Launch

/// `otp-courier`: takes messages from otpd and hands them to a gateway.
@main
struct OTPCourier: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otp-courier",
        abstract: "Takes messages from otpd over its socket (role `courier`) and hands them to a gateway.",
        version: "otp-courier 0.1", subcommands: [Console.self, Spool.self, Smpp.self, Run.self])

    static func main() { Launch.run(OTPCourier.self) }
}

struct CourierOptions: ParsableArguments {
    @Option(help: "otpd's socket.")
    var socket: String
    @Flag(help: "Yes, codes may appear in clear on this screen or disk: for development only.")
    var allowPlaintext = false
}

func fail(_ error: any Error) -> ExitCode {
    let line = Array("otp-courier: \(error)\n".utf8)
    _ = write(2, line, line.count)
    return ExitCode(1)
}

struct Console: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print each SMS in a box.")
    @OptionGroup var options: CourierOptions

    func run() throws {
        do {
            let gateway = try ConsoleGateway(allowPlaintext: options.allowPlaintext)
            var loop = try CourierLoop(
                socketPath: options.socket, gateway: RoutedGateway(alone: gateway, name: "console"))
            loop.run()
        } catch { throw fail(error) }
    }
}

struct Spool: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write one file a message (0600), deleted at its expiry.")
    @OptionGroup var options: CourierOptions
    @Option(help: "The folder for the files.")
    var directory: String

    func run() throws {
        do {
            let gateway = try SpoolGateway(
                folder: directory, allowPlaintext: options.allowPlaintext,
                nowWallMs: linux_realtime_nanos() / 1_000_000)
            var loop = try CourierLoop(
                socketPath: options.socket, gateway: RoutedGateway(alone: gateway, name: "spool"))
            loop.run()
        } catch { throw fail(error) }
    }
}
