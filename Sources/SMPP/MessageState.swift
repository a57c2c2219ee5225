/// What the network has done with a message (specification, 5.2.28).
package enum MessageState: UInt8, Sendable, CaseIterable {
    case enroute = 1
    case delivered = 2
    case expired = 3
    case deleted = 4
    case undeliverable = 5
    case accepted = 6
    case unknown = 7
    case rejected = 8

    /// The seven letters of a receipt's text (specification, appendix B).
    init?(receiptWord: some StringProtocol) {
        switch receiptWord.uppercased() {
        case "ENROUTE": self = .enroute
        case "DELIVRD": self = .delivered
        case "EXPIRED": self = .expired
        case "DELETED": self = .deleted
        case "UNDELIV": self = .undeliverable
        case "ACCEPTD": self = .accepted
        case "UNKNOWN": self = .unknown
        case "REJECTD": self = .rejected
        default: return nil
        }
    }

    /// Whether the message is through (`true`), lost (`false`), or still on its way (`nil`). ACCEPTED is a person who
    /// read it on the subscriber's behalf; UNKNOWN says nothing.
    package var isDelivered: Bool? {
        switch self {
        case .delivered, .accepted: true
        case .expired, .deleted, .undeliverable, .rejected: false
        case .enroute, .unknown: nil
        }
    }
}
