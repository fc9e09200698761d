/*
 * test_ruletext: lines of rule text to keys and data, and what is refused.
 */
#include "rules/ruletext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Reads the line; its records as "key=data", '!' for NUL, blank between. */
static int
read_line(const char *line, size_t len, char *out, size_t size,
    struct ruletext_record *last)
{
	struct ruletext text;
	struct ruletext_record r;
	const char *error;
	size_t at = 0, i;
	int result;

	ruletext_init(&text);
	result = ruletext_read(&text, line, len, &error);
	out[0] = '\0';
	while (
	    result == 1 && (result = ruletext_next(&text, &r, &error)) == 1) {
		at += (size_t)snprintf(out + at, size - at,
		    "%.*s=", (int)r.key_len, r.key_len > 0 ? r.key : "");
		for (i = 0; i < r.data_len; i++)
			at += (size_t)snprintf(out + at, size - at, "%c",
			    r.data[i] == '\0' ? '!' : r.data[i]);
		at += (size_t)snprintf(out + at, size - at, " ");
		if (last != NULL) {
			*last = r;
			last->key = NULL;
			last->data = NULL;
		}
	}
	if (result == -1) {
		assert_non_null(error);
		snprintf(out, size, "%s", error);
	}
	ruletext_free(&text);
	return result;
}

static void
expect(const char *line, const char *records)
{
	char out[65536];

	assert_int_equal(
	    read_line(line, strlen(line), out, sizeof(out), NULL), 0);
	assert_string_equal(out, records);
}

static void
addresses_become_keys(void **state)
{
	(void)state;
	expect("1.2.3.4:allow", "1.2.3.4= ");
	expect("18.:deny\n", "18.=D! ");
	expect(":allow \t \n", "= ");
	expect("=Mail.EXAMPLE.com:deny", "=mail.example.com=D! ");
	expect("=.Example.com:deny", "=.example.com=D! ");
	expect("=:deny", "==D! ");
	expect("Joe@1.2.3.4:allow", "Joe@1.2.3.4= ");
	expect("Joe@=a.Example:allow", "Joe@=a.Example= ");
	expect(
	    "2001:DB8::a:allow", "2001:0DB8:0000:0000:0000:0000:0000:000A= ");
	expect("::1:deny", "0000:0000:0000:0000:0000:0000:0000:0001=D! ");
	expect(
	    "a@b@::1:deny", "a@b@0000:0000:0000:0000:0000:0000:0000:0001=D! ");
}

static void
ranges_become_several(void **state)
{
	(void)state;
	expect("18.23.0.1-3:deny", "18.23.0.1=D! 18.23.0.2=D! 18.23.0.3=D! ");
	expect("9-11.:allow", "9.= 10.= 11.= ");
	expect("1.98-100.7.:allow", "1.98.7.= 1.99.7.= 1.100.7.= ");
	expect(
	    "1.2.3.254-99999999999999999999:allow", "1.2.3.254= 1.2.3.255= ");
	expect("1.2.3.07-08:allow", "1.2.3.7= 1.2.3.8= ");
	expect("1.2.3.9-8:allow", "");
	expect("1.2.3.300-400:allow", "");
	/* No range in a name. */
	expect("=a-b.c:allow", "=a-b.c= ");
	expect("joe@1.2.3.1-2:allow", "joe@1.2.3.1-2= ");
}

static void
prefixes_become_marked_bits(void **state)
{
	char key[RULEKEY_SIZE + 8];

	(void)state;
	expect("128.0.0.0/1:allow", "_a= ");
	expect("10.1.2.3/8:allow", "_0000e0g0= ");
	expect(
	    "255.255.255.255/32:allow", "_abcdefghijklmnopqrstuvwxyz123456= ");
	expect("0.0.0.3/32:allow",
	    "_000000000000000000000000000000"
	    "56= ");
	expect("2001:db8::/32:deny", "^00`000000000000a0000bc0de0fgh000=D! ");
	expect("8000::/1:deny", "^`=D! ");
	memset(key, 0, sizeof(key));
	key[0] = '^';
	for (int i = 0; i < 128; i++)
		key[1 + i] = (char)(96 + i);
	strcat(key, "= ");
	expect("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128:allow", key);
}

static void
variables_follow(void **state)
{
	(void)state;
	expect("1.:allow,A=\"x\"", "1.=+A=x! ");
	expect("1.:deny,A=/x y/,B=,,,C=\"=:,\"", "1.=D!+A=x y!+B=!+C==:,! ");
	expect("1.:allow,A=\"\",A=''", "1.=+A=!+A=! ");
	/* The last colon before the first comma. */
	expect("::1:allow,A=\"b:c\"",
	    "0000:0000:0000:0000:0000:0000:0000:0001=+A=b:c! ");
}

static void
nothing_comes_of_comments(void **state)
{
	static const char *const lines[] = { "", "\n", " \t\n", "#",
		"# 1.2.3.4:deny\n" };
	char out[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(read_line(lines[i], strlen(lines[i]), out,
				     sizeof(out), NULL),
		    0);
		assert_string_equal(out, "");
	}
}

