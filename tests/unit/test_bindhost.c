/*
 * test_bindhost: what the words host and port mean, and which of them are
 * wrong use.  Names are limited to localhost: no network is needed.
 */
#include "serve/bindhost.h"

#include <netdb.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/sock.h"
#include "serve/settings.h"

static char error[BINDHOST_ERROR_SIZE];

static int
resolve(const char *host, const char *port, int family, const char *interface,
    struct sock_listen *how)
{
	struct settings settings = { .host = host,
		.port = port,
		.family = family,
		.interface = interface,
		.backlog = 20 };

	error[0] = '\0';
	return bindhost_resolve(&settings, how, error);
}

/* Expect success and this address. */
static struct sock_listen
good(const char *host, const char *port, int family, const char *address)
{
	struct sock_listen how;
	char text[IP_TEXT_SIZE];

	if (resolve(host, port, family, NULL, &how) != 0)
		fail_msg("%s %s: %s", host, port, error);
	assert_string_equal(ip_format(text, &how.local.ip), address);
	return how;
}

/* Expect this exit code and a sentence. */
static void
bad(const char *host, const char *port, int family, int code)
{
	struct sock_listen how;

	if (resolve(host, port, family, NULL, &how) != code)
		fail_msg("%s %s is not refused with %d", host, port, code);
	assert_true(strlen(error) > 5);
}

static void
wildcards(void **state)
{
	struct sock_listen how;

	(void)state;
	how = good("0", "443", AF_UNSPEC, "0.0.0.0");
	assert_int_equal(how.family, AF_INET);
	assert_int_equal(how.local.port, 443);
	assert_int_equal(how.backlog, 20);
	how = good("::", "0", AF_UNSPEC, "::");
	assert_int_equal(how.family, AF_INET6);
	assert_true(how.v6only);
	assert_int_equal(how.local.port, 0);
	how = good(":0", "65535", AF_UNSPEC, "::");
	assert_int_equal(how.family, AF_INET6);
	assert_false(how.v6only);
	assert_int_equal(how.local.port, 65535);
}

static void
literals(void **state)
{
	struct sock_listen how;

	(void)state;
	how = good("127.0.0.1", "1", AF_INET, "127.0.0.1");
	assert_int_equal(how.family, AF_INET);
	how = good("2001:DB8:0::1", "1", AF_INET6, "2001:db8::1");
	assert_int_equal(how.family, AF_INET6);
	assert_true(how.v6only);
	bad("127.0.0.1", "1", AF_INET6, 100);
	bad("::1", "1", AF_INET, 100);
	bad("0", "1", AF_INET6, 100);
}

static void
ports(void **state)
{
	(void)state;
	bad("127.0.0.1", "65536", AF_UNSPEC, 100);
	bad("127.0.0.1", "99999999999999999999", AF_UNSPEC, 100);
	bad("127.0.0.1", "80x", AF_UNSPEC, 100);
	bad("127.0.0.1", "", AF_UNSPEC, 100);
	bad("127.0.0.1", "-1", AF_UNSPEC, 100);
	bad("127.0.0.1", "no-such-service", AF_UNSPEC, 100);
	if (getservbyname("https", "tcp") != NULL)
		assert_int_equal(
		    good("127.0.0.1", "https", AF_UNSPEC, "127.0.0.1")
			.local.port,
		    443);
}

static void
link_local_needs_an_interface(void **state)
{
	struct sock_listen how;

	(void)state;
	bad("fe80::1", "1", AF_UNSPEC, 100);
	bad("fe80::1%no-such-if", "1", AF_UNSPEC, 111);
	bad("127.0.0.1%lo", "1", AF_UNSPEC, 100);
	if (if_nametoindex("lo") == 0)
		skip();
	how = good("fe80::1%lo", "1", AF_UNSPEC, "fe80::1");
	assert_int_equal(how.local.scope, if_nametoindex("lo"));
	assert_int_equal(resolve("fe80::1", "1", AF_UNSPEC, "lo", &how), 0);
	assert_int_equal(how.local.scope, if_nametoindex("lo"));
}

static void
names(void **state)
{
	(void)state;
	assert_int_equal(
	    good("localhost", "7", AF_INET, "127.0.0.1").local.port, 7);
	bad("no such host", "7", AF_UNSPEC, 111);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(wildcards),
		cmocka_unit_test(literals),
		cmocka_unit_test(ports),
		cmocka_unit_test(link_local_needs_an_interface),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
