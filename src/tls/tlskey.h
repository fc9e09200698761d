/*
 * tlskey: a private key that signs TLS handshakes and does nothing else.
 *
 * Lives in the keeper alone.  There is no decrypt operation, no export and
 * no way to sign a text that tlsscheme_permits refuses.
 */
#ifndef TLS_TLSKEY_H
#define TLS_TLSKEY_H

#include <stddef.h>

struct tlskey;
struct tlsscheme_policy;

/*
 * Sign len bytes of text under scheme (enum tlsscheme).  Checks the text
 * against policy and the scheme against the kind of key first.  Returns
 * the length written to signature, or -1: refused (errno EPERM) or failed
 * (errno EIO).  Does not block beyond the computation.
 */
int tlskey_sign(struct tlskey *key, const struct tlsscheme_policy *policy,
    unsigned scheme, const unsigned char *text, size_t len,
    unsigned char *signature, size_t size);

/* Wipe and free.  Accepts NULL. */
void tlskey_free(struct tlskey *key);

#endif
