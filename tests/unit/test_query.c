/*
 * test_query: what monitor and resolver say survives the way, and what no
 * honest resolver says is refused.
 */
#include "serve/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/msg.h"

static unsigned char body[4096];

/* A message of what was written. */
static struct msg
written(const struct msg_writer *w)
{
	struct msg msg = { .type = MSG_QUERY, .body = w->bytes };

	assert_int_equal(msg_written(w, &msg.len), 0);
	return msg;
}

static void
a_query_survives(void **state)
{
	struct query in = { .wants = QUERY_NAME | QUERY_INFO,
		.name_deadline = INT64_MAX,
		.info_deadline = 12345 },
		     out;
	struct msg_writer w;
	struct msg msg;
	size_t len;

	(void)state;
	assert_int_equal(ip_parse("fe80::1", &in.local.ip), 0);
	assert_int_equal(ip_parse("1.2.3.4", &in.remote.ip), 0);
	in.local.port = 443;
	in.local.scope = UINT32_MAX;
	in.remote.port = 65535;
	msg_write_to(&w, body, QUERY_SIZE);
	assert_int_equal(query_put(&in, &w), 0);
	msg = written(&w);
	assert_int_equal(query_get(&out, &msg), 0);
	assert_true(ip_equal(&out.local.ip, &in.local.ip));
	assert_true(ip_equal(&out.remote.ip, &in.remote.ip));
	assert_int_equal(out.local.port, 443);
	assert_true(out.local.scope == UINT32_MAX);
	assert_int_equal(out.remote.port, 65535);
	assert_int_equal(out.wants, in.wants);
	assert_true(out.name_deadline == INT64_MAX);
	assert_int_equal(out.info_deadline, 12345);
	len = msg.len;
	for (msg.len = 0; msg.len < len; msg.len++)
		assert_int_equal(query_get(&out, &msg), -1);
	msg.len = len + 1;
	assert_int_equal(query_get(&out, &msg), -1);
}

static void
unknown_wishes_are_refused(void **state)
{
	struct query in = { .wants = QUERY_WANTS_ALL + 1 }, out;
	struct msg_writer w;
	struct msg msg;

	(void)state;
	msg_write_to(&w, body, sizeof(body));
	assert_int_equal(query_put(&in, &w), 0);
	msg = written(&w);
	assert_int_equal(query_get(&out, &msg), -1);
}

/* Encode and decode.  What query_get_names says. */
static int
carry(const struct query_names *in, struct query_names *out)
{
	struct msg_writer w;
	struct msg msg;

	msg_write_to(&w, body, sizeof(body));
	assert_int_equal(query_put_names(in, &w), 0);
	msg = written(&w);
	return query_get_names(out, &msg);
}

static void
names_survive(void **state)
{
	const struct query_names none = { .host = NULL };
	const struct query_names all = { "a.example", "joe x", "b.example" };
	struct query_names out;

	(void)state;
	assert_int_equal(carry(&none, &out), 0);
	assert_null(out.host);
	assert_null(out.info);
	assert_null(out.local_host);
	assert_int_equal(carry(&all, &out), 0);
	assert_string_equal(out.host, "a.example");
	assert_string_equal(out.info, "joe x");
	assert_string_equal(out.local_host, "b.example");
}

static void
a_resolver_taken_over_is_not_believed(void **state)
{
	static char long_info[IDENT_INFO_SIZE + 1];
	const struct query_names bad[] = {
		{ .host = "" },
		{ .host = "A.example" },
		{ .host = "a.example." },
		{ .host = "a\nb" },
		{ .host = "a b" },
		{ .host = "1.2.3.4" },
		{ .local_host = "a=b" },
		{ .info = "" },
		{ .info = "a\nb" },
		{ .info = "a\377" },
		{ .info = long_info },
	};
	struct query_names out;
	size_t i;

	(void)state;
	memset(long_info, 'x', IDENT_INFO_SIZE);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (carry(&bad[i], &out) != -1)
			fail_msg("case %zu was believed", i);
	long_info[IDENT_INFO_SIZE - 1] = '\0';
	assert_int_equal(carry(&bad[i - 1], &out), 0);
}

static void
the_longest_names_fit(void **state)
{
	char host[DNS_NAME_SIZE], info[IDENT_INFO_SIZE];
	const struct query_names all = { host, info, host };
	struct msg_writer w;

	(void)state;
	memset(host, 'x', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	memset(info, 'x', sizeof(info));
	info[sizeof(info) - 1] = '\0';
	msg_write_to(&w, body, QUERY_NAMES_SIZE);
	assert_int_equal(query_put_names(&all, &w), 0);
}

static void
servers_survive(void **state)
{
	struct ip_endpoint in[DNS_SERVERS_MAX], out[DNS_SERVERS_MAX];
	struct msg_writer w;
	struct msg msg;
	size_t i, count;

	(void)state;
	memset(in, 0, sizeof(in));
	for (i = 0; i < DNS_SERVERS_MAX; i++)
		in[i].port = (uint16_t)(i + 1);
	msg_write_to(&w, body, QUERY_SERVERS_SIZE);
	assert_int_equal(query_put_servers(in, DNS_SERVERS_MAX, &w), 0);
	msg = written(&w);
	assert_int_equal(query_get_servers(out, &count, &msg), 0);
	assert_int_equal(count, DNS_SERVERS_MAX);
	assert_int_equal(out[count - 1].port, DNS_SERVERS_MAX);
	body[0]++; /* one more than there is room for */
	assert_int_equal(query_get_servers(out, &count, &msg), -1);
	msg_write_to(&w, body, QUERY_SERVERS_SIZE);
	assert_int_equal(query_put_servers(NULL, 0, &w), 0);
	msg = written(&w);
	assert_int_equal(query_get_servers(out, &count, &msg), 0);
	assert_int_equal(count, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_survives),
		cmocka_unit_test(unknown_wishes_are_refused),
		cmocka_unit_test(names_survive),
		cmocka_unit_test(a_resolver_taken_over_is_not_believed),
		cmocka_unit_test(the_longest_names_fit),
		cmocka_unit_test(servers_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
