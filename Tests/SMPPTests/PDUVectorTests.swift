import Foundation
import SMPP
import Testing

/// Our codec against smpp.pdu3: `scripts/smpp-vectors.py` has that one make the bytes of generated fields.
@Suite struct PDUVectorTests {
    struct BadVector: Error { let line: String }

    struct Vector {
        var pdu: PDU
        var bytes: [UInt8]
    }

    static func load() throws -> [Vector] {
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Vectors/smpp/pdus.txt")
        let text = try String(contentsOf: path, encoding: .utf8)
        return try text.split(separator: "\n\n").filter { !$0.hasPrefix("#") }.map { try vector($0) }
    }

    @Test func encodesAndDecodesAsTheOtherCodec() throws {
        let vectors = try PDUVectorTests.load()
        #expect(vectors.count == 250)
        for vector in vectors {
            #expect(try vector.pdu.encoded() == vector.bytes)
            #expect(try PDU(decoding: vector.bytes[...]) == vector.pdu)
        }
    }

    /// The whole set as one stream, cut anywhere.
    @Test func aStreamMayBeCutAnywhere() throws {
        let vectors = try PDUVectorTests.load()
        let bytes = vectors.flatMap(\.bytes)
        for size in [1, 7, 1460, bytes.count] {
            var stream = PDUStream()
            var pdus: [PDU] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                stream.append(bytes[start..<min(start + size, bytes.count)])
                while let pdu = try stream.next() { pdus.append(pdu) }
            }
            #expect(pdus == vectors.map(\.pdu))
        }
    }

    /// Cut short anywhere in its body, no PDU is read beyond its end, and what follows it is still read.
    @Test func aShortBodyIsRefusedAndTheStreamGoesOn() throws {
        let link = try PDU(.enquireLink, sequence: 9).encoded()
        for vector in try PDUVectorTests.load() where vector.pdu.body != .empty {
            for length in PDU.headerBytes..<vector.bytes.count {
                var cut = Array(vector.bytes.prefix(length))
                cut[2] = UInt8(length >> 8)
                cut[3] = UInt8(length & 0xFF)
                var stream = PDUStream()
                stream.append(cut + link)
                do throws(PDUError) {
                    let pdu = try stream.next()
                    // At a border of optional fields a shorter PDU is whole, and so is a refusal without a body.
                    #expect(pdu?.command == vector.pdu.command)
                } catch {
                    #expect(
                        error
                            == .badBody(
                                vector.pdu.command, status: vector.pdu.status, sequence: vector.pdu.sequence))
                }
                #expect(try stream.next() == PDU(.enquireLink, sequence: 9))
            }
        }
    }

    private static func vector(_ block: Substring) throws -> Vector {
        var fields: [String: String] = [:]
        var optional: [OptionalParameter] = []
        for line in block.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { throw BadVector(line: String(line)) }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            guard line[..<colon] == "tlv" else {
                fields[String(line[..<colon])] = value
                continue
            }
            let parts = value.split(separator: " ")
            guard parts.count == 2, let tag = UInt16(parts[0], radix: 16) else {
                throw BadVector(line: String(line))
            }
            optional.append(OptionalParameter(tag: tag, value: try bytes(String(parts[1]))))
        }
        var source = Source(fields: fields)
        let name = try source.take("pdu")
        let sequence = UInt32(try source.number("sequence"))
        let status = CommandStatus(rawValue: UInt32(try source.number("status")))
        let wire = try bytes(try source.take("hex"))
        guard let command = commands[name] else { throw BadVector(line: name) }
        var pdu = PDU(command, status: status, sequence: sequence)
        if source.isEmpty { return Vector(pdu: pdu, bytes: wire) }
        switch command {
        case .bindReceiver, .bindTransmitter, .bindTransceiver: pdu.body = .bind(try source.bind())
        case .bindReceiverResponse, .bindTransmitterResponse, .bindTransceiverResponse:
            pdu.body = .bindResponse(systemID: try bytes(try source.take("system_id")), optional: optional)
        case .submitSM, .deliverSM: pdu.body = .message(try source.message(optional))
        case .submitSMResponse, .deliverSMResponse:
            pdu.body = .messageResponse(id: try bytes(try source.take("message_id")), optional: optional)
        case .enquireLink, .enquireLinkResponse, .unbind, .unbindResponse, .genericNack: break
        }
        guard source.isEmpty else { throw BadVector(line: "unknown keys in \(name)") }
        return Vector(pdu: pdu, bytes: wire)
    }

    private static let commands: [String: Command] = [
        "bind_receiver": .bindReceiver, "bind_transmitter": .bindTransmitter,
        "bind_transceiver": .bindTransceiver,
        "bind_receiver_resp": .bindReceiverResponse, "bind_transmitter_resp": .bindTransmitterResponse,
        "bind_transceiver_resp": .bindTransceiverResponse, "submit_sm": .submitSM,
        "submit_sm_resp": .submitSMResponse, "deliver_sm": .deliverSM, "deliver_sm_resp": .deliverSMResponse,
        "enquire_link": .enquireLink, "enquire_link_resp": .enquireLinkResponse, "unbind": .unbind,
        "unbind_resp": .unbindResponse, "generic_nack": .genericNack,
    ]

    static func bytes(_ hex: String) throws -> [UInt8] {
        let digits = Array(hex.utf8)
        return try stride(from: 0, to: digits.count, by: 2).map { index in
            guard
                let byte = UInt8(
                    String(decoding: digits[index..<min(index + 2, digits.count)], as: UTF8.self), radix: 16)
            else { throw BadVector(line: hex) }
            return byte
        }
    }

    /// A vector's fields; each is taken once, so that none is left unread.
    private struct Source {
        var fields: [String: String]
        var isEmpty: Bool { fields.isEmpty }

        mutating func take(_ name: String) throws -> String {
            guard let value = fields.removeValue(forKey: name) else { throw BadVector(line: "no \(name)") }
            return value
        }

        mutating func number(_ name: String) throws -> Int {
            guard let number = Int(try take(name)) else { throw BadVector(line: name) }
            return number
        }

        mutating func octet(_ name: String) throws -> UInt8 { UInt8(try number(name)) }
        mutating func text(_ name: String) throws -> [UInt8] { try PDUVectorTests.bytes(try take(name)) }

        mutating func bind() throws -> BindRequest {
            var request = BindRequest()
            request.systemID = try text("system_id")
            request.password = try text("password")
            request.systemType = try text("system_type")
            request.interfaceVersion = try octet("interface_version")
            request.addressTON = try octet("addr_ton")
            request.addressNPI = try octet("addr_npi")
            request.addressRange = try text("address_range")
            return request
        }

        mutating func message(_ optional: [OptionalParameter]) throws -> ShortMessage {
            var message = ShortMessage()
            message.serviceType = try text("service_type")
            message.sourceTON = try octet("source_addr_ton")
            message.sourceNPI = try octet("source_addr_npi")
            message.source = try text("source_addr")
            message.destinationTON = try octet("dest_addr_ton")
            message.destinationNPI = try octet("dest_addr_npi")
            message.destination = try text("destination_addr")
            message.esmClass = try octet("esm_class")
            message.protocolID = try octet("protocol_id")
            message.priority = try octet("priority_flag")
            message.scheduleDeliveryTime = try text("schedule_delivery_time")
            message.validityPeriod = try text("validity_period")
            message.registeredDelivery = try octet("registered_delivery")
            message.replaceIfPresent = try octet("replace_if_present_flag")
            message.dataCoding = try octet("data_coding")
            message.defaultMessageID = try octet("sm_default_msg_id")
            message.text = try text("short_message")
            message.optional = optional
            return message
        }
    }
}
