/// Who we are (bind_transmitter, bind_receiver, bind_transceiver; specification, 4.1).
public struct BindRequest: Equatable, Sendable {
    /// At most 15 bytes.
    public var systemID: [UInt8] = []
    /// At most 8 bytes.
    public var password: [UInt8] = []
    /// At most 12 bytes.
    public var systemType: [UInt8] = []
    /// 0x34: version 3.4.
    public var interfaceVersion: UInt8 = 0x34
    public var addressTON: UInt8 = 0
    public var addressNPI: UInt8 = 0
    /// At most 40 bytes.
    public var addressRange: [UInt8] = []

    public init() {}
}
