/*
 * test_text: strict numbers, shown bytes, cut copies, lists, hex.
 */
#include "base/text.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
numbers_are_read_whole(void **state)
{
	static const struct {
		const char *s;
		unsigned long min, max, value;
	} good[] = {
		{ "0", 0, 0, 0 },
		{ "7", 7, 7, 7 },
		{ "65535", 0, 65535, 65535 },
		{ "0000000000000000000000000012", 1, 12, 12 },
		{ "18446744073709551615", 0, UINT64_MAX, UINT64_MAX },
	};
	unsigned long value;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		value = 99;
		assert_int_equal(
		    text_number(good[i].s, good[i].min, good[i].max, &value),
		    0);
		assert_int_equal(value, good[i].value);
	}
}

static void
malformed_numbers_are_refused(void **state)
{
	static const struct {
		const char *s;
		unsigned long min, max;
	} bad[] = {
		{ "", 0, 9 },
		{ " 1", 0, 9 },
		{ "1 ", 0, 9 },
		{ "+1", 0, 9 },
		{ "-1", 0, ULONG_MAX },
		{ "1x", 0, 9 },
		{ "0x1", 0, 99 },
		{ "1\n", 0, 9 },
		{ "1.0", 0, 99 },
		{ "1", 0, 0 },
		{ "65536", 0, 65535 },
		{ "0", 1, 9 },
		{ "10", 0, 9 },
		{ "\xd9\xa1", 0, 9 },
		{ "/", 0, 9 },
		{ ":", 0, 99 },
		{ "18446744073709551616", 0, UINT64_MAX },
		{ "18446744073709551620", 0, UINT64_MAX },
		{ "184467440737095516150", 0, UINT64_MAX },
		{ "99999999999999999999999", 0, UINT64_MAX },
	};
	unsigned long value = 42;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
		    text_number(bad[i].s, bad[i].min, bad[i].max, &value), -1);
		assert_int_equal(value, 42);
	}
}

static void
shown_bytes_are_harmless(void **state)
{
	char dst[TEXT_PRINTABLE_SIZE];
	unsigned char all[256];
	char want;
	int i;

	(void)state;
	for (i = 0; i < 256; i++) {
		all[i] = (unsigned char)i;
		want = i >= ' ' && i <= '~' && i != '%' ? (char)i : '?';
		text_printable(dst, &all[i], 1);
		assert_int_equal(dst[0], want);
		assert_int_equal(dst[1], '\0');
	}
	assert_string_equal(text_printable(dst, "a\n%n\0\x1b[", 7), "a??n??[");
	assert_string_equal(text_printable(dst, NULL, 0), "");
}

static void
shown_bytes_are_shortened(void **state)
{
	char dst[TEXT_PRINTABLE_SIZE];
	char bytes[200];
	char want[TEXT_PRINTABLE_SIZE];

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	memset(want, 'a', 100);
	want[100] = '\0';
	assert_string_equal(text_printable(dst, bytes, 100), want);
	memcpy(want + 100, "...", 4);
	assert_string_equal(text_printable(dst, bytes, 101), want);
	assert_string_equal(text_printable(dst, bytes, 200), want);
}

static void
copies_are_terminated(void **state)
{
	char dst[5] = "####";

	(void)state;
	assert_int_equal(text_copy(dst, sizeof(dst), "abcd"), 0);
	assert_string_equal(dst, "abcd");
	assert_int_equal(text_copy(dst, sizeof(dst), "vwxyz"), -1);
	assert_string_equal(dst, "vwxy");
	assert_int_equal(text_copy(dst, 1, ""), 0);
	assert_string_equal(dst, "");
	dst[0] = '#';
	assert_int_equal(text_copy(dst, 0, ""), -1);
	assert_int_equal(dst[0], '#');
	assert_int_equal(text_format(dst, sizeof(dst), "%d-%s", 1, "ab"), 0);
	assert_string_equal(dst, "1-ab");
	assert_int_equal(text_format(dst, sizeof(dst), "%d", 12345), -1);
	assert_string_equal(dst, "1234");
}

static void
beginnings(void **state)
{
	(void)state;
	assert_true(text_begins("abc", "ab"));
	assert_true(text_begins("abc", "abc"));
	assert_true(text_begins("abc", ""));
	assert_false(text_begins("ab", "abc"));
	assert_false(text_begins("", "a"));
	assert_false(text_begins("xab", "ab"));
}

/* The pieces of list, each in brackets. */
static const char *
pieces(char *out, size_t size, const char *list)
{
	const char *piece;
	size_t at = 0;
	size_t len;

	out[0] = '\0';
	while ((piece = text_piece(&list, ':', &len)) != NULL)
		at += (size_t)snprintf(
		    out + at, size - at, "[%.*s]", (int)len, piece);
	assert_null(list);
	return out;
}

static void
lists_fall_into_pieces(void **state)
{
	char out[64];

	(void)state;
	assert_string_equal(pieces(out, sizeof(out), "a"), "[a]");
	assert_string_equal(
	    pieces(out, sizeof(out), "ab:c:def"), "[ab][c][def]");
	assert_string_equal(pieces(out, sizeof(out), ":a::b:"), "[][a][][b][]");
	assert_string_equal(pieces(out, sizeof(out), ""), "[]");
	assert_string_equal(pieces(out, sizeof(out), NULL), "");
}

static void
hex_is_lower_case(void **state)
{
	static const unsigned char bytes[] = { 0x00, 0x9a, 0xff, 0x5c };
	char hex[9];

	(void)state;
	text_hex(hex, bytes, sizeof(bytes));
	assert_string_equal(hex, "009aff5c");
	text_hex(hex, bytes, 0);
	assert_string_equal(hex, "");
}

static void
digits_of_hex_have_values(void **state)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	int c, value;

	(void)state;
	for (c = 0; c < 256; c++) {
		const char *at = c == 0 ? NULL : strchr(digits, c);

		value = at == NULL ? -1 : (int)(at - digits);
		assert_int_equal(
		    text_hex_digit((char)c), value > 15 ? value - 6 : value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_read_whole),
		cmocka_unit_test(malformed_numbers_are_refused),
		cmocka_unit_test(shown_bytes_are_harmless),
		cmocka_unit_test(shown_bytes_are_shortened),
		cmocka_unit_test(copies_are_terminated),
		cmocka_unit_test(beginnings),
		cmocka_unit_test(lists_fall_into_pieces),
		cmocka_unit_test(hex_is_lower_case),
		cmocka_unit_test(digits_of_hex_have_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
