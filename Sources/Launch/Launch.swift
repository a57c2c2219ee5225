public import ArgumentParser
import CLinuxShim
import Dispatch
import Glibc

/// How each program begins and ends: a crash prints no memory and leaves no core; the rest is ArgumentParser's, but wrong usage is always
/// exit code 2, and the usage that is shown is the subcommand's.
public enum Launch {
    private static let wrongUsage: Int32 = 2

    /// Parses, runs; doesn't return when that fails, or when the command is asynchronous. These alone need Dispatch, which needs
    /// `/proc`: `--version` and `--help` don't.
    public static func run<Root: ParsableCommand>(_ root: Root.Type, _ arguments: [String]? = nil) {
        _ = linux_crash_silently()
        var kind: (any ParsableCommand.Type)?
        do {
            var command = try Root.parseAsRoot(arguments)
            kind = type(of: command)
            if let asynchronous = command as? any AsyncParsableCommand { run(root, asynchronous) }
            try command.run()
        } catch { end(Root.self, kind, error) }
    }

    private static func run<Root: ParsableCommand>(_ root: Root.Type, _ command: any AsyncParsableCommand) -> Never {
        // Handed over: this thread is dispatchMain's from here on.
        nonisolated(unsafe) var command = command
        Task {
            do {
                try await command.run()
                exit(0)
            } catch { end(Root.self, type(of: command), error) }
        }
        dispatchMain()
    }

    private static func end<Root: ParsableCommand>(
        _ root: Root.Type, _ command: (any ParsableCommand.Type)?, _ error: any Error
    ) -> Never {
        guard Root.exitCode(for: error) == .validationFailure else { Root.exit(withError: error) }
        // An error from `run` has lost which subcommand it was.
        let text = command.map { "Error: \(Root.message(for: error))\nUsage: \(Root.usageString(for: $0))" } ?? Root.fullMessage(for: error)
        let line = Array((text + "\n").utf8)
        _ = write(2, line, line.count)
        exit(wrongUsage)
    }
}
