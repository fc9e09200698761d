/*
 * test_rules: the order of the look-up, the verdict, and tables that are
 * damaged.
 */
#include "rules/rules.h"

#include <stdio.h>

#include <arpa/inet.h>

#include "tableutil.h"

/* The verdict as "KEY NAME=VALUE... allow|deny", "-" when none matched. */
static const char *
decide(
    const struct table *t, const char *ip, const char *host, const char *info)
{
	static char out[1024];
	unsigned char bytes[16] = { [10] = 0xff, [11] = 0xff };
	struct rules_client client = { .host = host, .info = info };
	struct rules_verdict v;
	const char *variable;
	size_t at = 0, n;

	if (ip != NULL) {
		if (inet_pton(AF_INET, ip, bytes + 12) != 1)
			assert_int_equal(inet_pton(AF_INET6, ip, bytes), 1);
		client.ip = bytes;
	}
	assert_int_equal(rules_decide(&v, t->bytes, t->len, &client), 0);
	assert_int_equal(v.is_default, v.is_found && v.key_len == 0);
	n = (size_t)snprintf(out, sizeof(out), "%.*s ",
	    v.is_found ? (int)v.key_len : 1,
	    v.is_found ? (const char *)v.key : "-");
	while ((variable = rules_variable(&v, &at)) != NULL)
		n +=
		    (size_t)snprintf(out + n, sizeof(out) - n, "%s ", variable);
	snprintf(out + n, sizeof(out) - n, v.denies ? "deny" : "allow");
	return out;
}

static struct table
make(const char *lines)
{
	struct table t = table_make(lines, NULL);

	assert_int_equal(rules_check(t.bytes, t.len), 0);
	return t;
}

/* Each step hits when all before are missing: rules go one by one. */
static void
first_hit_wins(void **state)
{
	static const char *const lines[] = { "i@1.2.3.4", "i@=a.b.c", "1.2.3.4",
		"=a.b.c", "1.2.3.", "1.2.", "1.", "1.2.3.4/32", "1.2.3.4/31",
		"1.2.3.4/9", "0.0.0.0/1", "=.b.c", "=.c", "=", "" };
	static const char *const keys[] = { "i@1.2.3.4", "i@=a.b.c", "1.2.3.4",
		"=a.b.c", "1.2.3.", "1.2.", "1.",
		"_0000000h000000o0000000wx00000400",
		"_0000000h000000o0000000wx0000040", "_0000000h0", "_0", "=.b.c",
		"=.c", "=", "" };
	size_t count = sizeof(keys) / sizeof(keys[0]), i, k;

	(void)state;
	for (i = 0; i < count; i++) {
		char text[1024] = "", expected[128];
		struct table t;

		/* In reverse, so that the order in the file is no help. */
		for (k = count; k > i; k--) {
			strcat(text, lines[k - 1]);
			strcat(text, ":deny\n");
		}
		t = make(text);
		snprintf(expected, sizeof(expected), "%s deny", keys[i]);
		assert_string_equal(
		    decide(&t, "1.2.3.4", "a.b.c", "i"), expected);
		free(t.bytes);
	}
}

static void
ipv6_has_prefixes_but_no_dots(void **state)
{
	struct table t = make("2001:db8::1:allow,A=\"1\"\n"
			      "2001:db8::/32:deny\n"
			      "2001:db8::/33:allow\n"
			      "x@2001:db8::1:deny\n"
			      "2.:deny\n1.0.0.0/8:deny\n");

	(void)state;
	assert_string_equal(decide(&t, "2001:db8::1", NULL, NULL),
	    "2001:0DB8:0000:0000:0000:0000:0000:0001 A=1 allow");
	assert_string_equal(decide(&t, "2001:db8::1", NULL, "x"),
	    "x@2001:0DB8:0000:0000:0000:0000:0000:0001 deny");
	assert_string_equal(decide(&t, "2001:db8::2", NULL, "x"),
	    "^00`000000000000a0000bc0de0fgh0000 allow");
	assert_string_equal(decide(&t, "2001:db8:8000::2", NULL, NULL),
	    "^00`000000000000a0000bc0de0fgh000 deny");
	assert_string_equal(decide(&t, "2001:db9::1", NULL, NULL), "- allow");
	/* A mapped address is looked up as what it is. */
	assert_string_equal(
	    decide(&t, "::ffff:1.2.3.4", NULL, NULL), "_0000000h deny");
	free(t.bytes);
}

