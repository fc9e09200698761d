/*
 * Counters of connections by source and network.  Runs in the monitor;
 * allocates at start: a connection holds two counters at most.
 */
#include "serve/limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

struct limits_counter {
	struct limits_counter *next;
	struct ip network;
	unsigned prefix;
	size_t count;
};

#define IPV4_BITS 96 /* of a mapped address before its own */
#define SOURCE_PREFIX_IPV6 64
/* Sources and networks are counted apart, also where they are the same. */
#define IS_SOURCE 0x1000u

int
limits_init(struct limits *limits, size_t connections)
{
	size_t i;

	memset(limits, 0, sizeof(*limits));
	limits->bucket_count = 16;
	while (limits->bucket_count < 2 * connections)
		limits->bucket_count *= 2;
	limits->counters = calloc(2 * connections, sizeof(*limits->counters));
	limits->buckets =
	    calloc(limits->bucket_count, sizeof(*limits->buckets));
	if (limits->counters == NULL || limits->buckets == NULL ||
	    getentropy(&limits->seed, sizeof(limits->seed)) == -1) {
		limits_free(limits);
		return -1;
	}
	for (i = 2 * connections; i-- > 0;) {
		limits->counters[i].next = limits->unused;
		limits->unused = &limits->counters[i];
	}
	return 0;
}

/* FNV-1a from a secret start. */
static struct limits_counter **
bucket_of(
    const struct limits *limits, const struct ip *network, unsigned prefix)
{
	uint64_t hash = limits->seed ^ prefix;
	size_t i;

	for (i = 0; i < sizeof(network->bytes); i++)
		hash = (hash ^ network->bytes[i]) * 0x100000001b3u;
	return &limits
		    ->buckets[(hash ^ hash >> 32) & (limits->bucket_count - 1)];
}

static struct limits_counter *
count_in(struct limits *limits, const struct ip *ip, unsigned prefix)
{
	struct ip network = ip_prefix(ip, prefix & ~IS_SOURCE);
	struct limits_counter **bucket = bucket_of(limits, &network, prefix);
	struct limits_counter *counter;

	for (counter = *bucket; counter != NULL; counter = counter->next)
		if (counter->prefix == prefix &&
		    ip_equal(&counter->network, &network))
			break;
	if (counter == NULL) {
		/* Two for each connection: there is one left. */
		counter = limits->unused;
		limits->unused = counter->next;
		counter->network = network;
		counter->prefix = prefix;
		counter->count = 0;
		counter->next = *bucket;
		*bucket = counter;
	}
	counter->count++;
	return counter;
}

static void
count_out(struct limits *limits, struct limits_counter **held)
{
	struct limits_counter *counter = *held, **link;

	if (counter == NULL)
		return;
	*held = NULL;
	if (--counter->count > 0)
		return;
	link = bucket_of(limits, &counter->network, counter->prefix);
	while (*link != counter)
		link = &(*link)->next;
	*link = counter->next;
	counter->next = limits->unused;
	limits->unused = counter;
}

static unsigned
network_prefix(const struct ip *ip, unsigned prefix)
{
	/* A prefix chosen for IPv6 is no network of IPv4: one address. */
	if (ip_is_v4(ip))
		return IPV4_BITS + (prefix <= 32 ? prefix : 32);
	return prefix;
}

enum limits_verdict
limits_reserve(struct limits *limits, struct limits_hold *hold,
    const struct ip *ip, const struct limits_policy *policy)
{
	hold->source = count_in(
	    limits, ip, IS_SOURCE | (ip_is_v4(ip) ? 128 : SOURCE_PREFIX_IPV6));
	if (policy->per_network != LIMITS_NONE)
		hold->network =
		    count_in(limits, ip, network_prefix(ip, policy->prefix));
	if (policy->per_source != LIMITS_NONE &&
	    hold->source->count > policy->per_source)
		return LIMITS_SOURCE;
	if (policy->per_network != LIMITS_NONE &&
	    hold->network->count > policy->per_network)
		return LIMITS_NETWORK;
	return LIMITS_WITHIN;
}

void
limits_release(struct limits *limits, struct limits_hold *hold)
{
	count_out(limits, &hold->source);
	count_out(limits, &hold->network);
}

enum limits_verdict
limits_change(struct limits *limits, struct limits_hold *hold,
    const struct ip *ip, const struct limits_policy *policy)
{
	limits_release(limits, hold);
	return limits_reserve(limits, hold, ip, policy);
}

int
limits_read_source(struct limits_policy *policy, const char *value)
{
	unsigned long n;

	if (text_number(value, 0, 1000000000UL, &n) == -1)
		return -1;
	policy->per_source = n == 0 ? LIMITS_NONE : n;
	return 0;
}

int
limits_read_network(struct limits_policy *policy, const char *value)
{
	const char *slash = strchr(value, '/');
	unsigned long n, prefix;
	char number[16];

	if (slash == NULL ||
	    text_format(number, sizeof(number), "%.*s", (int)(slash - value),
		value) == -1 ||
	    text_number(number, 0, 1000000000UL, &n) == -1 ||
	    text_number(slash + 1, 0, 128, &prefix) == -1)
		return -1;
	policy->per_network = n == 0 ? LIMITS_NONE : n;
	policy->prefix = (unsigned)prefix;
	return 0;
}

size_t
limits_shown(const struct limits_policy *policy, size_t connections)
{
	return policy->per_source < connections ? policy->per_source
						: connections;
}

void
limits_free(struct limits *limits)
{
	free(limits->counters);
	free(limits->buckets);
	memset(limits, 0, sizeof(*limits));
}
