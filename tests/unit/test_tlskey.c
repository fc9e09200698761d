/*
 * test_tlskey: every scheme's signature verifies, and a key signs nothing
 * that is not its own.
 */
#include "tls/tlskey.h"

#include <openssl/rsa.h>

#include "tlsutil.h"

static struct tlsscheme_policy policy;
static unsigned char tls13[98 + 32], tls12[68 + 32];

static const struct {
	unsigned scheme;
	const char *kind; /* the key's: R, E or D */
	const char *digest;
	bool is_pss, is_tls13;
} schemes[] = {
	{ TLSSCHEME_RSA_PKCS1_MD5_SHA1, "R", "MD5-SHA1", false, false },
	{ TLSSCHEME_RSA_PKCS1_SHA1, "R", "SHA1", false, false },
	{ TLSSCHEME_RSA_PKCS1_SHA256, "R", "SHA256", false, false },
	{ TLSSCHEME_RSA_PKCS1_SHA384, "R", "SHA384", false, false },
	{ TLSSCHEME_RSA_PKCS1_SHA512, "R", "SHA512", false, false },
	{ TLSSCHEME_RSA_PSS_RSAE_SHA256, "R", "SHA256", true, true },
	{ TLSSCHEME_RSA_PSS_RSAE_SHA384, "R", "SHA384", true, true },
	{ TLSSCHEME_RSA_PSS_RSAE_SHA512, "R", "SHA512", true, true },
	{ TLSSCHEME_ECDSA_SHA1, "E", "SHA1", false, false },
	{ TLSSCHEME_ECDSA_SHA256, "E", "SHA256", false, true },
	{ TLSSCHEME_ECDSA_SHA384, "E", "SHA384", false, true },
	{ TLSSCHEME_ECDSA_SHA512, "E", "SHA512", false, true },
	{ TLSSCHEME_ED25519, "D", NULL, false, true },
};

static bool
verifies(EVP_PKEY *key, const char *digest, bool is_pss,
    const unsigned char *text, size_t text_len, const unsigned char *signature,
    int len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	bool ok;

	assert_int_equal(
	    EVP_DigestVerifyInit(ctx, &pctx,
		digest == NULL ? NULL : EVP_get_digestbyname(digest), NULL,
		key),
	    1);
	if (is_pss) {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		/* Exactly, not just any. */
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
	}
	ok = EVP_DigestVerify(ctx, signature, (size_t)len, text, text_len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

/* The key with every scheme and both texts. */
static void
try_key(const char *name, const char *kind, unsigned tls13_ecdsa)
{
	EVP_PKEY *pkey = make_key(name);
	struct tlskey *key;
	unsigned char signature[TLSSCHEME_SIGNATURE_MAX];
	size_t i;
	int n, form;

	EVP_PKEY_up_ref(pkey);
	assert_null(tlskey_refusal(pkey));
	key = tlskey_new(pkey);
	assert_non_null(key);
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		for (form = 0; form < 2; form++) {
			const unsigned char *text = form ? tls13 : tls12;
			size_t len = form ? sizeof(tls13) : sizeof(tls12);
			bool is_ours = strcmp(schemes[i].kind, kind) == 0;

			if (form &&
			    (!schemes[i].is_tls13 ||
				(*kind == 'E' &&
				    schemes[i].scheme != tls13_ecdsa)))
				is_ours = false;
			errno = 0;
			n = tlskey_sign(key, &policy, schemes[i].scheme, text,
			    len, signature, sizeof(signature));
			assert_int_equal(n != -1, is_ours);
			if (!is_ours) {
				assert_int_equal(errno, EPERM);
				continue;
			}
			assert_true(verifies(pkey, schemes[i].digest,
			    schemes[i].is_pss, text, len, signature, n));
		}
	tlskey_free(key);
	EVP_PKEY_free(pkey);
}

static void
every_kind_signs_its_schemes(void **state)
{
	(void)state;
	try_key("RSA2048", "R", 0);
	try_key("P-256", "E", TLSSCHEME_ECDSA_SHA256);
	try_key("P-384", "E", TLSSCHEME_ECDSA_SHA384);
	try_key("P-521", "E", TLSSCHEME_ECDSA_SHA512);
	try_key("ED25519", "D", 0);
}

static void
other_texts_are_refused(void **state)
{
	struct tlskey *key = tlskey_new(make_key("P-256"));
	unsigned char signature[TLSSCHEME_SIGNATURE_MAX];
	unsigned char text[64] = "a certificate or a token, for instance";

	(void)state;
	assert_int_equal(tlskey_sign(key, &policy, TLSSCHEME_ECDSA_SHA256, text,
			     sizeof(text), signature, sizeof(signature)),
	    -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(tlskey_sign(key, &policy, TLSSCHEME_ECDSA_SHA256, text,
			     0, signature, sizeof(signature)),
	    -1);
	assert_int_equal(errno, EPERM);
	/* Too small a buffer is a failure, not an overflow. */
	assert_int_equal(tlskey_sign(key, &policy, TLSSCHEME_ECDSA_SHA256,
			     tls13, sizeof(tls13), signature, 10),
	    -1);
	assert_int_equal(errno, EIO);
	tlskey_free(key);
	tlskey_free(NULL);
}

static void
old_schemes_are_refused(void **state)
{
	struct tlsscheme_policy narrow = policy;
	struct tlskey *rsa = tlskey_new(make_key("RSA2048"));
	struct tlskey *ec = tlskey_new(make_key("P-256"));
	unsigned char signature[TLSSCHEME_SIGNATURE_MAX];
	size_t i;

	(void)state;
	narrow.permits_old = false;
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		struct tlskey *key = *schemes[i].kind == 'E' ? ec : rsa;

		if (schemes[i].digest == NULL ||
		    strstr(schemes[i].digest, "SHA1") == NULL)
			continue;
		errno = 0;
		assert_int_equal(
		    tlskey_sign(key, &narrow, schemes[i].scheme, tls12,
			sizeof(tls12), signature, sizeof(signature)),
		    -1);
		assert_int_equal(errno, EPERM);
	}
	tlskey_free(rsa);
	tlskey_free(ec);
}

static void
other_kinds_are_refused(void **state)
{
	static const char *const kinds[] = { "X25519", "ED448", "RSA512" };
	EVP_PKEY *key;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		key = lib_make_key(kinds[i]);
		if (key == NULL)
			continue;
		assert_non_null(tlskey_refusal(key));
		assert_null(tlskey_new(key));
		EVP_PKEY_free(key);
	}
	key = make_key("secp256k1");
	assert_non_null(tlskey_refusal(key));
	EVP_PKEY_free(key);
}

static int
set_up(void **state)
{
	(void)state;
	if (!LIB_SIGNS_TEXTS) {
		puts("1..0 # SKIP keys of this build sign digests: tlsform");
		exit(0);
	}
	tlsscheme_groups(&policy, NULL);
	policy.permits_tls12 = policy.permits_tls13 = true;
	policy.permits_old = true;
	memset(tls13, ' ', 64);
	memcpy(tls13 + 64, "TLS 1.3, server CertificateVerify", 34);
	tls12[64] = 3;
	tls12[66] = 29;
	tls12[67] = 32;
	tls12[68] = 9;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_signs_its_schemes),
		cmocka_unit_test(other_texts_are_refused),
		cmocka_unit_test(old_schemes_are_refused),
		cmocka_unit_test(other_kinds_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
