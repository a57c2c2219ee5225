import Wire

/// A frame written byte by byte: it can say what the encoder refuses to.
struct RawFrame {
    var opcode: UInt16
    var flags: UInt16 = 0
    var correlation: UInt32 = 7
    var body: [UInt8] = []
    /// What the prefix says; `nil` = the truth.
    var length: UInt32?

    init(_ opcode: UInt16, body: [UInt8] = []) {
        self.opcode = opcode
        self.body = body
    }

    init(_ opcode: Opcode, body: [UInt8] = []) { self.init(opcode.rawValue, body: body) }

    /// The opcode and body of a well-formed request, to be spoilt.
    init<M: RequestMessage>(_ message: M) throws {
        self.init(M.opcode, body: Array(try encoded(message).dropFirst(FrameLimits.headerBytes)))
    }

    var bytes: [UInt8] {
        be(length ?? UInt32(body.count + 8)) + be(opcode) + be(flags) + be(correlation) + body
    }
}

/// Big-endian.
func be<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

/// A tagged field.
func tag(_ number: UInt8, critical: Bool = false, _ value: [UInt8]) -> [UInt8] {
    [critical ? number | 0x80 : number] + be(UInt16(value.count)) + value
}

/// The body of a RequestCode whose byte strings may have any form.
func requestCodeBody(
    id: Bytes16, account: [UInt8], phone: [UInt8], purpose: UInt16 = 1, session: Bytes32 = testSession
) -> [UInt8] {
    be(id.high) + be(id.low) + be(purpose) + [Assurance.firstFactor.rawValue] + [UInt8(account.count)]
        + account
        + [UInt8(phone.count)] + phone + bytes(session)
}

/// The body of a Verify whose code may have any form.
func verifyBody(id: Bytes16, challenge: Bytes16, code: [UInt8], session: Bytes32 = testSession) -> [UInt8] {
    be(id.high) + be(id.low) + be(challenge.high) + be(challenge.low) + bytes(session) + [UInt8(code.count)]
        + code
}

private func bytes(_ value: Bytes32) -> [UInt8] {
    be(value.head.high) + be(value.head.low) + be(value.tail.high) + be(value.tail.low)
}

/// The browser session of the tests' shoppers.
let testSession = Bytes32(head: Bytes16(high: 1, low: 2), tail: Bytes16(high: 3, low: 4))
