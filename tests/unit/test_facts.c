/*
 * test_facts: the names of all TLS variables, what a value may be, what is
 * left out when not all fits, and what the monitor refuses to believe.
 */
#include "serve/facts.h"

#include "support.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "serve/environment.h"
#include "serve/msg.h"

#define INTERFACE_NAME "SSL_VERSION_INTERFACE="

static struct tlsvars *facts;
static struct buf body, block;

static int
begin(void **state)
{
	(void)state;
	facts = tlsvars_new();
	buf_init(&body, FACTS_BODY_MAX);
	buf_init(&block, FACTS_TEXTS_MAX + 1);
	return facts == NULL;
}

static int
end(void **state)
{
	(void)state;
	tlsvars_free(facts);
	tlsvars_free(NULL);
	buf_free(&body);
	buf_free(&block);
	return 0;
}

static void
add_bytes(enum tlsinfo_party party, enum tlsinfo_kind kind, unsigned index,
    const void *bytes, size_t len)
{
	const struct tlsinfo_fact fact = { party, kind, index, bytes, len };

	assert_int_equal(tlsvars_add(facts, &fact), 0);
}

static void
add(enum tlsinfo_party party, enum tlsinfo_kind kind, unsigned index,
    const char *text)
{
	add_bytes(party, kind, index, text, strlen(text));
}

/* A value of so many bytes. */
static void
add_long(enum tlsinfo_party party, enum tlsinfo_kind kind, unsigned index,
    size_t len)
{
	char *bytes = malloc(len);

	assert_non_null(bytes);
	memset(bytes, 'x', len);
	add_bytes(party, kind, index, bytes, len);
	free(bytes);
}

/* Encode; the block of texts. */
static const char *
encode(void)
{
	body.len = block.len = 0;
	assert_int_equal(facts_encode(facts, &body), 0);
	assert_int_equal(facts_check(body.data, body.len), 0);
	assert_int_equal(facts_put_block(body.data, body.len, &block), 0);
	return (const char *)block.data;
}

/* The value of a variable in the block, or NULL. */
static const char *
value(const char *name)
{
	const char *at = (const char *)block.data;
	size_t len = strlen(name);

	for (; *at != '\0'; at += strlen(at) + 1)
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return at + len + 1;
	return NULL;
}

/* The variables in their order, joined by blanks, without the first. */
static const char *
joined(void)
{
	static char text[4096];
	const char *at = encode();

	assert_int_equal(
	    strncmp(at, INTERFACE_NAME, strlen(INTERFACE_NAME)), 0);
	text[0] = '\0';
	for (at += strlen(at) + 1; *at != '\0'; at += strlen(at) + 1) {
		assert_true(environment_is_ours(at));
		strcat(text, at);
		strcat(text, " ");
	}
	assert_true(at == (const char *)block.data + block.len - 1);
	return text;
}

static void
names_of_the_connection(void **state)
{
	unsigned kind;

	(void)state;
	for (kind = TLSINFO_PROTOCOL; kind < TLSINFO_M_VERSION; kind++)
		add(TLSINFO_CONNECTION, (enum tlsinfo_kind)kind, 0, "v");
	assert_string_equal(joined(),
	    "SSL_PROTOCOL=v SSL_SESSION_ID=v SSL_CIPHER=v SSL_CIPHER_EXPORT=v "
	    "SSL_CIPHER_USEKEYSIZE=v SSL_CIPHER_ALGKEYSIZE=v "
	    "SSL_VERSION_LIBRARY=v SSL_TLS_SNI=v SSL_ALPN=v SSL_KEX_GROUP=v "
	    "SSL_SESSION_RESUMED=v SSL_EXPORTER=v SSL_SERVER_END_POINT=v "
	    "SSL_CLIENT_VERIFY=v SSL_CLIENT_CERT_SHA256=v ");
}

