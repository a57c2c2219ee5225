public import LibCrypto
import Wire

/// The keys of the rules, each derived from the master key for one use.
public final class EngineKeys {
    let code: MACKey
    let index: MACKey
    let id: MACKey
    let digest: MACKey
    let grant: MACKey
    /// Part of every index key in the store, so that `index` can be rotated.
    let indexKeyID: UInt8 = 1
    let codeKeyID: UInt8 = 1

    /// HKDF-SHA-256 with one label a key.
    public init(master: borrowing SecretBytes) {
        code = MACKey(HKDF.sha256(key: master, info: "otpd/1/code", count: 32))
        index = MACKey(HKDF.sha256(key: master, info: "otpd/1/index", count: 32))
        id = MACKey(HKDF.sha256(key: master, info: "otpd/1/id", count: 32))
        digest = MACKey(HKDF.sha256(key: master, info: "otpd/1/request-digest", count: 32))
        grant = MACKey(HKDF.sha256(key: master, info: "otpd/1/grant", count: 32))
    }
}

extension Digest32 {
    /// The first half.
    var first16: Bytes16 { Bytes16(high: words.0, low: words.1) }
}

extension MAC {
    mutating func update(_ value: Bytes16) {
        withUnsafeBytes(of: (value.high.bigEndian, value.low.bigEndian)) { update($0) }
    }
    mutating func update(_ value: Bytes32) {
        let (head, tail) = (value.head, value.tail)
        withUnsafeBytes(of: (head.high.bigEndian, head.low.bigEndian, tail.high.bigEndian, tail.low.bigEndian)) { update($0) }
    }
    /// Length-prefixed.
    mutating func update<let n: Int>(_ value: InlineBytes<n>) {
        update(u16: value.declaredCount)
        value.withBytes { update($0) }
    }
}
