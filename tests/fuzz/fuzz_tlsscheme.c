/*
 * fuzz_tlsscheme: a text to be signed, as a session taken over could send
 * it to the keeper.
 *
 * The first byte chooses scheme and profile, the rest is the text; it is
 * also read as DH parameters and as a list of groups.  Whatever is
 * permitted must have one of the two shapes: that is checked here a second
 * time, in the crudest way.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tlsscheme.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned schemes[] = { TLSSCHEME_ECDSA_SHA256,
	TLSSCHEME_RSA_PSS_RSAE_SHA256, TLSSCHEME_ED25519,
	TLSSCHEME_RSA_PKCS1_SHA256, TLSSCHEME_RSA_PKCS1_MD5_SHA1,
	TLSSCHEME_RSA_PKCS1_SHA1, 0, 0x9999 };

static void
check_permitted(const struct tlsscheme_policy *policy, unsigned scheme,
    const uint8_t *text, size_t len)
{
	assert(scheme != 0 && scheme != 0x9999);
	assert(len <= TLSSCHEME_TEXT_MAX && len > 64 + 3);
	if (text[64] == 'T') {
		assert(policy->permits_tls13);
		assert(len == 98 + 32 || len == 98 + 48);
		assert(text[97] == 0);
	} else {
		assert(policy->permits_tls12);
		assert(text[64] == 3 || policy->dh_p != NULL);
	}
}

static void
read_der(const uint8_t *data, size_t size)
{
	struct tlsscheme_policy policy;

	if (tlsscheme_dh(&policy, data, size) == -1)
		return;
	assert(policy.dh_p_len > 0 && policy.dh_g_len > 0);
	assert(policy.dh_p >= data && policy.dh_g > policy.dh_p);
	assert(policy.dh_p + policy.dh_p_len < policy.dh_g);
	assert(policy.dh_g + policy.dh_g_len <= data + size);
}

static void
read_groups(const uint8_t *data, size_t size)
{
	struct tlsscheme_policy policy;
	char list[300];

	if (size >= sizeof(list))
		size = sizeof(list) - 1;
	memcpy(list, data, size);
	list[size] = '\0';
	tlsscheme_groups(&policy, list);
	assert(policy.group_count <= 16);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char p[] = { 0xc3, 0xc3, 0xc3, 0xc5 }, g = 2;
	struct tlsscheme_policy policy = { .dh_p = NULL };
	unsigned scheme;

	if (size == 0)
		return 0;
	scheme = schemes[data[0] & 7];
	policy.permits_tls12 = !(data[0] & 8);
	policy.permits_tls13 = !(data[0] & 16);
	policy.permits_old = data[0] & 128;
	tlsscheme_groups(
	    &policy, data[0] & 32 ? "P-256:brainpoolP256r1" : NULL);
	if (data[0] & 64) {
		policy.dh_p = p;
		policy.dh_p_len = sizeof(p);
		policy.dh_g = &g;
		policy.dh_g_len = 1;
	}
	if (tlsscheme_permits(&policy, scheme, data + 1, size - 1))
		check_permitted(&policy, scheme, data + 1, size - 1);
	read_der(data + 1, size - 1);
	read_groups(data + 1, size - 1);
	return 0;
}
