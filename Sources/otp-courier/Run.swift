import ArgumentParser
import CLinuxShim
import Courier

/// `otp-courier run`: several gateways, and routes that choose among them.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send through the gateways of a configuration file, by its routes.",
        discussion: """
            Sources/Courier/courier.toml shows every key. A gateway that fails gets no messages until a probe passes; a message that
            one doesn't take in time goes through the next.
            """)

    @Option(help: "The configuration file.")
    var config: String
    @Flag(help: "Read the file, its passwords and nothing else; say what is wrong.")
    var check = false

    func run() throws {
        do {
            let config = try CourierConfig.load(config)
            if check { return }
            var loop = try CourierLoop(socketPath: config.socket, gateway: try config.gateway())
            loop.run()
        } catch { throw fail(error) }
    }
}
