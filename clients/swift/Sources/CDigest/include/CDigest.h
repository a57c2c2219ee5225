// Two functions of libcrypto, for the Swift client. Its headers stay in digest.c: imported into Swift, they
// would be part of the client's interface, and change what a program that uses it sees of the C library.
#pragma once
#include <stddef.h>

/// SHA-256 of `count` bytes; 32 bytes to `digest`.
void cdigest_sha256(const unsigned char *bytes, size_t count, unsigned char *digest);

/// HMAC-SHA-256 under a key of 32 bytes; 32 bytes to `digest`. 0 = libcrypto has none.
int cdigest_hmac_sha256(
    const unsigned char *key, const unsigned char *bytes, size_t count, unsigned char *digest);
