// libcrypto: only the headers in use. OpenSSL 3 marks the one-shot SHA256_* calls deprecated; they are the only ones that
// hash without a heap allocation, so the mark is switched off here and nowhere else.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
