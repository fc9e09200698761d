/*
 * resolver: the process that asks DNS and IDENT, for all connections.
 */
#ifndef SERVE_RESOLVER_H
#define SERVE_RESOLVER_H

#include <stddef.h>
#include <stdint.h>

#include "net/dns.h"

struct resolver_settings {
	struct ip_endpoint servers[DNS_SERVERS_MAX];
	size_t server_count;
	size_t limit;	     /* connections at once, -c */
	uint16_t ident_port; /* 113, but in tests */
};

/* Open files that a resolver for limit connections works well with. */
size_t resolver_descriptors(size_t limit);

/*
 * The whole life of a resolver whose rights are dropped; never returns.
 * master_fd is its life line: READY goes there at once, or FAILED with a
 * sentence; WORK brings (or replaces) the socket to the monitor, SERVERS
 * the name servers for the queries that come after it.  Each QUERY of the
 * monitor is answered by one NAMES, at its later deadline at the latest,
 * or not at all after a CANCEL.  SILENCE on the life line says that no
 * name server answers (see dns_settings), not more often than every ten seconds.  It ends
 * with the life line, and with status 111 when the monitor talks nonsense
 * or does not read.
 */
__attribute__((noreturn)) void resolver_run(
    const struct resolver_settings *settings, int master_fd);

#endif
