package import SMPP

/// Everything that one SMPP route's provider decides: where it is, who we are there, how it wants texts and names messages.
package struct SMPPRoute: Sendable {
    /// One connection for both ways, or one each.
    package enum Bind: String, Sendable, CaseIterable {
        /// bind_transceiver.
        case transceiver
        /// bind_transmitter and bind_receiver.
        case pair
        /// bind_transmitter alone: no receipts.
        case transmitter
    }

    /// What reports call it: at most 32 bytes.
    package var name = "smpp"
    package var host: String
    package var port: UInt16
    /// `nil` = in clear.
    package var tls: TLSSettings?
    /// Somebody has said that the way to the host is safe without TLS: a tunnel, a line of one's own.
    package var allowsPlain = false
    package var bind = Bind.transceiver
    package var session = SessionSettings()
    package var source: [UInt8] = []
    package var sourceTON: UInt8 = 0
    package var sourceNPI: UInt8 = 0
    package var alphabet = MessageText.Alphabet.gsm
    /// Instead of the alphabet's own.
    package var dataCoding: UInt8?
    package var responseIDs = MessageIDForm.text
    package var receiptIDs = MessageIDForm.text

    /// A route with the usual settings.
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// The sender that a phone shows: a number (`+4479…`), a short code, or a name of up to 11 characters; empty = the provider's own.
    package mutating func setSource(_ text: String) throws(CourierError) {
        guard let source = SMPPRoute.source(text) else {
            throw CourierError(
                "the sender \(text) is neither a number nor a name of up to 11 ASCII characters")
        }
        (self.source, sourceTON, sourceNPI) = (source.bytes, source.ton, source.npi)
    }

    /// `nil` for what can't be a sender.
    package static func source(_ text: String) -> (bytes: [UInt8], ton: UInt8, npi: UInt8)? {
        let bytes = Array(text.utf8)
        let digits = bytes.first == 0x2B ? Array(bytes.dropFirst()) : bytes
        if bytes.isEmpty { return ([], 0, 0) }
        if !digits.isEmpty, digits.count <= 15, digits.allSatisfy({ (0x30...0x39).contains($0) }) {
            // Network specific for a short code, international for the rest.
            return digits.count <= 8 && digits == bytes ? (digits, 3, 0) : (digits, 1, 1)
        }
        if bytes.count <= 11, bytes.allSatisfy({ (0x20...0x7E).contains($0) }) { return (digits, 5, 0) }
        return nil
    }

    /// Refuses settings that can't work.
    package func check() throws(CourierError) {
        guard !host.isEmpty else { throw CourierError("the SMSC's host is empty") }
        guard tls != nil || allowsPlain || Loopback.holds(host: host) else {
            throw CourierError(
                "codes and the password would go to \(host) in clear: speak TLS (`tls = true`, --tls), or say that the way is safe "
                    + "(`allow_plain_smpp = true`, --allow-plain-smpp)")
        }
        guard (1...1_000).contains(session.window) else {
            throw CourierError("the window is 1 to 1000 submits")
        }
        guard (1_000...10_000).contains(session.responseMs) else {
            throw CourierError(
                "the response timer is 1 to 10 s: the server's lease lasts 15 s, and an answer must come within it"
            )
        }
        guard (5_000...600_000).contains(session.enquireLinkMs) else {
            throw CourierError("enquire_link is sent after 5 to 600 s of silence")
        }
        do throws(PDUError) {
            _ = try PDU(.bindTransceiver, sequence: 1, body: .bind(session.bind)).encoded()
        } catch {
            throw CourierError(
                "\(error): SMPP's system id has at most 15 bytes, its password 8, its system type 12")
        }
    }

    var wantsReceipts: Bool { bind != .transmitter }

    /// Where the message goes and what it says, but not which part.
    func message(to phone: [UInt8], lifeMs: UInt64, coding: MessageText) -> ShortMessage {
        var message = ShortMessage()
        message.sourceTON = sourceTON
        message.sourceNPI = sourceNPI
        message.source = source
        // International, ISDN numbering (E.164), without the plus.
        message.destinationTON = 1
        message.destinationNPI = 1
        message.destination = phone.first == 0x2B ? Array(phone.dropFirst()) : phone
        message.esmClass = coding.hasHeader ? 0x40 : 0
        message.validityPeriod = ValidityPeriod.relative(seconds: lifeMs / 1_000)
        message.registeredDelivery = wantsReceipts ? 1 : 0
        message.dataCoding = coding.dataCoding
        return message
    }
}
