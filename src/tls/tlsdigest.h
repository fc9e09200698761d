/*
 * tlsdigest: what may be signed where the key object of the TLS library
 * sees digests only, and how it is asked.
 *
 * The counterpart of tlsscheme for OpenSSL 1.1.1 and LibreSSL.  What is
 * asked for is the digest itself (ECDSA, RSA with PKCS#1 v1.5: the keeper
 * puts the padding around it) or, for RSA-PSS, the block that the library
 * has padded, in which the digest can no longer be seen.  That a digest is
 * one of a TLS handshake cannot be seen either: a session that has been
 * taken over can have any digest signed, once, but nothing decrypted and
 * nothing of another shape.
 */
#ifndef TLS_TLSDIGEST_H
#define TLS_TLSDIGEST_H

#include <stdbool.h>
#include <stddef.h>

struct tlsscheme_policy;

/*
 * Is text what may be signed under this policy and scheme (enum
 * tlsscheme)?  A digest of exactly the scheme's length; for RSA-PSS a block
 * of exactly the modulus's length (key_bits), which unmasks as PSS of that
 * hash with a salt of its length.  PKCS#1 v1.5 not if TLS is 1.3 alone;
 * SHA-1 and MD5 as tlsscheme_permits has it; Ed25519 never.
 */
bool tlsdigest_permits(const struct tlsscheme_policy *policy, unsigned scheme,
    const unsigned char *text, size_t len, unsigned key_bits);

/*
 * For which scheme does the library want this block signed with PKCS#1
 * v1.5?  A DigestInfo (RFC 8017, 9.2) or the 36 bytes of MD5 and SHA-1;
 * *digest points into it.  0: neither.
 */
unsigned tlsdigest_read_pkcs1(const unsigned char *block, size_t len,
    const unsigned char **digest, size_t *digest_len);

/* For which is this a PSS block of a key of so many bits?  0: none. */
unsigned tlsdigest_read_pss(
    const unsigned char *block, size_t len, unsigned key_bits);

/* And an ECDSA digest of this length?  0: none. */
unsigned tlsdigest_read_ecdsa(size_t len);

#endif