static void
early_look_up_is_by_address_alone(void **state)
{
	struct table t = make("=:deny\n=a:deny\ni@1.2.3.4:deny\n:allow\n");

	(void)state;
	assert_string_equal(decide(&t, "1.2.3.4", NULL, NULL), " allow");
	assert_string_equal(decide(&t, "1.2.3.4", "a", NULL), "=a deny");
	assert_string_equal(decide(&t, "1.2.3.4", "b", NULL), "= deny");
	assert_string_equal(decide(&t, "1.2.3.4", "b", "i"), "i@1.2.3.4 deny");
	assert_string_equal(decide(&t, NULL, NULL, "i"), " allow");
	free(t.bytes);
}

static void
first_of_equal_records_counts(void **state)
{
	struct table t = make("1.2.3.4:allow,A=\"1\",B=\"\"\n1.2.3.4:deny\n");

	(void)state;
	assert_string_equal(
	    decide(&t, "1.2.3.4", NULL, NULL), "1.2.3.4 A=1 B= allow");
	free(t.bytes);
}

static void
empty_table_allows(void **state)
{
	struct table t = make("");

	(void)state;
	assert_int_equal(t.len, 2048);
	assert_string_equal(decide(&t, "1.2.3.4", "a", "i"), "- allow");
	free(t.bytes);
}

static void
records_are_located(void **state)
{
	struct table t = make("1.:allow\n2.:deny\n1.:deny\n");
	const unsigned char *key;
	size_t len;

	(void)state;
	assert_int_equal(rules_locate(t.bytes, t.len, "1.", 2), 2048);
	assert_int_equal(rules_locate(t.bytes, t.len, "2.", 2), 2058);
	assert_int_equal(rules_locate(t.bytes, t.len, "3.", 2), 0);
	key = rules_key_at(t.bytes, t.len, 2058, &len);
	assert_non_null(key);
	assert_int_equal(len, 2);
	assert_memory_equal(key, "2.", 2);
	assert_null(rules_key_at(t.bytes, t.len, 0, &len));
	assert_null(rules_key_at(t.bytes, t.len, t.len, &len));
	assert_null(rules_key_at(t.bytes, t.len, SIZE_MAX, &len));
	/* A key that does not end inside. */
	t.bytes[2048 + 3] = 1;
	assert_null(rules_key_at(t.bytes, t.len, 2048, &len));
	free(t.bytes);
}

static void
put_number(struct table *t, size_t at, uint32_t number)
{
	int i;

	for (i = 0; i < 4; i++)
		t->bytes[at + (size_t)i] = (unsigned char)(number >> 8 * i);
}

static uint32_t
get_number(const struct table *t, size_t at)
{
	return (uint32_t)t->bytes[at] | (uint32_t)t->bytes[at + 1] << 8 |
	    (uint32_t)t->bytes[at + 2] << 16 | (uint32_t)t->bytes[at + 3] << 24;
}

/* Looks for every client; the table may be anything. */
static int
try_all(const struct table *t)
{
	static const unsigned char v4[16] = {
		[10] = 0xff, [11] = 0xff, [12] = 1, [13] = 2
	};
	static const unsigned char v6[16] = { 0x20, 0x01, 0x0d, 0xb8 };
	struct rules_client client = { .host = "a.b", .info = "i" };
	int i, result = 0;

	for (i = 0; i < 2; i++) {
		struct rules_verdict v;
		size_t at = 0;

		client.ip = i == 0 ? v4 : v6;
		if (rules_decide(&v, t->bytes, t->len, &client) == -1) {
			assert_true(v.denies);
			result = -1;
		}
		while (rules_variable(&v, &at) != NULL)
			assert_true(at <= v.data_len);
	}
	return result;
}

static const char all_kinds[] = "1.2.0.0:deny\n1.:allow,A=\"x\"\n=.b:deny\n"
				"2001:db8::/32:allow,B=\"\"\n:deny\n"
				"0.0.0.0/1:deny\ni@=a.c:deny\n=:deny\n";

/* Under a sanitizer, a read outside of the bytes ends the test. */
static void
cut_tables_are_refused(void **state)
{
	struct table whole = make(all_kinds), t;

	(void)state;
	for (t.len = 0; t.len < whole.len; t.len++) {
		t.bytes = malloc(t.len > 0 ? t.len : 1);
		assert_non_null(t.bytes);
		memcpy(t.bytes, whole.bytes, t.len);
		assert_int_equal(rules_check(t.bytes, t.len), -1);
		(void)try_all(&t);
		free(t.bytes);
	}
	free(whole.bytes);
}

