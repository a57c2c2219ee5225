/// The body of submit_sm and of deliver_sm, which have the same fields (specification, 4.4.1 and 4.6.1).
package struct ShortMessage: Equatable, Sendable {
    package var serviceType: [UInt8] = []
    package var sourceTON: UInt8 = 0
    package var sourceNPI: UInt8 = 0
    /// At most 20 bytes.
    package var source: [UInt8] = []
    package var destinationTON: UInt8 = 0
    package var destinationNPI: UInt8 = 0
    /// At most 20 bytes.
    package var destination: [UInt8] = []
    package var esmClass: UInt8 = 0
    package var protocolID: UInt8 = 0
    package var priority: UInt8 = 0
    /// Empty, or 16 characters.
    package var scheduleDeliveryTime: [UInt8] = []
    /// Empty, or 16 characters: `ValidityPeriod`.
    package var validityPeriod: [UInt8] = []
    package var registeredDelivery: UInt8 = 0
    package var replaceIfPresent: UInt8 = 0
    package var dataCoding: UInt8 = 0
    /// Selects a text that lies at the SMSC: always 0 in what we send.
    package var defaultMessageID: UInt8 = 0
    /// At most 254 bytes; a longer text is a `messagePayload`.
    package var text: [UInt8] = []
    package var optional: [OptionalParameter] = []

    package init() {}

    /// `esm_class`, bits 5 to 2: a delivery receipt of the SMSC.
    package var isReceipt: Bool { esmClass & 0x3C == 0x04 }
    /// The text, wherever it stands.
    package var content: [UInt8] {
        text.isEmpty ? optional.value(of: OptionalParameter.Tag.messagePayload) ?? [] : text
    }
}
