/// A tagged field (TLV) after a PDU's fixed ones. Those that nobody knows are kept as they are.
package struct OptionalParameter: Equatable, Sendable {
    /// The tags that this client reads or writes (specification, 5.3.2).
    package enum Tag {
        package static let receiptedMessageID: UInt16 = 0x001E
        package static let scInterfaceVersion: UInt16 = 0x0210
        package static let messagePayload: UInt16 = 0x0424
        package static let messageState: UInt16 = 0x0427
    }

    package var tag: UInt16
    package var value: [UInt8]

    package init(tag: UInt16, value: [UInt8]) {
        self.tag = tag
        self.value = value
    }
}

extension [OptionalParameter] {
    /// The first one's value.
    func value(of tag: UInt16) -> [UInt8]? { first { $0.tag == tag }?.value }
}