static void
names_of_certificates(void **state)
{
	unsigned kind, i;

	(void)state;
	for (kind = TLSINFO_M_VERSION; kind < TLSINFO_CERT_CHAIN; kind++) {
		bool is_part =
		    kind == TLSINFO_S_DN_PART || kind == TLSINFO_I_DN_PART;

		for (i = 0; i < (is_part ? TLSINFO_ATTRIBUTES : 1u); i++)
			add(TLSINFO_SERVER, (enum tlsinfo_kind)kind, i, "v");
	}
	add(TLSINFO_CLIENT, TLSINFO_M_VERSION, 0, "3");
	add(TLSINFO_CLIENT, TLSINFO_S_DN_PART, TLSINFO_EMAIL, "a@b");
	add(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 0, "c0");
	add(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 1, "c1");
	assert_string_equal(joined(),
	    "SSL_SERVER_M_VERSION=v SSL_SERVER_M_SERIAL=v "
	    "SSL_SERVER_M_SERIAL_HEX=v SSL_SERVER_S_DN=v "
	    "SSL_SERVER_S_DN_RFC2253=v "
	    "SSL_SERVER_S_DN_C=v SSL_SERVER_S_DN_ST=v SSL_SERVER_S_DN_L=v "
	    "SSL_SERVER_S_DN_O=v SSL_SERVER_S_DN_OU=v SSL_SERVER_S_DN_CN=v "
	    "SSL_SERVER_S_DN_T=v SSL_SERVER_S_DN_I=v SSL_SERVER_S_DN_G=v "
	    "SSL_SERVER_S_DN_S=v SSL_SERVER_S_DN_D=v SSL_SERVER_S_DN_UID=v "
	    "SSL_SERVER_S_DN_Email=v SSL_SERVER_I_DN=v "
	    "SSL_SERVER_I_DN_C=v SSL_SERVER_I_DN_ST=v SSL_SERVER_I_DN_L=v "
	    "SSL_SERVER_I_DN_O=v SSL_SERVER_I_DN_OU=v SSL_SERVER_I_DN_CN=v "
	    "SSL_SERVER_I_DN_T=v SSL_SERVER_I_DN_I=v SSL_SERVER_I_DN_G=v "
	    "SSL_SERVER_I_DN_S=v SSL_SERVER_I_DN_D=v SSL_SERVER_I_DN_UID=v "
	    "SSL_SERVER_I_DN_Email=v SSL_SERVER_V_START=v "
	    "SSL_SERVER_V_END=v SSL_SERVER_A_SIG=v SSL_SERVER_A_KEY=v "
	    "SSL_SERVER_CERT=v SSL_CLIENT_M_VERSION=3 "
	    "SSL_CLIENT_S_DN_Email=a@b SSL_CLIENT_CERT_CHAIN_0=c0 "
	    "SSL_CLIENT_CERT_CHAIN_1=c1 ");
}

static void
texts_are_those_of_the_block(void **state)
{
	unsigned char bytes[512];
	struct msg msg = { .body = bytes };
	struct msg_writer w;
	struct msg_reader r;
	size_t at = 0, size;

	(void)state;
	add(TLSINFO_CONNECTION, TLSINFO_SESSION_ID, 0, "");
	add(TLSINFO_SERVER, TLSINFO_CERT, 0, "two\nlines\n");
	encode();
	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(facts_put_texts(body.data, body.len, &w), 0);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	msg_read_from(&r, &msg);
	while (r.left > 0) {
		const char *text = msg_get_text(&r);

		assert_non_null(text);
		assert_string_equal(text, (char *)block.data + at);
		at += strlen(text) + 1;
	}
	assert_int_equal(msg_read_all(&r), 0);
	assert_int_equal(at + 1, block.len);
	for (size = 0; size < msg.len; size++) {
		msg_write_to(&w, bytes, size);
		assert_int_equal(facts_put_texts(body.data, body.len, &w), -1);
	}
}

static void
without_facts_there_is_nothing(void **state)
{
	struct msg_writer w;
	unsigned char byte;

	(void)state;
	assert_int_equal(facts_check(NULL, 0), 0);
	msg_write_to(&w, &byte, 0);
	assert_int_equal(facts_put_texts(NULL, 0, &w), 0);
	assert_int_equal(facts_put_block(NULL, 0, &block), 0);
	assert_int_equal(block.len, 2);
	assert_memory_equal(block.data, "\0", 2);
}

