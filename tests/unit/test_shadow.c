/*
 * test_shadow: which rules can never match, compared with looking every
 * address of a small world up.
 */
#include "rules/shadow.h"

#include <stdbool.h>
#include <stdio.h>

#include <arpa/inet.h>

#include "rules/rules.h"
#include "tableutil.h"

/* What was told last: "LINE: REASON\n" each. */
static char told[65536];
static bool is_told[4096];

static void
tell(uint32_t line, const char *reason)
{
	size_t len = strlen(told);

	snprintf(told + len, sizeof(told) - len, "%u: %s\n", line, reason);
	assert_true(line < sizeof(is_told));
	assert_false(is_told[line]);
	is_told[line] = true;
}

static struct table
report(const char *lines)
{
	struct shadow *shadow = shadow_new();
	struct table t;

	assert_non_null(shadow);
	told[0] = '\0';
	memset(is_told, 0, sizeof(is_told));
	t = table_make(lines, shadow);
	assert_int_equal(shadow_report(shadow, t.bytes, t.len, tell), 0);
	shadow_free(shadow);
	return t;
}

static void
expect(const char *lines, const char *expected)
{
	struct table t = report(lines);

	assert_string_equal(told, expected);
	free(t.bytes);
}

static void
sound_rules_are_not_told_of(void **state)
{
	(void)state;
	expect("", "");
	expect("1.2.3.4:allow\n1.2.3.:deny\n1.2.:allow\n1.:deny\n:allow\n"
	       "=a.b:deny\n=.b:allow\n=:deny\ni@=a.b:allow\ni@1.2.3.4:deny\n"
	       "2.0.0.0/8:deny\n2.0.0.0/9:allow\n2.1.:deny\n2.1.1.1:deny\n"
	       "::1:allow\n::/8:deny\n::/9:allow\n",
	    "");
}

static void
duplicates_are_told_of(void **state)
{
	(void)state;
	expect("1.:allow\n1.:deny\n1.:deny\n",
	    "2: line 1 has the same address\n"
	    "3: line 1 has the same address\n");
	expect("=a:allow\n=b:deny\n=A:deny\n",
	    "3: line 1 has the same "
	    "address\n");
	expect(":allow\n:deny\n", "2: line 1 has the same address\n");
	expect("::1:allow\n0::1:deny\n1::/16:deny\n1:2::/16:deny\n",
	    "2: line 1 has the same address\n"
	    "4: line 3 has the same address\n");
	expect("1::1:allow\n1::2:deny\n1::1:deny\n",
	    "3: line 1 has the same address\n");
	expect("10.0.0.0/8:deny\n10.1.2.3/8:allow\n",
	    "2: line 1 has the same address\n");
}

static void
dots_come_before_prefixes(void **state)
{
	(void)state;
	expect("10.1.2.0/24:deny\n10.:allow\n",
	    "1: 10. of line 2 is looked up first\n");
	expect("10.1.2.3/32:deny\n10.1.2.3:allow\n",
	    "1: 10.1.2.3 of line 2 is looked up first\n");
	expect("::1/128:deny\n::1:allow\n",
	    "1: the whole address of line 2 is looked up first\n");
	expect("10.0.0.0/7:deny\n10.:allow\n", "");
}

static void
full_rules_are_told_of(void **state)
{
	(void)state;
	expect("1.2.0.0/23:deny\n1.2.0-1.:allow\n",
	    "1: the rules inside it, looked up first, cover all of it\n");
	expect("1.2.0.0/22:deny\n1.2.0-1.:allow\n1.2.2.0/24:deny\n"
	       "1.2.3.0/25:deny\n1.2.3.128/25:deny\n",
	    "1: the rules inside it, looked up first, cover all of it\n");
	expect("1.2.0.0/22:deny\n1.2.0-1.:allow\n1.2.2.0/24:deny\n"
	       "1.2.3.0/25:deny\n1.2.3.128/26:deny\n",
	    "");
	expect("1.:deny\n1.0-255.:allow\n",
	    "1: the rules inside it, looked up first, cover all of it\n");
	/* Prefixes are looked up after dots and fill nothing there. */
	expect("1.:deny\n1.0-254.:allow\n", "");
	expect("a::/16:deny\na::/17:deny\na:8000::/17:allow\n",
	    "1: the rules inside it, looked up first, cover all of it\n");
	expect("a::/64:deny\na::/65:deny\na::8000:0:0:0/65:allow\n",
	    "1: the rules inside it, looked up first, cover all of it\n");
}

static void
what_comes_after_addresses_is_told_of(void **state)
{
	(void)state;
	expect(":deny\n=:deny\n=.a:deny\n=a:deny\n0-255.:deny\n::/1:deny\n"
	       "8000::/1:allow\n",
	    "1: the rules for addresses, looked up first, cover all\n"
	    "2: the rules for addresses, looked up first, cover all\n"
	    "3: the rules for addresses, looked up first, cover all\n");
	expect(":deny\n0-255.:deny\n8000::/1:deny\n", "");
	expect(":deny\n1-255.:deny\n::/1:deny\n8000::/1:deny\n", "");
}

