/// `command_status` of a response. Providers add numbers of their own from 0x400 on.
package struct CommandStatus: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    private init(_ rawValue: UInt32) { self.rawValue = rawValue }

    package static let ok = CommandStatus(0x00)
    package static let invalidMessageLength = CommandStatus(0x01)
    package static let invalidCommandID = CommandStatus(0x03)
    package static let systemError = CommandStatus(0x08)
    package static let invalidSource = CommandStatus(0x0A)
    package static let invalidDestination = CommandStatus(0x0B)
    package static let queueFull = CommandStatus(0x14)
    package static let submitFailed = CommandStatus(0x45)
    package static let throttled = CommandStatus(0x58)
    package static let receiverPermanentError = CommandStatus(0x65)

    /// What a refusal means for the message and for the session.
    package enum Meaning: Sendable, Equatable {
        /// Not taken now, but a later submit may be.
        case transient
        /// The same, and the whole session must slow down.
        case throttle
        /// Never for this number.
        case permanentNumber
        /// Never on this route: its account, source address or settings are wrong.
        case permanentRoute
    }

    /// The class of a refusal.
    /// - Parameter vendor: the provider's own numbers, from the route's settings; they come first.
    package func meaning(vendor: [UInt32: Meaning] = [:]) -> Meaning {
        if let known = vendor[rawValue] { return known }
        switch rawValue {
        case 0x14, 0x58: return .throttle
        case 0x08, 0x45, 0x64: return .transient
        case 0x0B, 0x50, 0x51: return .permanentNumber
        // Everything else says that we, or the route's settings, are wrong. A provider's own number may mean anything: a repeated
        // submit is bounded, a message given up isn't undone.
        default: return rawValue >= 0x400 ? .transient : .permanentRoute
        }
    }
}

extension CommandStatus: CustomStringConvertible {
    /// The specification's name where it is one of the usual, and the number.
    package var description: String {
        let digits = String(rawValue, radix: 16, uppercase: true)
        let number = "0x" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
        return CommandStatus.names[rawValue].map { "ESME_\($0) (\(number))" } ?? number
    }

    private static let names: [UInt32: String] = [
        0x00: "ROK", 0x01: "RINVMSGLEN", 0x02: "RINVCMDLEN", 0x03: "RINVCMDID", 0x04: "RINVBNDSTS",
        0x05: "RALYBND",
        0x08: "RSYSERR", 0x0A: "RINVSRCADR", 0x0B: "RINVDSTADR", 0x0D: "RBINDFAIL", 0x0E: "RINVPASWD",
        0x0F: "RINVSYSID", 0x14: "RMSGQFUL", 0x15: "RINVSERTYP", 0x43: "RINVESMCLASS", 0x45: "RSUBMITFAIL",
        0x48: "RINVSRCTON", 0x49: "RINVSRCNPI", 0x50: "RINVDSTTON", 0x51: "RINVDSTNPI", 0x53: "RINVSYSTYP",
        0x58: "RTHROTTLED", 0x61: "RINVSCHED", 0x62: "RINVEXPIRY", 0x64: "RX_T_APPN", 0x65: "RX_P_APPN",
        0xC0: "RINVOPTPARSTREAM", 0xC1: "ROPTPARNOTALLWD", 0xC2: "RINVPARLEN", 0xC3: "RMISSINGOPTPARAM",
        0xC4: "RINVOPTPARAMVAL", 0xFE: "RDELIVERYFAILURE", 0xFF: "RUNKNOWNERR",
    ]
}
