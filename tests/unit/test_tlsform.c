/*
 * test_tlsform: a key that gets digests signs those and nothing else.
 *
 * Linked with tlsform_digest.c whatever the TLS library is.
 */
#include "tls/tlsform.h"

#include <openssl/rsa.h>

#include "tls/tlsdigest.h"
#include "tlsutil.h"

static struct tlsscheme_policy policy;

static const struct {
	unsigned scheme;
	const char *kind; /* the key's: R or E */
	const char *digest;
	bool is_pss;
} schemes[] = {
	{ TLSSCHEME_RSA_PKCS1_MD5_SHA1, "R", "MD5-SHA1", false },
	{ TLSSCHEME_RSA_PKCS1_SHA1, "R", "SHA1", false },
	{ TLSSCHEME_RSA_PKCS1_SHA256, "R", "SHA256", false },
	{ TLSSCHEME_RSA_PKCS1_SHA384, "R", "SHA384", false },
	{ TLSSCHEME_RSA_PKCS1_SHA512, "R", "SHA512", false },
	{ TLSSCHEME_RSA_PSS_RSAE_SHA256, "R", "SHA256", true },
	{ TLSSCHEME_RSA_PSS_RSAE_SHA384, "R", "SHA384", true },
	{ TLSSCHEME_RSA_PSS_RSAE_SHA512, "R", "SHA512", true },
	{ TLSSCHEME_ECDSA_SHA1, "E", "SHA1", false },
	{ TLSSCHEME_ECDSA_SHA256, "E", "SHA256", false },
	{ TLSSCHEME_ECDSA_SHA384, "E", "SHA384", false },
	{ TLSSCHEME_ECDSA_SHA512, "E", "SHA512", false },
};

#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static const unsigned char message[] = "any message";

/* What libssl and the key object make of message: *len bytes. */
static void
make_text(EVP_PKEY *pkey, size_t i, unsigned char *text, size_t *len)
{
	const EVP_MD *md = EVP_get_digestbyname(schemes[i].digest);
	unsigned char digest[EVP_MAX_MD_SIZE], raw[TLSSCHEME_SIGNATURE_MAX];
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	unsigned digest_len;

	EVP_Digest(message, sizeof(message), digest, &digest_len, md, NULL);
	if (!schemes[i].is_pss) {
		memcpy(text, digest, digest_len);
		*len = digest_len;
		EVP_PKEY_CTX_free(ctx);
		return;
	}
	/* The padding: sign, and take the exponent off again. */
	*len = sizeof(raw);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING);
	EVP_PKEY_CTX_set_signature_md(ctx, md);
	EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST);
	assert_int_equal(EVP_PKEY_sign(ctx, raw, len, digest, digest_len), 1);
	EVP_PKEY_CTX_free(ctx);
	ctx = EVP_PKEY_CTX_new(pkey, NULL);
	assert_int_equal(EVP_PKEY_verify_recover_init(ctx), 1);
	EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING);
	assert_int_equal(EVP_PKEY_verify_recover(ctx, text, len, raw, *len), 1);
	EVP_PKEY_CTX_free(ctx);
}

