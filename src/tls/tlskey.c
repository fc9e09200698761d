/*
 * tlskey: sign what tlsform permits, and nothing else.
 *
 * Runs in the keeper, after it has given up its rights.  The text comes
 * from a session, which the network may have taken over; the scheme does
 * too.  Both are checked before the key is touched.  RSA blinding is left
 * on (OpenSSL's default), so that the time of a signature says nothing
 * about the key to a session that measures it.
 */
#include "tls/tlskey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "tls/tlscerts.h"
#include "tls/tlscompat.h"
#include "tls/tlsform.h"
#include "tls/tlskey_internal.h"
#include "tls/tlsscheme.h"

#define RSA_BITS_MIN 1024
#define RSA_BITS_MAX 16384

enum kind { KIND_RSA, KIND_EC, KIND_ED25519 };

#define SCHEMES 13

struct tlskey {
	EVP_PKEY *pkey;
	unsigned tls13_scheme;			 /* EC: the one of its curve */
	struct tlsform_signer *signers[SCHEMES]; /* made when needed */
};

/* How a scheme is computed. */
struct scheme {
	unsigned number;
	enum kind kind;
	struct tlsform_way way;
};

static const struct scheme schemes[SCHEMES] = {
	{ TLSSCHEME_RSA_PKCS1_MD5_SHA1, KIND_RSA, { "MD5-SHA1", false } },
	{ TLSSCHEME_RSA_PKCS1_SHA1, KIND_RSA, { "SHA1", false } },
	{ TLSSCHEME_RSA_PKCS1_SHA256, KIND_RSA, { "SHA256", false } },
	{ TLSSCHEME_RSA_PKCS1_SHA384, KIND_RSA, { "SHA384", false } },
	{ TLSSCHEME_RSA_PKCS1_SHA512, KIND_RSA, { "SHA512", false } },
	{ TLSSCHEME_RSA_PSS_RSAE_SHA256, KIND_RSA, { "SHA256", true } },
	{ TLSSCHEME_RSA_PSS_RSAE_SHA384, KIND_RSA, { "SHA384", true } },
	{ TLSSCHEME_RSA_PSS_RSAE_SHA512, KIND_RSA, { "SHA512", true } },
	{ TLSSCHEME_ECDSA_SHA1, KIND_EC, { "SHA1", false } },
	{ TLSSCHEME_ECDSA_SHA256, KIND_EC, { "SHA256", false } },
	{ TLSSCHEME_ECDSA_SHA384, KIND_EC, { "SHA384", false } },
	{ TLSSCHEME_ECDSA_SHA512, KIND_EC, { "SHA512", false } },
	{ TLSSCHEME_ED25519, KIND_ED25519, { NULL, false } },
};

static const struct {
	const char *name;
	unsigned tls13_scheme;
} curves[] = {
	{ "prime256v1", TLSSCHEME_ECDSA_SHA256 },
	{ "secp384r1", TLSSCHEME_ECDSA_SHA384 },
	{ "secp521r1", TLSSCHEME_ECDSA_SHA512 },
};

static bool
is_kind(const EVP_PKEY *pkey, enum kind kind)
{
	static const int ids[] = { EVP_PKEY_RSA, EVP_PKEY_EC,
		EVP_PKEY_ED25519 };

	return EVP_PKEY_base_id(pkey) == ids[kind];
}

/* The scheme TLS 1.3 ties to the key's curve; 0: not one of ours. */
static unsigned
curve_scheme(const EVP_PKEY *pkey)
{
	char name[64];
	size_t i;

	if (tlscompat_curve(pkey, name, sizeof(name)) == NULL)
		return 0;
	for (i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(curves[i].name, name) == 0)
			return curves[i].tls13_scheme;
	return 0;
}

const char *
tlskey_refusal(const EVP_PKEY *pkey)
{
	int bits = EVP_PKEY_bits(pkey);

	if (is_kind(pkey, KIND_RSA)) {
		if (bits < RSA_BITS_MIN)
			return "an RSA key of less than 1024 bits";
		return bits > RSA_BITS_MAX
		    ? "an RSA key of more than 16384 bits"
		    : NULL;
	}
	if (is_kind(pkey, KIND_EC))
		return curve_scheme(pkey) == 0
		    ? "an EC key not on P-256, P-384 or P-521"
		    : NULL;
	if (is_kind(pkey, KIND_ED25519))
		return tlsform_refusal(pkey);
	return "a key that is not RSA, ECDSA or Ed25519";
}

