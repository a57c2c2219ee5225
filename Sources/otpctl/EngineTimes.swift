import Foundation
import Synchronization

/// Engine time as a date: the engine counts its own milliseconds, and Hello says how many it had when we connected.
enum EngineTimes {
    private static let now = Mutex<(engine: UInt64, wall: Date)?>(nil)

    /// What the server's engine counts now.
    static func see(_ engineMs: UInt64) { now.withLock { $0 = (engineMs, Date()) } }

    /// UTC, to the second; `nil` before a server was seen, and for 0, which stands for never.
    static func date(engine ms: UInt64) -> String? {
        guard let (engine, wall) = now.withLock({ $0 }), ms > 0, ms < UInt64(Int64.max) else { return nil }
        return text(wall.addingTimeInterval((Double(ms) - Double(engine)) / 1_000))
    }

    static func date(wall ms: UInt64) -> String? {
        ms > 0 && ms < UInt64(Int64.max) ? text(Date(timeIntervalSince1970: Double(ms) / 1_000)) : nil
    }

    private static func text(_ date: Date) -> String? {
        // Years of four digits; others aren't times that a server means.
        (0..<253_402_300_800).contains(date.timeIntervalSince1970) ? date.formatted(.iso8601) : nil
    }
}
