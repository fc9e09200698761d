/*
 * tlskey_internal: how a parsed key becomes a struct tlskey.  For tlsfile
 * and the tests; nothing outside tls/ includes it.
 */
#ifndef TLS_TLSKEY_INTERNAL_H
#define TLS_TLSKEY_INTERNAL_H

struct evp_pkey_st;
struct tlskey;

/*
 * Why a key of this kind cannot be used, or NULL if it can: RSA of 1024 to
 * 16384 bits, ECDSA on P-256, P-384 or P-521, Ed25519.
 */
const char *tlskey_refusal(const struct evp_pkey_st *pkey);

/*
 * A key that signs.  Takes pkey over; NULL, and pkey still the caller's,
 * when tlskey_refusal has something to say or memory is short.
 */
struct tlskey *tlskey_new(struct evp_pkey_st *pkey);

/* The library's object, still the tlskey's: for a client's own context. */
struct evp_pkey_st *tlskey_pkey(const struct tlskey *key);

#endif
