/*
 * tlskey: a private key that signs TLS handshakes and does nothing else.
 *
 * Lives in the keeper alone.  There is no decrypt operation, no export and
 * no way to sign a text that tlsscheme_permits refuses.
 */
#ifndef TLS_TLSKEY_H
#define TLS_TLSKEY_H

#include <stddef.h>
#include <stdint.h>

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

/* "RSA", "ECDSA" or "Ed25519"; of two keys of a kind the same string. */
const char *tlskey_kind(const struct tlskey *key);

/* Wipe and free.  Accepts NULL. */
void tlskey_free(struct tlskey *key);

/* The keys of a server, by the number of the certificate. */
struct tlskeys {
	struct tlskey **all;
	size_t count;
	size_t room;
};

/*
 * Take key over as the last one; *keys began as zeros.  0, or -1: memory is
 * short, and key is still the caller's.
 */
int tlskeys_add(struct tlskeys *keys, struct tlskey *key);

/* The key of that number, which anybody may have made up; or NULL. */
struct tlskey *tlskeys_get(const struct tlskeys *keys, uint64_t number);

void tlskeys_free(struct tlskeys *keys);

#endif
