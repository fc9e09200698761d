/*
 * test_resolvconf: what administrators write about name servers.
 */
#include "net/resolvconf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"

static struct resolvconf conf;

static void
expect_server(size_t i, const char *address, unsigned port)
{
	char text[IP_TEXT_SIZE];

	assert_true(i < conf.server_count);
	assert_string_equal(ip_format(text, &conf.servers[i].ip), address);
	assert_int_equal(conf.servers[i].port, port);
}

static void
parse(const char *text)
{
	memset(&conf, 0xaa, sizeof(conf));
	resolvconf_parse(&conf, text, strlen(text));
}

static void
a_usual_file(void **state)
{
	(void)state;
	parse("# made by something\n"
	      "domain one.example\n"
	      "search Two.example three.example\n"
	      "nameserver 192.0.2.1\n"
	      " nameserver\t2001:db8::53   \r\n"
	      "options edns0 trust-ad\n"
	      "nameserver 192.0.2.3");
	assert_int_equal(conf.server_count, 3);
	expect_server(0, "192.0.2.1", 53);
	expect_server(1, "2001:db8::53", 53);
	expect_server(2, "192.0.2.3", 53);
	assert_string_equal(conf.domain, "two.example");
}

static void
an_interface_is_looked_up(void **state)
{
	(void)state;
	parse("nameserver fe80::1%lo\n");
	assert_int_equal(conf.server_count, 1);
	assert_int_equal(conf.servers[0].scope, 1);
	parse("nameserver fe80::1%there-is-none\n");
	expect_server(0, "127.0.0.1", 53);
}

static void
without_a_server_it_is_the_local_one(void **state)
{
	(void)state;
	parse("");
	assert_int_equal(conf.server_count, 1);
	expect_server(0, "127.0.0.1", 53);
	assert_string_equal(conf.domain, "");
	parse("nameserver\nnameserver x\nnameserverx 1.2.3.4\n"
	      "#nameserver 1.2.3.4\nsearch bad..name\n");
	assert_int_equal(conf.server_count, 1);
	expect_server(0, "127.0.0.1", 53);
	assert_string_equal(conf.domain, "");
}

static void
hostile_lines_are_passed_over(void **state)
{
	static const char nul[] = "nameserver 1.2.3.4\0\nnameserver 1.2.3.5\n";
	char text[4096];

	(void)state;
	resolvconf_parse(&conf, nul, sizeof(nul) - 1);
	assert_int_equal(conf.server_count, 1);
	expect_server(0, "1.2.3.5", 53);
	memset(text, 'x', sizeof(text));
	memcpy(text, "nameserver 1.2.3.4 ", 19);
	memcpy(text + 2000, "\nnameserver 1.2.3.5\n", 20);
	resolvconf_parse(&conf, text, sizeof(text));
	assert_int_equal(conf.server_count, 1);
	expect_server(0, "1.2.3.5", 53);
}

static void
more_servers_than_we_keep(void **state)
{
	char text[2048] = "";
	size_t i;

	(void)state;
	for (i = 0; i < 40; i++)
		strcat(text, "nameserver 1.2.3.4\n");
	parse(text);
	assert_int_equal(conf.server_count, RESOLVCONF_SERVERS_MAX);
}

static void
dnscacheip(void **state)
{
	(void)state;
	memset(&conf, 0, sizeof(conf));
	assert_int_equal(
	    resolvconf_servers(&conf, " 127.0.0.1#5353\t::1  fe80::1%lo#53 "),
	    0);
	assert_int_equal(conf.server_count, 3);
	expect_server(0, "127.0.0.1", 5353);
	expect_server(1, "::1", 53);
	assert_int_equal(conf.servers[2].scope, 1);
	assert_int_equal(resolvconf_servers(&conf, " "), 0);
	assert_int_equal(conf.server_count, 0);
}

static void
bad_dnscacheip_changes_nothing(void **state)
{
	static const char *const bad[] = { "x", "1.2.3.4 1.2.3", "1.2.3.4#",
		"1.2.3.4#0", "1.2.3.4#65536", "1.2.3.4,1.2.3.5", "fe80::1%",
		"fe80::1%there-is-none", "1.2.3.4#53%lo",
		":: :: :: :: :: :: :: :: :: :: :: :: :: :: :: :: ::" };
	size_t i;

	(void)state;
	parse("nameserver 192.0.2.1\n");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (resolvconf_servers(&conf, bad[i]) != -1)
			fail_msg("took %s", bad[i]);
		assert_int_equal(conf.server_count, 1);
		expect_server(0, "192.0.2.1", 53);
	}
}

static void
localdomain(void **state)
{
	(void)state;
	parse("domain one.example\n");
	assert_int_equal(resolvconf_domain(&conf, "two.example three"), 0);
	assert_string_equal(conf.domain, "two.example");
	assert_int_equal(resolvconf_domain(&conf, "a b/c"), 0);
	assert_string_equal(conf.domain, "a");
	assert_int_equal(resolvconf_domain(&conf, "b/c"), -1);
	assert_string_equal(conf.domain, "a");
	assert_int_equal(resolvconf_domain(&conf, ""), 0);
	assert_string_equal(conf.domain, "");
}

static void
servers_are_shown_as_they_are_given(void **state)
{
	static const char list[] = "192.0.2.1 192.0.2.1#54 2001:db8::1 "
				   "::1#65535 fe80::1%lo fe80::1%lo#5353";
	char words[sizeof(list)], text[RESOLVCONF_SERVER_SIZE], *word;
	size_t i = 0;

	(void)state;
	assert_int_equal(resolvconf_servers(&conf, list), 0);
	strcpy(words, list);
	for (word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
		assert_string_equal(
		    resolvconf_format(text, &conf.servers[i++]), word);
	assert_int_equal(i, conf.server_count);
}

static void
a_file_is_read(void **state)
{
	static const char text[] = "nameserver 192.0.2.1\n";
	int ends[2];

	(void)state;
	assert_int_equal(fd_pipe(ends), 0);
	assert_int_equal(fd_write_all(ends[1], text, sizeof(text) - 1), 0);
	fd_close(&ends[1]);
	assert_int_equal(resolvconf_read(&conf, ends[0]), 0);
	expect_server(0, "192.0.2.1", 53);
	fd_close(&ends[0]);
	assert_int_equal(resolvconf_read(&conf, -1), -1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_usual_file),
		cmocka_unit_test(an_interface_is_looked_up),
		cmocka_unit_test(without_a_server_it_is_the_local_one),
		cmocka_unit_test(hostile_lines_are_passed_over),
		cmocka_unit_test(more_servers_than_we_keep),
		cmocka_unit_test(dnscacheip),
		cmocka_unit_test(bad_dnscacheip_changes_nothing),
		cmocka_unit_test(localdomain),
		cmocka_unit_test(servers_are_shown_as_they_are_given),
		cmocka_unit_test(a_file_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
