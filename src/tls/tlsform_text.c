/*
 * tlsform_text: the keeper gets the whole text, with OpenSSL 3.
 *
 * Runs in the keeper.  The library computes digest and padding from a text
 * that tlsscheme has checked, so nothing but a handshake can be signed.
 */
#include "tls/tlsform.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "tls/tlsscheme.h"

const char *
tlsform_refusal(const EVP_PKEY *pkey)
{
	(void)pkey;
	return NULL;
}

bool
tlsform_is_tls13(const struct tlsscheme_policy *policy,
    const unsigned char *text, size_t len)
{
	(void)policy;
	return tlsscheme_is_tls13(text, len);
}

bool
tlsform_permits(const struct tlsscheme_policy *policy, unsigned scheme,
    const unsigned char *text, size_t len, unsigned key_bits)
{
	(void)key_bits;
	return tlsscheme_permits(policy, scheme, text, len);
}

static int
set_pss(EVP_PKEY_CTX *ctx)
{
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1)
		return -1;
	return EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) ==
		1
	    ? 0
	    : -1;
}

/* The context, whose name the header has no need of. */
static EVP_MD_CTX *
context_of(struct tlsform_signer *signer)
{
	return (EVP_MD_CTX *)signer;
}

struct tlsform_signer *
tlsform_signer_new(EVP_PKEY *pkey, const struct tlsform_way *way)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;

	if (ctx == NULL)
		return NULL;
	if (EVP_DigestSignInit_ex(
		ctx, &pctx, way->digest, NULL, NULL, pkey, NULL) != 1 ||
	    (way->is_pss && set_pss(pctx) == -1)) {
		EVP_MD_CTX_free(ctx);
		return NULL;
	}
	return (struct tlsform_signer *)ctx;
}

void
tlsform_signer_free(struct tlsform_signer *signer)
{
	EVP_MD_CTX_free(context_of(signer));
}

int
tlsform_sign(struct tlsform_signer *signer, const unsigned char *text,
    size_t len, unsigned char *signature, size_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = size;
	int r = -1;

	if (ctx == NULL)
		return -1;
	if (EVP_MD_CTX_copy_ex(ctx, context_of(signer)) == 1) {
		/* There is nothing to go on with: it need not copy again. */
		EVP_MD_CTX_set_flags(ctx, EVP_MD_CTX_FLAG_FINALISE);
		if (EVP_DigestSign(ctx, signature, &n, text, len) == 1)
			r = (int)n;
	}
	EVP_MD_CTX_free(ctx);
	return r;
}