/* Is a value of this kind taken? */
static bool
takes(enum tlsinfo_kind kind, const char *bytes, size_t len)
{
	bool is_of_both = kind < TLSINFO_M_VERSION;
	bool is_there;

	tlsvars_free(facts);
	facts = tlsvars_new();
	add_bytes(is_of_both ? TLSINFO_CONNECTION : TLSINFO_CLIENT, kind, 0,
	    bytes, len);
	encode();
	is_there = body.len > 0;
	if (is_there)
		assert_memory_equal(body.data + 16, bytes, len);
	return is_there;
}

static void
values_are_printable(void **state)
{
	char text[] = "a?b";
	int byte;

	(void)state;
	for (byte = 0; byte < 256; byte++) {
		bool is_ascii = byte >= 0x20 && byte < 0x7f;

		text[1] = (char)byte;
		assert_int_equal(takes(TLSINFO_TLS_SNI, text, 3), is_ascii);
		assert_int_equal(takes(TLSINFO_ALPN, text, 3), is_ascii);
		assert_int_equal(takes(TLSINFO_S_DN, text, 3), is_ascii);
		assert_int_equal(takes(TLSINFO_S_DN_PART, text, 3), is_ascii);
		assert_int_equal(
		    takes(TLSINFO_CERT, text, 3), is_ascii || byte == '\n');
		assert_int_equal(takes(TLSINFO_CERT_CHAIN, text, 3),
		    is_ascii || byte == '\n');
	}
	assert_true(takes(TLSINFO_SESSION_ID, "", 0));
	assert_true(takes(TLSINFO_S_DN_PART, "", 0));
}

static void
parts_of_names_are_utf8(void **state)
{
	static const char *const good[] = { "\xc2\xa0", "\xc3\xbc", "\xdf\xbf",
		"\xe0\xa0\x80", "\xe2\x82\xac", "\xed\x9f\xbf", "\xee\x80\x80",
		"\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
		"x\xc3\xbcy\xe2\x82\xacz" };
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\xaf",
		"\xc1\xbf", "\xc2", "\xc2\x80", "\xc2\x85", "\xc2\x9f",
		"\xc3\x28", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80",
		"\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
		"\xf4\x90\x80\x80", "\xf7\xbf\xbf\xbf", "\xf8\x88\x80\x80\x80",
		"\xfe", "\xff", "\xc3\xbc\n", "a\tb", "\x1b[2J", "\x7f" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(good); i++)
		if (!takes(TLSINFO_I_DN_PART, good[i], strlen(good[i])))
			fail_msg("good %zu", i);
	for (i = 0; i < COUNT(bad); i++)
		if (takes(TLSINFO_I_DN_PART, bad[i], strlen(bad[i])))
			fail_msg("bad %zu", i);
	/* NUL is none of a value's bytes, anywhere. */
	assert_false(takes(TLSINFO_S_DN_PART, "a\0b", 3));
	assert_false(takes(TLSINFO_S_DN_PART, "ab\0", 3));
	assert_false(takes(TLSINFO_S_DN_PART, "\0", 1));
}

/* With its name a text has at most TLSVARS_TEXT_MAX bytes. */
static void
one_text_has_a_limit(void **state)
{
	size_t room = TLSVARS_TEXT_MAX - strlen("SSL_CLIENT_S_DN=");

	(void)state;
	add_long(TLSINFO_CLIENT, TLSINFO_S_DN, 0, room);
	encode();
	assert_int_equal(strlen(value("SSL_CLIENT_S_DN")), room);
	tlsvars_free(facts);
	facts = tlsvars_new();
	add_long(TLSINFO_CLIENT, TLSINFO_S_DN, 0, room + 1);
	add(TLSINFO_CLIENT, TLSINFO_I_DN, 0, "small");
	encode();
	assert_null(value("SSL_CLIENT_S_DN"));
	assert_string_equal(value("SSL_CLIENT_I_DN"), "small");
}

static void
a_chain_ends_where_one_is_left_out(void **state)
{
	(void)state;
	add(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 0, "0");
	add_long(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 1, TLSVARS_TEXT_MAX);
	add(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 2, "2");
	encode();
	assert_string_equal(value("SSL_CLIENT_CERT_CHAIN_0"), "0");
	assert_null(value("SSL_CLIENT_CERT_CHAIN_1"));
	assert_null(value("SSL_CLIENT_CERT_CHAIN_2"));
}

