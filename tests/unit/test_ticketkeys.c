/*
 * test_ticketkeys: the text of files, and what follows from keys.
 */
#include "serve/ticketkeys.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

#define NOW 1700000000u
#define LIFETIME 7200u

#define A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define B "A0A1A2A3A4A5A6A7A8A9AAABACADAEAFb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"

static struct ticketkeys keys;

static void
read_keys(const char *text, size_t count)
{
	unsigned line = 7;

	assert_int_equal(ticketkeys_read(&keys, text, strlen(text), &line), 0);
	assert_int_equal(line, 0);
	assert_int_equal(keys.count, count);
}

static void
expect_bad(const char *text, unsigned where)
{
	unsigned line = 7;

	read_keys(A, 1);
	assert_int_equal(ticketkeys_read(&keys, text, strlen(text), &line), -1);
	assert_int_equal(line, where);
	assert_int_equal(ticketkeys_read(NULL, text, strlen(text), &line), -1);
	assert_int_equal(line, where);
	/* The old ones stay. */
	assert_int_equal(keys.count, 1);
}

static void
test_files(void **state)
{
	size_t i;

	(void)state;
	read_keys(A, 1);
	read_keys(A "\n", 1);
	for (i = 0; i < TICKETKEYS_KEY_SIZE; i++)
		assert_int_equal(keys.keys[0][i], i);
	read_keys("# new\n" B "\n\n  \t\n# old\n" A "\n", 2);
	for (i = 0; i < TICKETKEYS_KEY_SIZE; i++) {
		assert_int_equal(keys.keys[0][i], 0xa0 + i);
		assert_int_equal(keys.keys[1][i], i);
	}
	read_keys(" \t" A " \r\n" B "\r", 2);
}

static void
test_bad_files(void **state)
{
	(void)state;
	expect_bad("", 0);
	expect_bad("\n# nothing\n", 0);
	expect_bad("x" A "\n", 1);
	expect_bad(A "0\n", 1);
	expect_bad(B "\n" A "\n#\n" A A "\n", 4);
	expect_bad(A "\n" A " #\n", 2);
	expect_bad(A "\n0\n", 2);
	expect_bad("g"
		   "00102030405060708090a0b0c0d0e0f101112131415161718191a1b"
		   "1c1d1e1f\n",
	    1);
	expect_bad("0"
		   "/0102030405060708090a0b0c0d0e0f101112131415161718191a1b"
		   "1c1d1e1f\n",
	    1);
}

/* A key for each line; the last ones are too many. */
static void
test_count(void **state)
{
	static const char line[] = A "\n";
	char text[(TICKETKEYS_MAX + 1) * sizeof(line)] = "";
	size_t i;

	(void)state;
	for (i = 0; i < TICKETKEYS_MAX; i++)
		strcat(text, line);
	read_keys(text, TICKETKEYS_MAX);
	strcat(text, line);
	expect_bad(text, 0);
}

/* What NUL bytes are in is no text. */
static void
test_nul(void **state)
{
	char text[] = A "\n" A;
	unsigned line;

	(void)state;
	text[70] = '\0';
	assert_int_equal(
	    ticketkeys_read(&keys, text, sizeof(text) - 1, &line), -1);
	assert_int_equal(line, 2);
}

/*
 * Tickets
 */

static unsigned char binding[CACHE_BINDING_SIZE];
static struct tlsresume_ticket ticket;

static void
make(unsigned char first, uint32_t now)
{
	unsigned char random[TLSRESUME_NAME_SIZE];

	memset(random, first, sizeof(random));
	ticketkeys_make(&keys, binding, random, now, &ticket);
}

/* Is the secret of ticket's name found, and the same? */
static bool
is_found(uint32_t now, bool *is_old)
{
	struct tlsresume_ticket found;

	memset(&found, 0, sizeof(found));
	memcpy(found.name, ticket.name, sizeof(found.name));
	if (!ticketkeys_find(&keys, binding, now, LIFETIME, &found, is_old))
		return false;
	assert_memory_equal(&found, &ticket, sizeof(found));
	return true;
}

