import Glibc
import LibCrypto

@testable import Store

/// What the store reads beside the journal: sealed values, the position, and the files `keyring`, `format`, `epoch`.
/// Input: which one, then how to make or to change it.
enum StoreFuzz: FuzzTarget {
    static let name = "store"
    private static let memory = ScratchMemory(bytes: 16 << 10)
    private static let folder = FuzzFolder()
    private static var master: SecretBytes { SecretBytes(count: 32) { $0.initializeMemory(as: UInt8.self, repeating: 7) } }

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard bytes.count <= 4_096 else { return }
        var input = FuzzInput(bytes)
        // Files cost a hundred times what memory does: one value in thirty-two.
        switch input.u8() % 32 {
        case 0: try keyring(&input)
        case 1: try format(input.rest)
        case 2: try epoch(input.rest)
        case 3..<10: try position(input.rest)
        default: try envelope(&input)
        }
    }

    // MARK: in memory

    private static func position(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard let position = Position(bytes) else {
            return try expect(bytes.count != Position.bytes, "a position of the right length was refused")
        }
        let again = memory.slice(0, Position.bytes)
        position.encode(into: again)
        for index in 0..<88 { try expect(again[index] == bytes[index], "byte \(index) of a position changes") }
        try expect(Position(UnsafeRawBufferPointer(again)) == position, "a position changes in a round trip")
    }

    /// A keyring of its own; fuzzing has one thread, and the replay is `.serialized`.
    private final class Keys: @unchecked Sendable {
        let sealer: TableSealer
        let opener: TableOpener
        /// The file, with one key in it.
        let file: [UInt8]

        init() throws {
            let path = folder.path + "/keys"
            try Keyring.create(at: path, master: master)
            let keyring = try Keyring(opening: path, master: master)
            file = try FileSystem.contents(path)
            sealer = TableSealer(keyring.newest)
            opener = TableOpener(keyring)
        }
    }

    private static let keys: Keys = {
        do { return try Keys() } catch { fatalError("the harness has no keyring: \(error)") }
    }()

    /// A value that was sealed opens where it was sealed, with the key it was sealed for, unchanged; anything else is refused.
    private static func envelope(_ input: inout FuzzInput) throws(FuzzFailure) {
        let (table, how, change, place) = (input.u8() % 9, input.u8(), input.u8(), input.u16())
        let key = input.take(Int(input.u8() % 25))
        let value = input.take(input.u16() % 1_900)
        let otherKey = how & 0x40 != 0 ? input.take(Int(how & 0x1F)) : key
        let askedTable = how & 0x20 != 0 ? (how & 0x1F) % 9 : table
        let sealed = memory.slice(0, 4_096)
        let isMade = how & 0x80 == 0
        let length: Int
        if isMade {
            let made = keys.sealer.seal(
                table: table, key: key, value: value, epoch: UInt32(place), expiresAt: UInt64(place), sequence: UInt64(change))
            length = made.count - (change == 0xFF ? place % made.count : 0)
            sealed.copyMemory(from: UnsafeRawBufferPointer(rebasing: made[..<length]))
            if length > 0, change < 0xFF { sealed[place % length] ^= change }
        } else {
            length = input.rest.count
            sealed.copyMemory(from: input.rest)
        }
        let isSound = isMade && length == Envelope.overheadBytes + value.count && (change == 0 || change == 0xFF) && askedTable == table
            && isEqual(key, otherKey)
        let out = memory.slice(4_096, 4_096)
        let bytes = UnsafeRawBufferPointer(rebasing: sealed[..<length])
        let count = try? keys.opener.open(table: askedTable, key: otherKey, sealed: bytes, into: out)
        try expect((count != nil) == isSound, "a value is \(isSound ? "sound and refused" : "not as it was sealed, and opens")")
        if let count {
            try expect(isEqual(value, UnsafeRawBufferPointer(rebasing: out[..<count])), "a value opens as another")
        }
        // Beside a missing key the header alone is looked at: a change of one byte in it is always found.
        guard isMade, askedTable == table, isEqual(key, otherKey) else { return }
        let isHeadSound = length >= Envelope.overheadBytes && (change == 0 || change == 0xFF || place % length >= Envelope.headerBytes)
        let isChecked = (try? keys.opener.check(table: table, key: key, sealed: bytes, into: out)) != nil
        try expect(isChecked == isHeadSound, "a header is \(isHeadSound ? "sound and refused" : "not as it was written, and passes")")
    }

    // MARK: files

    private static func keyring(_ input: inout FuzzInput) throws(FuzzFailure) {
        var bytes = keys.file
        let changes = input.u8()
        for _ in 0..<changes % 4 {
            let (place, change) = (input.u16(), input.u8())
            bytes[place % bytes.count] ^= change
        }
        if changes & 0x40 != 0 { bytes.removeLast(input.u16() % bytes.count) }
        if changes & 0x20 != 0 { bytes += Array(input.take(100)) }
        if changes & 0x80 != 0 { bytes = Array(input.rest) }
        folder.write("keyring", bytes)
        let opened = try? Keyring(opening: folder.path + "/keyring", master: master)
        // The keys' number isn't authenticated: a ring cut to its head has none, and whatever a lost key sealed is refused by its id.
        let head = Array(keys.file[..<24])
        let isEmpty = bytes.count == 28 && bytes.starts(with: head) && bytes[24...].allSatisfy { $0 == 0 }
        let isSound = bytes == keys.file || isEmpty
        // Bytes 4..<12 of an entry, its time, are authenticated too; so are the head's format and check value.
        try expect((opened != nil) == isSound, "a keyring is \(isSound ? "sound and refused" : "changed, and opens")")
        if let opened { try expect(opened.count == (isEmpty ? 1 : 2), "a keyring opens with another number of keys") }
    }

    private static func format(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        folder.write("format", Array(bytes))
        guard let uuid = try? DataFolder.readFormat(folder.path) else { return }
        let digits = Array("0123456789abcdef".utf8)
        var hex: [UInt8] = []
        for word in [uuid.0, uuid.1] {
            for digit in 0..<16 { hex.append(digits[Int(word >> UInt64(60 - 4 * digit) & 15)]) }
        }
        // Empty lines are the one freedom.
        let lines = bytes.split(separator: 0x0A).map { Array($0) }
        try expect(lines == [Array("otpd-store 1".utf8), hex], "a format file gives another UUID than it says")
    }

    private static func epoch(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        folder.write("epoch", Array(bytes))
        let epoch = try? DataFolder.readEpoch(folder.path)
        var expected: UInt32?
        if bytes.count >= 2, bytes.count <= 64, bytes[bytes.count - 1] == 0x0A {
            var value: UInt128? = 0
            for byte in bytes.dropLast() {
                value = (0x30...0x39).contains(byte) ? value.map { min($0 * 10 + UInt128(byte - 0x30), 1 << 64) } : nil
            }
            expected = value.flatMap { UInt32(exactly: $0) }
        }
        try expect(epoch == expected, "the epoch file \(Array(bytes)) gives \(String(describing: epoch))")
    }
}
