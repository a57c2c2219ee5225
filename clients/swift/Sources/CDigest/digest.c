#include "CDigest.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

void cdigest_sha256(const unsigned char *bytes, size_t count, unsigned char *digest) {
    SHA256(bytes, count, digest);
}

int cdigest_hmac_sha256(
    const unsigned char *key, const unsigned char *bytes, size_t count, unsigned char *digest) {
    return HMAC(EVP_sha256(), key, 32, bytes, count, digest, NULL) != NULL;
}
