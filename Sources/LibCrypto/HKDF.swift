import CLinuxShim
import COpenSSL

/// HKDF-SHA-256, RFC 5869: one master key, one derived key per use.
public enum HKDF {
    /// `count` bytes (up to 8,160) for the use that `info` names.
    public static func sha256(
        key: borrowing SecretBytes, salt: [UInt8] = [], info: String, count: Int
    ) -> SecretBytes {
        sha256(key: key, salt: salt, info: Array(info.utf8), count: count)
    }

    /// `info` as the RFC has it: any bytes.
    static func sha256(key: borrowing SecretBytes, salt: [UInt8], info: [UInt8], count: Int) -> SecretBytes {
        precondition(count > 0 && count <= 255 * 32, "HKDF-SHA-256 gives 1 to 8,160 bytes")
        let derived = derive(key: key, salt: salt, info: info, count: count)
        linux_wipe_stack()
        return derived
    }

    @inline(never)
    private static func derive(key: borrowing SecretBytes, salt: [UInt8], info: [UInt8], count: Int) -> SecretBytes {
        let zeros = [UInt8](repeating: 0, count: 32)
        let extracted = (salt.isEmpty ? zeros : salt).withUnsafeBytes { MACKey(bytes: $0) }
        let pseudorandom = key.withUnsafeBytes { extracted.mac($0) }
        let expanding = withUnsafeBytes(of: pseudorandom.bigEndianWords) { MACKey(bytes: $0) }
        return SecretBytes(count: count) { output in
            var previous: Digest32?
            for block in 0..<(count + 31) / 32 {
                var mac = expanding.begin()
                if let previous { withUnsafeBytes(of: previous.bigEndianWords) { mac.update($0) } }
                info.withUnsafeBytes { mac.update($0) }
                mac.update(UInt8(block + 1))
                let digest = mac.finish()
                for index in 0..<min(32, count - 32 * block) { output[32 * block + index] = digest[index] }
                previous = digest
            }
        }
    }
}

extension Digest32 {
    /// In memory as on the wire.
    var bigEndianWords: (UInt64, UInt64, UInt64, UInt64) {
        (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
    }
}
