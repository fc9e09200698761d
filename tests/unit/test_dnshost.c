/*
 * test_dnshost: addresses of names, from servers that answer, fail, lie and
 * are silent.
 *
 * The servers run in a child: the function under test has a loop of its
 * own.  The first label of a name says what they do (see serve).
 */
#include "net/dnshost.h"

#include "support.h"

#include <signal.h>

#include "base/clock.h"
#include "dnsserver.h"
#include "net/dnsmsg.h"

#define PATIENCE 60000 /* ms */

static pid_t child;
static struct resolvconf conf;
static struct ip found[DNSHOST_ADDRESSES_MAX];
static size_t count;

static void
add_address(struct dnsserver_question *q, const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	if (ip_is_v4(&ip) && q->type == DNSMSG_A)
		dnsserver_record(q, q->name, q->type, 60, ip.bytes + 12, 4);
	if (!ip_is_v4(&ip) && q->type == DNSMSG_AAAA)
		dnsserver_record(q, q->name, q->type, 60, ip.bytes, 16);
}

static bool
begins(const struct dnsserver_question *q, const char *label)
{
	return strncmp(q->name, label, strlen(label)) == 0;
}

static void
serve(struct dnsserver_question *q)
{
	int i;

	if (begins(q, "silent"))
		return;
	if (begins(q, "fails") || (begins(q, "half") && q->type == DNSMSG_A)) {
		dnsserver_begin(q, 2);
	} else if (begins(q, "none")) {
		dnsserver_begin(q, 3);
	} else {
		dnsserver_begin(q, 0);
		if (begins(q, "both") || begins(q, "four"))
			add_address(q, "192.0.2.1");
		if (begins(q, "both") || begins(q, "half"))
			add_address(q, "2001:db8::1");
		for (i = 0; begins(q, "many") && i < 100; i++)
			add_address(q, "192.0.2.9");
	}
	dnsserver_send(q);
}

/* The second server fails always. */
static void
serve_badly(struct dnsserver_question *q)
{
	dnsserver_begin(q, 2);
	dnsserver_send(q);
}

static int
start_servers(void **state)
{
	static struct dnsserver good, bad;
	uint16_t ports[2];
	int report[2];
	size_t i;

	(void)state;
	assert_int_equal(pipe(report), 0);
	child = fork();
	if (child == 0) {
		struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);

		dnsserver_start(&good, loop, serve);
		dnsserver_start(&bad, loop, serve_badly);
		ports[0] = good.port;
		ports[1] = bad.port;
		if (write(report[1], ports, sizeof(ports)) !=
		    (ssize_t)sizeof(ports))
			_exit(1);
		ev_run(loop, 0);
		_exit(0);
	}
	close(report[1]);
	assert_int_equal(
	    read(report[0], ports, sizeof(ports)), (ssize_t)sizeof(ports));
	close(report[0]);
	for (i = 0; i < 2; i++) {
		assert_int_equal(ip_parse("127.0.0.1", &conf.servers[i].ip), 0);
		conf.servers[i].port = ports[i];
	}
	conf.server_count = 1;
	return 0;
}

static int
stop_servers(void **state)
{
	(void)state;
	kill(child, SIGKILL);
	return waitpid(child, NULL, 0) == child ? 0 : -1;
}

static enum dns_result
find(const char *name, int family)
{
	return dnshost_find(&conf, name, family,
	    clock_after(clock_now(), PATIENCE), found, &count);
}

static void
expect(const char *name, int family, const char *addresses)
{
	char shown[200] = "", text[IP_TEXT_SIZE];
	size_t i;

	assert_int_equal(find(name, family), DNS_FOUND);
	for (i = 0; i < count && i < 4; i++) {
		strcat(shown, i > 0 ? " " : "");
		strcat(shown, ip_format(text, &found[i]));
	}
	assert_string_equal(shown, addresses);
}

