import CTLS
import Glibc

/// TLS on a non-blocking connection, by Debian's OpenSSL. The peer must prove the name that we were told to expect; there is no way
/// to switch that off.
final class TLSClient {
    /// Where a handshake is.
    enum Progress {
        case done
        case wantsToRead, wantsToWrite
        case failed(String)
    }

    private let context: OpaquePointer
    private let ssl: OpaquePointer

    init(fd: Int32, _ settings: TLSSettings) throws(CourierError) {
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw CourierError(TLSClient.reason("TLS"))
        }
        self.context = context
        let isTrusting =
            if let file = settings.caFile {
                SSL_CTX_load_verify_file(context, file)
            } else {
                SSL_CTX_set_default_verify_paths(context)
            }
        guard isTrusting == 1 else {
            let reason = TLSClient.reason(
                "the certificates to trust can't be read (\(settings.caFile ?? "the system's"))")
            SSL_CTX_free(context)
            throw CourierError(reason)
        }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        ctls_allow_partial_writes(context)
        ctls_forbid_renegotiation(context)
        guard ctls_forbid_old_versions(context) == 1, let ssl = SSL_new(context) else {
            SSL_CTX_free(context)
            throw CourierError(TLSClient.reason("TLS"))
        }
        self.ssl = ssl
        // A number is compared with the certificate's addresses, a name with its names; only names go into SNI.
        let isAddress = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), settings.name) == 1
        if !isAddress {
            guard SSL_set1_host(ssl, settings.name) == 1, ctls_set_server_name(ssl, settings.name) == 1 else {
                throw CourierError(TLSClient.reason("\(settings.name) can't be verified"))
            }
        }
        SSL_set_fd(ssl, fd)
        SSL_set_connect_state(ssl)
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    func handshake() -> Progress {
        ERR_clear_error()
        let result = SSL_connect(ssl)
        if result == 1 { return .done }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .wantsToRead
        case SSL_ERROR_WANT_WRITE: return .wantsToWrite
        default:
            let verdict = SSL_get_verify_result(ssl)
            if verdict != X509_V_OK {
                return .failed(
                    "the certificate isn't to be trusted: \(String(cString: X509_verify_cert_error_string(verdict)))"
                )
            }
            return .failed(TLSClient.reason("the TLS handshake failed"))
        }
    }

    /// Bytes that were decrypted and not read yet: the descriptor won't tell of them. A part of a record doesn't count: its rest comes
    /// through the descriptor.
    var hasPending: Bool { SSL_pending(ssl) > 0 }

    func read(into buffer: inout [UInt8]) -> TCPLink.Outcome {
        ERR_clear_error()
        let count = SSL_read(ssl, &buffer, Int32(buffer.count))
        return count > 0 ? .bytes(Int(count)) : outcome(count)
    }

    func write(_ bytes: [UInt8]) -> TCPLink.Outcome {
        ERR_clear_error()
        let count = SSL_write(ssl, bytes, Int32(bytes.count))
        return count > 0 ? .bytes(Int(count)) : outcome(count)
    }

    private func outcome(_ result: Int32) -> TCPLink.Outcome {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: .wouldBlock
        case SSL_ERROR_ZERO_RETURN: .closed("the peer closed the connection")
        case SSL_ERROR_SYSCALL where errno != 0: .closed(String(cString: strerror(errno)))
        default: .closed(TLSClient.reason("TLS"))
        }
    }

    private static func reason(_ what: String) -> String {
        let code = ERR_get_error()
        guard code != 0 else { return what }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        return what + ": "
            + String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
