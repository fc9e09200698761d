/*
 * limits: how many connections a source or a network has at once.
 *
 * Every open connection is counted, whatever its own policy is, and in
 * every network its address is in: so a limit of any prefix, asked at any
 * time, sees all of them.  Sources are an IPv4 address and an IPv6 /64.
 * Exact under every order of starts and ends, because a count is held by a
 * connection and given back by the same connection, once.
 */
#ifndef SERVE_LIMITS_H
#define SERVE_LIMITS_H

#include <stddef.h>

#include "net/ip.h"

/* No limit. */
#define LIMITS_NONE ((size_t)-1)

struct limits_node;

/* A table sized at start. */
struct limits {
	struct limits_node *nodes, *unused;
	struct limits_node *roots[2]; /* of IPv6, of IPv4 */
};

/* What a connection is counted by; zero-initialised: it is not. */
struct limits_hold {
	struct limits_node *address;
};

/* What applies to a connection. */
struct limits_policy {
	size_t per_source;  /* or LIMITS_NONE */
	size_t per_network; /* or LIMITS_NONE */
	unsigned prefix;    /* of the network; more than 32 is 32 for IPv4 */
};

enum limits_verdict { LIMITS_WITHIN, LIMITS_SOURCE, LIMITS_NETWORK };

/* A table for so many connections at once.  0, or -1: no memory. */
int limits_init(struct limits *limits, size_t connections);

/*
 * Count a connection that holds nothing yet from ip, and say what
 * limits_check would; it is counted in any case.
 */
enum limits_verdict limits_reserve(struct limits *limits,
    struct limits_hold *hold, const struct ip *ip,
    const struct limits_policy *policy);

/*
 * Is a counted connection, with all others of its source and of its
 * network, within this policy?  Changes nothing.
 */
enum limits_verdict limits_check(
    const struct limits_hold *hold, const struct limits_policy *policy);

/* Give back what the connection holds, if anything. */
void limits_release(struct limits *limits, struct limits_hold *hold);

/*
 * Read MAXCONIP ("n") and MAXCONNET ("n/prefix", 0 to 128).  0 and "0/..."
 * are LIMITS_NONE.  0, or -1: malformed, *policy as it was.
 */
int limits_read_source(struct limits_policy *policy, const char *value);
int limits_read_network(struct limits_policy *policy, const char *value);

/* What status lines show: the limit per source, at most connections. */
size_t limits_shown(const struct limits_policy *policy, size_t connections);

void limits_free(struct limits *limits);

#endif
