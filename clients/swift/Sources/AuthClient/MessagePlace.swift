import Wire

/// How many messages a courier holds.
struct MessagePlace: Sendable {
    let limit: UInt16
    /// Pushed and not reported.
    var unreported = 0
    /// What the server may still push.
    var credit = 0

    /// Asks for all that is free.
    mutating func renewed() -> LeaseMessages {
        credit = max(0, Int(limit) - unreported)
        var message = LeaseMessages()
        message.credit = UInt16(clamping: credit)
        return message
    }

    mutating func advance() -> Bool {
        unreported += 1
        credit -= 1
        return true
    }

    /// Returns whether it is time for new credit: half of it is used up.
    mutating func reported() -> Bool {
        unreported = max(0, unreported - 1)
        return credit <= Int(limit) / 2 && credit + unreported < Int(limit)
    }
}