static void
test_found_again(void **state)
{
	bool is_old = true;

	(void)state;
	read_keys(A, 1);
	make(1, NOW);
	assert_true(is_found(NOW, &is_old));
	assert_false(is_old);
	assert_true(is_found(NOW + LIFETIME - 1, &is_old));
	assert_false(is_found(NOW + LIFETIME, &is_old));
	/* The machine that made it may be ahead. */
	assert_true(is_found(NOW - TICKETKEYS_SKEW, &is_old));
	assert_false(is_found(NOW - TICKETKEYS_SKEW - 1, &is_old));
	assert_false(is_found(NOW + 0x80000000u, &is_old));
}

/* Seconds are counted in 32 bits, and go on. */
static void
test_time_wraps(void **state)
{
	bool is_old;

	(void)state;
	read_keys(A, 1);
	make(1, UINT32_MAX - 5);
	assert_true(is_found(10, &is_old));
	assert_true(is_found(LIFETIME - 7, &is_old));
	assert_false(is_found(LIFETIME - 6, &is_old));
}

static void
test_rotation(void **state)
{
	bool is_old;

	(void)state;
	read_keys(A, 1);
	make(1, NOW);
	read_keys(A "\n" B, 2); /* a key to come */
	assert_true(is_found(NOW, &is_old));
	assert_false(is_old);
	read_keys(B "\n" A, 2);
	assert_true(is_found(NOW, &is_old));
	assert_true(is_old);
	read_keys(B, 1);
	assert_false(is_found(NOW, &is_old));
	make(1, NOW);
	assert_true(is_found(NOW, &is_old));
	assert_false(is_old);
}

static void
test_bound(void **state)
{
	bool is_old;
	size_t i;

	(void)state;
	read_keys(A, 1);
	make(1, NOW);
	for (i = 0; i < sizeof(binding); i++) {
		binding[i] ^= 1;
		assert_false(is_found(NOW, &is_old));
		binding[i] ^= 1;
	}
	assert_true(is_found(NOW, &is_old));
}

/* Each bit of a name counts. */
static void
test_names_are_not_made_up(void **state)
{
	bool is_old;
	size_t i;

	(void)state;
	read_keys(A "\n" B, 2);
	make(1, NOW);
	for (i = 0; i < 8 * sizeof(ticket.name); i++) {
		ticket.name[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_false(is_found(NOW, &is_old));
		ticket.name[i / 8] ^= (unsigned char)(1 << i % 8);
	}
}

static bool
share_bytes(const unsigned char *a, const unsigned char *b, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (a[i] == b[i])
			return true;
	return false;
}

/*
 * Of the same second, and they have nothing in common: neither the names,
 * beyond what is random, nor the secrets.  The numbers are such that no two
 * bytes are the same by chance.
 */
static void
test_nothing_in_common(void **state)
{
	struct tlsresume_ticket other;

	(void)state;
	read_keys(A, 1);
	make(1, NOW);
	other = ticket;
	make(2, NOW);
	assert_memory_not_equal(ticket.name + 6, other.name + 6, 4);
	assert_memory_not_equal(ticket.name + 10, other.name + 10, 6);
	assert_memory_not_equal(ticket.secret, other.secret, 32);
	assert_memory_not_equal(ticket.secret + 32, other.secret + 32, 32);
	assert_memory_not_equal(ticket.secret, ticket.secret + 32, 32);
	assert_false(share_bytes(ticket.name, other.name, 6));
}

static void
test_no_keys(void **state)
{
	struct ticketkeys none = { .count = 0 };
	bool is_old;

	(void)state;
	read_keys(A, 1);
	make(1, NOW);
	assert_false(
	    ticketkeys_find(&none, binding, NOW, LIFETIME, &ticket, &is_old));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_found_again),
		cmocka_unit_test(test_time_wraps),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_names_are_not_made_up),
		cmocka_unit_test(test_nothing_in_common),
		cmocka_unit_test(test_no_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
