/*
 * tlsscheme: is this a text that a TLS server signs?
 *
 * Runs in the keeper, as the one thing between a session that may have
 * been taken over and the private key.  Trusts nothing in the text.  A
 * signature is given for exactly the two shapes of text that a handshake
 * has, so that it can be used for nothing else: no certificate, no token,
 * no other protocol's message looks like them.
 */
#include "tls/tlsscheme.h"

#include <string.h>
#include <strings.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include "tls/tlsfile.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define RANDOMS 64 /* client's and server's random, 32 each */
#define TLS13_BLANKS 64
#define CURVE_TYPE_NAMED 3 /* RFC 8422, 5.4 */
#define POINT_UNCOMPRESSED 4

struct curve {
	uint16_t group; /* TLS NamedGroup */
	const char *names[3];
	int nid; /* 0: not a Weierstrass curve */
	size_t point_len;
};

static const struct curve curves[] = {
	{ 29, { "X25519" }, 0, 32 },
	{ 23, { "P-256", "secp256r1", "prime256v1" }, NID_X9_62_prime256v1,
	    65 },
	{ 30, { "X448" }, 0, 56 },
	{ 25, { "P-521", "secp521r1" }, NID_secp521r1, 133 },
	{ 24, { "P-384", "secp384r1" }, NID_secp384r1, 97 },
	{ 26, { "brainpoolP256r1" }, NID_brainpoolP256r1, 65 },
	{ 27, { "brainpoolP384r1" }, NID_brainpoolP384r1, 97 },
	{ 28, { "brainpoolP512r1" }, NID_brainpoolP512r1, 129 },
};

/* OpenSSL's own default order for TLS 1.2: the first of the table. */
#define DEFAULT_CURVES 5

/* Building a group costs more than a signature with it; kept for ever. */
static EC_GROUP *curve_groups[COUNT(curves)];

static const char tls13_context[] = "TLS 1.3, server CertificateVerify";

bool
tlsscheme_is_tls13(const unsigned char *text, size_t len)
{
	const size_t head = TLS13_BLANKS + sizeof(tls13_context);
	size_t i;

	if (len != head + 32 && len != head + 48)
		return false;
	for (i = 0; i < TLS13_BLANKS; i++)
		if (text[i] != ' ')
			return false;
	/* With its NUL, which separates context and hash. */
	return memcmp(text + TLS13_BLANKS, tls13_context,
		   sizeof(tls13_context)) == 0;
}

static bool
fits_tls13(unsigned scheme)
{
	switch (scheme) {
	case TLSSCHEME_ECDSA_SHA256:
	case TLSSCHEME_ECDSA_SHA384:
	case TLSSCHEME_ECDSA_SHA512:
	case TLSSCHEME_RSA_PSS_RSAE_SHA256:
	case TLSSCHEME_RSA_PSS_RSAE_SHA384:
	case TLSSCHEME_RSA_PSS_RSAE_SHA512:
	case TLSSCHEME_ED25519:
		return true;
	default:
		return false;
	}
}

static bool
fits_tls12(const struct tlsscheme_policy *policy, unsigned scheme)
{
	switch (scheme) {
	case TLSSCHEME_RSA_PKCS1_SHA1:
	case TLSSCHEME_ECDSA_SHA1:
	case TLSSCHEME_RSA_PKCS1_MD5_SHA1:
		return policy->permits_old;
	case TLSSCHEME_RSA_PKCS1_SHA256:
	case TLSSCHEME_RSA_PKCS1_SHA384:
	case TLSSCHEME_RSA_PKCS1_SHA512:
		return true;
	default:
		return fits_tls13(scheme);
	}
}

static const struct curve *
find_group(unsigned group)
{
	size_t i;

	for (i = 0; i < COUNT(curves); i++)
		if (curves[i].group == group)
			return &curves[i];
	return NULL;
}

static bool
is_on_curve(const struct curve *curve, const unsigned char *bytes)
{
	EC_GROUP **group = &curve_groups[curve - curves];
	EC_POINT *point;
	bool is_on;

	if (bytes[0] != POINT_UNCOMPRESSED)
		return false;
	if (*group == NULL)
		*group = EC_GROUP_new_by_curve_name(curve->nid);
	if (*group == NULL)
		return false;
	point = EC_POINT_new(*group);
	is_on = point != NULL &&
	    EC_POINT_oct2point(*group, point, bytes, curve->point_len, NULL) ==
		1;
	EC_POINT_free(point);
	ERR_clear_error();
	return is_on;
}

