/*
 * tlsremote_provider: key objects without a key, for OpenSSL 3 and later.
 *
 * Runs in the nursery and its sessions.  A key here is a public key of the
 * default provider plus the address of whoever signs.  OpenSSL prefers the
 * default provider for everything and asks it to take our key over first;
 * that needs an export of the private half, which we refuse, so that it
 * comes back to the signature algorithms below.  They are one-shot: libssl
 * hands over the whole text, which is what the keeper wants to see.
 */
#include "tls/tlsremote.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "tls/tlscompat.h"
#include "tls/tlsscheme.h"

#define NAME "ucspissl"
#define OURS "provider=" NAME
#define REMOTE_PARAM NAME "-remote"

/* Reasons of our own in OpenSSL's error queue. */
#define REASON_NO_SIGNATURE 1

enum kind { KIND_RSA, KIND_EC, KIND_ED25519 };

struct key {
	enum kind kind;
	EVP_PKEY *public;	  /* of the default provider */
	struct tlsremote *remote; /* NULL: a public key only */
};

struct signing {
	const struct key *key;
	const char *digest; /* canonical; NULL: none yet */
	bool is_pss;
};

static const char *const kind_names[] = { "RSA", "EC", "ED25519" };

static bool is_started;
static int error_library;

/*
 * Keys
 */

static struct key *
key_new(enum kind kind)
{
	struct key *key = calloc(1, sizeof(*key));

	if (key != NULL)
		key->kind = kind;
	return key;
}

static void *
rsa_new(void *provider)
{
	(void)provider;
	return key_new(KIND_RSA);
}

static void *
ec_new(void *provider)
{
	(void)provider;
	return key_new(KIND_EC);
}

static void *
ed25519_new(void *provider)
{
	(void)provider;
	return key_new(KIND_ED25519);
}

static void
key_free(void *data)
{
	struct key *key = data;

	if (key == NULL)
		return;
	EVP_PKEY_free(key->public);
	free(key);
}

static int
key_has(const void *data, int selection)
{
	const struct key *key = data;

	if (key == NULL || key->public == NULL)
		return 0;
	return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) ||
	    key->remote != NULL;
}

static int
key_match(const void *data1, const void *data2, int selection)
{
	const struct key *key1 = data1, *key2 = data2;

	(void)selection; /* the public key always decides */
	return EVP_PKEY_eq(key1->public, key2->public) == 1;
}

/*
 * Also called, without our parameter, when OpenSSL compares a
 * certificate's key with ours: that makes a public key.
 */
static int
key_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct key *key = data;
	const OSSL_PARAM *remote =
	    OSSL_PARAM_locate_const(params, REMOTE_PARAM);
	const void *address;
	EVP_PKEY_CTX *ctx;
	OSSL_PARAM *copy;
	size_t size;
	int ok = 0;

	(void)selection;
	if (key->public != NULL)
		return 0;
	ctx = EVP_PKEY_CTX_new_from_name(
	    tlscompat_library(), kind_names[key->kind], "provider=default");
	/* fromdata wants them writable. */
	copy = OSSL_PARAM_dup(params);
	if (ctx != NULL && copy != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		ok = EVP_PKEY_fromdata(
			 ctx, &key->public, EVP_PKEY_PUBLIC_KEY, copy) == 1;
	OSSL_PARAM_free(copy);
	EVP_PKEY_CTX_free(ctx);
	if (!ok || remote == NULL)
		return ok;
	if (!OSSL_PARAM_get_octet_string_ptr(remote, &address, &size) ||
	    size != sizeof(key->remote))
		return 0;
	memcpy(&key->remote, address, sizeof(key->remote));
	return 1;
}

static const OSSL_PARAM *
key_import_types(int selection)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_octet_string(
						REMOTE_PARAM, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END };

	(void)selection;
	return types;
}

