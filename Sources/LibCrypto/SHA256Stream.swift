import COpenSSL

/// SHA-256 (FIPS 180-4) of bytes that come piece by piece: whole files, of any size.
package final class SHA256Stream {
    private let context: OpaquePointer

    package init() {
        SecretMemory.prepare()
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
            preconditionFailure("libcrypto can't hash: no memory")
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    package func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "libcrypto can't hash")
    }

    /// The digest's 32 bytes as 64 lower-case hexadecimal digits, as `sha256sum` prints them. Once.
    package func hexadecimal() -> String {
        var result = [UInt8](repeating: 0, count: 32)
        precondition(EVP_DigestFinal_ex(context, &result, nil) == 1, "libcrypto can't hash")
        return result.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
