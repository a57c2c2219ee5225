/// The body of submit_sm and of deliver_sm, which have the same fields (specification, 4.4.1 and 4.6.1).
public struct ShortMessage: Equatable, Sendable {
    public var serviceType: [UInt8] = []
    public var sourceTON: UInt8 = 0
    public var sourceNPI: UInt8 = 0
    /// At most 20 bytes.
    public var source: [UInt8] = []
    public var destinationTON: UInt8 = 0
    public var destinationNPI: UInt8 = 0
    /// At most 20 bytes.
    public var destination: [UInt8] = []
    public var esmClass: UInt8 = 0
    public var protocolID: UInt8 = 0
    public var priority: UInt8 = 0
    /// Empty, or 16 characters.
    public var scheduleDeliveryTime: [UInt8] = []
    /// Empty, or 16 characters: `ValidityPeriod`.
    public var validityPeriod: [UInt8] = []
    public var registeredDelivery: UInt8 = 0
    public var replaceIfPresent: UInt8 = 0
    public var dataCoding: UInt8 = 0
    /// Selects a text that lies at the SMSC: always 0 in what we send.
    public var defaultMessageID: UInt8 = 0
    /// At most 254 bytes; a longer text is a `messagePayload`.
    public var text: [UInt8] = []
    public var optional: [OptionalParameter] = []

    public init() {}

    /// `esm_class`, bits 5 to 2: a delivery receipt of the SMSC.
    public var isReceipt: Bool { esmClass & 0x3C == 0x04 }
    /// The text, wherever it stands.
    public var content: [UInt8] {
        text.isEmpty ? optional.value(of: OptionalParameter.Tag.messagePayload) ?? [] : text
    }
}
