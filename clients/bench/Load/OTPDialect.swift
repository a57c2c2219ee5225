import CLinuxShim
import Glibc
import Wire

/// otpd's own frames, written and read by offset: the layouts are those of PROTOCOL.md §3 and §7. The floor speaks them too.
struct OTPDialect: Dialect {
    let socket: String
    let codesAreKnown: Bool
    private var engineMs: UInt64 = 0
    private var since: UInt64 = 0

    init(socket: String, codesAreKnown: Bool) {
        self.socket = socket
        self.codesAreKnown = codesAreKnown
    }

    mutating func serverMs() -> UInt64 { engineMs + (linux_monotonic_nanos() - since) / 1_000_000 }

    mutating func connect() throws -> Int32 {
        let peer = try BenchPeer(socket)
        engineMs = try peer.exchange(Ping()).decode(Ping.Reply.self).engineTimeMs
        since = linux_monotonic_nanos()
        let fd = dup(peer.fd)
        guard fd >= 0 else { throw BenchError("dup: \(String(cString: strerror(errno)))") }
        return fd
    }

    func encode(_ operation: Operation, _ errand: Errand, task: Int32, into pipe: Pipe) {
        switch operation {
        case .request, .refusal, .retry:
            var frame = header(pipe, .requestCode, bytes: 16 + 2 + 1 + 17 + 13 + 32, task)
            frame.put(errand.requestID)
            frame.put(UInt16(1))
            frame.put(UInt8(Assurance.firstFactor.rawValue))
            frame.put(UInt8(16))
            frame.put(shopper: errand.shopper)
            frame.put(UInt8(12))
            frame.put(phone: errand.shopper)
            frame.put(session: errand.requestID)
        case .verify, .guess:
            var frame = header(pipe, .verify, bytes: 16 + 16 + 32 + 7, task)
            frame.put(errand.verifyID)
            frame.put(errand.challenge)
            frame.put(session: errand.requestID)
            frame.put(UInt8(6))
            frame.put(digits: operation == .verify ? errand.code : (errand.code + 1) % 1_000_000, 6)
        case .lookup:
            var frame = header(pipe, .status, bytes: 16 + 32, task)
            frame.put(errand.challenge)
            frame.put(session: errand.requestID)
        }
    }

    func encodeCredit(into pipe: Pipe) {
        var frame = header(pipe, .leaseMessages, bytes: 6, 0)
        frame.put(UInt16(64))
        frame.put(UInt32(0))
    }

    private func header(_ pipe: Pipe, _ opcode: Opcode, bytes: Int, _ task: Int32) -> ByteWriter {
        var frame = ByteWriter(pipe.grow(12 + bytes))
        frame.put(UInt32(8 + bytes))
        frame.put(opcode.rawValue)
        frame.put(UInt16(0))
        frame.put(UInt32(bitPattern: task))
        return frame
    }

    func parse(_ bytes: UnsafeRawBufferPointer) -> Answer {
        var answer = Answer()
        guard bytes.count >= 12 else { return answer }
        let whole = Int(big(bytes, 0, UInt32.self)) + 4
        guard bytes.count >= whole else { return answer }
        answer.bytes = whole
        let opcode = big(bytes, 4, UInt16.self)
        answer.task = Int32(bitPattern: big(bytes, 8, UInt32.self))
        if opcode == Opcode.message.rawValue {
            answer.isPush = true
            answer.challenge = Bytes16(high: big(bytes, 12, UInt64.self), low: big(bytes, 20, UInt64.self))
            // The text is the last field, and the code its first word.
            let phone = 12 + 16 + 1 + 16 + 1 + 8 + 8 + 8 + 16 + 4 + 2
            let text = phone + 1 + Int(bytes[phone]) + 2
            for index in text..<min(text + 6, whole) {
                answer.code = answer.code * 10 + UInt64(bytes[index] &- 0x30)
            }
            return answer
        }
        if opcode == Opcode.leaseMessages.rawValue { answer.isIgnored = true }
        guard big(bytes, 6, UInt16.self) == 1, whole >= 14 else {
            answer.outcome = .failed
            return answer
        }
        switch Status(rawValue: big(bytes, 12, UInt16.self)) {
        case .done?:
            if opcode == Opcode.requestCode.rawValue {
                answer.challenge = Bytes16(
                    high: big(bytes, 14, UInt64.self), low: big(bytes, 22, UInt64.self))
            }
        case .wrongCode?: answer.outcome = .wrongCode
        case .limited?, .blocked?: answer.outcome = .limited
        case .challengeNotOpen?: answer.outcome = .notOpen
        case .overloaded?: answer.outcome = .overloaded
        case .some, nil: answer.outcome = .failed
        }
        return answer
    }
}

/// A big-endian integer at an offset.
@inline(__always)
func big<T: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ type: T.Type) -> T {
    T(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
}

/// Writes fields one behind the other.
struct ByteWriter {
    private var next: UnsafeMutableRawPointer

    init(_ start: UnsafeMutableRawPointer) { next = start }

    func offset(from start: UnsafeMutableRawPointer) -> Int { next - start }

    @inline(__always)
    mutating func put<T: FixedWidthInteger>(_ value: T) {
        next.storeBytes(of: value.bigEndian, as: T.self)
        next += MemoryLayout<T>.size
    }

    @inline(__always)
    mutating func put(_ value: Bytes16) {
        put(value.high)
        put(value.low)
    }

    mutating func put(_ text: StaticString) {
        memcpy(next, text.utf8Start, text.utf8CodeUnitCount)
        next += text.utf8CodeUnitCount
    }

    /// Decimal, with zeros in front; what doesn't fit is cut off.
    mutating func put(digits value: UInt64, _ count: Int) {
        var rest = value
        for index in stride(from: count - 1, through: 0, by: -1) {
            next.storeBytes(of: UInt8(0x30 + rest % 10), toByteOffset: index, as: UInt8.self)
            rest /= 10
        }
        next += count
    }

    /// 32 hexadecimal digits.
    mutating func put(hex value: Bytes16) {
        for word in [value.high, value.low] {
            for shift in stride(from: 60, through: 0, by: -4) {
                let digit = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
                put(digit < 10 ? 0x30 + digit : 0x57 + digit)
            }
        }
    }

    /// The errand's browser session: never zero, never another errand's.
    mutating func put(session id: Bytes16) {
        put(id)
        put(Bytes16(high: ~id.low, low: ~id.high))
    }
}