struct tlskey *
tlskey_new(EVP_PKEY *pkey)
{
	struct tlskey *key;

	if (tlskey_refusal(pkey) != NULL)
		return NULL;
	key = calloc(1, sizeof(*key));
	if (key == NULL)
		return NULL;
	key->pkey = pkey;
	key->tls13_scheme = is_kind(pkey, KIND_EC) ? curve_scheme(pkey) : 0;
	return key;
}

/* The scheme of that number if this key can have it for this text. */
static const struct scheme *
find_scheme(const struct tlskey *key, const struct tlsscheme_policy *policy,
    unsigned number, const unsigned char *text, size_t len)
{
	size_t i;

	for (i = 0; i < SCHEMES; i++)
		if (schemes[i].number == number)
			break;
	if (i == SCHEMES || !is_kind(key->pkey, schemes[i].kind))
		return NULL;
	/* RFC 8446, 4.2.3: from 1.3 on curve and digest belong together. */
	if (schemes[i].kind == KIND_EC && number != key->tls13_scheme &&
	    tlsform_is_tls13(policy, text, len))
		return NULL;
	return &schemes[i];
}

const char *
tlskey_kind(const struct tlskey *key)
{
	static const char *const names[] = { "RSA", "ECDSA", "Ed25519" };
	enum kind kind = KIND_RSA;

	while (kind < KIND_ED25519 && !is_kind(key->pkey, kind))
		kind++;
	return names[kind];
}

/* NULL: memory is short, or the library has no such way. */
static struct tlsform_signer *
signer_of(struct tlskey *key, const struct scheme *scheme)
{
	struct tlsform_signer **signer = &key->signers[scheme - schemes];

	if (*signer == NULL)
		*signer = tlsform_signer_new(key->pkey, &scheme->way);
	return *signer;
}

int
tlskey_sign(struct tlskey *key, const struct tlsscheme_policy *policy,
    unsigned scheme, const unsigned char *text, size_t len,
    unsigned char *signature, size_t size)
{
	struct tlsform_signer *signer;
	const struct scheme *found;
	int n;

	found = find_scheme(key, policy, scheme, text, len);
	if (found == NULL ||
	    !tlsform_permits(policy, scheme, text, len,
		(unsigned)EVP_PKEY_bits(key->pkey))) {
		errno = EPERM;
		return -1;
	}
	if (size < (size_t)EVP_PKEY_size(key->pkey)) {
		errno = EIO;
		return -1;
	}
	signer = signer_of(key, found);
	n = signer == NULL ? -1
			   : tlsform_sign(signer, text, len, signature, size);
	ERR_clear_error();
	if (n == -1)
		errno = EIO;
	return n;
}

EVP_PKEY *
tlskey_pkey(const struct tlskey *key)
{
	return key->pkey;
}

void
tlskey_free(struct tlskey *key)
{
	size_t i;

	if (key == NULL)
		return;
	for (i = 0; i < SCHEMES; i++)
		tlsform_signer_free(key->signers[i]);
	/* OpenSSL wipes the private parts. */
	EVP_PKEY_free(key->pkey);
	free(key);
}

int
tlskeys_add(struct tlskeys *keys, struct tlskey *key)
{
	size_t room = keys->room == 0 ? 8 : 2 * keys->room;
	struct tlskey **grown;

	if (keys->count == keys->room) {
		if (room > 2 * TLSCERTS_MAX)
			return -1;
		grown = realloc(keys->all, room * sizeof(struct tlskey *));
		if (grown == NULL)
			return -1;
		keys->all = grown;
		keys->room = room;
	}
	keys->all[keys->count++] = key;
	return 0;
}

struct tlskey *
tlskeys_get(const struct tlskeys *keys, uint64_t number)
{
	return number < keys->count ? keys->all[number] : NULL;
}

void
tlskeys_free(struct tlskeys *keys)
{
	while (keys->count > 0)
		tlskey_free(keys->all[--keys->count]);
	free(keys->all);
	memset(keys, 0, sizeof(*keys));
}
