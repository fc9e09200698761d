/*
 * HMAC-SHA-256.
 *
 * Used by the cache, to make keys of tickets out of those that machines
 * share.  The cache is a part of sslserver, whose first process is root and
 * holds no TLS library, so that it has to do without libcrypto; a keyed
 * digest of at most a hundred bytes, a few per handshake, is all it needs.
 * There is no branch and no table look-up that depends on a secret, and
 * what was computed on the way is wiped.
 */
#include "base/hmac.h"

#include <stdint.h>
#include <string.h>

#define BLOCK_SIZE 64
#define LENGTH_SIZE 8
#define ROUNDS 64

struct sha256 {
	uint32_t state[8];
	unsigned char block[BLOCK_SIZE];
	uint64_t len; /* of all bytes so far */
};

/* Cube roots of the first 64 primes: FIPS 180-4, section 4.2.2. */
static const uint32_t constants[ROUNDS] = { 0x428a2f98, 0x71374491, 0xb5c0fbcf,
	0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
	0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7,
	0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
	0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e,
	0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
	0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c,
	0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee,
	0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2 };

/* Square roots of the first 8: section 5.3.3. */
static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372,
	0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static uint32_t
rotate(uint32_t n, unsigned bits)
{
	return n >> bits | n << (32 - bits);
}

static uint32_t
get_word(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	    (uint32_t)at[2] << 8 | at[3];
}

static void
put_word(unsigned char *at, uint32_t word)
{
	at[0] = (unsigned char)(word >> 24);
	at[1] = (unsigned char)(word >> 16);
	at[2] = (unsigned char)(word >> 8);
	at[3] = (unsigned char)word;
}

/* Section 6.2.2, step 1. */
static void
schedule(const unsigned char *block, uint32_t words[ROUNDS])
{
	uint32_t small0, small1;
	size_t i;

	for (i = 0; i < 16; i++)
		words[i] = get_word(block + 4 * i);
	for (; i < ROUNDS; i++) {
		small0 = rotate(words[i - 15], 7) ^ rotate(words[i - 15], 18) ^
		    words[i - 15] >> 3;
		small1 = rotate(words[i - 2], 17) ^ rotate(words[i - 2], 19) ^
		    words[i - 2] >> 10;
		words[i] = words[i - 16] + small0 + words[i - 7] + small1;
	}
}

/* Step 3: v is a to h. */
static void
turn(uint32_t v[8], uint32_t constant, uint32_t word)
{
	uint32_t big0, big1, choice, majority, t1, t2;

	big1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
	choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
	t1 = v[7] + big1 + choice + constant + word;
	big0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
	majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
	t2 = big0 + majority;
	memmove(v + 1, v, 7 * sizeof(v[0]));
	v[4] += t1;
	v[0] = t1 + t2;
}

static void
compress(struct sha256 *sha)
{
	uint32_t words[ROUNDS], v[8];
	size_t i;

	schedule(sha->block, words);
	memcpy(v, sha->state, sizeof(v));
	for (i = 0; i < ROUNDS; i++)
		turn(v, constants[i], words[i]);
	for (i = 0; i < 8; i++)
		sha->state[i] += v[i];
	explicit_bzero(words, sizeof(words));
	explicit_bzero(v, sizeof(v));
}

static void
begin(struct sha256 *sha)
{
	memcpy(sha->state, initial, sizeof(initial));
	sha->len = 0;
}

static void
add(struct sha256 *sha, const void *bytes, size_t len)
{
	const unsigned char *from = bytes;
	size_t i;

	for (i = 0; i < len; i++) {
		sha->block[sha->len++ % BLOCK_SIZE] = from[i];
		if (sha->len % BLOCK_SIZE == 0)
			compress(sha);
	}
}

/* A 1 bit, zeros, and the length in bits: section 5.1.1. */
static void
finish(struct sha256 *sha, unsigned char digest[HMAC_SIZE])
{
	uint64_t bits = sha->len * 8;
	unsigned char length[LENGTH_SIZE];
	size_t i;

	put_word(length, (uint32_t)(bits >> 32));
	put_word(length + 4, (uint32_t)bits);
	add(sha, "\200", 1);
	while (sha->len % BLOCK_SIZE != BLOCK_SIZE - LENGTH_SIZE)
		add(sha, "", 1);
	add(sha, length, sizeof(length));
	for (i = 0; i < 8; i++)
		put_word(digest + 4 * i, sha->state[i]);
	explicit_bzero(sha, sizeof(*sha));
}

/* A key that is longer than a block stands for its digest. */
static void
put_key(unsigned char pad[BLOCK_SIZE], const void *key, size_t key_len)
{
	struct sha256 sha;

	memset(pad, 0, BLOCK_SIZE);
	if (key_len <= BLOCK_SIZE) {
		memcpy(pad, key, key_len);
		return;
	}
	begin(&sha);
	add(&sha, key, key_len);
	finish(&sha, pad);
}

static void
flip(unsigned char pad[BLOCK_SIZE], unsigned char with)
{
	size_t i;

	for (i = 0; i < BLOCK_SIZE; i++)
		pad[i] ^= with;
}

void
hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
    unsigned char mac[HMAC_SIZE])
{
	unsigned char pad[BLOCK_SIZE], inner[HMAC_SIZE];
	struct sha256 sha;

	put_key(pad, key, key_len);
	flip(pad, 0x36);
	begin(&sha);
	add(&sha, pad, sizeof(pad));
	add(&sha, bytes, len);
	finish(&sha, inner);
	flip(pad, 0x36 ^ 0x5c);
	begin(&sha);
	add(&sha, pad, sizeof(pad));
	add(&sha, inner, sizeof(inner));
	finish(&sha, mac);
	explicit_bzero(pad, sizeof(pad));
	explicit_bzero(inner, sizeof(inner));
}