/* What rules_check lets pass is looked up without an error. */
static void
changed_tables_are_refused_or_sound(void **state)
{
	static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct table t = make(all_kinds);
	size_t at, k;

	(void)state;
	for (at = 0; at < t.len; at++) {
		unsigned char old = t.bytes[at];

		for (k = 0; k < sizeof(values); k++) {
			t.bytes[at] = values[k];
			if (try_all(&t) == -1)
				assert_int_equal(
				    rules_check(t.bytes, t.len), -1);
			(void)rules_check(t.bytes, t.len);
		}
		t.bytes[at] = old;
	}
	free(t.bytes);
}

/* Where the one record's slot is. */
static size_t
slot_of(const struct table *t, size_t *header)
{
	size_t at, end;

	for (*header = 0; get_number(t, *header + 4) == 0; *header += 8)
		;
	at = get_number(t, *header);
	end = at + 8 * (size_t)get_number(t, *header + 4);
	for (; at < end; at += 8)
		if (get_number(t, at + 4) != 0)
			return at;
	return 0;
}

static void
damage_of_each_kind_is_found(void **state)
{
	struct table t = make("1.2.3.4:deny,A=\"x\"\n");
	size_t header, slot = slot_of(&t, &header);
	size_t record = get_number(&t, slot + 4);
	/* Offset and value of each change. */
	const struct {
		size_t at;
		uint32_t value;
	} changes[] = {
		{ header, 2047 },	     /* table in the header */
		{ header, (uint32_t)t.len }, /* table at the end */
		{ header, UINT32_MAX },	     /* table outside */
		{ header + 4, 3 },	     /* table too long */
		{ header + 4, UINT32_MAX },  /* the same, overflowing */
		{ slot, get_number(&t, slot) ^ 512 }, /* a wrong hash */
		{ slot + 4, 8 },		      /* record in the header */
		{ slot + 4, (uint32_t)t.len - 7 },    /* record at the end */
		{ record, UINT32_MAX },		      /* length of the key */
		{ record + 4, UINT32_MAX },	      /* length of the data */
		{ record + 4, 5 },		      /* data without its NUL */
		{ record + 8 + 7, 'X' },	      /* no instruction */
		{ record + 8, '9' },		      /* key of another hash */
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		uint32_t old = get_number(&t, changes[i].at);

		put_number(&t, changes[i].at, changes[i].value);
		if (rules_check(t.bytes, t.len) != -1)
			fail_msg("change %zu was not found", i);
		(void)try_all(&t);
		put_number(&t, changes[i].at, old);
		assert_int_equal(rules_check(t.bytes, t.len), 0);
	}
	free(t.bytes);
}

/* A deny that the look-up would not come to must not pass as sound. */
static void
lost_records_are_found(void **state)
{
	struct table t = make("1.2.3.4:deny\n");
	size_t header, slot = slot_of(&t, &header);
	size_t other = get_number(&t, header);
	unsigned char bytes[8];

	(void)state;
	other += other == slot ? 8 : 0;
	memcpy(bytes, t.bytes + slot, sizeof(bytes));
	memcpy(t.bytes + other, bytes, sizeof(bytes));
	memset(t.bytes + slot, 0, sizeof(bytes));
	assert_int_equal(rules_check(t.bytes, t.len), -1);
	/* No empty slot: a search in vain has no end but the table's. */
	memcpy(t.bytes + slot, bytes, sizeof(bytes));
	assert_int_equal(rules_check(t.bytes, t.len), -1);
	free(t.bytes);
}

/* Many tables that share their bytes would take long to look at. */
static void
overlapping_tables_are_refused(void **state)
{
	struct table t;
	size_t i;

	(void)state;
	t.len = 2048 + 8 * 1024;
	t.bytes = calloc(1, t.len);
	assert_non_null(t.bytes);
	/* All zeros, as after a crash, is no table that lets all in. */
	assert_int_equal(rules_check(t.bytes, t.len), -1);
	assert_int_equal(rules_check(t.bytes, 2048), -1);
	put_number(&t, 0, 2048);
	put_number(&t, 4, 1024);
	assert_int_equal(rules_check(t.bytes, t.len), -1);
	for (i = 1; i < 256; i++)
		put_number(&t, 8 * i, (unsigned)t.len);
	assert_int_equal(rules_check(t.bytes, t.len), 0);
	for (i = 0; i < 256; i++) {
		put_number(&t, 8 * i, 2048);
		put_number(&t, 8 * i + 4, 512);
	}
	assert_int_equal(rules_check(t.bytes, t.len), -1);
	free(t.bytes);
}

