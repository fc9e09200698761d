/*
 * test_hmac: known answers, and the TLS library's for every length.
 */
#include "base/hmac.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "support.h"

static unsigned char mac[HMAC_SIZE];

static void
expect(const char *hex)
{
	char shown[2 * HMAC_SIZE + 1];
	size_t i;

	for (i = 0; i < HMAC_SIZE; i++)
		snprintf(shown + 2 * i, 3, "%02x", mac[i]);
	assert_string_equal(shown, hex);
}

/* RFC 4231, section 4. */
static void
test_known(void **state)
{
	static const char long_text[] =
	    "Test Using Larger Than Block-Size Key - Hash Key First";
	unsigned char key[131], text[50];

	(void)state;
	memset(key, 0x0b, sizeof(key));
	hmac_sha256(key, 20, "Hi There", 8, mac);
	expect("b0344c61d8db38535ca8afceaf0bf12b"
	       "881dc200c9833da726e9376c2e32cff7");
	hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
	expect("5bdcc146bf60754e6a042426089575c7"
	       "5a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(text, 0xdd, sizeof(text));
	hmac_sha256(key, 20, text, sizeof(text), mac);
	expect("773ea91e36800e46854db8ebd09181a7"
	       "2959098b3ef8c122d9635514ced565fe");
	hmac_sha256(key, sizeof(key), long_text, sizeof(long_text) - 1, mac);
	expect("60e431591ee0b67f0d8a26aacbf5b77f"
	       "8e0bc6213728c5140546040f0ee37f54");
}

static void
compare(const unsigned char *bytes, size_t key_len, size_t len)
{
	unsigned char theirs[EVP_MAX_MD_SIZE];

	hmac_sha256(bytes, key_len, bytes + key_len, len, mac);
	assert_non_null(HMAC(EVP_sha256(), bytes, (int)key_len, bytes + key_len,
	    len, theirs, NULL));
	assert_memory_equal(mac, theirs, HMAC_SIZE);
}

/* Around the ends of blocks, of key and text. */
static void
test_lengths(void **state)
{
	unsigned char bytes[600];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * i + 7 * i + i / 256);
	for (i = 0; i < 300; i++) {
		compare(bytes, 32, i);
		compare(bytes, i, 90);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
