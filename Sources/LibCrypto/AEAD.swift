import CLinuxShim
import COpenSSL

/// AES-256-GCM (NIST SP 800-38D) under one key; both contexts are made once and reused. Confined to the thread that owns it.
public final class AEAD {
    /// Bytes of the tag after the ciphertext.
    public static let tagBytes = 16
    /// Bytes of a nonce; never used twice under one key.
    public static let nonceBytes = 12

    /// Both in the arena of secrets: libcrypto keeps the key's schedule in them.
    private let sealing: OpaquePointer?
    private let opening: OpaquePointer

    /// What a cipher is for; one that only opens takes half of the memory.
    public enum Use: Sendable {
        /// `seal` and `open`.
        case both
        /// `open` alone.
        case opening
    }

    /// A key of 32 bytes.
    public init(_ key: borrowing SecretBytes, for use: Use = .both) {
        precondition(key.count == 32, "AES-256 takes a key of 32 bytes")
        _ = AEAD.isReady
        (sealing, opening) = key.withUnsafeBytes { bytes in
            let pointer = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return SecretArena.shared.withLibcryptosMemory {
                (use == .both ? AEAD.context(pointer, seals: true) : nil, AEAD.context(pointer, seals: false))
            }
        }
        linux_wipe_stack()
    }

    /// What libcrypto sets up at the first use and keeps for good isn't secret, and is more than all secrets.
    private static let isReady: Bool = {
        _ = SecretArena.shared
        let zeros = [UInt8](repeating: 0, count: 32)
        for seals in [true, false] { EVP_CIPHER_CTX_free(context(zeros, seals: seals)) }
        return true
    }()

    private static func context(_ key: UnsafePointer<UInt8>?, seals: Bool) -> OpaquePointer {
        guard let context = EVP_CIPHER_CTX_new() else { preconditionFailure("libcrypto gave no cipher context") }
        let done = EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, key, nil, seals ? 1 : 0)
        precondition(done == 1, "libcrypto refused AES-256-GCM")
        return context
    }

    /// Encrypts into `output`: ciphertext, then the tag; `plaintext.count + 16` bytes. May seal in place.
    public func seal(
        nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, plaintext: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(nonce.count == AEAD.nonceBytes && output.count >= plaintext.count + AEAD.tagBytes)
        guard let sealing else { preconditionFailure("a cipher that was made to open doesn't seal") }
        let out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        var length: Int32 = 0
        var done = EVP_EncryptInit_ex(sealing, nil, nil, nil, AEAD.bytes(nonce)) == 1
        if aad.count > 0 {
            done = done && EVP_EncryptUpdate(sealing, nil, &length, AEAD.bytes(aad), Int32(aad.count)) == 1
        }
        if plaintext.count > 0 {
            done =
                done
                && EVP_EncryptUpdate(sealing, out, &length, AEAD.bytes(plaintext), Int32(plaintext.count)) == 1
        }
        var rest: Int32 = 0
        let tag = out.map { $0 + plaintext.count }
        done = done && EVP_EncryptFinal_ex(sealing, tag, &rest) == 1
        done = done && EVP_CIPHER_CTX_ctrl(sealing, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1
        precondition(done, "libcrypto failed to seal")
    }

    /// Decrypts `sealed` (ciphertext, tag) into `output`. Returns the plaintext's length.
    /// - Throws: `authenticationFailed`; `output` then holds nothing to be used.
    public func open(
        nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) -> Int {
        let count = sealed.count - AEAD.tagBytes
        guard count >= 0 else { throw .tooShort(sealed.count) }
        precondition(nonce.count == AEAD.nonceBytes && output.count >= count)
        let out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        var length: Int32 = 0
        var done = EVP_DecryptInit_ex(opening, nil, nil, nil, AEAD.bytes(nonce)) == 1
        if aad.count > 0 {
            done = done && EVP_DecryptUpdate(opening, nil, &length, AEAD.bytes(aad), Int32(aad.count)) == 1
        }
        if count > 0 {
            done = done && EVP_DecryptUpdate(opening, out, &length, AEAD.bytes(sealed), Int32(count)) == 1
        }
        let tag = UnsafeMutableRawPointer(mutating: sealed.baseAddress.map { $0 + count })
        done = done && EVP_CIPHER_CTX_ctrl(opening, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1
        precondition(done, "libcrypto failed to open")
        var rest: Int32 = 0
        var scratch: UInt8 = 0
        guard EVP_DecryptFinal_ex(opening, &scratch, &rest) == 1 else { throw .authenticationFailed }
        return count
    }

    private static func bytes(_ buffer: UnsafeRawBufferPointer) -> UnsafePointer<UInt8>? {
        buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }

    deinit {
        EVP_CIPHER_CTX_free(sealing)
        EVP_CIPHER_CTX_free(opening)
    }
}
