/*
 * test_rulekey: keys of addresses and prefixes, and back to what a person
 * writes.
 */
#include "rules/rulekey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The key of "ADDRESS/BITS", or of ADDRESS when bits is -1. */
static size_t
make_key(char key[RULEKEY_SIZE], const char *address, int bits)
{
	unsigned char ip[16] = { [10] = 0xff, [11] = 0xff };
	bool is_v4 = strchr(address, ':') == NULL;

	assert_int_equal(inet_pton(is_v4 ? AF_INET : AF_INET6, address,
			     is_v4 ? ip + 12 : ip),
	    1);
	return bits == -1 ? rulekey_address(key, ip, is_v4)
			  : rulekey_prefix(key, ip, is_v4, (unsigned)bits);
}

static void
keys_are_spelled(void **state)
{
	static const struct {
		const char *address;
		int bits;
		const char *text;
	} cases[] = { { "10.1.2.3", 8, "10.0.0.0/8" },
		{ "203.0.113.7", 24, "203.0.113.0/24" },
		{ "255.255.255.255", 32, "255.255.255.255/32" },
		{ "127.0.0.1", 1, "0.0.0.0/1" },
		{ "2001:db8::", 32, "2001:db8::/32" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128,
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
		{ "::1", 1, "::/1" }, { "2001:db8::a", -1, "2001:db8::a" },
		{ "::1", -1, "::1" } };
	char key[RULEKEY_SIZE], text[RULEKEY_TEXT_SIZE];
	size_t i, len;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		len = make_key(key, cases[i].address, cases[i].bits);
		assert_int_equal(
		    rulekey_spell(text, (unsigned char *)key, len), 0);
		assert_string_equal(text, cases[i].text);
	}
}

/* Others are their own text; so is what nobody made. */
static void
other_keys_are_not(void **state)
{
	static const char *const keys[] = { "", "1.2.3.4", "1.2.", "=", "=a.b",
		"joe@1.2.3.4", "_", "^", "_b", "_x0", "^a0", "^`b",
		"_000000000000000000000000000000000",
		"2001:0DB8:0000:0000:0000:0000:0000:000",
		"2001:0DB8:0000:0000:0000:0000:0000:00a0",
		"2001:0DB8:0000:0000:0000:0000:0000-0000",
		"2001:0db8:0000:0000:0000:0000:0000:0000" };
	char text[RULEKEY_TEXT_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(keys); i++)
		if (rulekey_spell(text, (const unsigned char *)keys[i],
			strlen(keys[i])) != -1)
			fail_msg("%s is spelled %s", keys[i], text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_spelled),
		cmocka_unit_test(other_keys_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
