/// Who we are (bind_transmitter, bind_receiver, bind_transceiver; specification, 4.1).
package struct BindRequest: Equatable, Sendable {
    /// At most 15 bytes.
    package var systemID: [UInt8] = []
    /// At most 8 bytes.
    package var password: [UInt8] = []
    /// At most 12 bytes.
    package var systemType: [UInt8] = []
    /// 0x34: version 3.4.
    package var interfaceVersion: UInt8 = 0x34
    package var addressTON: UInt8 = 0
    package var addressNPI: UInt8 = 0
    /// At most 40 bytes.
    package var addressRange: [UInt8] = []

    package init() {}
}