static void
more_chain_than_there_are_names(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < TLSVARS_CHAIN_MAX + 10; i++)
		add(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, i, "x");
	encode();
	assert_string_equal(value("SSL_CLIENT_CERT_CHAIN_999"), "x");
	assert_null(value("SSL_CLIENT_CERT_CHAIN_1000"));
}

/*
 * Names are short and certificates of the chain 20 kB each: so many fit as
 * the rest leaves room for, always from the first.
 */
static void
the_chain_goes_first_and_from_its_end(void **state)
{
	char name[64];
	unsigned i, n;

	(void)state;
	add_long(TLSINFO_SERVER, TLSINFO_CERT, 0, 50000);
	add_long(TLSINFO_CLIENT, TLSINFO_S_DN, 0, 60000);
	add_long(TLSINFO_CLIENT, TLSINFO_CERT, 0, 50000);
	for (i = 0; i < 12; i++)
		add_long(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, i, 20000);
	encode();
	n = (FACTS_TEXTS_MAX - 160000 - 500) / 20025;
	assert_int_equal(n, 5);
	for (i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "SSL_CLIENT_CERT_CHAIN_%u", i);
		assert_int_equal(value(name) != NULL, i < n);
	}
	assert_non_null(value("SSL_SERVER_CERT"));
	assert_non_null(value("SSL_CLIENT_CERT"));
	assert_non_null(value("SSL_CLIENT_S_DN"));
}

static void
then_certificates_and_then_the_longest(void **state)
{
	(void)state;
	add(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0, "TLSv1.3");
	add_long(TLSINFO_SERVER, TLSINFO_CERT, 0, 40000);
	add_long(TLSINFO_CLIENT, TLSINFO_S_DN, 0, 120000);
	add_long(TLSINFO_CLIENT, TLSINFO_I_DN, 0, 90000);
	add_long(TLSINFO_CLIENT, TLSINFO_CERT, 0, 50000);
	add(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 0, "small");
	encode();
	assert_null(value("SSL_CLIENT_CERT_CHAIN_0"));
	assert_null(value("SSL_CLIENT_CERT"));
	assert_non_null(value("SSL_SERVER_CERT"));
	assert_non_null(value("SSL_CLIENT_S_DN"));
	tlsvars_free(facts);
	facts = tlsvars_new();
	add(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0, "TLSv1.3");
	add_long(TLSINFO_SERVER, TLSINFO_CERT, 0, 10);
	add_long(TLSINFO_CLIENT, TLSINFO_S_DN, 0, 120000);
	add_long(TLSINFO_CLIENT, TLSINFO_S_DN_RFC2253, 0, 90000);
	add_long(TLSINFO_CLIENT, TLSINFO_I_DN, 0, 90000);
	encode();
	assert_null(value("SSL_SERVER_CERT"));
	assert_null(value("SSL_CLIENT_S_DN"));
	assert_non_null(value("SSL_CLIENT_S_DN_RFC2253"));
	assert_non_null(value("SSL_CLIENT_I_DN"));
	assert_string_equal(value("SSL_PROTOCOL"), "TLSv1.3");
}

/* Exactly full is not too full. */
static void
the_sum_has_a_limit(void **state)
{
	size_t one = 100000, rest, used;

	(void)state;
	add_long(TLSINFO_CLIENT, TLSINFO_S_DN, 0, one);
	add_long(TLSINFO_CLIENT, TLSINFO_I_DN, 0, one);
	encode();
	used = block.len - 1;
	rest = FACTS_TEXTS_MAX - used - sizeof("SSL_CLIENT_V_END=");
	add_long(TLSINFO_CLIENT, TLSINFO_V_END, 0, rest);
	encode();
	assert_int_equal(block.len, FACTS_TEXTS_MAX + 1);
	tlsvars_free(facts);
	facts = tlsvars_new();
	add_long(TLSINFO_CLIENT, TLSINFO_S_DN, 0, one);
	add_long(TLSINFO_CLIENT, TLSINFO_I_DN, 0, one + 1);
	add_long(TLSINFO_CLIENT, TLSINFO_V_END, 0, rest);
	encode();
	assert_null(value("SSL_CLIENT_I_DN"));
	assert_non_null(value("SSL_CLIENT_S_DN"));
}

