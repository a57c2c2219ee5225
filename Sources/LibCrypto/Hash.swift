import COpenSSL

/// Hashes and MACs over whole arrays, for those who speak with vendors: a handful a message, where an allocation costs nothing that
/// counts. The core has `MACKey`.
package enum Hash {
    /// FIPS 180-4.
    package static func sha256(_ bytes: [UInt8]) -> [UInt8] { digest(bytes, EVP_sha256()) }

    /// RFC 2104 with SHA-256.
    package static func hmacSHA256(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
        hmac(key, bytes, EVP_sha256())
    }

    /// RFC 2104 with SHA-1: as a MAC it stands; Twilio signs with it.
    package static func hmacSHA1(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] { hmac(key, bytes, EVP_sha1()) }

    /// RFC 2104 with SHA-384.
    package static func hmacSHA384(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] { hmac(key, bytes, EVP_sha384()) }

    /// RFC 2104 with SHA-512.
    package static func hmacSHA512(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] { hmac(key, bytes, EVP_sha512()) }

    /// Takes the same time wherever they differ; not so for lengths.
    package static func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        return CRYPTO_memcmp(a, b, a.count) == 0
    }

    private static func digest(_ bytes: [UInt8], _ algorithm: OpaquePointer?) -> [UInt8] {
        SecretMemory.prepare()
        var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let done = EVP_Digest(bytes, bytes.count, &result, &length, algorithm, nil)
        precondition(done == 1, "libcrypto can't hash: no memory")
        return Array(result.prefix(Int(length)))
    }

    private static func hmac(_ key: [UInt8], _ bytes: [UInt8], _ algorithm: OpaquePointer?) -> [UInt8] {
        SecretMemory.prepare()
        var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let mac = HMAC(algorithm, key, Int32(key.count), bytes, bytes.count, &result, &length)
        precondition(mac != nil, "libcrypto can't hash: no memory")
        return Array(result.prefix(Int(length)))
    }
}