static bool
verifies(EVP_PKEY *pkey, size_t i, const unsigned char *signature, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	bool ok;

	assert_int_equal(
	    EVP_DigestVerifyInit(ctx, &pctx,
		EVP_get_digestbyname(schemes[i].digest), NULL, pkey),
	    1);
	if (schemes[i].is_pss) {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		/* Exactly, not just any. */
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
	}
	ok = EVP_DigestVerify(ctx, signature, len, message, sizeof(message)) ==
	    1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static void
try_key(const char *name)
{
	const char *kind = *name == 'R' ? "R" : "E";
	EVP_PKEY *pkey = make_key(name);
	struct tlskey *key = tlskey_new(pkey);
	unsigned char text[TLSSCHEME_SIGNATURE_MAX];
	unsigned char signature[TLSSCHEME_SIGNATURE_MAX];
	size_t i, j, len;
	int n;

	assert_non_null(key);
	for (i = 0; i < SCHEMES; i++) {
		if (strcmp(schemes[i].kind, kind) != 0)
			continue;
		make_text(pkey, i, text, &len);
		/* With its own scheme, and with no other. */
		for (j = 0; j < SCHEMES; j++) {
			errno = 0;
			n = tlskey_sign(key, &policy, schemes[j].scheme, text,
			    len, signature, sizeof(signature));
			if (i != j) {
				assert_int_equal(n, -1);
				assert_int_equal(errno, EPERM);
				continue;
			}
			assert_true(n > 0);
			assert_true(verifies(pkey, i, signature, (size_t)n));
		}
	}
	tlskey_free(key);
}

static void
every_kind_signs_its_digests(void **state)
{
	(void)state;
	try_key("RSA2048");
	try_key("P-256");
	try_key("P-384");
	try_key("P-521");
}

static void
moduli_of_other_lengths(void **state)
{
	(void)state;
	try_key("RSA2050");
	try_key("RSA2047");
	try_key("RSA2055");
}

static void
refuse(
    struct tlskey *key, unsigned scheme, const unsigned char *text, size_t len)
{
	unsigned char signature[TLSSCHEME_SIGNATURE_MAX];

	errno = 0;
	assert_int_equal(tlskey_sign(key, &policy, scheme, text, len, signature,
			     sizeof(signature)),
	    -1);
	assert_int_equal(errno, EPERM);
}

/* Whatever else is of the modulus's length: a ciphertext, for instance. */
static void
other_blocks_are_refused(void **state)
{
	EVP_PKEY *pkey = make_key("RSA2048");
	struct tlskey *key = tlskey_new(pkey);
	unsigned char text[TLSSCHEME_SIGNATURE_MAX], other[sizeof(text)];
	size_t len, salt, salt_end, i, j;

	(void)state;
	memset(text, 0x5a, sizeof(text));
	refuse(key, TLSSCHEME_RSA_PSS_RSAE_SHA256, text, 256);
	memset(text, 0, sizeof(text));
	refuse(key, TLSSCHEME_RSA_PSS_RSAE_SHA256, text, 256);
	refuse(key, TLSSCHEME_RSA_PSS_RSAE_SHA256, text, 0);
	for (i = 0; i < SCHEMES; i++) {
		if (!schemes[i].is_pss)
			continue;
		make_text(pkey, i, text, &len);
		assert_int_equal(len, 256);
		salt = (size_t)EVP_MD_size(
		    EVP_get_digestbyname(schemes[i].digest));
		salt_end = len - salt - 1;
		/* One bit different is no PSS, but for the salt's. */
		for (j = 0; j < len; j++) {
			if (j >= salt_end - salt && j < salt_end)
				continue;
			memcpy(other, text, len);
			other[j] ^= j == 0 ? 0x80 : 1;
			refuse(key, schemes[i].scheme, other, len);
		}
		/* Nor is one of another key's length. */
		assert_int_equal(tlsdigest_read_pss(text, len, 2048),
		    (int)schemes[i].scheme);
		assert_int_equal(tlsdigest_read_pss(text, len, 2056), 0);
		refuse(key, schemes[i].scheme, text, len - 1);
		refuse(key, schemes[i].scheme, text, len + 1);
	}
	tlskey_free(key);
}

/*
 * A modulus of 2049 bits, which not every library can make: half of the
 * blocks of 2048 bits fit it, behind a zero.
 */
static void
nothing_stands_before_a_short_block(void **state)
{
	EVP_PKEY *pkey = make_key("RSA2048");
	unsigned char text[1 + TLSSCHEME_SIGNATURE_MAX];
	size_t len;
	int tries = 0;

	(void)state;
	do {
		text[0] = 0;
		make_text(pkey, 5, text + 1, &len);
		assert_true(++tries < 100);
	} while (tlsdigest_read_pss(text, len + 1, 2049) !=
	    TLSSCHEME_RSA_PSS_RSAE_SHA256);
	text[0] = 1;
	assert_int_equal(tlsdigest_read_pss(text, len + 1, 2049), 0);
	EVP_PKEY_free(pkey);
}

static void
digests_have_their_length(void **state)
{
	struct tlskey *rsa = tlskey_new(make_key("RSA2048"));
	struct tlskey *ec = tlskey_new(make_key("P-256"));
	unsigned char text[300];
	size_t len;

	(void)state;
	memset(text, 7, sizeof(text));
	for (len = 0; len < sizeof(text); len++) {
		if (len != 32) {
			refuse(rsa, TLSSCHEME_RSA_PKCS1_SHA256, text, len);
			refuse(ec, TLSSCHEME_ECDSA_SHA256, text, len);
		}
		refuse(rsa, TLSSCHEME_ED25519, text, len);
		refuse(rsa, 0, text, len);
	}
	tlskey_free(rsa);
	tlskey_free(ec);
}

static void
policies_hold(void **state)
{
	static const unsigned char text[64] = "an old digest";
	struct tlsscheme_policy narrow = policy;

	(void)state;
	assert_true(tlsdigest_permits(
	    &narrow, TLSSCHEME_RSA_PKCS1_MD5_SHA1, text, 36, 2048));
	assert_true(
	    tlsdigest_permits(&narrow, TLSSCHEME_ECDSA_SHA1, text, 20, 256));
	narrow.permits_old = false;
	assert_false(tlsdigest_permits(
	    &narrow, TLSSCHEME_RSA_PKCS1_MD5_SHA1, text, 36, 2048));
	assert_false(tlsdigest_permits(
	    &narrow, TLSSCHEME_RSA_PKCS1_SHA1, text, 20, 2048));
	assert_false(
	    tlsdigest_permits(&narrow, TLSSCHEME_ECDSA_SHA1, text, 20, 256));
	assert_true(tlsdigest_permits(
	    &narrow, TLSSCHEME_RSA_PKCS1_SHA256, text, 32, 2048));
	narrow.permits_tls12 = false;
	assert_false(tlsdigest_permits(
	    &narrow, TLSSCHEME_RSA_PKCS1_SHA256, text, 32, 2048));
	assert_true(
	    tlsdigest_permits(&narrow, TLSSCHEME_ECDSA_SHA256, text, 32, 256));
	narrow.permits_old = true;
	assert_false(
	    tlsdigest_permits(&narrow, TLSSCHEME_ECDSA_SHA1, text, 20, 256));
}

/* With TLS 1.3 alone curve and digest belong together. */
static void
curves_have_their_digest(void **state)
{
	struct tlskey *key = tlskey_new(make_key("P-256"));
	struct tlsscheme_policy narrow = policy;
	unsigned char signature[TLSSCHEME_SIGNATURE_MAX], text[48] = { 1 };

	(void)state;
	assert_true(tlskey_sign(key, &narrow, TLSSCHEME_ECDSA_SHA384, text, 48,
			signature, sizeof(signature)) > 0);
	narrow.permits_tls12 = false;
	assert_int_equal(tlskey_sign(key, &narrow, TLSSCHEME_ECDSA_SHA384, text,
			     48, signature, sizeof(signature)),
	    -1);
	assert_true(tlskey_sign(key, &narrow, TLSSCHEME_ECDSA_SHA256, text, 32,
			signature, sizeof(signature)) > 0);
	tlskey_free(key);
}

static void
ed25519_is_refused_in_words(void **state)
{
	EVP_PKEY *pkey = make_key("ED25519");

	(void)state;
	assert_non_null(strstr(tlskey_refusal(pkey), "Ed25519"));
	assert_null(tlskey_new(pkey));
	EVP_PKEY_free(pkey);
}

/* What RSA_sign hands to a key's method. */
static void
digest_infos_are_read(void **state)
{
	unsigned char block[100] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
		0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
		0x04, 0x20, 0xaa };
	const unsigned char *digest = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(tlsdigest_read_pkcs1(block, 51, &digest, &len),
	    TLSSCHEME_RSA_PKCS1_SHA256);
	assert_ptr_equal(digest, block + 19);
	assert_int_equal(len, 32);
	assert_int_equal(tlsdigest_read_pkcs1(block, 50, &digest, &len), 0);
	assert_int_equal(tlsdigest_read_pkcs1(block, 52, &digest, &len), 0);
	assert_int_equal(tlsdigest_read_pkcs1(block, 0, &digest, &len), 0);
	block[14] = 4; /* SHA-224 */
	assert_int_equal(tlsdigest_read_pkcs1(block, 51, &digest, &len), 0);
	assert_int_equal(tlsdigest_read_pkcs1(block, 36, &digest, &len),
	    TLSSCHEME_RSA_PKCS1_MD5_SHA1);
	assert_ptr_equal(digest, block);
	assert_int_equal(tlsdigest_read_ecdsa(48), TLSSCHEME_ECDSA_SHA384);
	assert_int_equal(tlsdigest_read_ecdsa(36), 0);
	assert_int_equal(tlsdigest_read_ecdsa(0), 0);
}

static int
set_up(void **state)
{
	(void)state;
	policy.permits_tls12 = policy.permits_tls13 = true;
	policy.permits_old = true;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_signs_its_digests),
		cmocka_unit_test(moduli_of_other_lengths),
		cmocka_unit_test(other_blocks_are_refused),
		cmocka_unit_test(nothing_stands_before_a_short_block),
		cmocka_unit_test(digests_have_their_length),
		cmocka_unit_test(policies_hold),
		cmocka_unit_test(curves_have_their_digest),
		cmocka_unit_test(ed25519_is_refused_in_words),
		cmocka_unit_test(digest_infos_are_read),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
