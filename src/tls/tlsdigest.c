/*
 * tlsdigest: is this what a TLS library signs when it signs digests?
 *
 * Runs in the keeper, between a session that may have been taken over and
 * the private key, and in sessions, to find the scheme that the library
 * means.  Trusts nothing in the text.  The checks of RSA-PSS are those that
 * one who verifies a signature makes (RFC 8017, 9.1.2), up to the hash of
 * the message, which is not known here.
 */
#include "tls/tlsdigest.h"

#include <stdint.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "tls/tlsscheme.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define PREFIX_MAX 19
#define MODULUS_MAX 2048 /* bytes: RSA-16384 */
#define PSS_TRAILER 0xbc

struct digest {
	size_t len;
	unsigned pkcs1, pss, ecdsa; /* schemes; 0: none */
	bool is_old;
	size_t prefix_len;
	unsigned char prefix[PREFIX_MAX]; /* of a DigestInfo */
};

#define PREFIX_SHA2(last, len) \
	{ \
		0x30, len + 17, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, \
		    0x01, 0x65, 0x03, 0x04, 0x02, last, 0x05, 0x00, 0x04, len \
	}

static const struct digest digests[] = {
	{ 20, TLSSCHEME_RSA_PKCS1_SHA1, 0, TLSSCHEME_ECDSA_SHA1, true, 15,
	    { 0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a,
		0x05, 0x00, 0x04, 0x14 } },
	{ 32, TLSSCHEME_RSA_PKCS1_SHA256, TLSSCHEME_RSA_PSS_RSAE_SHA256,
	    TLSSCHEME_ECDSA_SHA256, false, 19, PREFIX_SHA2(1, 32) },
	{ 48, TLSSCHEME_RSA_PKCS1_SHA384, TLSSCHEME_RSA_PSS_RSAE_SHA384,
	    TLSSCHEME_ECDSA_SHA384, false, 19, PREFIX_SHA2(2, 48) },
	{ 64, TLSSCHEME_RSA_PKCS1_SHA512, TLSSCHEME_RSA_PSS_RSAE_SHA512,
	    TLSSCHEME_ECDSA_SHA512, false, 19, PREFIX_SHA2(3, 64) },
	{ 36, TLSSCHEME_RSA_PKCS1_MD5_SHA1, 0, 0, true, 0, { 0 } },
};

static const EVP_MD *
hash_of(const struct digest *digest)
{
	switch (digest->len) {
	case 32:
		return EVP_sha256();
	case 48:
		return EVP_sha384();
	default:
		return EVP_sha512();
	}
}

/*
 * Take MGF1 of seed (both of hash_len bytes) off bytes: RFC 8017, B.2.1.
 * false: the library has failed.
 */
static bool
unmask(unsigned char *bytes, size_t len, const EVP_MD *hash,
    const unsigned char *seed, size_t hash_len)
{
	unsigned char input[EVP_MAX_MD_SIZE + 4], mask[EVP_MAX_MD_SIZE];
	size_t at, i;
	uint32_t counter = 0;

	memcpy(input, seed, hash_len);
	for (at = 0; at < len; at += hash_len, counter++) {
		input[hash_len] = (unsigned char)(counter >> 24);
		input[hash_len + 1] = (unsigned char)(counter >> 16);
		input[hash_len + 2] = (unsigned char)(counter >> 8);
		input[hash_len + 3] = (unsigned char)counter;
		if (EVP_Digest(input, hash_len + 4, mask, NULL, hash, NULL) !=
		    1)
			return false;
		for (i = 0; i < hash_len && at + i < len; i++)
			bytes[at + i] ^= mask[i];
	}
	return true;
}

/* Zeros, a one, and a salt of salt_len bytes? */
static bool
ends_in_salt(const unsigned char *db, size_t len, size_t salt_len)
{
	size_t i, zeros;

	if (len < salt_len + 1)
		return false;
	zeros = len - salt_len - 1;
	for (i = 0; i < zeros; i++)
		if (db[i] != 0)
			return false;
	return db[zeros] == 1;
}

/* block is as long as the modulus. */
static bool
is_pss(const struct digest *digest, const unsigned char *block, size_t len,
    unsigned key_bits)
{
	unsigned char db[MODULUS_MAX];
	unsigned top = (key_bits - 1) % 8; /* bits used of the first byte */
	size_t db_len;

	if (top == 0) {
		/* One bit less than the modulus is a byte less. */
		if (*block != 0)
			return false;
		block++;
		len--;
		top = 8;
	}
	if (len > sizeof(db) || len < 2 * digest->len + 2 ||
	    block[len - 1] != PSS_TRAILER || *block >> top != 0)
		return false;
	db_len = len - digest->len - 1;
	memcpy(db, block, db_len);
	if (!unmask(db, db_len, hash_of(digest), block + db_len, digest->len))
		return false;
	db[0] &= (unsigned char)(0xff >> (8 - top));
	return ends_in_salt(db, db_len, digest->len);
}

unsigned
tlsdigest_read_pss(const unsigned char *block, size_t len, unsigned key_bits)
{
	size_t i;

	if (key_bits < 2 || len != (key_bits + 7) / 8)
		return 0;
	for (i = 0; i < COUNT(digests); i++)
		if (digests[i].pss != 0 &&
		    is_pss(&digests[i], block, len, key_bits))
			return digests[i].pss;
	return 0;
}

unsigned
tlsdigest_read_ecdsa(size_t len)
{
	size_t i;

	for (i = 0; i < COUNT(digests); i++)
		if (digests[i].len == len)
			return digests[i].ecdsa;
	return 0;
}

unsigned
tlsdigest_read_pkcs1(const unsigned char *block, size_t len,
    const unsigned char **digest, size_t *digest_len)
{
	size_t i;

	for (i = 0; i < COUNT(digests); i++) {
		const struct digest *known = &digests[i];

		if (len != known->prefix_len + known->len ||
		    memcmp(block, known->prefix, known->prefix_len) != 0)
			continue;
		*digest = block + known->prefix_len;
		*digest_len = known->len;
		return known->pkcs1;
	}
	return 0;
}

bool
tlsdigest_permits(const struct tlsscheme_policy *policy, unsigned scheme,
    const unsigned char *text, size_t len, unsigned key_bits)
{
	size_t i;

	for (i = 0; i < COUNT(digests) && scheme != 0; i++) {
		const struct digest *known = &digests[i];

		if (known->is_old &&
		    !(policy->permits_old && policy->permits_tls12))
			continue;
		if (scheme == known->pkcs1)
			return policy->permits_tls12 && len == known->len;
		if (scheme == known->ecdsa)
			return len == known->len;
		if (scheme == known->pss)
			return tlsdigest_read_pss(text, len, key_bits) ==
			    scheme;
	}
	return false;
}
