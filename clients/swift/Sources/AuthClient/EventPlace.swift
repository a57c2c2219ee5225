import Wire

/// How far a subscriber has come.
struct EventPlace: Sendable {
    var start: Subscribe.Start
    var cursor: Cursor
    let limit: UInt16
    /// Events pushed and not acknowledged: they use up credit.
    var unacknowledged = 0

    /// Subscribes from here: nothing lost, nothing twice.
    var request: Subscribe {
        var message = Subscribe()
        message.start = start.rawValue
        message.cursor = cursor
        message.credit = UInt16(clamping: Int(limit) - unacknowledged)
        return message
    }

    /// The server's answer: a flow that began "now" began at its head.
    mutating func began(head: Cursor) {
        guard start == .now else { return }
        (start, cursor) = head == .zero ? (.oldest, .zero) : (.afterCursor, head)
    }

    mutating func advance(_ event: EventPush) -> Bool {
        guard start != .afterCursor || event.cursor > cursor else { return false }
        (start, cursor) = (.afterCursor, event.cursor)
        unacknowledged += 1
        return true
    }
}
