/*
 * test_dnsmsg: questions to the byte, answers good and bad, host names.
 */
#include "net/dnsmsg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NAME "4.3.2.1.in-addr.arpa"
#define QUESTION \
	"\1\064\1\063\1\062\1\061\7in-addr\4arpa\0" \
	"\0\14\0\1"
#define OWNER "\300\14" /* a pointer to the question's name */
#define BYTES(s) (const unsigned char *)(s), sizeof(s) - 1

static struct dnsmsg_answer answer;

/* A header with this many answers, and the question. */
#define HEADER(count) "\1\2\201\200\0\1\0" count "\0\0\0\0" QUESTION

static enum dnsmsg_kind
read_ptr(const unsigned char *bytes, size_t len)
{
	return dnsmsg_read(&answer, bytes, len, NAME, DNSMSG_PTR);
}

static void
questions_are_exact(void **state)
{
	static const char want[] = "\xab\xcd\1\0\0\1\0\0\0\0\0\0" QUESTION;
	unsigned char got[DNSMSG_QUERY_SIZE];

	(void)state;
	assert_int_equal(
	    dnsmsg_query(got, 0xabcd, NAME, DNSMSG_PTR), sizeof(want) - 1);
	assert_memory_equal(got, want, sizeof(want) - 1);
}

static void
what_is_no_name_is_not_asked(void **state)
{
	unsigned char got[DNSMSG_QUERY_SIZE];
	char label[65] = { 0 }, name[256] = { 0 };
	size_t i;

	(void)state;
	assert_int_equal(dnsmsg_query(got, 1, "", DNSMSG_A), 0);
	assert_int_equal(dnsmsg_query(got, 1, "a..b", DNSMSG_A), 0);
	assert_int_equal(dnsmsg_query(got, 1, "a.", DNSMSG_A), 0);
	memset(label, 'x', 63);
	assert_int_equal(dnsmsg_query(got, 1, label, DNSMSG_A), 12 + 65 + 4);
	label[63] = 'x';
	assert_int_equal(dnsmsg_query(got, 1, label, DNSMSG_A), 0);
	for (i = 0; i < 253; i++)
		name[i] = i % 2 ? '.' : 'a';
	assert_int_equal(dnsmsg_query(got, 1, name, DNSMSG_A), 12 + 255 + 4);
	memcpy(name + 253, ".a", 3);
	assert_int_equal(dnsmsg_query(got, 1, name, DNSMSG_A), 0);
}

static void
reverse_names(void **state)
{
	char name[DNSMSG_NAME_SIZE];
	struct ip ip;

	(void)state;
	assert_int_equal(ip_parse("1.2.3.4", &ip), 0);
	assert_string_equal(dnsmsg_reverse(name, &ip), NAME);
	assert_int_equal(ip_parse("2001:db8::567:89ab", &ip), 0);
	assert_string_equal(dnsmsg_reverse(name, &ip),
	    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
	    "8.b.d.0.1.0.0.2.ip6.arpa");
}

static void
names_are_found(void **state)
{
	(void)state;
	assert_int_equal(read_ptr(BYTES(HEADER("\2") OWNER
			     "\0\14\0\1\0\0\0\144\0\7\1A\2eX\0\0" OWNER
			     "\0\14\0\1\0\0\0\62\0\2\300\14")),
	    DNSMSG_FAILED);
	assert_int_equal(read_ptr(BYTES(HEADER("\2") OWNER
			     "\0\14\0\1\0\0\0\144\0\6\1A\2eX\0" OWNER
			     "\0\14\0\1\0\0\0\62\0\4\1b\300\14")),
	    DNSMSG_FOUND);
	assert_int_equal(answer.count, 2);
	assert_string_equal(answer.names[0], "a.ex");
	assert_string_equal(answer.names[1], "b." NAME);
	assert_int_equal(answer.ttl, 50);
}

