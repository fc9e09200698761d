/*
 * tlsform_digest: the keeper gets digests, with OpenSSL 1.1.1 and LibreSSL.
 *
 * Runs in the keeper.  The library has no way to show a text to a key
 * object that is not its own, nor Ed25519 at all: that has no digest.  A
 * block padded for RSA-PSS is signed as it is, after tlsdigest has taken it
 * apart; every other padding is made here.
 */
#include "tls/tlsform.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "tls/tlsdigest.h"
#include "tls/tlsscheme.h"

const char *
tlsform_refusal(const EVP_PKEY *pkey)
{
	return EVP_PKEY_base_id(pkey) == EVP_PKEY_ED25519
	    ? "an Ed25519 key, which this TLS library cannot keep in a process "
	      "of its own (OpenSSL 3 can)"
	    : NULL;
}

bool
tlsform_is_tls13(const struct tlsscheme_policy *policy,
    const unsigned char *text, size_t len)
{
	(void)text;
	(void)len;
	return !policy->permits_tls12;
}

bool
tlsform_permits(const struct tlsscheme_policy *policy, unsigned scheme,
    const unsigned char *text, size_t len, unsigned key_bits)
{
	return tlsdigest_permits(policy, scheme, text, len, key_bits);
}

static bool
set_way(EVP_PKEY_CTX *ctx, bool is_rsa, const struct tlsform_way *way)
{
	const EVP_MD *md;

	if (way->is_pss)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1;
	md = EVP_get_digestbyname(way->digest);
	if (md == NULL ||
	    (is_rsa &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1))
		return false;
	return EVP_PKEY_CTX_set_signature_md(ctx, md) == 1;
}

/* The context, whose name the header has no need of. */
static EVP_PKEY_CTX *
context_of(struct tlsform_signer *signer)
{
	return (EVP_PKEY_CTX *)signer;
}

struct tlsform_signer *
tlsform_signer_new(EVP_PKEY *pkey, const struct tlsform_way *way)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool is_rsa = EVP_PKEY_base_id(pkey) == EVP_PKEY_RSA;

	if (ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
	    set_way(ctx, is_rsa, way))
		return (struct tlsform_signer *)ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

void
tlsform_signer_free(struct tlsform_signer *signer)
{
	EVP_PKEY_CTX_free(context_of(signer));
}

int
tlsform_sign(struct tlsform_signer *signer, const unsigned char *text,
    size_t len, unsigned char *signature, size_t size)
{
	size_t n = size;

	if (EVP_PKEY_sign(context_of(signer), signature, &n, text, len) != 1)
		return -1;
	return (int)n;
}
