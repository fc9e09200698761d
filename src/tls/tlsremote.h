/*
 * tlsremote: a private key that is somewhere else, as an EVP_PKEY.
 *
 * The TLS library sees a key object that has a public half and can sign;
 * signing asks a callback.  With OpenSSL 3 the object comes from a provider
 * inside the process (tlsremote_provider.c) and the callback gets the whole
 * text; with others its methods are hooked (tlsremote_method.c), and the
 * callback gets what tlsform.h says.
 */
#ifndef TLS_TLSREMOTE_H
#define TLS_TLSREMOTE_H

#include <stddef.h>

struct evp_pkey_st;

/* As tlsctx_sign_fn, of the one key that arg stands for. */
typedef int tlsremote_fn(void *arg, unsigned scheme, const unsigned char *text,
    size_t len, unsigned char *signature, size_t size);

/* Who signs.  Must outlive the keys that were made with it. */
struct tlsremote {
	tlsremote_fn *sign; /* NULL: every signature fails */
	void *arg;
};

/* Before the first context that uses such a key.  0 or -1. */
int tlsremote_start(void);

/*
 * A key whose public half is that of public (RSA, EC or, with OpenSSL 3,
 * Ed25519) and whose private half is remote.  The caller's to free; NULL:
 * other kind of key, or memory is short.
 */
struct evp_pkey_st *tlsremote_key(
    const struct evp_pkey_st *public, struct tlsremote *remote);

#endif
