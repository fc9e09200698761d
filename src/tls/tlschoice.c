/*
 * tlschoice: certificates as the library wants them.
 *
 * Runs in the nursery.  Certificates come as DER from a keeper, their keys
 * stay there: each is an object that asks for a signature and says which
 * key's (tlsremote).
 */
#include "tls/tlschoice.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls/tlscerts.h"
#include "tls/tlscompat.h"
#include "tls/tlsfile.h"
#include "tls/tlsremote.h"
#include "tls/tlstrust.h"

/* What a key object knows: its own number by its place in the row. */
struct tlschoice_slot {
	struct tlsremote remote;
	const struct tlschoice *choice;
};

/* tlsremote_fn */
static int
ask(void *arg, unsigned scheme, const unsigned char *text, size_t len,
    unsigned char *signature, size_t size)
{
	const struct tlschoice_slot *slot = arg;
	const struct tlschoice *choice = slot->choice;

	if (choice->sign == NULL)
		return -1;
	return choice->sign(choice->arg, (size_t)(slot - choice->slots), scheme,
	    text, len, signature, size);
}

static X509 *
decode(const unsigned char *der, size_t len)
{
	X509 *cert = tlscompat_x509_new();

	if (cert == NULL || len > TLSFILE_MAX ||
	    d2i_X509(&cert, &der, (long)len) == NULL) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

static int
use_leaf(SSL_CTX *ctx, X509 *cert, struct tlsremote *remote)
{
	EVP_PKEY *key;
	int ok;

	if (SSL_CTX_use_certificate(ctx, cert) != 1)
		return -1;
	key = tlsremote_key(X509_get0_pubkey(cert), remote);
	if (key == NULL)
		return -1;
	ok = SSL_CTX_use_PrivateKey(ctx, key);
	EVP_PKEY_free(key);
	return ok == 1 ? 0 : -1;
}

static int
use_next(SSL_CTX *ctx, const unsigned char *der, size_t len,
    struct tlsremote *remote, bool is_leaf)
{
	X509 *cert = decode(der, len);
	int r = -1;

	if (cert == NULL)
		return -1;
	if (is_leaf)
		r = use_leaf(ctx, cert, remote);
	else if (SSL_CTX_add1_chain_cert(ctx, cert) == 1)
		r = 0;
	X509_free(cert);
	return r;
}

int
tlschoice_use(struct tlschoice *choice, SSL_CTX *ctx, size_t number)
{
	const struct tlscert *cert = &choice->certs->all[number];
	const struct buf row = { .data =
				     (unsigned char *)(uintptr_t)cert->chain,
		.len = cert->chain_len };
	const unsigned char *der;
	size_t at = 0, len;
	bool is_leaf = true;

	while ((der = tlstrust_next(&row, &at, &len)) != NULL) {
		if (use_next(ctx, der, len, &choice->slots[number].remote,
			is_leaf) == -1)
			return -1;
		is_leaf = false;
	}
	return len == 0 && !is_leaf ? 0 : -1;
}

int
tlschoice_init(struct tlschoice *choice, const struct tlscerts *certs)
{
	size_t i, room = certs->count > 0 ? certs->count : 1;

	choice->certs = certs;
	choice->slots = calloc(room, sizeof(*choice->slots));
	if (choice->slots == NULL)
		return -1;
	for (i = 0; i < certs->count; i++) {
		choice->slots[i].choice = choice;
		choice->slots[i].remote.sign = ask;
		choice->slots[i].remote.arg = &choice->slots[i];
	}
	return 0;
}

void
tlschoice_clear(struct tlschoice *choice)
{
	free(choice->slots);
	choice->slots = NULL;
}
