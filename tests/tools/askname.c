/*
 * askname: print the host name of addresses as the resolver would see it.
 *
 * usage: askname SERVERS [+]ADDRESS...
 * SERVERS is a value for DNSCACHEIP; + asks for confirmation.  One line each,
 * `ADDRESS NAME', or `none' or `failed' in the place of the name.
 */
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "net/dns.h"
#include "net/resolvconf.h"

#define DEADLINE_MS 10000

static void
print_answer(void *arg, enum dns_result result, const char *name)
{
	const char *address = arg;

	printf("%s %s\n", address,
	    result == DNS_FOUND	     ? name
		: result == DNS_NONE ? "none"
				     : "failed");
}

int
main(int argc, char **argv)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
	struct dns_settings settings = { .max_questions = 1000,
		.max_cached = 1000 };
	struct resolvconf conf = { .server_count = 0 };
	struct dns *dns;
	struct ip ip;
	int i;

	if (loop == NULL || argc < 3 ||
	    resolvconf_servers(&conf, argv[1]) == -1) {
		fprintf(stderr, "usage: askname SERVERS [+]ADDRESS...\n");
		return 100;
	}
	settings.server_count = conf.server_count;
	memcpy(settings.servers, conf.servers, sizeof(conf.servers));
	dns = dns_new(loop, &settings);
	for (i = 2; i < argc && dns != NULL; i++)
		if (ip_parse(argv[i] + (argv[i][0] == '+'), &ip) == -1 ||
		    dns_ask(dns, &ip, argv[i][0] == '+',
			clock_after(clock_now(), DEADLINE_MS), print_answer,
			argv[i]) == NULL)
			return 111;
	ev_run(loop, 0);
	dns_free(dns);
	ev_loop_destroy(loop);
	return 0;
}
