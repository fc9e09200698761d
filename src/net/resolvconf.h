/*
 * resolvconf: which name servers to ask.
 *
 * Read by master from resolv.conf(5) or from DNSCACHEIP and LOCALDOMAIN,
 * and passed on as values; the process that asks opens no file.
 */
#ifndef NET_RESOLVCONF_H
#define NET_RESOLVCONF_H

#include <stddef.h>

#include "net/ip.h"

#define RESOLVCONF_SERVERS_MAX 16
#define RESOLVCONF_DOMAIN_SIZE 256
#define RESOLVCONF_FILE_MAX 65536 /* what lies beyond is not read */

struct resolvconf {
	struct ip_endpoint servers[RESOLVCONF_SERVERS_MAX];
	size_t server_count;
	char domain[RESOLVCONF_DOMAIN_SIZE]; /* search domain; "": none */
};

/*
 * From the text of resolv.conf: `nameserver', and the first domain of the
 * last `search' or `domain'.  Lines that cannot be understood are passed
 * over, as libc does.  No server at all: 127.0.0.1.
 */
void resolvconf_parse(struct resolvconf *conf, const char *text, size_t len);

/*
 * Servers from DNSCACHEIP: blank-separated addresses, each with an optional
 * %interface and an optional #port (53).  Empty: none, every name will be
 * unknown.  0, or -1 and *conf as it was: a word is malformed, an interface
 * does not exist, or there are more than RESOLVCONF_SERVERS_MAX.
 */
int resolvconf_servers(struct resolvconf *conf, const char *list);

/*
 * Search domain from LOCALDOMAIN: its first word; empty: none.  0, or -1
 * and *conf as it was when that is no domain name.
 */
int resolvconf_domain(struct resolvconf *conf, const char *value);

#define RESOLVCONF_SERVER_SIZE 96 /* address, %interface, #port */

/* A server as resolvconf_servers reads it, port 53 left out.  Returns text. */
char *resolvconf_format(
    char text[RESOLVCONF_SERVER_SIZE], const struct ip_endpoint *server);

/*
 * resolvconf_parse of an open file, which stays the caller's.  0, or -1
 * with errno.  Blocks as long as reading does.
 */
int resolvconf_read(struct resolvconf *conf, int fd);

#endif
