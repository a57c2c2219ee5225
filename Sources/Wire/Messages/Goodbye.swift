/// The last frame of a connection that the server ends: says why.
public struct Goodbye: PushMessage {
    public static let opcode = Opcode.goodbye

    /// Why a connection ends. Numbers are never reused.
    public enum Reason: UInt16, Sendable, CaseIterable {
        case badFrameLength = 1
        case badFlags = 2
        case badBody = 3
        case helloExpected = 4
        case helloTwice = 5
        case badMagic = 6
        case unsupportedVersion = 7
        case notPermitted = 8
        case helloTimeout = 9
        case inputOverflow = 10
        case outputOverflow = 11
        case tooManyConnections = 12
        case shuttingDown = 13
        case storageFailure = 14
        case frameTimeout = 15
        case eventsGone = 16
    }

    /// A `Reason`'s number.
    public var reason: UInt16 = 0
    /// A sentence for the operator, English.
    public var text = InlineBytes<200>()

    public init() {}
    /// A reason and a sentence.
    public init(_ reason: Reason, _ text: String) {
        self.reason = reason.rawValue
        self.text = InlineBytes(text.utf8.prefix(200))
    }

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.u16("reason", &reason)
        try c.tagged(.ignorable(1), "text", &text)
    }
}
