import Glibc

/// The case in hand, so that a trap in the store says which one it was.
enum Current {
    // One thread explores; the handler runs on it.
    nonisolated(unsafe) private static let text = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 256)
    nonisolated(unsafe) private static var count = 0

    static func note(_ scenario: Scenario, _ seed: UInt64, _ item: CrashCase) {
        let line =
            "VIOLATION: the process died in\n  otp-sim states --scenario \(scenario.rawValue) --seed \(seed) --case \(item.text)\n"
        count = 0
        for byte in line.utf8.prefix(text.count) {
            text[count] = byte
            count += 1
        }
    }

    static func catchTraps() {
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT] {
            signal(number) { _ in
                // Only what is safe in a handler.
                _ = write(1, Current.text.baseAddress, Current.count)
                _exit(1)
            }
        }
    }
}