/*
 * What a session can say that has been taken over
 */

static void
put_raw(uint64_t party, uint64_t kind, uint64_t index, const void *bytes,
    size_t len)
{
	uint64_t head[2] = { party << 40 | kind << 32 | index, len };

	assert_int_equal(buf_append(&body, head, sizeof(head)), 0);
	assert_int_equal(buf_append(&body, bytes, len), 0);
}

static void
put(uint64_t party, uint64_t kind, uint64_t index)
{
	put_raw(party, kind, index, "v", 1);
}

/* The verdict on what was put; and nothing is there afterwards. */
static int
verdict(void)
{
	int r = facts_check(body.data, body.len);

	body.len = 0;
	return r;
}

/* Would a session that was (not) told to demand a certificate say this? */
static bool
agree(const char *outcome, bool has_digest, bool has_fact, bool demands_cert)
{
	bool r;

	if (outcome != NULL)
		put_raw(TLSINFO_CONNECTION, TLSINFO_CLIENT_VERIFY, 0, outcome,
		    strlen(outcome));
	if (has_digest)
		put(TLSINFO_CONNECTION, TLSINFO_CLIENT_CERT_SHA256, 0);
	put(TLSINFO_SERVER, TLSINFO_S_DN, 0);
	if (has_fact)
		put(TLSINFO_CLIENT, TLSINFO_S_DN, 0);
	assert_int_equal(facts_check(body.data, body.len), 0);
	r = facts_agree(body.data, body.len, demands_cert);
	body.len = 0;
	return r;
}

static void
facts_agree_with_the_policy(void **state)
{
	(void)state;
	assert_true(facts_agree(NULL, 0, false));
	assert_false(facts_agree(NULL, 0, true));
	assert_true(agree("NONE", false, false, false));
	assert_true(agree(NULL, false, false, false));
	assert_false(agree("SUCCESS", false, false, false));
	assert_false(agree("FAILED:x", false, false, false));
	assert_false(agree("", false, false, false));
	assert_false(agree("NONE", true, false, false));
	assert_false(agree("NONE", false, true, false));
	assert_true(agree("SUCCESS", true, true, true));
	assert_false(agree("SUCCES", true, true, true));
	assert_false(agree("NONE", true, true, true));
	assert_false(agree(NULL, true, true, true));
	assert_false(agree("SUCCESS", false, true, true));
	assert_false(agree("SUCCESS", true, false, true));
}

static void
unknown_facts_are_refused(void **state)
{
	uint64_t kind, party;

	(void)state;
	for (kind = 0; kind < 256; kind++) {
		for (party = 0; party < 4; party++) {
			bool is_good = kind < TLSINFO_M_VERSION
			    ? party == TLSINFO_CONNECTION
			    : kind < TLSINFO_CERT_CHAIN
			    ? party == TLSINFO_SERVER || party == TLSINFO_CLIENT
			    : kind == TLSINFO_CERT_CHAIN &&
				party == TLSINFO_CLIENT;

			put(party, kind, 0);
			assert_int_equal(verdict(), is_good ? 0 : -1);
		}
	}
	put(1 << 20, TLSINFO_CERT, 0);
	assert_int_equal(verdict(), -1);
	put(UINT64_MAX >> 40, 0, 0);
	assert_int_equal(verdict(), -1);
}

static void
indexes_out_of_range_are_refused(void **state)
{
	(void)state;
	put(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 1);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_SERVER, TLSINFO_S_DN_PART, TLSINFO_ATTRIBUTES - 1);
	assert_int_equal(verdict(), 0);
	put(TLSINFO_SERVER, TLSINFO_S_DN_PART, TLSINFO_ATTRIBUTES);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_SERVER, TLSINFO_I_DN_PART, UINT32_MAX);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_CLIENT, TLSINFO_CERT, 1);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, TLSVARS_CHAIN_MAX);
	assert_int_equal(verdict(), -1);
}

static void
order_and_repetition(void **state)
{
	unsigned i;

	(void)state;
	put(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0);
	put(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_CONNECTION, TLSINFO_CIPHER, 0);
	put(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_CLIENT, TLSINFO_CERT, 0);
	put(TLSINFO_SERVER, TLSINFO_CERT, 0);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 1);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 0);
	put(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 2);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_CLIENT, TLSINFO_CERT, 0);
	put(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 1);
	assert_int_equal(verdict(), -1);
	put(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0);
	for (i = 0; i < TLSVARS_CHAIN_MAX; i++)
		put(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, i);
	assert_int_equal(verdict(), 0);
}

