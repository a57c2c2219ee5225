/// What was explored.
struct Tally {
    var recordings = 0
    var calls = 0
    /// Disks made, no two the same under the same promises.
    var images = 0
    /// Starts of the store that were compared with the model.
    var states = 0
    /// Of disks torn inside a sector, which no honest disk does: starts that were refused, …
    var refused = 0
    /// … that LMDB died of, …
    var died = 0
    /// … and that took a wrong state for a right one.
    var wrong = 0
    var violations = 0
}

extension Tally {
    mutating func add(_ other: Tally) {
        recordings += other.recordings
        calls += other.calls
        images += other.images
        states += other.states
        refused += other.refused
        died += other.died
        wrong += other.wrong
        violations += other.violations
    }

    func line(_ name: String) -> String {
        let numbers = [
            (recordings, 12), (calls, 9), (images, 9), (states, 9), (refused, 9), (died, 6),
            (wrong, 7), (violations, 12),
        ]
        let name = name + String(repeating: " ", count: max(0, 10 - name.count))
        return name
            + numbers.map { String(repeating: " ", count: max(1, $1 - "\($0)".count)) + "\($0)" }.joined()
    }
}
