import SMPP

/// A session and the other side's view of it: time is the test's own, and what the session sent is read back as PDUs.
struct Peer {
    var session: SMPPSession
    var now: UInt64 = 1_000
    private var stream = PDUStream()

    init(
        mode: SessionSettings.Mode = .transceiver, _ adjust: (inout SessionSettings) -> Void = { _ in }
    ) throws {
        var settings = SessionSettings()
        settings.bind.systemID = Array("otpd".utf8)
        settings.bind.password = Array("secret".utf8)
        adjust(&settings)
        session = try SMPPSession(settings, mode: mode, nowMs: now)
    }

    /// Bound already.
    static func bound(_ adjust: (inout SessionSettings) -> Void = { _ in }) throws -> Peer {
        var peer = try Peer(adjust)
        let bind = try peer.sent()
        _ = try peer.say(
            .bindTransceiverResponse, sequence: bind[0].sequence,
            .bindResponse(systemID: Array("SMSC".utf8), optional: []))
        return peer
    }

    /// Takes all that the session wants to send.
    mutating func sent() throws -> [PDU] {
        stream.append(session.output)
        session.wrote(session.output.count)
        var pdus: [PDU] = []
        while let pdu = try stream.next() { pdus.append(pdu) }
        return pdus
    }

    mutating func say(
        _ command: Command, status: CommandStatus = .ok, sequence: UInt32, _ body: PDU.Body = .empty
    ) throws -> [SMPPSession.Event] {
        let bytes = try PDU(command, status: status, sequence: sequence, body: body).encoded()
        return session.receive(bytes, nowMs: now)
    }

    mutating func accept(_ sequence: UInt32, id: String) throws -> [SMPPSession.Event] {
        try say(.submitSMResponse, sequence: sequence, .messageResponse(id: Array(id.utf8), optional: []))
    }

    mutating func refuse(_ sequence: UInt32, _ status: CommandStatus) throws -> [SMPPSession.Event] {
        try say(.submitSMResponse, status: status, sequence: sequence)
    }

    /// Submits with these handles; returns their sequence numbers.
    mutating func submit(_ handles: UInt64...) throws -> [UInt32] {
        for handle in handles {
            var message = ShortMessage()
            message.text = Array("message \(handle)".utf8)
            try session.submit(message, handle: handle, nowMs: now)
        }
        return try sent().map(\.sequence)
    }

    mutating func tick(after ms: UInt64) -> [SMPPSession.Event] {
        now += ms
        return session.tick(nowMs: now)
    }

    var room: Int { session.room(nowMs: now) }
}