static void
both_families_are_asked_for(void **state)
{
	(void)state;
	expect("both.example", AF_UNSPEC, "2001:db8::1 192.0.2.1");
	expect("Both.Example.", AF_UNSPEC, "2001:db8::1 192.0.2.1");
	expect("both.example", AF_INET, "192.0.2.1");
	expect("both.example", AF_INET6, "2001:db8::1");
	expect("four.example", AF_UNSPEC, "192.0.2.1");
}

static void
what_is_not_there_is_not_found(void **state)
{
	(void)state;
	assert_int_equal(find("none.example", AF_UNSPEC), DNS_NONE);
	assert_int_equal(find("empty.example", AF_UNSPEC), DNS_NONE);
	assert_int_equal(find("four.example", AF_INET6), DNS_NONE);
	assert_int_equal(find("a..b", AF_UNSPEC), DNS_NONE);
	assert_int_equal(find("1.2.3.4", AF_UNSPEC), DNS_NONE);
}

static void
a_failure_is_temporary(void **state)
{
	(void)state;
	assert_int_equal(find("fails.example", AF_UNSPEC), DNS_FAILED);
	/* One family is enough. */
	expect("half.example", AF_UNSPEC, "2001:db8::1");
	assert_int_equal(find("half.example", AF_INET), DNS_FAILED);
	assert_int_equal(dnshost_find(&conf, "silent.example", AF_UNSPEC,
			     clock_after(clock_now(), 200), found, &count),
	    DNS_FAILED);
	conf.server_count = 0;
	assert_int_equal(find("both.example", AF_UNSPEC), DNS_FAILED);
	conf.server_count = 1;
}

static void
the_next_server_is_asked(void **state)
{
	struct ip_endpoint good = conf.servers[0];

	(void)state;
	conf.servers[0] = conf.servers[1];
	conf.servers[1] = good;
	conf.server_count = 2;
	expect("both.example", AF_UNSPEC, "2001:db8::1 192.0.2.1");
	conf.servers[1] = conf.servers[0];
	conf.servers[0] = good;
	conf.server_count = 1;
}

static void
the_domain_helps(void **state)
{
	(void)state;
	strcpy(conf.domain, "none");
	/* both.none first, which is there. */
	expect("both", AF_INET, "192.0.2.1");
	strcpy(conf.domain, "example");
	expect("four", AF_UNSPEC, "192.0.2.1");
	assert_int_equal(find("none", AF_UNSPEC), DNS_NONE);
	assert_int_equal(find("fails", AF_UNSPEC), DNS_FAILED);
	conf.domain[0] = '\0';
}

static void
this_machine_is_known(void **state)
{
	struct resolvconf nobody = { .server_count = 0 };

	(void)state;
	assert_int_equal(
	    dnshost_find(&nobody, "localhost", AF_UNSPEC, 0, found, &count),
	    DNS_FOUND);
	assert_int_equal(count, 2);
	expect("LocalHost", AF_UNSPEC, "::1 127.0.0.1");
	expect("a.localhost.", AF_INET, "127.0.0.1");
	expect("localhost", AF_INET6, "::1");
	assert_int_equal(find("none-localhost", AF_UNSPEC), DNS_NONE);
	assert_int_equal(find("none.localhost.example", AF_UNSPEC), DNS_NONE);
}

static void
many_addresses_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(find("many.example", AF_INET), DNS_FOUND);
	assert_in_range(count, 1, DNSHOST_ADDRESSES_MAX);
}

static void
nothing_stays_open(void **state)
{
	int before = open_descriptors();

	(void)state;
	assert_int_equal(find("both.example", AF_UNSPEC), DNS_FOUND);
	assert_int_equal(open_descriptors(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_families_are_asked_for),
		cmocka_unit_test(what_is_not_there_is_not_found),
		cmocka_unit_test(a_failure_is_temporary),
		cmocka_unit_test(the_next_server_is_asked),
		cmocka_unit_test(the_domain_helps),
		cmocka_unit_test(this_machine_is_known),
		cmocka_unit_test(many_addresses_are_bounded),
		cmocka_unit_test(nothing_stays_open),
	};

	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