/* And so would many slots of one long record. */
static void
overlapping_records_are_refused(void **state)
{
	char text[4096] = "1.2.3.4:allow,A=\"";
	struct table t;
	size_t at, end, header, i;

	(void)state;
	memset(text + strlen(text), 'x', 1000);
	strcat(text, "\"\n");
	for (i = 0; i < 40; i++)
		strcat(text, "1.2.3.4:deny\n");
	t = make(text);
	at = slot_of(&t, &header);
	assert_int_not_equal(at, 0);
	at = get_number(&t, header);
	end = at + 8 * (size_t)get_number(&t, header + 4);
	for (; at < end; at += 8)
		if (get_number(&t, at + 4) != 0)
			put_number(&t, at + 4, 2048);
	assert_int_equal(rules_check(t.bytes, t.len), -1);
	free(t.bytes);
}

/* A file need not be read to its end to see that it is none. */
static void
the_header_tells_the_length(void **state)
{
	static const unsigned char zeros[RULES_HEADER_SIZE];
	struct table t = make("1.2.3.4:deny\n=a.b:deny\n"), none = make("");

	(void)state;
	assert_int_equal(rules_check_header(t.bytes, t.len), 0);
	assert_int_equal(rules_check_header(none.bytes, none.len), 0);
	assert_int_equal(rules_check_header(t.bytes, t.len - 1), -1);
	assert_int_equal(rules_check_header(t.bytes, t.len + 1), -1);
	assert_int_equal(
	    rules_check_header(t.bytes, t.len + (UINT64_C(1) << 32)), -1);
	assert_int_equal(rules_check_header(zeros, 0), -1);
	assert_int_equal(rules_check_header(zeros, sizeof(zeros)), -1);
	assert_int_equal(rules_check_header(zeros, UINT32_MAX), -1);
	free(t.bytes);
	free(none.bytes);
}

static void
kinds_are_found(void **state)
{
	static const struct {
		const char *lines;
		unsigned kinds;
	} cases[] = { { "", 0 },
		{ ":deny\n1.2.3.4:deny\n1.:allow\n2001:db8::/32:deny\n", 0 },
		{ "1.2.3.4:allow,A=\"=x@y\"\n", 0 },
		{ "=:deny\n", RULES_BY_HOST },
		{ "=.a.b:deny\n1.2.3.4:allow\n", RULES_BY_HOST },
		{ "1.:deny\njoe@1.2.3.4:deny\n", RULES_BY_INFO },
		{ "a=b@1.2.3.4:deny\n", RULES_BY_INFO },
		{ "joe@=a.b:deny\n", RULES_BY_INFO | RULES_BY_HOST },
		{ "joe@1.2.3.4:deny\n=a:allow\n",
		    RULES_BY_INFO | RULES_BY_HOST },
		{ "1.:allow,CCAVERIFY=\"m\"\n", RULES_BY_CERT },
		{ "1.:allow,A=\"\",CCAVERIFY=\"z\"\n2.:deny\n",
		    RULES_BY_CERT | RULES_BY_CERT_NAME },
		{ "1.:allow,CCAVERIFY=\"z\",CCAVERIFY=\"m\"\n", RULES_BY_CERT },
		{ ":allow,CCAVERIFY=\"z\",CCAVERIFY=\"\"\n", 0 },
		{ ":allow,CCAVERIFYX=\"z\",A=\"CCAVERIFY=z\"\n", 0 },
		{ "=:allow,CCAVERIFY=\"zz\"\n", RULES_BY_HOST | RULES_BY_CERT },
		{ ":deny,CCAVERIFY=\"z\"\n", 0 } };
	struct table t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t = make(cases[i].lines);
		if (rules_kinds(t.bytes, t.len) != cases[i].kinds)
			fail_msg("of %s", cases[i].lines);
		free(t.bytes);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_hit_wins),
		cmocka_unit_test(ipv6_has_prefixes_but_no_dots),
		cmocka_unit_test(early_look_up_is_by_address_alone),
		cmocka_unit_test(first_of_equal_records_counts),
		cmocka_unit_test(empty_table_allows),
		cmocka_unit_test(records_are_located),
		cmocka_unit_test(the_header_tells_the_length),
		cmocka_unit_test(kinds_are_found),
		cmocka_unit_test(cut_tables_are_refused),
		cmocka_unit_test(changed_tables_are_refused_or_sound),
		cmocka_unit_test(damage_of_each_kind_is_found),
		cmocka_unit_test(lost_records_are_found),
		cmocka_unit_test(overlapping_tables_are_refused),
		cmocka_unit_test(overlapping_records_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