static bool
has_group(const struct tlsscheme_policy *policy, unsigned group)
{
	size_t i;

	for (i = 0; i < policy->group_count && i < COUNT(policy->groups); i++)
		if (policy->groups[i] == group)
			return true;
	return false;
}

/* ServerECDHParams (RFC 8422, 5.4): type, group, length, point. */
static bool
is_ecdhe(const struct tlsscheme_policy *policy, const unsigned char *params,
    size_t len)
{
	const struct curve *curve;
	unsigned group;

	if (len < 4 || params[0] != CURVE_TYPE_NAMED)
		return false;
	group = (unsigned)params[1] << 8 | params[2];
	curve = find_group(group);
	if (curve == NULL || !has_group(policy, group))
		return false;
	if (params[3] != curve->point_len || len - 4 != curve->point_len)
		return false;
	return curve->nid == 0 || is_on_curve(curve, params + 4);
}

/* Take a vector with two bytes of length off the front; false: too short. */
static bool
take_vector(const unsigned char **bytes, size_t *len,
    const unsigned char **vector, size_t *vector_len)
{
	if (*len < 2)
		return false;
	*vector_len = (size_t)(*bytes)[0] << 8 | (*bytes)[1];
	*vector = *bytes + 2;
	if (*len - 2 < *vector_len)
		return false;
	*bytes = *vector + *vector_len;
	*len -= 2 + *vector_len;
	return true;
}

