/// The operations of SMPP 3.4 that a client which sends texts needs (specification, 5.1.2.1). A response's number is its
/// request's with the highest bit set.
package enum Command: UInt32, Sendable, CaseIterable {
    case bindReceiver = 0x0000_0001
    case bindTransmitter = 0x0000_0002
    case submitSM = 0x0000_0004
    case deliverSM = 0x0000_0005
    case unbind = 0x0000_0006
    case bindTransceiver = 0x0000_0009
    case enquireLink = 0x0000_0015
    case bindReceiverResponse = 0x8000_0001
    case bindTransmitterResponse = 0x8000_0002
    case submitSMResponse = 0x8000_0004
    case deliverSMResponse = 0x8000_0005
    case unbindResponse = 0x8000_0006
    case bindTransceiverResponse = 0x8000_0009
    case enquireLinkResponse = 0x8000_0015
    case genericNack = 0x8000_0000

    static let responseBit: UInt32 = 0x8000_0000
}
