import NIOConcurrencyHelpers

/// Lines for the operator, each kind once a minute: whoever knocks at the door mustn't fill the disk.
package final class QuietNotes: Sendable {
    private struct State {
        var minute: UInt64 = 0
        /// Times since it was said.
        var held: [String: Int] = [:]
    }

    private static let maxKinds = 256
    private let state = NIOLockedValueBox(State())
    private let minute: @Sendable () -> UInt64
    private let say: @Sendable (String) -> Void

    /// - Parameters:
    ///   - minute: rises once a minute.
    ///   - say: where lines go.
    package init(minute: @escaping @Sendable () -> UInt64, say: @escaping @Sendable (String) -> Void) {
        self.minute = minute
        self.say = say
    }

    /// The first of its minute is said at once, the others as a number a minute later, or when it comes again.
    package func note(_ text: String) {
        let now = minute()
        let lines = state.withLockedValue { state -> [String] in
            var lines: [String] = []
            if now != state.minute {
                lines = state.held.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value) more times)" }
                state = State(minute: now)
            }
            if let count = state.held[text] {
                state.held[text] = count + 1
            } else if state.held.count < QuietNotes.maxKinds {
                state.held[text] = 0
                lines.append(text)
            }
            return lines
        }
        for line in lines { say(line) }
    }
}