static void
bad_values_are_refused(void **state)
{
	static const struct {
		enum tlsinfo_kind kind;
		const char *bytes;
		size_t len;
	} bad[] = {
		{ TLSINFO_S_DN, "a\0b", 3 },
		{ TLSINFO_S_DN, "a\nb", 3 },
		{ TLSINFO_S_DN, "\xc3\xbc", 2 },
		{ TLSINFO_S_DN_PART, "a\0b", 3 },
		{ TLSINFO_S_DN_PART, "a\nSSLREMOTEIP=1.2.3.4", 21 },
		{ TLSINFO_S_DN_PART, "\xff", 1 },
		{ TLSINFO_CERT, "a\0b", 3 },
		{ TLSINFO_CERT, "a\rb", 3 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++) {
		put_raw(
		    TLSINFO_CLIENT, bad[i].kind, 0, bad[i].bytes, bad[i].len);
		assert_int_equal(verdict(), -1);
	}
}

static void
limits_hold_for_the_monitor_too(void **state)
{
	static char bytes[TLSVARS_TEXT_MAX];
	size_t room = TLSVARS_TEXT_MAX - strlen("SSL_CLIENT_S_DN=");

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	put_raw(TLSINFO_CLIENT, TLSINFO_S_DN, 0, bytes, room);
	assert_int_equal(verdict(), 0);
	put_raw(TLSINFO_CLIENT, TLSINFO_S_DN, 0, bytes, room + 1);
	assert_int_equal(verdict(), -1);
	put_raw(TLSINFO_CLIENT, TLSINFO_S_DN, 0, bytes, 130000);
	put_raw(TLSINFO_CLIENT, TLSINFO_I_DN, 0, bytes, 130000);
	put_raw(TLSINFO_CLIENT, TLSINFO_V_END, 0, bytes, 2000);
	assert_int_equal(verdict(), 0);
	put_raw(TLSINFO_CLIENT, TLSINFO_S_DN, 0, bytes, 130000);
	put_raw(TLSINFO_CLIENT, TLSINFO_I_DN, 0, bytes, 130000);
	put_raw(TLSINFO_CLIENT, TLSINFO_V_END, 0, bytes, 2200);
	assert_int_equal(verdict(), -1);
}

static void
what_is_cut_is_refused(void **state)
{
	uint64_t lie[2] = { 0, UINT64_MAX };
	size_t len;

	(void)state;
	put(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0);
	for (len = 1; len < body.len; len++)
		assert_int_equal(facts_check(body.data, len), -1);
	assert_int_equal(verdict(), 0);
	assert_int_equal(facts_check((unsigned char *)lie, sizeof(lie)), -1);
	lie[1] = 1;
	assert_int_equal(facts_check((unsigned char *)lie, sizeof(lie)), -1);
}

#define WITH_FACTS(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_FACTS(names_of_the_connection),
		WITH_FACTS(names_of_certificates),
		WITH_FACTS(texts_are_those_of_the_block),
		WITH_FACTS(without_facts_there_is_nothing),
		WITH_FACTS(values_are_printable),
		WITH_FACTS(parts_of_names_are_utf8),
		WITH_FACTS(one_text_has_a_limit),
		WITH_FACTS(a_chain_ends_where_one_is_left_out),
		WITH_FACTS(more_chain_than_there_are_names),
		WITH_FACTS(the_chain_goes_first_and_from_its_end),
		WITH_FACTS(then_certificates_and_then_the_longest),
		WITH_FACTS(the_sum_has_a_limit),
		WITH_FACTS(facts_agree_with_the_policy),
		WITH_FACTS(unknown_facts_are_refused),
		WITH_FACTS(indexes_out_of_range_are_refused),
		WITH_FACTS(order_and_repetition),
		WITH_FACTS(bad_values_are_refused),
		WITH_FACTS(limits_hold_for_the_monitor_too),
		WITH_FACTS(what_is_cut_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
