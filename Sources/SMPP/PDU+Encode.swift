extension PDU {
    /// The PDU as it travels. A body that isn't its command's is a bug of the caller.
    package func encoded() throws(PDUError) -> [UInt8] {
        var body = PDUWriter()
        switch (self.body, command) {
        case (.bind(let request), .bindReceiver), (.bind(let request), .bindTransmitter),
            (.bind(let request), .bindTransceiver):
            try PDU.encode(request, into: &body)
        case (.message(let message), .submitSM), (.message(let message), .deliverSM):
            try PDU.encode(message, into: &body)
        case (.bindResponse(let systemID, let optional), .bindReceiverResponse),
            (.bindResponse(let systemID, let optional), .bindTransmitterResponse),
            (.bindResponse(let systemID, let optional), .bindTransceiverResponse):
            try body.string(systemID, 16, "system_id")
            try body.optional(optional)
        case (.messageResponse(let id, let optional), .submitSMResponse),
            (.messageResponse(let id, let optional), .deliverSMResponse):
            try body.string(id, 65, "message_id")
            try body.optional(optional)
        case (.empty, .enquireLink), (.empty, .unbind): break
        case (.empty, _) where command.isResponse: break
        default: preconditionFailure("\(command) with another command's body")
        }
        var pdu = PDUWriter()
        let length = PDU.headerBytes + body.bytes.count
        guard length <= PDU.maxBytes else { throw .fieldTooLong("PDU") }
        pdu.u32(UInt32(length))
        pdu.u32(command.rawValue)
        pdu.u32(status.rawValue)
        pdu.u32(sequence)
        pdu.octets(body.bytes)
        return pdu.bytes
    }

    private static func encode(_ request: BindRequest, into body: inout PDUWriter) throws(PDUError) {
        try body.string(request.systemID, 16, "system_id")
        try body.string(request.password, 9, "password")
        try body.string(request.systemType, 13, "system_type")
        body.u8(request.interfaceVersion)
        body.u8(request.addressTON)
        body.u8(request.addressNPI)
        try body.string(request.addressRange, 41, "address_range")
    }

    private static func encode(_ message: ShortMessage, into body: inout PDUWriter) throws(PDUError) {
        try body.string(message.serviceType, 6, "service_type")
        body.u8(message.sourceTON)
        body.u8(message.sourceNPI)
        try body.string(message.source, 21, "source_addr")
        body.u8(message.destinationTON)
        body.u8(message.destinationNPI)
        try body.string(message.destination, 21, "destination_addr")
        body.u8(message.esmClass)
        body.u8(message.protocolID)
        body.u8(message.priority)
        try body.string(message.scheduleDeliveryTime, 17, "schedule_delivery_time")
        try body.string(message.validityPeriod, 17, "validity_period")
        body.u8(message.registeredDelivery)
        body.u8(message.replaceIfPresent)
        body.u8(message.dataCoding)
        body.u8(message.defaultMessageID)
        guard message.text.count <= 254 else { throw .fieldTooLong("short_message") }
        body.u8(UInt8(message.text.count))
        body.octets(message.text)
        try body.optional(message.optional)
    }
}

extension Command {
    var isResponse: Bool { rawValue & Command.responseBit != 0 }
}
