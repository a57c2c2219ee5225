import CLinuxShim
import Glibc

/// How far a long command is, on standard error: one line that is written over on a terminal, a line each ten
/// seconds elsewhere.
public final class ProgressLine {
    private let verb: String
    private let isShown: Bool
    private let isTerminal = isatty(2) == 1
    private let started = linux_monotonic_nanos()
    private var shown: UInt64 = 0
    private var width = 0

    /// - Parameter isWanted: also where standard error is no terminal.
    public init(_ verb: String, isWanted: Bool) {
        self.verb = verb
        isShown = isWanted || isTerminal
    }

    /// Bytes.
    public func show(_ done: Int, of total: Int) {
        let now = linux_monotonic_nanos()
        guard isShown, now - shown >= (isTerminal ? 200_000_000 : 10_000_000_000) || done == total else {
            return
        }
        shown = now
        let seconds = Double(now - started) / 1e9
        let left = done == 0 ? 0 : seconds * Double(total - done) / Double(done)
        let percent = total == 0 ? 100 : done * 100 / total
        write(
            "\(verb) \(done >> 20) of \(total >> 20) MiB (\(percent) %), \(Int(seconds)) s, "
                + "\(Int(left)) s left"
        )
    }

    /// Leaves the line.
    public func end() { if isShown, isTerminal, width > 0 { put("\n") } }

    private func write(_ text: String) {
        put(
            isTerminal ? "\r" + text + String(repeating: " ", count: max(0, width - text.count)) : text + "\n"
        )
        width = text.count
    }

    private func put(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(2, bytes, bytes.count)
    }
}
