/*
 * test_ip: text both ways, kinds of addresses, prefixes, socket addresses.
 */
#include "net/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

static struct ip
parsed(const char *s)
{
	struct ip ip = { { 0 } };

	if (ip_parse(s, &ip) == -1)
		fail_msg("cannot parse %s", s);
	return ip;
}

static void
text_is_canonical(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "127.0.0.1", "127.0.0.1" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::FFFF:c000:0201", "192.0.2.1" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "2001:DB8::ABCD", "2001:db8::abcd" },
		/* RFC 5952: 4.1 no leading zeros */
		{ "2001:0db8:0:0:0:0:0001:0000", "2001:db8::1:0" },
		/* 4.2.2 a single zero group is not shortened */
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "0:1:1:1:1:1:1:1", "0:1:1:1:1:1:1:1" },
		{ "1:1:1:1:1:1:1:0", "1:1:1:1:1:1:1:0" },
		/* 4.2.3 the longest run, of equal ones the first */
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "0:0:1:1:1:1:0:0", "::1:1:1:1:0:0" },
		{ "1:1:1:1:1:1:0:0", "1:1:1:1:1:1::" },
		{ "0:0:0:1:0:0:0:0", "0:0:0:1::" },
		/* no dotted quad but for mapped addresses */
		{ "::1.2.3.4", "::102:304" },
		{ "64:ff9b::192.0.2.1", "64:ff9b::c000:201" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};
	char text[IP_TEXT_SIZE];
	struct ip ip;
	struct ip again;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ip = parsed(cases[i].in);
		assert_ptr_equal(ip_format(text, &ip), text);
		assert_string_equal(text, cases[i].out);
		again = parsed(text);
		assert_true(ip_equal(&ip, &again));
	}
}

static void
other_text_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"1.2.3",
		"1.2.3.",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"0x1.2.3.4",
		" 1.2.3.4",
		"1.2.3.4 ",
		"1..2.3",
		"-1.2.3.4",
		"1.2.3.4x",
		":",
		":::",
		"1::2::3",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"12345::",
		"::g",
		"fe80::1%lo",
		"[::1]",
		"::1/128",
		"localhost",
		"::ffff:1.2.3",
	};
	struct ip before = parsed("10.1.2.3");
	struct ip ip = before;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (ip_parse(bad[i], &ip) != -1)
			fail_msg("parsed %s", bad[i]);
		assert_true(ip_equal(&ip, &before));
	}
}

static void
kinds(void **state)
{
	static const struct {
		const char *s;
		bool v4, link_local, any;
	} cases[] = {
		{ "127.0.0.1", true, false, false },
		{ "0.0.0.0", true, false, true },
		{ "0.0.0.1", true, false, false },
		{ "::", false, false, true },
		{ "::1", false, false, false },
		{ "::1.2.3.4", false, false, false },
		{ "::fffe:1.2.3.4", false, false, false },
		{ "1::ffff:1.2.3.4", false, false, false },
		{ "fe80::1", false, true, false },
		{ "febf:ffff::1", false, true, false },
		{ "fec0::1", false, false, false },
		{ "fe7f::1", false, false, false },
		{ "ff80::1", false, false, false },
		{ "169.254.1.1", true, false, false },
		{ "100::", false, false, false },
	};
	struct ip ip;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ip = parsed(cases[i].s);
		assert_int_equal(ip_is_v4(&ip), cases[i].v4);
		assert_int_equal(ip_is_link_local(&ip), cases[i].link_local);
		assert_int_equal(ip_is_any(&ip), cases[i].any);
	}
}

static void
equality_is_of_all_bytes(void **state)
{
	struct ip a = parsed("2001:db8::1");
	struct ip b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(b.bytes); i++) {
		b = a;
		assert_true(ip_equal(&a, &b));
		b.bytes[i] ^= 1;
		assert_false(ip_equal(&a, &b));
	}
}

