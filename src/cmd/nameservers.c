/*
 * Whom to ask for names.
 *
 * Runs at the start, with the rights a program was started with.
 */
#include "cmd/nameservers.h"

#include <sys/stat.h>

#include <stdlib.h>

#include "base/fd.h"
#include "base/text.h"

static int
refuse(
    char error[NAMESERVERS_ERROR_SIZE], const char *sentence, const char *value)
{
	text_format(error, NAMESERVERS_ERROR_SIZE, "%s%.100s", sentence, value);
	return -1;
}

static void
read_file(struct resolvconf *conf)
{
	struct stat status;
	int fd = fd_open_regular("/etc/resolv.conf", &status);

	if (fd == -1 || resolvconf_read(conf, fd) == -1)
		resolvconf_parse(conf, "", 0);
	fd_close(&fd);
}

int
nameservers_read(
    struct resolvconf *conf, bool *has_file, char error[NAMESERVERS_ERROR_SIZE])
{
	const char *servers = getenv("DNSCACHEIP");
	const char *domain = getenv("LOCALDOMAIN");

	*has_file = servers == NULL;
	if (servers == NULL)
		read_file(conf);
	else if (resolvconf_servers(conf, servers) == -1)
		return refuse(error,
		    "DNSCACHEIP is no list of address[%interface][#port]: ",
		    servers);
	if (domain != NULL && resolvconf_domain(conf, domain) == -1)
		return refuse(
		    error, "LOCALDOMAIN is not a domain name: ", domain);
	return 0;
}