static bool
is_same(
    const unsigned char *a, size_t a_len, const unsigned char *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* 1 < ys < p - 1 (big-endian, both len bytes, p odd)? */
static bool
is_dh_public(const unsigned char *ys, const unsigned char *p, size_t len)
{
	size_t i;
	int order = memcmp(ys, p, len - 1);

	/* All but the last byte alike: p - 1 differs in the last bit. */
	if (order > 0 || (order == 0 && ys[len - 1] >= (p[len - 1] & 0xfe)))
		return false;
	for (i = 0; i < len - 1; i++)
		if (ys[i] != 0)
			return true;
	return ys[len - 1] > 1;
}

/* ServerDHParams (RFC 5246, 7.4.3): p, g, Ys, each with its length. */
static bool
is_dhe(const struct tlsscheme_policy *policy, const unsigned char *params,
    size_t len)
{
	const unsigned char *p, *g, *ys;
	size_t p_len, g_len, ys_len;

	if (policy->dh_p == NULL || policy->dh_g == NULL)
		return false;
	if (!take_vector(&params, &len, &p, &p_len) ||
	    !take_vector(&params, &len, &g, &g_len) ||
	    !take_vector(&params, &len, &ys, &ys_len) || len != 0)
		return false;
	return is_same(p, p_len, policy->dh_p, policy->dh_p_len) &&
	    is_same(g, g_len, policy->dh_g, policy->dh_g_len) &&
	    ys_len == p_len && ys_len > 0 && is_dh_public(ys, p, p_len);
}

bool
tlsscheme_permits(const struct tlsscheme_policy *policy, unsigned scheme,
    const unsigned char *text, size_t len)
{
	if (len > TLSSCHEME_TEXT_MAX)
		return false;
	/*
	 * No text is both: after 64 bytes comes `T' here, and below a 3 or
	 * the high byte of a length that no text of this size can hold.
	 */
	if (tlsscheme_is_tls13(text, len))
		return policy->permits_tls13 && fits_tls13(scheme);
	if (!policy->permits_tls12 || !fits_tls12(policy, scheme) ||
	    len < RANDOMS)
		return false;
	return is_ecdhe(policy, text + RANDOMS, len - RANDOMS) ||
	    is_dhe(policy, text + RANDOMS, len - RANDOMS);
}

static const struct curve *
find_name(const char *name, size_t len)
{
	size_t i, j;

	for (i = 0; i < COUNT(curves); i++)
		for (j = 0; j < COUNT(curves[i].names); j++) {
			const char *known = curves[i].names[j];

			if (known != NULL && strlen(known) == len &&
			    strncasecmp(known, name, len) == 0)
				return &curves[i];
		}
	return NULL;
}

bool
tlsscheme_knows_group(const char *name, size_t len)
{
	return find_name(name, len) != NULL;
}

static void
add_group(struct tlsscheme_policy *policy, const struct curve *curve)
{
	if (curve != NULL && !has_group(policy, curve->group) &&
	    policy->group_count < COUNT(policy->groups))
		policy->groups[policy->group_count++] = curve->group;
}

void
tlsscheme_groups(struct tlsscheme_policy *policy, const char *list)
{
	size_t i;

	policy->group_count = 0;
	if (list == NULL || *list == '\0') {
		for (i = 0; i < DEFAULT_CURVES; i++)
			add_group(policy, &curves[i]);
		return;
	}
	while (*list != '\0') {
		size_t len;

		/* OpenSSL 3.5 marks names with ? and *, and groups with /. */
		list += strspn(list, ":/?*");
		len = strcspn(list, ":/");
		add_group(policy, find_name(list, len));
		list += len;
	}
}

/*
 * Enter a DER element: *der and *len become those of its content, *rest
 * and *rest_len what follows it.  Lengths of up to two bytes are enough:
 * 8192 bits are 1024 bytes.
 */
static bool
enter_der(unsigned tag, const unsigned char **der, size_t *len,
    const unsigned char **rest, size_t *rest_len)
{
	size_t head = 2, content, i;

	if (*len < head || (*der)[0] != tag)
		return false;
	content = (*der)[1];
	if (content >= 0x80) {
		size_t octets = content - 0x80;

		if (octets < 1 || octets > 2 || *len < head + octets)
			return false;
		for (content = 0, i = 0; i < octets; i++)
			content = content << 8 | (*der)[head + i];
		head += octets;
	}
	if (*len - head < content)
		return false;
	*rest = *der + head + content;
	*rest_len = *len - head - content;
	*der += head;
	*len = content;
	return true;
}

/* Take one positive INTEGER, without its sign byte, off the front. */
static bool
take_integer(const unsigned char **der, size_t *len,
    const unsigned char **value, size_t *value_len)
{
	const unsigned char *rest;
	size_t rest_len;

	if (!enter_der(2, der, len, &rest, &rest_len))
		return false;
	*value = *der;
	*value_len = *len;
	*der = rest;
	*len = rest_len;
	if (*value_len == 0 || **value & 0x80)
		return false;
	if (**value == 0) {
		(*value)++;
		(*value_len)--;
	}
	return *value_len > 0;
}

int
tlsscheme_dh(
    struct tlsscheme_policy *policy, const unsigned char *der, size_t len)
{
	const unsigned char *p, *g, *rest;
	size_t p_len, g_len, rest_len;

	policy->dh_p = policy->dh_g = NULL;
	policy->dh_p_len = policy->dh_g_len = 0;
	if (!enter_der(0x30, &der, &len, &rest, &rest_len) || rest_len != 0)
		return -1;
	if (!take_integer(&der, &len, &p, &p_len) ||
	    !take_integer(&der, &len, &g, &g_len))
		return -1;
	policy->dh_p = p;
	policy->dh_p_len = p_len;
	policy->dh_g = g;
	policy->dh_g_len = g_len;
	return 0;
}

/*
 * Will the library run at security level 0, the only one at which it asks
 * for SHA-1 and MD5 (0 is what tlsctx sets for a TLSMIN below 1.2)?  The
 * last @SECLEVEL in CIPHERS wins.
 */
static bool
is_level_0(const struct tls_settings *settings, unsigned min)
{
	static const char command[] = "@SECLEVEL=";
	const char *at = settings->ciphers;
	bool is_0 = min < 2;

	while (at != NULL && (at = strstr(at, command)) != NULL) {
		at += strlen(command);
		is_0 = *at == '0';
	}
	return is_0;
}

int
tlsscheme_policy_init(struct tlsscheme_policy *policy,
    const struct tls_settings *settings, const struct tls_public *public)
{
	char error[TLSFILE_ERROR_SIZE];
	unsigned min, max;

	memset(policy, 0, sizeof(*policy));
	if (tls_settings_versions(settings, &min, &max, error, sizeof(error)) ==
	    -1)
		return -1;
	policy->permits_tls12 = min <= 2;
	policy->permits_tls13 = max == 3;
	policy->permits_old = is_level_0(settings, min);
	tlsscheme_groups(policy, settings->tlsgroups);
	if (public->dh == NULL)
		return 0;
	return tlsscheme_dh(policy, public->dh, public->dh_len);
}