/* Against a second way of doing it, bit by bit, for every length. */
static void
prefixes(void **state)
{
	struct ip ip = parsed("ffff:a5a5:ffff:5a5a:ffff:ffff:8001:7fff");
	struct ip got;
	unsigned prefix;
	unsigned bit;
	unsigned want;

	(void)state;
	for (prefix = 0; prefix <= 128; prefix++) {
		got = ip_prefix(&ip, prefix);
		for (bit = 0; bit < 128; bit++) {
			want = ip.bytes[bit / 8] >> (7 - bit % 8) & 1;
			if (bit >= prefix)
				want = 0;
			assert_int_equal(
			    got.bytes[bit / 8] >> (7 - bit % 8) & 1, want);
		}
	}
	got = ip_prefix(&ip, 1000);
	assert_true(ip_equal(&got, &ip));
}

static void
prefix_of_ipv4(void **state)
{
	struct ip ip = parsed("192.0.2.129");
	struct ip want = parsed("192.0.2.128");
	struct ip got = ip_prefix(&ip, 96 + 25);

	(void)state;
	assert_true(ip_equal(&got, &want));
}

static void
socket_addresses_ipv4(void **state)
{
	struct ip_endpoint end = { parsed("192.0.2.7"), 443, 0 };
	struct ip_endpoint back;
	struct sockaddr_storage ss;
	struct sockaddr_in in;

	(void)state;
	assert_int_equal(ip_to_sockaddr(&ss, &end, AF_INET), sizeof(in));
	memcpy(&in, &ss, sizeof(in));
	assert_int_equal(in.sin_family, AF_INET);
	assert_int_equal(in.sin_port, htons(443));
	assert_int_equal(in.sin_addr.s_addr, htonl(0xc0000207));
	memset(&back, 0xff, sizeof(back));
	assert_int_equal(ip_from_sockaddr(&back, (struct sockaddr *)&ss), 0);
	assert_true(ip_equal(&back.ip, &end.ip));
	assert_int_equal(back.port, 443);
	assert_int_equal(back.scope, 0);
}

static void
socket_addresses_ipv6(void **state)
{
	struct ip_endpoint end = { parsed("fe80::1:2"), 65535, 3 };
	struct ip_endpoint back;
	struct sockaddr_storage ss;
	struct sockaddr_in6 in6;

	(void)state;
	assert_int_equal(ip_to_sockaddr(&ss, &end, AF_INET6), sizeof(in6));
	memcpy(&in6, &ss, sizeof(in6));
	assert_int_equal(in6.sin6_family, AF_INET6);
	assert_int_equal(in6.sin6_scope_id, 3);
	assert_int_equal(ip_from_sockaddr(&back, (struct sockaddr *)&ss), 0);
	assert_true(ip_equal(&back.ip, &end.ip));
	assert_int_equal(back.port, 65535);
	assert_int_equal(back.scope, 3);
	/* An interface means something for link-local addresses alone. */
	in6.sin6_addr = in6addr_loopback;
	memcpy(&ss, &in6, sizeof(in6));
	assert_int_equal(ip_from_sockaddr(&back, (struct sockaddr *)&ss), 0);
	assert_int_equal(back.scope, 0);
}

static void
socket_addresses_across_families(void **state)
{
	struct ip_endpoint v4 = { parsed("192.0.2.7"), 25, 0 };
	struct ip_endpoint v6 = { parsed("2001:db8::1"), 25, 0 };
	struct ip_endpoint back;
	struct sockaddr_storage ss;

	(void)state;
	assert_int_equal(ip_to_sockaddr(&ss, &v6, AF_INET), 0);
	assert_int_equal(
	    ip_to_sockaddr(&ss, &v4, AF_INET6), sizeof(struct sockaddr_in6));
	assert_int_equal(ss.ss_family, AF_INET6);
	assert_int_equal(ip_from_sockaddr(&back, (struct sockaddr *)&ss), 0);
	assert_true(ip_is_v4(&back.ip));
	assert_true(ip_equal(&back.ip, &v4.ip));
	memset(&ss, 0, sizeof(ss));
	ss.ss_family = AF_UNIX;
	assert_int_equal(ip_from_sockaddr(&back, (struct sockaddr *)&ss), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_canonical),
		cmocka_unit_test(other_text_is_refused),
		cmocka_unit_test(kinds),
		cmocka_unit_test(equality_is_of_all_bytes),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(prefix_of_ipv4),
		cmocka_unit_test(socket_addresses_ipv4),
		cmocka_unit_test(socket_addresses_ipv6),
		cmocka_unit_test(socket_addresses_across_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