static void
malformed_lines_are_refused(void **state)
{
	static const char *const lines[] = { "1.2.3.4", "allow", " #x",
		"a,b:allow", "1.2.3.4:", "1.2.3.4: allow", "1.2.3.4:Deny",
		"1.2.3.4:allowed", "1.2.3.4:allow A=\"x\"", "1.2.3.4:deny,",
		"1.2.3.4:deny,A", "1.2.3.4:deny,A=", "1.2.3.4:deny,A=\"",
		"1.2.3.4:deny,A=\"x", "1.2.3.4:deny,=\"x\"",
		"1.2.3.4:deny,A=\"x\"y", "1.2.3.4:deny,,A=\"x\"",
		"1.2.3.4:deny,A B=\"x\"", "1.2.3.0/0:allow", "1.2.3.0/33:allow",
		"1.2.3.0/:allow", "1.2.3.0/x:allow", "1.2.3.0/-1:allow",
		"1.2.3.0/8/8:allow", "1.2.3/8:allow", "10./8:allow", "/8:allow",
		"::/0:allow", "::/129:allow", "::1/:allow",
		"1.2.3.4/99999999999999999999:deny", "2001:db8:allow",
		"fe80::1%eth0:deny", "::::deny", "1:2:3:4:5:6:7:8:9:deny",
		"joe@fe80::1%lo:deny", "joe@2001:db8::/32:deny",
		"1.2.3.a-4:deny", "1.2.3.4-:deny", "1.2.3.-4:deny", "-:deny",
		"a-b.example:deny", "1-2.3-4.:deny", "1.2.3.1-2-3:deny",
		"2001:db8::1-5:deny", "1.2.3-4.0/24:deny", "1.2.3.1--3:deny" };
	char out[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (read_line(lines[i], strlen(lines[i]), out, sizeof(out),
			NULL) != -1)
			fail_msg("not refused: %s", lines[i]);
	assert_int_equal(
	    read_line("1.:deny,A=\"x\0y\"", 15, out, sizeof(out), NULL), -1);
	assert_int_equal(read_line("1.\0:deny", 8, out, sizeof(out), NULL), -1);
}

static void
kinds_are_told(void **state)
{
	static const struct {
		const char *line;
		enum ruletext_kind kind;
		unsigned bits;
	} cases[] = {
		{ ":deny", RULETEXT_DEFAULT, 0 },
		{ "1.2.3.4:deny", RULETEXT_ADDRESS, 32 },
		{ "0.0.0.255:deny", RULETEXT_ADDRESS, 32 },
		{ "1.2.3.:deny", RULETEXT_DOTTED, 24 },
		{ "1.:deny", RULETEXT_DOTTED, 8 },
		{ "1.2.3.4/7:deny", RULETEXT_PREFIX, 7 },
		{ "::1:deny", RULETEXT_ADDRESS, 128 },
		{ "::1/9:deny", RULETEXT_PREFIX, 9 },
		{ "::/95:deny", RULETEXT_PREFIX, 95 },
		{ "=a:deny", RULETEXT_HOST, 0 },
		{ "=A_b-9.c:deny", RULETEXT_HOST, 0 },
		{ "=.a:deny", RULETEXT_SUFFIX, 0 },
		{ "=:deny", RULETEXT_SUFFIX, 0 },
		{ "x@1.2.3.4:deny", RULETEXT_IDENT, 0 },
		{ "@1.2.3.4:deny", RULETEXT_IDENT, 0 },
		{ "x@::1:deny", RULETEXT_IDENT, 0 },
		{ "x@=a.b:deny", RULETEXT_IDENT, 0 },
		{ "=x@1.2.3.4:deny", RULETEXT_IDENT, 0 },
	};
	char out[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ruletext_record r = { .kind = RULETEXT_OTHER };

		assert_int_equal(read_line(cases[i].line, strlen(cases[i].line),
				     out, sizeof(out), &r),
		    0);
		if (r.kind != cases[i].kind || r.never != NULL)
			fail_msg("%s: kind %d", cases[i].line, r.kind);
		if (r.kind == RULETEXT_ADDRESS || r.kind == RULETEXT_DOTTED ||
		    r.kind == RULETEXT_PREFIX)
			assert_int_equal(r.bits, cases[i].bits);
	}
}

static void
useless_addresses_say_why(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{ "1.2.3:deny", "a part" },
		{ "1.2.3.4.:deny", "a whole address" },
		{ "1.2.3.4.5:deny", "four numbers" },
		{ "1.2.3.256:deny", "at most 255" },
		{ "1.2.03.:deny", "begins with 0" },
		{ " 1.2.3.4:deny", "no address" },
		{ "1..2:deny", "no address" },
		{ "example.com:deny", "begins with '='" },
		{ "1=2:deny", "no address" },
		{ "::ffff:1.2.3.4:deny", "as IPv4" },
		{ "::ffff:1.2.3.4/97:deny", "as IPv4" },
		{ "x@::ffff:1.2.3.4:deny", "as IPv4" },
		{ "=a.:deny", "ends with a dot" },
		{ "=.:deny", "ends with a dot" },
		{ "=..a:deny", "empty part" },
		{ "=a..b:deny", "empty part" },
		{ "=a b:deny", "such a character" },
		{ "=1:2:deny", "such a character" },
		{ "x@:deny", "'@' takes" },
		{ "x@1.2.:deny", "'@' takes" },
		{ "x@1.2.3.4/32:deny", "'@' takes" },
		{ "x@=.a:deny", "empty part" },
		{ "x@=:deny", "ends with a dot" },
		{ "x@=A.b:deny", "lower case" },
		{ "1.2.3.4-5.:deny", "a whole address" },
	};
	char out[512];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ruletext_record r = { .kind = RULETEXT_DEFAULT };

		assert_int_equal(read_line(cases[i].line, strlen(cases[i].line),
				     out, sizeof(out), &r),
		    0);
		if (r.kind != RULETEXT_OTHER || r.never == NULL ||
		    strstr(r.never, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].line,
			    r.never != NULL ? r.never : "of use");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_become_keys),
		cmocka_unit_test(ranges_become_several),
		cmocka_unit_test(prefixes_become_marked_bits),
		cmocka_unit_test(variables_follow),
		cmocka_unit_test(nothing_comes_of_comments),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(kinds_are_told),
		cmocka_unit_test(useless_addresses_say_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