/* Never the private half: there is none, and OpenSSL must learn that. */
static int
key_export(void *data, int selection, OSSL_CALLBACK *take, void *arg)
{
	const struct key *key = data;

	if (key->remote != NULL &&
	    (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY))
		return 0;
	return EVP_PKEY_export(key->public,
	    selection & ~OSSL_KEYMGMT_SELECT_PRIVATE_KEY, take, arg);
}

static const OSSL_PARAM *
key_export_types(int selection)
{
	return key_import_types(selection) + 1;
}

static int
key_get_params(void *data, OSSL_PARAM params[])
{
	const struct key *key = data;

	return EVP_PKEY_get_params(key->public, params);
}

static const OSSL_PARAM *
key_gettable_params(void *provider)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_int(
						OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(
		    OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(
		    OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_octet_string(
		    OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0), OSSL_PARAM_END };

	(void)provider;
	return types;
}

static const char *
ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

/*
 * Signatures
 */

static void *
signing_new(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return calloc(1, sizeof(struct signing));
}

static void
signing_free(void *data)
{
	free(data);
}

static void *
signing_dup(void *data)
{
	struct signing *copy = malloc(sizeof(*copy));

	if (copy != NULL)
		memcpy(copy, data, sizeof(*copy));
	return copy;
}

/* The name under which the table of schemes has it; NULL: not there. */
static const char *
canonical_digest(const char *name)
{
	static const char *const names[][2] = {
		{ "MD5-SHA1", "MD5-SHA1" },
		{ "SHA1", "SHA1" },
		{ "SHA-1", "SHA1" },
		{ "SHA2-256", "SHA256" },
		{ "SHA256", "SHA256" },
		{ "SHA2-384", "SHA384" },
		{ "SHA384", "SHA384" },
		{ "SHA2-512", "SHA512" },
		{ "SHA512", "SHA512" },
	};
	size_t i;

	if (name == NULL || *name == '\0')
		return "";
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i][0], name) == 0)
			return names[i][1];
	return NULL;
}

/* The scheme of TLS for key, padding and digest; 0: there is none. */
static unsigned
find_scheme(const struct signing *signing)
{
	static const struct {
		enum kind kind;
		bool is_pss;
		const char *digest;
		unsigned scheme;
	} schemes[] = {
		{ KIND_RSA, true, "SHA256", TLSSCHEME_RSA_PSS_RSAE_SHA256 },
		{ KIND_RSA, true, "SHA384", TLSSCHEME_RSA_PSS_RSAE_SHA384 },
		{ KIND_RSA, true, "SHA512", TLSSCHEME_RSA_PSS_RSAE_SHA512 },
		{ KIND_RSA, false, "SHA256", TLSSCHEME_RSA_PKCS1_SHA256 },
		{ KIND_RSA, false, "SHA384", TLSSCHEME_RSA_PKCS1_SHA384 },
		{ KIND_RSA, false, "SHA512", TLSSCHEME_RSA_PKCS1_SHA512 },
		{ KIND_RSA, false, "SHA1", TLSSCHEME_RSA_PKCS1_SHA1 },
		{ KIND_RSA, false, "MD5-SHA1", TLSSCHEME_RSA_PKCS1_MD5_SHA1 },
		{ KIND_EC, false, "SHA256", TLSSCHEME_ECDSA_SHA256 },
		{ KIND_EC, false, "SHA384", TLSSCHEME_ECDSA_SHA384 },
		{ KIND_EC, false, "SHA512", TLSSCHEME_ECDSA_SHA512 },
		{ KIND_EC, false, "SHA1", TLSSCHEME_ECDSA_SHA1 },
		{ KIND_ED25519, false, "", TLSSCHEME_ED25519 },
	};
	size_t i;

	if (signing->digest == NULL)
		return 0;
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (schemes[i].kind == signing->key->kind &&
		    schemes[i].is_pss == signing->is_pss &&
		    strcmp(schemes[i].digest, signing->digest) == 0)
			return schemes[i].scheme;
	return 0;
}

