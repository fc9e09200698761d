/*
 * test_bindhost: what the words host and port mean, and which of them are
 * wrong use.  Names are limited to localhost: no network is needed.
 */
#include "serve/bindhost.h"

#include "support.h"

#include <net/if.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "net/sock.h"
#include "serve/settings.h"

static char error[BINDHOST_ERROR_SIZE];
static struct sock_listen how;
static struct settings settings;

static int
resolve(const char *host, const char *port, int family, const char *interface)
{
	settings.host = host;
	settings.port = port;
	settings.family = family;
	settings.interface = interface;
	settings.backlog = 20;
	settings.no_delay = true;
	error[0] = '\0';
	return bindhost_resolve(&settings, &how, error);
}

/* Expect success, this address, and what comes of it. */
static void
good(
    const char *host, int family, const char *address, int becomes, bool v6only)
{
	char text[IP_TEXT_SIZE];

	if (resolve(host, "443", family, NULL) != 0)
		fail_msg("%s: %s", host, error);
	assert_string_equal(ip_format(text, &how.local.ip), address);
	assert_int_equal(how.family, becomes);
	assert_int_equal(how.v6only, v6only);
	assert_int_equal(how.local.port, 443);
	assert_int_equal(how.local.scope, 0);
	assert_int_equal(how.backlog, 20);
	assert_true(how.no_delay);
}

/* Expect this exit code and a sentence that shows what was wrong. */
static void
bad(const char *host, const char *port, int family, int code, const char *shown)
{
	int open_before = open_descriptors();

	if (resolve(host, port, family, NULL) != code)
		fail_msg("%s %s: not %d: %s", host, port, code, error);
	if (strstr(error, shown) == NULL)
		fail_msg("%s %s: \"%s\" lacks %s", host, port, error, shown);
	assert_int_equal(open_descriptors(), open_before);
}

static void
wildcards(void **state)
{
	(void)state;
	good("0", AF_UNSPEC, "0.0.0.0", AF_INET, false);
	good("0", AF_INET, "0.0.0.0", AF_INET, false);
	good("::", AF_UNSPEC, "::", AF_INET6, true);
	good("::", AF_INET6, "::", AF_INET6, true);
	good(":0", AF_UNSPEC, "::", AF_INET6, false);
	good(":0", AF_INET6, "::", AF_INET6, false);
	/* The same written otherwise. */
	good("0.0.0.0", AF_UNSPEC, "0.0.0.0", AF_INET, false);
	good("0:0::0", AF_UNSPEC, "::", AF_INET6, true);
	bad("0", "1", AF_INET6, 100, "0");
	bad("::", "1", AF_INET, 100, "::");
	bad(":0", "1", AF_INET, 100, ":0");
}

static void
literals(void **state)
{
	(void)state;
	good("127.0.0.1", AF_UNSPEC, "127.0.0.1", AF_INET, false);
	good("127.0.0.1", AF_INET, "127.0.0.1", AF_INET, false);
	good("2001:DB8:0::1", AF_UNSPEC, "2001:db8::1", AF_INET6, true);
	good("2001:DB8:0::1", AF_INET6, "2001:db8::1", AF_INET6, true);
	bad("127.0.0.1", "1", AF_INET6, 100, "127.0.0.1");
	bad("::1", "1", AF_INET, 100, "::1");
}

static void
a_mapped_literal_can_be_listened_on(void **state)
{
	struct ip_endpoint bound;
	int fd;

	(void)state;
	assert_int_equal(resolve("::ffff:127.0.0.1", "0", AF_UNSPEC, NULL), 0);
	fd = sock_listen(&how, &bound);
	if (fd == -1 && errno == EAFNOSUPPORT)
		SKIP("no IPv6");
	assert_true(fd != -1);
	assert_true(ip_is_v4(&bound.ip) && bound.port != 0);
	close(fd);
}

/* Neither looked up nor taken for octal or parts of an address. */
static void
malformed_literals(void **state)
{
	static const char *const hosts[] = { "256.0.0.1", "1.2.3", "127.1",
		"1.2.3.4.5", "010.0.0.1", "1.2.3.4.", "2130706433", "00", ".",
		"::1::", ":", ":::", "1:2:3:4:5:6:7", "12345::", "[::1]",
		"127.0.0.1:80", "fe80::zz%lo",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(hosts); i++)
		bad(hosts[i], "1", AF_UNSPEC, 100, "malformed address: ");
}