static void
aliases_are_followed_in_any_order(void **state)
{
	static const char alias[] =
	    OWNER "\0\5\0\1\0\0\0\12\0\13\1x\2ex\1y\2ex\0";
	static const char ptr[] = "\1x\2ex\1y\2ex\0"
				  "\0\14\0\1\0\0\0\144\0\5\1n\1e\0";
	unsigned char bytes[256];
	size_t at = sizeof(HEADER("\2")) - 1;

	(void)state;
	memcpy(bytes, HEADER("\2"), at);
	memcpy(bytes + at, alias, sizeof(alias) - 1);
	memcpy(bytes + at + sizeof(alias) - 1, ptr, sizeof(ptr) - 1);
	assert_int_equal(read_ptr(bytes, at + sizeof(alias) + sizeof(ptr) - 2),
	    DNSMSG_FOUND);
	assert_string_equal(answer.names[0], "n.e");
	assert_int_equal(answer.ttl, 10);
	memcpy(bytes + at, ptr, sizeof(ptr) - 1);
	memcpy(bytes + at + sizeof(ptr) - 1, alias, sizeof(alias) - 1);
	assert_int_equal(read_ptr(bytes, at + sizeof(alias) + sizeof(ptr) - 2),
	    DNSMSG_FOUND);
	assert_string_equal(answer.names[0], "n.e");
}

static void
alias_loops_end(void **state)
{
	(void)state;
	assert_int_equal(
	    read_ptr(BYTES(HEADER("\1") OWNER "\0\5\0\1\0\0\0\12\0\2\300\14")),
	    DNSMSG_FAILED);
	assert_int_equal(read_ptr(BYTES(HEADER("\2") OWNER
			     "\0\5\0\1\0\0\0\12\0\3\1x\0"
			     "\1x\0\0\5\0\1\0\0\0\12\0\2\300\14")),
	    DNSMSG_FAILED);
}

static void
addresses_are_found(void **state)
{
	static const char question[] = "\1a\0\0\1\0\1";
	unsigned char bytes[64] = "\1\2\201\200\0\1\0\1\0\0\0\0";
	struct ip ip;

	(void)state;
	memcpy(bytes + 12, question, 7);
	memcpy(bytes + 19, "\300\14\0\1\0\1\0\0\0\1\0\4\1\2\3\4", 16);
	assert_int_equal(
	    dnsmsg_read(&answer, bytes, 35, "a", DNSMSG_A), DNSMSG_FOUND);
	assert_int_equal(ip_parse("1.2.3.4", &ip), 0);
	assert_true(ip_equal(&answer.addresses[0], &ip));
	/* Of another type, class or owner: not ours. */
	assert_int_equal(
	    dnsmsg_read(&answer, bytes, 35, "a", DNSMSG_AAAA), DNSMSG_NONE);
	assert_int_equal(
	    dnsmsg_read(&answer, bytes, 35, "b", DNSMSG_A), DNSMSG_NONE);
	bytes[24] = 3;
	assert_int_equal(
	    dnsmsg_read(&answer, bytes, 35, "a", DNSMSG_A), DNSMSG_NONE);
	bytes[24] = 1;
	/* Three bytes are no address. */
	bytes[30] = 3;
	assert_int_equal(
	    dnsmsg_read(&answer, bytes, 34, "a", DNSMSG_A), DNSMSG_FAILED);
}

static void
rcodes_and_flags(void **state)
{
	static const unsigned char none[] = HEADER("\0");
	unsigned char bytes[sizeof(none) - 1];
	unsigned rcode;

	(void)state;
	memcpy(bytes, none, sizeof(bytes));
	assert_int_equal(read_ptr(bytes, sizeof(bytes)), DNSMSG_NONE);
	for (rcode = 1; rcode < 16; rcode++) {
		bytes[3] = (unsigned char)(0x80 | rcode);
		assert_int_equal(read_ptr(bytes, sizeof(bytes)),
		    rcode == 3 ? DNSMSG_NONE : DNSMSG_FAILED);
	}
	bytes[3] = 0x80;
	bytes[2] |= 2; /* cut */
	assert_int_equal(read_ptr(bytes, sizeof(bytes)), DNSMSG_FAILED);
	bytes[2] = 1; /* a question */
	assert_int_equal(read_ptr(bytes, sizeof(bytes)), DNSMSG_FAILED);
}

static void
no_prefix_of_an_answer_is_one(void **state)
{
	static const unsigned char whole[] =
	    HEADER("\2") OWNER "\0\14\0\1\0\0\0\144\0\6\1A\2eX\0" OWNER
			       "\0\14\0\1\0\0\0\62\0\4\1b\300\14";
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(whole) - 1; len++)
		assert_int_equal(read_ptr(whole, len), DNSMSG_FAILED);
	assert_int_equal(read_ptr(whole, len), DNSMSG_FOUND);
}