/* "pss" or "pkcs1", by name or by number. */
static int
set_padding(struct signing *signing, const OSSL_PARAM *param)
{
	const char *name;
	int number = 0;

	if (param->data_type == OSSL_PARAM_UTF8_STRING) {
		if (!OSSL_PARAM_get_utf8_string_ptr(param, &name))
			return 0;
		if (strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0)
			number = RSA_PKCS1_PSS_PADDING;
		else if (strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0)
			number = RSA_PKCS1_PADDING;
	} else if (!OSSL_PARAM_get_int(param, &number)) {
		return 0;
	}
	signing->is_pss = number == RSA_PKCS1_PSS_PADDING;
	return signing->is_pss || number == RSA_PKCS1_PADDING;
}

/* TLS has salts of the digest's length only, and so has the keeper. */
static int
is_digest_salt(const OSSL_PARAM *param)
{
	const char *name;
	int number;

	if (param->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_get_int(param, &number) &&
		    number == RSA_PSS_SALTLEN_DIGEST;
	return OSSL_PARAM_get_utf8_string_ptr(param, &name) &&
	    strcmp(name, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
}

static int
signing_set_params(void *data, const OSSL_PARAM params[])
{
	struct signing *signing = data;
	const OSSL_PARAM *param;

	if (params == NULL)
		return 1;
	param = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (param != NULL &&
	    (signing->key->kind != KIND_RSA || !set_padding(signing, param)))
		return 0;
	param =
	    OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	return param == NULL || is_digest_salt(param);
}

static const OSSL_PARAM *
signing_settable_params(void *data, void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(
		    OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END
	};

	(void)data;
	(void)provider;
	return types;
}

static int
signing_init(
    void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing *signing = data;

	if (key != NULL) {
		signing->key = key;
		signing->is_pss = false;
	}
	if (signing->key == NULL || signing->key->remote == NULL)
		return 0;
	signing->digest = canonical_digest(digest);
	if (signing->digest == NULL ||
	    (signing->digest[0] == '\0') !=
		(signing->key->kind == KIND_ED25519))
		return 0;
	return signing_set_params(data, params);
}

static int
signing_sign(void *data, unsigned char *signature, size_t *len, size_t size,
    const unsigned char *text, size_t text_len)
{
	const struct signing *signing = data;
	const struct tlsremote *remote = signing->key->remote;
	int max = EVP_PKEY_get_size(signing->key->public);
	unsigned scheme = find_scheme(signing);
	int n = -1;

	if (max <= 0 || scheme == 0)
		return 0;
	if (signature == NULL) {
		*len = (size_t)max;
		return 1;
	}
	if (size > (size_t)max)
		size = (size_t)max;
	if (remote->sign != NULL)
		n = remote->sign(
		    remote->arg, scheme, text, text_len, signature, size);
	if (n <= 0 || (size_t)n > size) {
		ERR_raise(error_library, REASON_NO_SIGNATURE);
		return 0;
	}
	*len = (size_t)n;
	return 1;
}

/*
 * Tables.  OpenSSL's dispatch is an array of numbers and functions of no
 * particular type.
 */

#define ENTRY(number, function) \
	{ \
		number, (void (*)(void))(function) \
	}
#define KEY_ENTRIES(new) \
	ENTRY(OSSL_FUNC_KEYMGMT_NEW, new), \
	    ENTRY(OSSL_FUNC_KEYMGMT_FREE, key_free), \
	    ENTRY(OSSL_FUNC_KEYMGMT_HAS, key_has), \
	    ENTRY(OSSL_FUNC_KEYMGMT_MATCH, key_match), \
	    ENTRY(OSSL_FUNC_KEYMGMT_IMPORT, key_import), \
	    ENTRY(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types), \
	    ENTRY(OSSL_FUNC_KEYMGMT_EXPORT, key_export), \
	    ENTRY(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_export_types), \
	    ENTRY(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params), \
	    ENTRY(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params)

static const OSSL_DISPATCH rsa_keys[] = { KEY_ENTRIES(rsa_new), { 0, NULL } };

static const OSSL_DISPATCH ec_keys[] = { KEY_ENTRIES(ec_new),
	ENTRY(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation_name),
	{ 0, NULL } };

static const OSSL_DISPATCH ed25519_keys[] = { KEY_ENTRIES(ed25519_new),
	{ 0, NULL } };

static const OSSL_DISPATCH signatures[] = { ENTRY(OSSL_FUNC_SIGNATURE_NEWCTX,
						signing_new),
	ENTRY(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	ENTRY(OSSL_FUNC_SIGNATURE_DUPCTX, signing_dup),
	ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
	ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
	ENTRY(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
	ENTRY(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable_params),
	{ 0, NULL } };

/* The names must be those of the default provider, all of them. */
#define RSA_NAMES "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define EC_NAMES "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define ED25519_NAMES "ED25519:1.3.101.112"

static const OSSL_ALGORITHM key_algorithms[] = {
	{ RSA_NAMES, OURS, rsa_keys, NULL }, { EC_NAMES, OURS, ec_keys, NULL },
	{ ED25519_NAMES, OURS, ed25519_keys, NULL }, { NULL, NULL, NULL, NULL }
};

static const OSSL_ALGORITHM signature_algorithms[] = { { RSA_NAMES, OURS,
							   signatures, NULL },
	{ "ECDSA", OURS, signatures, NULL },
	{ ED25519_NAMES, OURS, signatures, NULL }, { NULL, NULL, NULL, NULL } };

static const OSSL_ALGORITHM *
query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return key_algorithms;
	case OSSL_OP_SIGNATURE:
		return signature_algorithms;
	default:
		return NULL;
	}
}

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **provider)
{
	static const OSSL_DISPATCH functions[] = {
		ENTRY(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), { 0, NULL }
	};
	static char nothing;

	(void)handle;
	(void)in;
	*out = functions;
	*provider = &nothing;
	return 1;
}

static void
load_reasons(void)
{
	static ERR_STRING_DATA reasons[] = {
		{ ERR_PACK(0, 0, REASON_NO_SIGNATURE),
		    "no signature from the key process" },
		{ 0, NULL }
	};

	error_library = ERR_get_next_error_library();
	ERR_load_strings(error_library, reasons);
}

int
tlsremote_start(void)
{
	OSSL_LIB_CTX *library = tlscompat_library();

	if (is_started)
		return 0;
	if (library == NULL ||
	    OSSL_PROVIDER_add_builtin(library, NAME, provider_init) != 1 ||
	    OSSL_PROVIDER_load(library, NAME) == NULL)
		return -1;
	load_reasons();
	is_started = true;
	return 0;
}

/* The public key's parameters and our own. */
static OSSL_PARAM *
describe(const EVP_PKEY *public, struct tlsremote *remote)
{
	OSSL_PARAM own[2] = { OSSL_PARAM_octet_string(
				  REMOTE_PARAM, &remote, sizeof(remote)),
		OSSL_PARAM_END };
	OSSL_PARAM *params = NULL, *merged;

	if (EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return NULL;
	/* Only the arrays are merged; the copy outlives what it points to. */
	merged = OSSL_PARAM_merge(params, own);
	if (merged != NULL) {
		OSSL_PARAM *copy = OSSL_PARAM_dup(merged);

		OSSL_PARAM_free(merged);
		merged = copy;
	}
	OSSL_PARAM_free(params);
	return merged;
}

EVP_PKEY *
tlsremote_key(const EVP_PKEY *public, struct tlsremote *remote)
{
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM *params;
	size_t i;

	if (tlsremote_start() == -1)
		return NULL;
	for (i = 0; i < 3; i++)
		if (EVP_PKEY_is_a(public, kind_names[i]))
			ctx = EVP_PKEY_CTX_new_from_name(
			    tlscompat_library(), kind_names[i], OURS);
	if (ctx == NULL)
		return NULL;
	params = describe(public, remote);
	if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		pkey = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}