static void
ports(void **state)
{
	static const char *const wrong[] = { "65536", "4294967296", "80x",
		"99999999999999999999", "", "-1", "+1", " 1", "1 ", "0x50",
		"8.0", "no-such-service", "a\nb" };
	static const struct {
		const char *word;
		int port;
	} right[] = { { "0", 0 }, { "1", 1 }, { "65535", 65535 },
		{ "0443", 443 } };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(wrong); i++) {
		bad("127.0.0.1", wrong[i], AF_UNSPEC, 100, "port: ");
		assert_null(strchr(error, '\n'));
	}
	for (i = 0; i < COUNT(right); i++) {
		assert_int_equal(
		    resolve("::1", right[i].word, AF_UNSPEC, NULL), 0);
		assert_int_equal(how.local.port, right[i].port);
	}
	if (getservbyname("https", "tcp") == NULL)
		SKIP("no service https");
	assert_int_equal(resolve("127.0.0.1", "https", AF_UNSPEC, NULL), 0);
	assert_int_equal(how.local.port, 443);
	assert_int_equal(resolve(":0", "https", AF_UNSPEC, NULL), 0);
	assert_true(how.local.port == 443 && how.family == AF_INET6);
}

static void
link_local_needs_an_interface(void **state)
{
	unsigned lo = if_nametoindex("lo");

	(void)state;
	bad("fe80::1", "1", AF_UNSPEC, 100, "fe80::1");
	bad("fe80::1%no-such-if", "1", AF_UNSPEC, 111, "no-such-if");
	bad("fe80::1%", "1", AF_UNSPEC, 111, "interface: ");
	bad("127.0.0.1%lo", "1", AF_UNSPEC, 100, "127.0.0.1?lo");
	bad("::1%lo", "1", AF_UNSPEC, 100, "::1?lo");
	bad("fe80::1%lo", "1", AF_INET, lo == 0 ? 111 : 100, "");
	assert_int_equal(resolve("fe80::1", "1", AF_UNSPEC, "no-such-if"), 111);
	if (lo == 0)
		SKIP("no interface lo");
	assert_int_equal(resolve("fe80::1%lo", "1", AF_UNSPEC, NULL), 0);
	assert_int_equal(how.local.scope, lo);
	assert_int_equal(resolve("fe80::1", "1", AF_UNSPEC, "lo"), 0);
	assert_int_equal(how.local.scope, lo);
	/* The address's own interface is nearer. */
	assert_int_equal(
	    resolve("fe80::1%lo", "1", AF_UNSPEC, "no-such-if"), 0);
	assert_int_equal(how.local.scope, lo);
	/* -I is for link-local addresses and does nothing to others. */
	assert_int_equal(resolve("127.0.0.1", "1", AF_UNSPEC, "no-such-if"), 0);
	assert_int_equal(how.local.scope, 0);
}

static void
names(void **state)
{
	(void)state;
	good("localhost", AF_INET, "127.0.0.1", AF_INET, false);
	bad("no such host", "7", AF_UNSPEC, 111, "no such host");
	bad("a\nb", "7", AF_UNSPEC, 111, "a?b");
	/* Host and port are looked up at once, or neither. */
	if (getservbyname("https", "tcp") != NULL) {
		assert_int_equal(
		    resolve("localhost", "https", AF_INET, NULL), 0);
		assert_int_equal(how.local.port, 443);
	}
	bad("no such host", "no-such-service", AF_UNSPEC, 111, "no such host");
	bad("localhost", "no-such-service", AF_INET, 100, "no-such-service");
}

static void
names_are_looked_up_without_rights(void **state)
{
	(void)state;
	settings.net_id = (struct settings_identity){
		.is_set = true, .uid = SOME_UID, .gid = SOME_GID
	};
	if (geteuid() == 0) {
		good("localhost", AF_INET, "127.0.0.1", AF_INET, false);
		assert_int_equal(geteuid(), 0);
	} else
		bad("localhost", "1", AF_INET, 111, "identity");
	/* Literals need nobody. */
	good("127.0.0.1", AF_INET, "127.0.0.1", AF_INET, false);
	settings.net_id.is_set = false;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(wildcards),
		cmocka_unit_test(literals),
		cmocka_unit_test(a_mapped_literal_can_be_listened_on),
		cmocka_unit_test(malformed_literals),
		cmocka_unit_test(ports),
		cmocka_unit_test(link_local_needs_an_interface),
		cmocka_unit_test(names),
		cmocka_unit_test(names_are_looked_up_without_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