static void
bad_compression_is_refused(void **state)
{
	(void)state;
	/* to itself */
	assert_int_equal(
	    read_ptr(BYTES(HEADER("\1") "\300\46\0\14\0\1\0\0\0\1\0\2\300\14")),
	    DNSMSG_FAILED);
	/* forward, to what could be a name */
	assert_int_equal(read_ptr(BYTES(HEADER("\1") "\300\50\0\14\0\1\0\0\0"
						     "\1\0\2\300\14")),
	    DNSMSG_FAILED);
	/* label types of nobody */
	assert_int_equal(
	    read_ptr(BYTES(HEADER("\1") "\100\1\0\14\0\1\0\0\0\1\0\2\300\14")),
	    DNSMSG_FAILED);
}

/* A chain of pointers, each to the one before: one name, much work. */
static void
pointer_chains_are_bounded(void **state)
{
	static unsigned char bytes[16384];
	size_t at;

	(void)state;
	memcpy(bytes, BYTES(HEADER("\1")));
	at = sizeof(HEADER("\1")) - 1;
	memcpy(bytes + at, OWNER "\0\20\0\1\0\0\0\1\0\0", 12);
	bytes[7] = 2; /* that one, whose data is the chain, and one more */
	bytes[at + 10] = 400 >> 8;
	bytes[at + 11] = 400 & 255;
	at += 12;
	bytes[at] = 0;
	memcpy(bytes + at, OWNER, 2);
	for (at += 2; at < sizeof(HEADER("\1")) - 1 + 12 + 400; at += 2) {
		bytes[at] = (unsigned char)(0xc0 | (at - 2) >> 8);
		bytes[at + 1] = (unsigned char)(at - 2);
	}
	bytes[at] = (unsigned char)(0xc0 | (at - 2) >> 8);
	bytes[at + 1] = (unsigned char)(at - 2);
	memcpy(bytes + at + 2, "\0\14\0\1\0\0\0\1\0\3\1a\0", 13);
	assert_int_equal(read_ptr(bytes, at + 15), DNSMSG_FAILED);
	/* A short one is a name like another. */
	at -= 390;
	bytes[sizeof(HEADER("\1")) - 1 + 10] = 0;
	bytes[sizeof(HEADER("\1")) - 1 + 11] = 10;
	memcpy(bytes + at + 2, "\0\14\0\1\0\0\0\1\0\3\1a\0", 13);
	assert_int_equal(read_ptr(bytes, at + 15), DNSMSG_FOUND);
}

static void
long_names_are_refused(void **state)
{
	unsigned char bytes[512];
	size_t at = sizeof(HEADER("\1")) - 1, i;

	(void)state;
	memcpy(bytes, HEADER("\1"), at);
	memcpy(bytes + at, OWNER "\0\14\0\1\0\0\0\1\1\2", 12);
	bytes[at + 10] = 256 >> 8; /* labels of 1 + 1, and a last one */
	bytes[at + 11] = 1;
	at += 12;
	for (i = 0; i < 256; i += 2)
		memcpy(bytes + at + i, "\1x", 2);
	bytes[at + i] = 0;
	assert_int_equal(read_ptr(bytes, at + 257), DNSMSG_FAILED);
	/* One byte too many: the last label is two long. */
	bytes[at - 2] = 1;
	bytes[at - 1] = 0;
	memcpy(bytes + at + 252, "\2yy", 4);
	assert_int_equal(read_ptr(bytes, at + 256), DNSMSG_FAILED);
	bytes[at - 2] = 0;
	bytes[at - 1] = 255;
	memcpy(bytes + at + 252, "\1y", 3);
	assert_int_equal(read_ptr(bytes, at + 255), DNSMSG_FOUND);
	assert_int_equal(strlen(answer.names[0]), 253);
}