/* All prefixes beside the way to ::ffff:0:0/96, where only IPv4 is. */
static void
mapped_addresses_need_no_rule(void **state)
{
	char text[8192] = ":deny\n0-255.:deny\n", ip[INET6_ADDRSTRLEN];
	size_t len = strlen(text), i;

	(void)state;
	for (i = 0; i < 96; i++) {
		unsigned char bytes[16] = { [10] = 0xff, [11] = 0xff };

		bytes[i / 8] ^= (unsigned char)(0x80 >> i % 8);
		inet_ntop(AF_INET6, bytes, ip, sizeof(ip));
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "%s/%zu:deny\n", ip, i + 1);
	}
	expect(
	    text, "1: the rules for addresses, looked up first, cover all\n");
}

static void
ranges_die_as_a_whole(void **state)
{
	(void)state;
	expect("1.2.3.4:deny\n1.2.3.3-5:allow\n1.2.3.4-5:allow\n",
	    "3: line 2 has the same address\n");
	expect("1.2.3.5-4:allow\n", "1: the range holds no number\n");
	expect("1.2.3-5:allow\n", "1: a part of an address ends with a dot\n");
}

/* ----- against the look-up itself ----- */

static uint32_t seed = 20;

static uint32_t
random_below(uint32_t limit)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % limit;
}

/* A rule inside 1.2.0.0/22, whose first numbers are few. */
static size_t
random_rule(char *line, size_t size)
{
	uint32_t third = random_below(4), low = random_below(4) * 64;

	switch (random_below(5)) {
	case 0:
		return (size_t)snprintf(line, size, "1.2.%u.%u-%u:deny\n",
		    third, low, low + random_below(200));
	case 1:
		return (size_t)snprintf(line, size, "1.2.%u.:deny\n", third);
	case 2:
		return (size_t)snprintf(
		    line, size, "1.2.%u.%u:deny\n", third, low);
	default:
		return (size_t)snprintf(line, size, "1.2.%u.%u/%u:deny\n",
		    third, low, 21 + random_below(12));
	}
}

/* Does a client of 1.2.0.0/21 find this line's rule? */
static void
find_used(const struct table *t, const size_t *lines, bool *is_used)
{
	unsigned char ip[16] = { [10] = 0xff, [11] = 0xff, 1, 2, 0, 0 };
	struct rules_client client = { .ip = ip };
	struct rules_verdict v;
	unsigned i;

	for (i = 0; i < 2048; i++) {
		ip[14] = (unsigned char)(i >> 8);
		ip[15] = (unsigned char)i;
		assert_int_equal(
		    rules_decide(&v, t->bytes, t->len, &client), 0);
		if (v.is_found)
			is_used[lines[v.key - t->bytes - 8]] = true;
	}
}

/* The line of each record, by its offset. */
static size_t *
lines_of_records(const char *text, size_t table_len)
{
	size_t *lines = calloc(table_len, sizeof(*lines));
	size_t number = 0, offset = 2048;
	struct ruletext reader;
	struct ruletext_record r;
	const char *error;

	assert_non_null(lines);
	ruletext_init(&reader);
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		number++;
		assert_int_equal(ruletext_read(&reader, text, len, &error), 1);
		while (ruletext_next(&reader, &r, &error) == 1) {
			lines[offset] = number;
			offset += 8 + r.key_len + r.data_len;
		}
		text += len + 1;
	}
	ruletext_free(&reader);
	return lines;
}

static void
reports_agree_with_look_ups(void **state)
{
	size_t round, rule, count, dead = 0;

	(void)state;
	for (round = 0; round < 300; round++) {
		char text[8192] = "";
		bool is_used[64] = { false };
		size_t len = 0, *lines;
		struct table t;

		count = 2 + random_below(40);
		for (rule = 0; rule < count; rule++)
			len += random_rule(text + len, sizeof(text) - len);
		t = report(text);
		lines = lines_of_records(text, t.len);
		find_used(&t, lines, is_used);
		for (rule = 1; rule <= count; rule++)
			if (is_told[rule] == is_used[rule])
				fail_msg("line %zu of\n%s%s", rule, text, told);
			else
				dead += is_told[rule];
		free(lines);
		free(t.bytes);
	}
	assert_true(dead > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_rules_are_not_told_of),
		cmocka_unit_test(duplicates_are_told_of),
		cmocka_unit_test(dots_come_before_prefixes),
		cmocka_unit_test(full_rules_are_told_of),
		cmocka_unit_test(what_comes_after_addresses_is_told_of),
		cmocka_unit_test(mapped_addresses_need_no_rule),
		cmocka_unit_test(ranges_die_as_a_whole),
		cmocka_unit_test(reports_agree_with_look_ups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
