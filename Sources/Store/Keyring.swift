import CLinuxShim
import Glibc
import LibCrypto

/// One random data key; its two uses have separate subkeys.
final class DataKey {
    let id: UInt32
    private let secret: SecretBytes

    init(id: UInt32, secret: consuming SecretBytes) {
        self.id = id
        self.secret = secret
    }

    func journalCipher() -> AEAD { AEAD(HKDF.sha256(key: secret, info: "otpd/1/journal", count: 32)) }
    func tableCipher() -> AEAD { AEAD(HKDF.sha256(key: secret, info: "otpd/1/table", count: 32)) }
}

/// The data keys, wrapped under the master key, in a file outside LMDB. A fresh key at every start makes counter nonces safe: no
/// nonce depends on anything that a crash or a restore can rewind.
final class Keyring {
    static let magic: [UInt8] = Array("OTPK".utf8)
    static let format: UInt32 = 1
    private static let entryBytes = 4 + 8 + 12 + 32 + 16
    private static let headBytes = 4 + 4 + 16 + 4
    /// Starts of the server over a folder's life; at one a minute, 45 days of crash loop.
    static let capacity = 65_536

    private(set) var keys: [DataKey]
    private let path: String
    private let wrap: AEAD
    private var bytes: [UInt8]

    var newest: DataKey { keys[keys.count - 1] }

    func key(_ id: UInt32) -> DataKey? {
        id >= 1 && Int(id) <= keys.count ? keys[Int(id) - 1] : nil
    }

    /// Writes an empty keyring for `master`.
    static func create(at path: String, master: borrowing SecretBytes) throws(StoreError) {
        var bytes = magic
        withUnsafeBytes(of: format.bigEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: checkValue(master))
        bytes.append(contentsOf: [0, 0, 0, 0])
        try FileSystem.replace(path, with: bytes)
    }

    /// Reads, unwraps, and adds a fresh key, durable before it is used.
    init(opening path: String, master: borrowing SecretBytes) throws(StoreError) {
        self.path = path
        wrap = AEAD(HKDF.sha256(key: master, info: "otpd/1/wrap", count: 32))
        bytes = try FileSystem.contents(path)
        keys = []
        guard bytes.count >= Keyring.headBytes, Array(bytes[0..<4]) == Keyring.magic else {
            throw .damaged(path: path, detail: "the keyring's head is not one")
        }
        let format = bytes.withUnsafeBytes { $0.u32(4) }
        guard format == Keyring.format else { throw .newerFormat(path: path, found: "keyring \(format)") }
        guard Array(bytes[8..<24]) == Keyring.checkValue(master) else { throw .wrongMasterKey(path: path) }
        let count = Int(bytes.withUnsafeBytes { $0.u32(24) })
        guard bytes.count == Keyring.headBytes + count * Keyring.entryBytes else {
            throw .damaged(path: path, detail: "the keyring's length doesn't fit its count")
        }
        for index in 0..<count { keys.append(try unwrap(Keyring.headBytes + index * Keyring.entryBytes, UInt32(index + 1))) }
        try addFreshKey()
    }

    private static func checkValue(_ master: borrowing SecretBytes) -> [UInt8] {
        HKDF.sha256(key: master, info: "otpd/1/key-check", count: 16).withUnsafeBytes { Array($0) }
    }

    private func unwrap(_ offset: Int, _ id: UInt32) throws(StoreError) -> DataKey {
        var failed = false
        let secret = SecretBytes(count: 32) { output in
            bytes.withUnsafeBytes { raw in
                do {
                    _ = try wrap.open(
                        nonce: raw.slice(offset + 12, 12), aad: raw.slice(offset, 12), sealed: raw.slice(offset + 24, 48),
                        into: output)
                } catch { failed = true }
            }
        }
        guard !failed, bytes.withUnsafeBytes({ $0.u32(offset) }) == id else {
            throw .damaged(path: path, detail: "data key \(id) doesn't open")
        }
        return DataKey(id: id, secret: secret)
    }

    private func addFreshKey() throws(StoreError) {
        guard keys.count < Keyring.capacity else {
            throw .keyringFull(path: path, starts: Keyring.capacity)
        }
        let secret = SecretBytes.random(count: 32)
        var entry = [UInt8](repeating: 0, count: Keyring.entryBytes)
        entry.withUnsafeMutableBytes { raw in
            raw.set(0, UInt32(keys.count + 1))
            raw.set(4, linux_realtime_nanos() / 1_000_000)
            Random.fill(raw.slice(12, 12))
            let view = UnsafeRawBufferPointer(raw)
            secret.withUnsafeBytes { plain in
                wrap.seal(nonce: view.slice(12, 12), aad: view.slice(0, 12), plaintext: plain, into: raw.slice(24, 48))
            }
        }
        bytes.append(contentsOf: entry)
        let count = UInt32(keys.count + 1)
        bytes.withUnsafeMutableBytes { $0.set(24, count) }
        try FileSystem.replace(path, with: bytes)
        keys.append(DataKey(id: count, secret: secret))
    }
}
