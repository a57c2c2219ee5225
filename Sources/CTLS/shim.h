// libssl: only what a client needs. The functions below are macros in OpenSSL's header, which Swift can't call.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/// The server name that the handshake asks for (SNI).
static inline int ctls_set_server_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}
/// TLS 1.2 and later.
static inline int ctls_forbid_old_versions(SSL_CTX *context) {
    return (int)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
/// A write that would block may be repeated with the bytes at another address, and may be done in part.
static inline void ctls_allow_partial_writes(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}
/// No second handshake on a connection: only attacks have a use for it.
static inline void ctls_forbid_renegotiation(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
}
