/*
 * limits: how many connections a source or a network has at once.
 *
 * Counted per IPv4 address and per IPv6 /64, and per network of a given
 * prefix length.  Exact under every order of starts and ends, because a
 * count is held by a connection and given back by the same connection,
 * once.
 */
#ifndef SERVE_LIMITS_H
#define SERVE_LIMITS_H

#include <stddef.h>

#include "net/ip.h"

/* No limit. */
#define LIMITS_NONE ((size_t)-1)

struct limits_counter;

/* A table sized at start. */
struct limits {
	struct limits_counter *counters;
	struct limits_counter **buckets;
	struct limits_counter *unused;
	size_t bucket_count;
	uint64_t seed; /* so that nobody can choose addresses that collide */
};

/* What a connection counts for; zero-initialised: for nothing. */
struct limits_hold {
	struct limits_counter *source, *network;
};

/* What applies to a connection. */
struct limits_policy {
	size_t per_source;  /* or LIMITS_NONE */
	size_t per_network; /* or LIMITS_NONE */
	unsigned prefix;    /* of the network; more than 32 is 32 for IPv4 */
};

enum limits_verdict { LIMITS_WITHIN, LIMITS_SOURCE, LIMITS_NETWORK };

/*
 * A table for so many connections at once.  0, or -1: no memory, or no
 * random number for its seed.
 */
int limits_init(struct limits *limits, size_t connections);

/*
 * Count a connection that holds nothing yet from ip, and say whether it is
 * within the policy; it is counted in any case.
 */
enum limits_verdict limits_reserve(struct limits *limits,
    struct limits_hold *hold, const struct ip *ip,
    const struct limits_policy *policy);

/*
 * The same connection under another policy, of a rule that was found later:
 * what it holds is given back and counted anew.
 */
enum limits_verdict limits_change(struct limits *limits,
    struct limits_hold *hold, const struct ip *ip,
    const struct limits_policy *policy);

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
