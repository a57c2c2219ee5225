extension PDU {
    /// The PDU in `bytes`, which `PDUStream` has cut to its length.
    package init(decoding bytes: ArraySlice<UInt8>) throws(PDUError) {
        var reader = PDUReader(bytes)
        let command: UInt32
        let status: UInt32
        let sequence: UInt32
        do throws(PDUReader.Malformed) {
            let length = try reader.u32()
            command = try reader.u32()
            status = try reader.u32()
            sequence = try reader.u32()
            guard Int(length) == bytes.count else { throw PDUReader.Malformed() }
        } catch { throw .badLength(UInt32(clamping: bytes.count)) }
        guard let known = Command(rawValue: command) else {
            throw .unknownCommand(command, sequence: sequence)
        }
        self.init(known, status: CommandStatus(rawValue: status), sequence: sequence)
        do throws(PDUReader.Malformed) {
            body = try PDU.body(of: known, isRefusal: status != 0, &reader)
            guard reader.isAtEnd else { throw PDUReader.Malformed() }
        } catch { throw .badBody(known, status: self.status, sequence: sequence) }
    }

    /// A response that refuses may leave its body out (specification, 4.1.2 and 4.4.2); many SMSCs don't.
    private static func body(
        of command: Command, isRefusal: Bool, _ reader: inout PDUReader
    ) throws(PDUReader.Malformed) -> Body {
        if isRefusal, command.isResponse, reader.isAtEnd { return .empty }
        switch command {
        case .bindReceiver, .bindTransmitter, .bindTransceiver: return .bind(try bindRequest(&reader))
        case .bindReceiverResponse, .bindTransmitterResponse, .bindTransceiverResponse:
            return .bindResponse(systemID: try reader.string(16), optional: try reader.optional())
        case .submitSM, .deliverSM: return .message(try shortMessage(&reader))
        case .submitSMResponse, .deliverSMResponse:
            return .messageResponse(id: try reader.string(65), optional: try reader.optional())
        case .enquireLink, .enquireLinkResponse, .unbind, .unbindResponse, .genericNack: return .empty
        }
    }

    private static func bindRequest(_ reader: inout PDUReader) throws(PDUReader.Malformed) -> BindRequest {
        var request = BindRequest()
        request.systemID = try reader.string(16)
        request.password = try reader.string(9)
        request.systemType = try reader.string(13)
        request.interfaceVersion = try reader.u8()
        request.addressTON = try reader.u8()
        request.addressNPI = try reader.u8()
        request.addressRange = try reader.string(41)
        return request
    }

    private static func shortMessage(_ reader: inout PDUReader) throws(PDUReader.Malformed) -> ShortMessage {
        var message = ShortMessage()
        message.serviceType = try reader.string(6)
        message.sourceTON = try reader.u8()
        message.sourceNPI = try reader.u8()
        message.source = try reader.string(21)
        message.destinationTON = try reader.u8()
        message.destinationNPI = try reader.u8()
        message.destination = try reader.string(21)
        message.esmClass = try reader.u8()
        message.protocolID = try reader.u8()
        message.priority = try reader.u8()
        message.scheduleDeliveryTime = try reader.string(17)
        message.validityPeriod = try reader.string(17)
        message.registeredDelivery = try reader.u8()
        message.replaceIfPresent = try reader.u8()
        message.dataCoding = try reader.u8()
        message.defaultMessageID = try reader.u8()
        let length = Int(try reader.u8())
        message.text = try reader.octets(length)
        message.optional = try reader.optional()
        return message
    }
}
