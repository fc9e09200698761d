/*
 * tlsform: in which form a text that is to be signed comes to the keeper.
 *
 * Whole where the TLS library shows it to a key object that is not its own
 * (OpenSSL 3, tlsform_text.c); else as tlsdigest.h says (tlsform_digest.c).
 * A build has one of them: the form is no part of a message, so that no
 * session can choose it.  For tlskey alone.
 */
#ifndef TLS_TLSFORM_H
#define TLS_TLSFORM_H

#include <stdbool.h>
#include <stddef.h>

struct evp_pkey_st;
struct tlsscheme_policy;

/* Why a key, otherwise good, cannot be used in this form; NULL: it can. */
const char *tlsform_refusal(const struct evp_pkey_st *pkey);

/* Is text of TLS 1.3 for certain? */
bool tlsform_is_tls13(const struct tlsscheme_policy *policy,
    const unsigned char *text, size_t len);

/* May it be signed with a key of so many bits? */
bool tlsform_permits(const struct tlsscheme_policy *policy, unsigned scheme,
    const unsigned char *text, size_t len, unsigned key_bits);

/* What a scheme of the key's kind asks for. */
struct tlsform_way {
	const char *digest; /* its name; NULL: Ed25519 */
	bool is_pss;
};

/* A key and a way, prepared to sign any number of texts. */
struct tlsform_signer;

/*
 * Find algorithms by their names, once: that costs the library more than a
 * signature on P-256.  Has a reference to pkey.  NULL: it cannot, or memory
 * is short.
 */
struct tlsform_signer *tlsform_signer_new(
    struct evp_pkey_st *pkey, const struct tlsform_way *way);
void tlsform_signer_free(struct tlsform_signer *signer);

/*
 * Sign what has been permitted.  The signature's length, at most size, or
 * -1.  This and signer_new leave errors in the library's queue.
 */
int tlsform_sign(struct tlsform_signer *signer, const unsigned char *text,
    size_t len, unsigned char *signature, size_t size);

#endif
