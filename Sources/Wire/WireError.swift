/// Why bytes aren't a frame or a message of this protocol.
public enum WireError: Error, Equatable, Sendable {
    /// The length prefix is below the header's 8 bytes or above the limit. Closes the connection.
    case badFrameLength(UInt32)
    /// A reserved flag is set, or a flag that this direction doesn't use. Closes the connection.
    case badFlags(UInt16)
    /// The body ends inside a field. Closes the connection.
    case truncatedBody
    /// A length inside the body is impossible, or tags aren't in strictly ascending order. Closes the connection.
    case badBody
    /// A critical field that this version doesn't know, one of a length that it can't have, or a string
    /// beyond its field's bound (tag 0: a fixed field). The request is refused, the connection stays.
    case unsupportedField(tag: UInt8)

    /// Answered with a status; everything else ends the connection.
    public var isRequestError: Bool {
        switch self {
        case .unsupportedField: true
        case .badFrameLength, .badFlags, .truncatedBody, .badBody: false
        }
    }
}
