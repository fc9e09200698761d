/*
 * test_tlsscheme: texts of real shape pass, and one changed byte anywhere
 * that matters does not.
 */
#include "tls/tlsscheme.h"

#include "tlsutil.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const unsigned all_schemes[] = { TLSSCHEME_RSA_PKCS1_SHA1,
	TLSSCHEME_ECDSA_SHA1, TLSSCHEME_RSA_PKCS1_SHA256,
	TLSSCHEME_ECDSA_SHA256, TLSSCHEME_RSA_PKCS1_SHA384,
	TLSSCHEME_ECDSA_SHA384, TLSSCHEME_RSA_PKCS1_SHA512,
	TLSSCHEME_ECDSA_SHA512, TLSSCHEME_RSA_PSS_RSAE_SHA256,
	TLSSCHEME_RSA_PSS_RSAE_SHA384, TLSSCHEME_RSA_PSS_RSAE_SHA512,
	TLSSCHEME_ED25519, TLSSCHEME_RSA_PKCS1_MD5_SHA1 };

static bool
is_for_tls13(unsigned scheme)
{
	return scheme == TLSSCHEME_ECDSA_SHA256 ||
	    scheme == TLSSCHEME_ECDSA_SHA384 ||
	    scheme == TLSSCHEME_ECDSA_SHA512 ||
	    (scheme >= TLSSCHEME_RSA_PSS_RSAE_SHA256 &&
		scheme <= TLSSCHEME_ED25519);
}

static bool
is_old(unsigned scheme)
{
	return scheme == TLSSCHEME_RSA_PKCS1_SHA1 ||
	    scheme == TLSSCHEME_ECDSA_SHA1 ||
	    scheme == TLSSCHEME_RSA_PKCS1_MD5_SHA1;
}

/* Permits all there is. */
static struct tlsscheme_policy
wide_policy(void)
{
	struct tlsscheme_policy policy = { .permits_tls12 = true,
		.permits_tls13 = true,
		.permits_old = true };

	tlsscheme_groups(&policy, NULL);
	return policy;
}

