/*
 * fuzz_resolvconf: resolv.conf, DNSCACHEIP and LOCALDOMAIN.
 *
 * There is always a server to ask, never more than there is room for, each
 * with a port, and the domain is a name or empty.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/dnsmsg.h"
#include "net/resolvconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct resolvconf *conf)
{
	char host[DNSMSG_NAME_SIZE];
	size_t i;

	assert(conf->server_count <= RESOLVCONF_SERVERS_MAX);
	for (i = 0; i < conf->server_count; i++)
		assert(conf->servers[i].port != 0);
	if (conf->domain[0] != '\0') {
		assert(dnsmsg_host_name(host, conf->domain) == 0);
		assert(strcmp(host, conf->domain) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolvconf conf;
	char *s = malloc(size + 1);

	if (s == NULL)
		return 0;
	if (size > 0)
		memcpy(s, data, size);
	s[size] = '\0';
	resolvconf_parse(&conf, s, size);
	assert(conf.server_count > 0);
	check(&conf);
	if (resolvconf_servers(&conf, s) == -1)
		assert(conf.server_count > 0);
	(void)resolvconf_domain(&conf, s);
	check(&conf);
	free(s);
	return 0;
}
