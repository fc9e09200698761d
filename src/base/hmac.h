/*
 * hmac: HMAC with SHA-256 (RFC 2104, FIPS 180-4).
 *
 * For processes that shall not contain a TLS library; where there is one,
 * its own is to be used.
 */
#ifndef BASE_HMAC_H
#define BASE_HMAC_H

#include <stddef.h>

#define HMAC_SIZE 32

/* The key may be of any length.  Never fails; leaves nothing behind. */
void hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
    unsigned char mac[HMAC_SIZE]);

#endif