/* A TLS 1.3 text with a hash of hash_len bytes; its length. */
static size_t
make_tls13(unsigned char *text, size_t hash_len)
{
	memset(text, ' ', 64);
	memcpy(text + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(text + 98, 0xaa, hash_len);
	return 98 + hash_len;
}

/* Randoms and the public point of a new key on that curve. */
static size_t
make_ecdhe(unsigned char *text, unsigned group, const char *curve)
{
	EVP_PKEY *key = make_key(curve);
	unsigned char point[256];
	size_t len = lib_public_point(key, point);

	assert_true(len > 0 && len < 256);
	memset(text, 0x5a, 64);
	text[64] = 3;
	text[65] = (unsigned char)(group >> 8);
	text[66] = (unsigned char)group;
	text[67] = (unsigned char)len;
	memcpy(text + 68, point, len);
	EVP_PKEY_free(key);
	return 68 + len;
}

static size_t
put_vector(unsigned char *at, const unsigned char *bytes, size_t len)
{
	at[0] = (unsigned char)(len >> 8);
	at[1] = (unsigned char)len;
	memcpy(at + 2, bytes, len);
	return len + 2;
}

static void
tls13_text_has_its_schemes_only(void **state)
{
	struct tlsscheme_policy policy = wide_policy();
	unsigned char text[200];
	size_t i, len;

	(void)state;
	for (len = 32; len <= 48; len += 16)
		for (i = 0; i < COUNT(all_schemes); i++) {
			size_t n = make_tls13(text, len);

			assert_int_equal(
			    tlsscheme_permits(&policy, all_schemes[i], text, n),
			    is_for_tls13(all_schemes[i]));
		}
	assert_false(tlsscheme_permits(&policy, 0, text, 98 + 32));
	assert_false(tlsscheme_permits(&policy, 0x10403, text, 98 + 32));
	policy.permits_tls13 = false;
	assert_false(
	    tlsscheme_permits(&policy, TLSSCHEME_ECDSA_SHA256, text, 98 + 32));
}

static void
tls13_text_is_exact(void **state)
{
	struct tlsscheme_policy policy = wide_policy();
	unsigned char text[200] = { 0 };
	size_t i, len;

	(void)state;
	for (len = 0; len <= 80; len++) {
		size_t n = make_tls13(text, len);

		assert_int_equal(
		    tlsscheme_permits(&policy, TLSSCHEME_ECDSA_SHA256, text, n),
		    len == 32 || len == 48);
	}
	for (i = 0; i < 98 + 32; i++) {
		make_tls13(text, 32);
		text[i] ^= 1;
		assert_int_equal(tlsscheme_permits(&policy,
				     TLSSCHEME_ECDSA_SHA256, text, 98 + 32),
		    i >= 98);
	}
	/* The client's text is not ours to sign. */
	make_tls13(text, 32);
	memcpy(text + 64, "TLS 1.3, client", 15);
	assert_false(
	    tlsscheme_permits(&policy, TLSSCHEME_ECDSA_SHA256, text, 98 + 32));
}

static const struct {
	unsigned group;
	const char *curve;
} default_groups[] = { { 23, "P-256" }, { 24, "P-384" }, { 25, "P-521" },
	{ 29, "X25519" }, { 30, "X448" } };

static void
ecdhe_on_each_group(void **state)
{
	struct tlsscheme_policy policy = wide_policy(), narrow;
	unsigned char text[400];
	size_t i, j, len;

	(void)state;
	for (i = 0; i < COUNT(default_groups); i++) {
		if (!lib_has_group(default_groups[i].curve))
			continue;
		len = make_ecdhe(
		    text, default_groups[i].group, default_groups[i].curve);
		for (j = 0; j < COUNT(all_schemes); j++)
			assert_true(tlsscheme_permits(
			    &policy, all_schemes[j], text, len));
		/* Only where the profile has this group, and 1.2. */
		narrow = policy;
		tlsscheme_groups(&narrow, i == 0 ? "X25519" : "P-256");
		assert_false(tlsscheme_permits(
		    &narrow, TLSSCHEME_ECDSA_SHA256, text, len));
		narrow = policy;
		narrow.permits_tls12 = false;
		assert_false(tlsscheme_permits(
		    &narrow, TLSSCHEME_ECDSA_SHA256, text, len));
		/* Nothing more, nothing less. */
		assert_false(tlsscheme_permits(
		    &policy, TLSSCHEME_ECDSA_SHA256, text, len - 1));
		assert_false(tlsscheme_permits(
		    &policy, TLSSCHEME_ECDSA_SHA256, text, len + 1));
		for (j = 64; j < 68; j++) {
			text[j] ^= 0x80;
			assert_false(tlsscheme_permits(
			    &policy, TLSSCHEME_ECDSA_SHA256, text, len));
			text[j] ^= 0x80;
		}
		/* Longer, with a length that says so. */
		text[67]++;
		assert_false(tlsscheme_permits(
		    &policy, TLSSCHEME_ECDSA_SHA256, text, len + 1));
	}
}

static void
old_schemes_need_permission(void **state)
{
	struct tlsscheme_policy policy = wide_policy();
	unsigned char text[400];
	size_t i, len = make_ecdhe(text, 23, "P-256");

	(void)state;
	policy.permits_old = false;
	for (i = 0; i < COUNT(all_schemes); i++)
		assert_int_equal(
		    tlsscheme_permits(&policy, all_schemes[i], text, len),
		    !is_old(all_schemes[i]));
}

static void
points_must_be_on_their_curve(void **state)
{
	struct tlsscheme_policy policy = wide_policy();
	unsigned char text[400];
	size_t i, len;

	(void)state;
	for (i = 0; i < 3; i++) {
		len = make_ecdhe(
		    text, default_groups[i].group, default_groups[i].curve);
		text[len - 1] ^= 1;
		assert_false(tlsscheme_permits(
		    &policy, TLSSCHEME_ECDSA_SHA256, text, len));
		text[len - 1] ^= 1;
		assert_true(tlsscheme_permits(
		    &policy, TLSSCHEME_ECDSA_SHA256, text, len));
		/* Hybrid form, which OpenSSL would read. */
		text[68] = 6 | (text[len - 1] & 1);
		assert_false(tlsscheme_permits(
		    &policy, TLSSCHEME_ECDSA_SHA256, text, len));
	}
	/* All zero, in the right length. */
	memset(text + 68, 0, 200);
	text[68] = 4;
	assert_false(
	    tlsscheme_permits(&policy, TLSSCHEME_ECDSA_SHA256, text, len));
}

static void
dhe_has_exactly_our_parameters(void **state)
{
	struct tlsscheme_policy policy = wide_policy();
	unsigned char p[256], g = 2, ys[257], text[2000];
	size_t i, len;

	(void)state;
	memset(p, 0xc3, sizeof(p));
	memset(ys, 0x11, sizeof(ys));
	memset(text, 7, 64);
	len = 64 + put_vector(text + 64, p, sizeof(p));
	len += put_vector(text + len, &g, 1);
	len += put_vector(text + len, ys, sizeof(p));
	assert_false(
	    tlsscheme_permits(&policy, TLSSCHEME_RSA_PKCS1_SHA256, text, len));
	policy.dh_p = p;
	policy.dh_p_len = sizeof(p);
	policy.dh_g = &g;
	policy.dh_g_len = 1;
	assert_true(
	    tlsscheme_permits(&policy, TLSSCHEME_RSA_PKCS1_SHA256, text, len));
	assert_false(tlsscheme_permits(
	    &policy, TLSSCHEME_RSA_PKCS1_SHA256, text, len + 1));
	assert_false(tlsscheme_permits(
	    &policy, TLSSCHEME_RSA_PKCS1_SHA256, text, len - 1));
	/* Every byte of p and g and every length counts; Ys is free. */
	for (i = 64; i < len; i++) {
		text[i] ^= 1;
		assert_int_equal(tlsscheme_permits(&policy,
				     TLSSCHEME_RSA_PKCS1_SHA256, text, len),
		    i >= len - sizeof(p));
		text[i] ^= 1;
	}
	len -= sizeof(p) + 2;
	len += put_vector(text + len, ys, sizeof(p) + 1);
	assert_false(
	    tlsscheme_permits(&policy, TLSSCHEME_RSA_PKCS1_SHA256, text, len));
}

/* Is ys permitted beside p (both len bytes) and 2? */
static bool
permits_ys(const unsigned char *p, const unsigned char *ys, size_t len)
{
	struct tlsscheme_policy policy = wide_policy();
	unsigned char g = 2, text[2000];
	size_t n = 64;

	policy.dh_p = p;
	policy.dh_p_len = len;
	policy.dh_g = &g;
	policy.dh_g_len = 1;
	memset(text, 7, 64);
	n += put_vector(text + n, p, len);
	n += put_vector(text + n, &g, 1);
	n += put_vector(text + n, ys, len);
	return tlsscheme_permits(&policy, TLSSCHEME_RSA_PKCS1_SHA256, text, n);
}

static void
dhe_value_is_inside_the_group(void **state)
{
	unsigned char p[256], ys[256] = { 0 };
	unsigned i;

	(void)state;
	memset(p, 0xc3, sizeof(p));
	for (i = 0; i < 256; i++) {
		ys[255] = (unsigned char)i;
		assert_int_equal(permits_ys(p, ys, 256), i > 1);
	}
	ys[255] = 0;
	ys[254] = 1;
	assert_true(permits_ys(p, ys, 256));
	memcpy(ys, p, 256);
	for (i = 0; i < 256; i++) {
		ys[255] = (unsigned char)i;
		assert_int_equal(permits_ys(p, ys, 256), i < 0xc2);
	}
	/* Decided by the bytes before. */
	ys[100]--;
	assert_true(permits_ys(p, ys, 256));
	ys[100] += 2;
	ys[255] = 2;
	assert_false(permits_ys(p, ys, 256));
	/* In one byte: 2 to 21 of 23. */
	p[0] = 23;
	for (i = 0; i < 256; i++) {
		ys[0] = (unsigned char)i;
		assert_int_equal(permits_ys(p, ys, 1), i >= 2 && i <= 21);
	}
}

static void
other_texts_are_refused(void **state)
{
	struct tlsscheme_policy policy = wide_policy();
	unsigned char text[TLSSCHEME_TEXT_MAX + 1];
	size_t i, len;

	(void)state;
	memset(text, ' ', sizeof(text));
	for (len = 0; len <= sizeof(text); len++)
		for (i = 0; i < 2; i++)
			assert_false(tlsscheme_permits(&policy,
			    i == 0 ? TLSSCHEME_RSA_PKCS1_SHA256
				   : TLSSCHEME_ECDSA_SHA256,
			    text, len));
}

static void
group_lists_are_read(void **state)
{
	struct tlsscheme_policy policy;

	(void)state;
	tlsscheme_groups(&policy, NULL);
	assert_int_equal(policy.group_count, 5);
	tlsscheme_groups(&policy, "");
	assert_int_equal(policy.group_count, 5);
	tlsscheme_groups(&policy, "p-384:secp256R1:prime256v1:x25519");
	assert_int_equal(policy.group_count, 3);
	assert_int_equal(policy.groups[0], 24);
	assert_int_equal(policy.groups[1], 23);
	assert_int_equal(policy.groups[2], 29);
	tlsscheme_groups(&policy, "X25519MLKEM768:ffdhe2048:nonsense");
	assert_int_equal(policy.group_count, 0);
	tlsscheme_groups(&policy, "?*X25519MLKEM768/?X448:brainpoolP256r1::");
	assert_int_equal(policy.group_count, 2);
	assert_int_equal(policy.groups[0], 30);
	assert_int_equal(policy.groups[1], 26);
}

static void
dh_parameters_are_found_in_der(void **state)
{
	/* SEQUENCE { INTEGER 0xff01, INTEGER 2 } */
	unsigned char der[] = { 0x30, 8, 2, 3, 0, 0xff, 1, 2, 1, 2 };
	unsigned char empty[] = { 0x30, 5, 2, 0, 2, 1, 2 };
	unsigned char negative[] = { 0x30, 6, 2, 1, 0x80, 2, 1, 2 };
	unsigned char long_form[] = { 0x30, 0x82, 0, 6, 2, 1, 5, 2, 1, 2 };
	struct tlsscheme_policy policy;
	size_t len;

	(void)state;
	assert_int_equal(tlsscheme_dh(&policy, der, sizeof(der)), 0);
	assert_int_equal(policy.dh_p_len, 2);
	assert_memory_equal(policy.dh_p, "\xff\1", 2);
	assert_int_equal(policy.dh_g_len, 1);
	assert_int_equal(*policy.dh_g, 2);
	for (len = 0; len < sizeof(der); len++) {
		assert_int_equal(tlsscheme_dh(&policy, der, len), -1);
		assert_null(policy.dh_p);
	}
	assert_int_equal(tlsscheme_dh(&policy, empty, sizeof(empty)), -1);
	assert_int_equal(tlsscheme_dh(&policy, negative, sizeof(negative)), -1);
	assert_int_equal(
	    tlsscheme_dh(&policy, long_form, sizeof(long_form)), 0);
	der[0] = 0x31;
	assert_int_equal(tlsscheme_dh(&policy, der, sizeof(der)), -1);
}

static void
policy_follows_the_settings(void **state)
{
	struct tls_settings settings = { .tlsmin = "1.3" };
	struct tls_public public = { .dh = NULL };
	struct tlsscheme_policy policy;
	unsigned char der[] = { 0x30, 6, 2, 1, 23, 2, 1, 5 };

	(void)state;
	assert_int_equal(tlsscheme_policy_init(&policy, &settings, &public), 0);
	assert_false(policy.permits_tls12);
	assert_true(policy.permits_tls13);
	settings = (struct tls_settings){ .tlsmax = "1.2", .tlsmin = "" };
	public.dh = der;
	public.dh_len = sizeof(der);
	assert_int_equal(tlsscheme_policy_init(&policy, &settings, &public), 0);
	assert_true(policy.permits_tls12);
	assert_false(policy.permits_tls13);
	assert_ptr_equal(policy.dh_p, der + 4);
	settings.tlsmax = "2";
	assert_int_equal(
	    tlsscheme_policy_init(&policy, &settings, &public), -1);
}

static void
old_schemes_follow_the_security_level(void **state)
{
	static const struct {
		const char *tlsmin, *ciphers;
		bool permits;
	} cases[] = {
		{ NULL, NULL, false },
		{ "", "", false },
		{ "1.2", NULL, false },
		{ "1.3", NULL, false },
		{ "1.1", NULL, true },
		{ "1.0", "", true },
		{ "1.0", "ECDHE+AES", true },
		{ "1.0", "ECDHE:@SECLEVEL=1", false },
		{ NULL, "ECDHE:@SECLEVEL=0", true },
		{ "1.2", "@SECLEVEL=0 ECDHE", true },
		{ NULL, "ECDHE@SECLEVEL=0", true },
		{ NULL, "ECDHE:@SECLEVEL=2", false },
		{ NULL, "@SECLEVEL=0:ECDHE:@SECLEVEL=1", false },
		{ NULL, "@SECLEVEL=1:ECDHE:@SECLEVEL=0", true },
		{ "1.0", "@SECLEVEL=", false },
	};
	struct tls_public public = { .dh = NULL };
	struct tlsscheme_policy policy;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct tls_settings settings = { .tlsmin = cases[i].tlsmin,
			.ciphers = cases[i].ciphers };

		assert_int_equal(
		    tlsscheme_policy_init(&policy, &settings, &public), 0);
		assert_int_equal(policy.permits_old, cases[i].permits);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls13_text_has_its_schemes_only),
		cmocka_unit_test(tls13_text_is_exact),
		cmocka_unit_test(ecdhe_on_each_group),
		cmocka_unit_test(old_schemes_need_permission),
		cmocka_unit_test(points_must_be_on_their_curve),
		cmocka_unit_test(dhe_has_exactly_our_parameters),
		cmocka_unit_test(dhe_value_is_inside_the_group),
		cmocka_unit_test(other_texts_are_refused),
		cmocka_unit_test(group_lists_are_read),
		cmocka_unit_test(dh_parameters_are_found_in_der),
		cmocka_unit_test(policy_follows_the_settings),
		cmocka_unit_test(old_schemes_follow_the_security_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
