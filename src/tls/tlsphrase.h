/*
 * tlsphrase: private keys that are encrypted under a pass phrase.
 *
 * Used by the keeper with -3.  What it needs is got ready in two steps:
 * tlsphrase_new with the rights the process was started with, as OpenSSL's
 * legacy provider is a file of its own, and tlsphrase_set when these are
 * given up and the phrase has been read.  tlsfile does the rest.
 */
#ifndef TLS_TLSPHRASE_H
#define TLS_TLSPHRASE_H

#include <stddef.h>

struct evp_pkey_st;
struct tlsphrase;

#define TLSPHRASE_ERROR_SIZE 256

/*
 * An empty phrase, and the library's means to use it: a context of its
 * own, so that old ciphers are there for nothing but decoding.  Without
 * the legacy provider it works, but for the keys that need it.  NULL: out
 * of memory.
 */
struct tlsphrase *tlsphrase_new(void);

/* The phrase: len bytes, which stay the caller's and must outlive it. */
void tlsphrase_set(struct tlsphrase *phrase, const char *bytes, size_t len);

/* Is there something odd about it that explains why it is wrong?  Or NULL. */
const char *tlsphrase_doubt(const struct tlsphrase *phrase);

/*
 * For tlsfile: the key of one PEM block, a PKCS#8 EncryptedPrivateKeyInfo
 * or a traditional form with its header (Proc-Type, DEK-Info).  NULL with
 * error "" when the phrase is wrong, as far as can be known, else with a
 * reason.  The key belongs to the library's default context.
 */
struct evp_pkey_st *tlsphrase_key(const struct tlsphrase *phrase, char *header,
    const unsigned char *bytes, size_t len, char error[TLSPHRASE_ERROR_SIZE]);

void tlsphrase_free(struct tlsphrase *phrase);

#endif
