/*
 * tlskey_provider: a private key that is somewhere else, as an EVP_PKEY.
 *
 * An OpenSSL 3 provider inside the process.  libssl sees a key object that
 * has a public half and can sign; signing asks a callback, with the whole
 * text.  One library context for all of tls/ holds this provider and the
 * default one; the default library context of the process is untouched.
 */
#ifndef TLS_TLSKEY_PROVIDER_H
#define TLS_TLSKEY_PROVIDER_H

#include "tls/tlsctx.h"

struct evp_pkey_st;
struct ossl_lib_ctx_st;

/* Everything but our own keys belongs to the default provider. */
#define TLSKEY_PROPERTIES "?provider=default"

/* Who signs.  Must outlive the keys that were made with it. */
struct tlskey_remote {
	tlsctx_sign_fn *sign; /* NULL: every signature fails */
	void *arg;
};

/*
 * The library context, made at the first call; NULL when memory is short.
 * Never freed.
 */
struct ossl_lib_ctx_st *tlskey_provider_start(void);

/*
 * A key whose public half is that of public (RSA, EC or Ed25519) and whose
 * private half is remote.  The caller's to free; NULL: other kind of key,
 * or memory is short.
 */
struct evp_pkey_st *tlskey_provider_key(
    const struct evp_pkey_st *public, struct tlskey_remote *remote);

#endif