static void
records_are_counted(void **state)
{
	static const char record[] = OWNER "\0\14\0\1\0\0\0\1\0\3\1a\0";
	unsigned char bytes[4096];
	size_t at = sizeof(HEADER("\0")) - 1, i;

	(void)state;
	memcpy(bytes, HEADER("\0"), at);
	for (i = 0; i <= DNSMSG_RECORDS_MAX; i++, at += sizeof(record) - 1)
		memcpy(bytes + at, record, sizeof(record) - 1);
	bytes[7] = DNSMSG_RECORDS_MAX;
	assert_int_equal(read_ptr(bytes, at), DNSMSG_FOUND);
	assert_int_equal(answer.count, DNSMSG_NAMES_MAX);
	bytes[7] = DNSMSG_RECORDS_MAX + 1;
	assert_int_equal(read_ptr(bytes, at), DNSMSG_FAILED);
}

static void
data_beyond_the_end_is_refused(void **state)
{
	(void)state;
	/* Also of a record that we do not look into. */
	assert_int_equal(
	    read_ptr(BYTES(HEADER("\1") OWNER "\0\20\0\1\0\0\0\1\0\2ab")),
	    DNSMSG_NONE);
	assert_int_equal(
	    read_ptr(BYTES(HEADER("\1") OWNER "\0\20\0\1\0\0\0\1\0\3ab")),
	    DNSMSG_FAILED);
}

static void
strange_bytes_are_no_host_name(void **state)
{
	char host[DNSMSG_NAME_SIZE];

	(void)state;
	assert_int_equal(read_ptr(BYTES(HEADER("\1") OWNER
			     "\0\14\0\1\0\0\0\1\0\11\3a.\0\1c\1d\0")),
	    DNSMSG_FOUND);
	assert_string_equal(answer.names[0], "a??.c.d");
	assert_int_equal(dnsmsg_host_name(host, answer.names[0]), -1);
}

static void
host_names(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} cases[] = {
		{ "localhost", "localhost" },
		{ "Mail.EXAMPLE.org", "mail.example.org" },
		{ "mail.example.org.", "mail.example.org" },
		{ "a_b-c.9x.ORG", "a_b-c.9x.org" },
		{ "1.2.3.4.example", "1.2.3.4.example" },
		{ "", NULL },
		{ ".", NULL },
		{ "a..b", NULL },
		{ ".a", NULL },
		{ "a.b..", NULL },
		{ "-a.b", NULL },
		{ "a-.b", NULL },
		{ "1.2.3.4", NULL },
		{ "a.4", NULL },
		{ "a b", NULL },
		{ "a/b.c", NULL },
		{ "a,b", NULL },
		{ "a:b", NULL },
		{ "a=b", NULL },
		{ "a\nb", NULL },
		{ "a\177b", NULL },
		{ "caf\303\251.org", NULL },
	};
	char host[DNSMSG_NAME_SIZE], name[300];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = dnsmsg_host_name(host, cases[i].in);

		if (r != (cases[i].out == NULL ? -1 : 0))
			fail_msg("%s gives %d", cases[i].in, r);
		if (r == 0)
			assert_string_equal(host, cases[i].out);
	}
	memset(name, 0, sizeof(name));
	for (i = 0; i < 253; i++)
		name[i] = i % 2 ? '.' : 'a';
	assert_int_equal(dnsmsg_host_name(host, name), 0);
	memcpy(name + 253, ".a", 3);
	assert_int_equal(dnsmsg_host_name(host, name), -1);
	memset(name, 'a', 64);
	name[64] = '\0';
	assert_int_equal(dnsmsg_host_name(host, name), -1);
	assert_int_equal(dnsmsg_host_name(host, name + 1), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_are_exact),
		cmocka_unit_test(what_is_no_name_is_not_asked),
		cmocka_unit_test(reverse_names),
		cmocka_unit_test(names_are_found),
		cmocka_unit_test(aliases_are_followed_in_any_order),
		cmocka_unit_test(alias_loops_end),
		cmocka_unit_test(addresses_are_found),
		cmocka_unit_test(rcodes_and_flags),
		cmocka_unit_test(no_prefix_of_an_answer_is_one),
		cmocka_unit_test(bad_compression_is_refused),
		cmocka_unit_test(pointer_chains_are_bounded),
		cmocka_unit_test(long_names_are_refused),
		cmocka_unit_test(records_are_counted),
		cmocka_unit_test(data_beyond_the_end_is_refused),
		cmocka_unit_test(strange_bytes_are_no_host_name),
		cmocka_unit_test(host_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
