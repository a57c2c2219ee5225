import Wire

@testable import Engine

/// Phones, accounts, codes and request ids against a second implementation made of tables.
/// Input: one byte of the code's alphabet and length, eight of request-id time, eight of engine time, then the field.
enum FieldsFuzz: FuzzTarget {
    static let name = "fields"

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        var input = FuzzInput(bytes)
        let form = input.u8()
        try age(input.u64(), input.u64())
        let field = input.rest
        guard field.count <= 300 else { return }
        try expect(
            Validation.isPhone(PhoneBytes(field)) == accepts(phone, field), "a phone number: the two disagree on \(Array(field))")
        try expect(
            Validation.isAccount(AccountBytes(field)) == (field.count >= 1 && field.count <= 128),
            "an account of \(field.count) bytes")
        let code = CodeBytes(field)
        let isCode = field.count >= 1 && field.count <= 16 && field.allSatisfy { letters[Int($0)] != 0 }
        try expect(Validation.isCode(code) == isCode, "a code: the two disagree on \(Array(field))")
        let alphabet = form & 1 == 0 ? CodeAlphabet.digits : .lettersAndDigits
        let length = 6 + Int(form >> 1) % 5
        let normal = CodeGenerator.normalize(code, alphabet: alphabet, length: length)
        try expect(normal?.array == normalized(field, alphabet, length), "the two read another code from \(Array(field))")
        if let normal {
            try expect(CodeGenerator.equal(normal, CodeBytes(normal.array)), "a code doesn't equal itself")
            let again = CodeGenerator.normalize(normal, alphabet: alphabet, length: length)
            try expect(again == normal, "reading a code twice changes it")
        }
    }

    // MARK: request ids

    /// Ten minutes and one either way; without overflow, since the second implementation counts in 128 bits.
    private static func age(_ time: UInt64, _ clock: UInt64) throws(FuzzFailure) {
        // Engine time is 48 bits wide wherever it is kept.
        let (time, now) = (time & 0xFFFF_FFFF_FFFF, clock & 0xFFFF_FFFF_FFFF)
        let id = Bytes16(timeMs: time, tailHigh: UInt16(truncatingIfNeeded: clock >> 48), tailLow: clock)
        try expect(id.timeMs == time, "a request id has another time than it was made with")
        let distance = Int128(time) - Int128(now)
        let expected: Status? = distance < -660_000 ? .requestTooOld : distance > 660_000 ? .requestFromFuture : nil
        try expect(Validation.age(id, now: now) == expected, "a request id of \(distance) ms")
    }

    // MARK: the tables

    /// E.164 as an automaton: state × class of byte → state. Classes: other, `+`, `0`, `1`–`9`. 0 is dead, 1 the start; after the plus
    /// and the first digit come 6 to 14 more.
    private static let phone: [[UInt8]] = {
        var states: [[UInt8]] = [[0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 3]]
        for state in UInt8(3)..<17 { states.append([0, 0, state + 1, state + 1]) }
        states.append([0, 0, 0, 0])
        return states
    }()

    private static let classes: [Int] = (0..<256).map { byte in
        byte == 0x2B ? 1 : byte == 0x30 ? 2 : (0x31...0x39).contains(byte) ? 3 : 0
    }

    private static func accepts(_ automaton: [[UInt8]], _ field: UnsafeRawBufferPointer) -> Bool {
        var state = 1
        for byte in field { state = Int(automaton[state][classes[Int(byte)]]) }
        return state >= 9
    }

    /// What each byte is read as in a code of letters and digits; 0 = refused.
    private static let letters: [UInt8] = table("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    private static let unambiguous: [UInt8] = table("23456789ABCDEFGHJKMNPQRSTUVWXYZ")
    private static let digits: [UInt8] = (0..<256).map { "0123456789".utf8.contains(UInt8($0)) ? UInt8($0) : 0 }

    private static func table(_ symbols: String) -> [UInt8] {
        var table = [UInt8](repeating: 0, count: 256)
        for byte in symbols.utf8 {
            table[Int(byte)] = byte
            if byte >= 0x41 { table[Int(byte) + 32] = byte }
        }
        return table
    }

    private static func normalized(_ field: UnsafeRawBufferPointer, _ alphabet: CodeAlphabet, _ length: Int) -> [UInt8]? {
        guard field.count == length else { return nil }
        let read = field.map { byte in
            switch alphabet {
            case .digits: digits[Int(byte)]
            case .lettersAndDigits: unambiguous[Int(byte)]
            }
        }
        return read.contains(0) ? nil : read
    }
}
