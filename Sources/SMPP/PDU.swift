/// One protocol data unit of SMPP 3.4: header and body.
package struct PDU: Equatable, Sendable {
    /// Which fields follow the header. The command decides; `PDU.encoded` holds the two together.
    package enum Body: Equatable, Sendable {
        /// enquire_link, unbind, their responses, generic_nack; and any response that refuses.
        case empty
        case bind(BindRequest)
        /// The SMSC's name for itself.
        case bindResponse(systemID: [UInt8], optional: [OptionalParameter])
        case message(ShortMessage)
        /// The SMSC's id of a message; empty in deliver_sm_resp.
        case messageResponse(id: [UInt8], optional: [OptionalParameter])
    }

    /// Bytes of a header, and the least that a PDU has.
    package static let headerBytes = 16
    /// The most that is taken from a peer: a receipt with a whole message in it stays far below.
    package static let maxBytes = 64 << 10

    package var command: Command
    package var status: CommandStatus
    /// 1 to 0x7FFFFFFF; a response has its request's.
    package var sequence: UInt32
    package var body: Body

    package init(_ command: Command, status: CommandStatus = .ok, sequence: UInt32, body: Body = .empty) {
        self.command = command
        self.status = status
        self.sequence = sequence
        self.body = body
    }
}
