/// Why bytes aren't a PDU of ours, or a PDU can't be bytes.
package enum PDUError: Error, Equatable, Sendable {
    /// `command_length` below 16 or above the bound: where the next PDU begins is unknown, so the connection is over.
    case badLength(UInt32)
    /// Another operation than those in `Command`; the stream goes on behind it.
    case unknownCommand(UInt32, sequence: UInt32)
    /// A field that is cut off, too long, or bytes after the last one; the stream goes on behind the PDU.
    case badBody(Command, status: CommandStatus, sequence: UInt32)
    /// A field of ours that its place can't hold.
    case fieldTooLong(String)
}
