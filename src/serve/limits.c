/*
 * Counters of connections by source and network.  Runs in the monitor;
 * allocates at start.
 *
 * One tree of addresses for each family.  A leaf is an address that has
 * connections, a branch the longest prefix that its two sides share, and
 * the count of either is that of all below.  So the connections of a
 * network, of whatever prefix, are the count of one node, and no address is
 * deeper than it has bits, whoever chooses the addresses.
 */
#include "serve/limits.h"

#include <stdlib.h>
#include <string.h>

#include "rules/rulevars.h"

#define ADDRESS_BITS 128
#define IPV4_BITS 96 /* of a mapped address before its own */
#define SOURCE_PREFIX_IPV6 64

struct limits_node {
	struct limits_node *parent; /* of one that is not used: the next */
	struct limits_node *sides[2];
	struct ip ip;  /* of all below it these are */
	unsigned bits; /* the first ones; a leaf has ADDRESS_BITS */
	size_t count;
};

int
limits_init(struct limits *limits, size_t connections)
{
	size_t i;

	memset(limits, 0, sizeof(*limits));
	if (connections > SIZE_MAX / 2)
		return -1;
	/* Each can have a leaf of its own, and the branch to it. */
	limits->nodes = calloc(2 * connections, sizeof(*limits->nodes));
	if (limits->nodes == NULL)
		return -1;
	for (i = 2 * connections; i-- > 0;) {
		limits->nodes[i].parent = limits->unused;
		limits->unused = &limits->nodes[i];
	}
	return 0;
}

/* The tree. */

static unsigned
bit_of(const struct ip *ip, unsigned n)
{
	return ip->bytes[n / 8] >> (7 - n % 8) & 1;
}

/* How many bits the two have in common, from the first. */
static unsigned
common_bits(const struct ip *a, const struct ip *b)
{
	unsigned n = 0;

	while (n < ADDRESS_BITS && a->bytes[n / 8] == b->bytes[n / 8])
		n += 8;
	while (n < ADDRESS_BITS && bit_of(a, n) == bit_of(b, n))
		n++;
	return n;
}

static struct limits_node *
take_node(struct limits *limits, const struct ip *ip, unsigned bits)
{
	/* Two for each connection: there is one left. */
	struct limits_node *node = limits->unused;

	limits->unused = node->parent;
	memset(node, 0, sizeof(*node));
	node->ip = *ip;
	node->bits = bits;
	return node;
}

static void
free_node(struct limits *limits, struct limits_node *node)
{
	node->parent = limits->unused;
	limits->unused = node;
}

/* Where the node is linked. */
static struct limits_node **
link_of(struct limits *limits, const struct limits_node *node)
{
	struct limits_node *parent = node->parent;

	if (parent == NULL)
		return &limits->roots[ip_is_v4(&node->ip)];
	return &parent->sides[parent->sides[1] == node];
}

/* A branch in the place of node, with node at one side of it. */
static struct limits_node *
put_branch_above(struct limits *limits, struct limits_node *node, unsigned bits)
{
	struct limits_node *branch = take_node(limits, &node->ip, bits);

	*link_of(limits, node) = branch;
	branch->parent = node->parent;
	branch->count = node->count;
	branch->sides[bit_of(&node->ip, bits)] = node;
	node->parent = branch;
	return branch;
}

/* The leaf of this address, which is made if there is none. */
static struct limits_node *
leaf_of(struct limits *limits, const struct ip *ip)
{
	struct limits_node **link = &limits->roots[ip_is_v4(ip)], *leaf;
	struct limits_node *parent = NULL;
	unsigned same;

	while (*link != NULL) {
		same = common_bits(&(*link)->ip, ip);
		if (same < (*link)->bits)
			parent = put_branch_above(limits, *link, same);
		else if ((*link)->bits == ADDRESS_BITS)
			return *link;
		else
			parent = *link;
		link = &parent->sides[bit_of(ip, parent->bits)];
	}
	leaf = take_node(limits, ip, ADDRESS_BITS);
	leaf->parent = parent;
	*link = leaf;
	return leaf;
}

/* Without it, its branch has one side, which takes the branch's place. */
static void
remove_leaf(struct limits *limits, struct limits_node *leaf)
{
	struct limits_node *branch = leaf->parent, *other;

	if (branch == NULL)
		*link_of(limits, leaf) = NULL;
	else {
		other = branch->sides[branch->sides[0] == leaf];
		*link_of(limits, branch) = other;
		other->parent = branch->parent;
		free_node(limits, branch);
	}
	free_node(limits, leaf);
}

/* Connections from the network of this prefix that the address is in. */
static size_t
count_of(const struct limits_node *node, unsigned prefix)
{
	while (node->parent != NULL && node->parent->bits >= prefix)
		node = node->parent;
	return node->count;
}

/* Policies. */

static unsigned
network_prefix(const struct ip *ip, unsigned prefix)
{
	/* A prefix chosen for IPv6 is no network of IPv4: one address. */
	if (ip_is_v4(ip))
		return IPV4_BITS + (prefix <= 32 ? prefix : 32);
	return prefix;
}

enum limits_verdict
limits_check(const struct limits_hold *hold, const struct limits_policy *policy)
{
	const struct limits_node *leaf = hold->address;
	unsigned source =
	    ip_is_v4(&leaf->ip) ? ADDRESS_BITS : SOURCE_PREFIX_IPV6;

	if (policy->per_source != LIMITS_NONE &&
	    count_of(leaf, source) > policy->per_source)
		return LIMITS_SOURCE;
	if (policy->per_network != LIMITS_NONE &&
	    count_of(leaf, network_prefix(&leaf->ip, policy->prefix)) >
		policy->per_network)
		return LIMITS_NETWORK;
	return LIMITS_WITHIN;
}

enum limits_verdict
limits_reserve(struct limits *limits, struct limits_hold *hold,
    const struct ip *ip, const struct limits_policy *policy)
{
	struct limits_node *node;

	hold->address = leaf_of(limits, ip);
	for (node = hold->address; node != NULL; node = node->parent)
		node->count++;
	return limits_check(hold, policy);
}

void
limits_release(struct limits *limits, struct limits_hold *hold)
{
	struct limits_node *leaf = hold->address, *node;

	hold->address = NULL;
	for (node = leaf; node != NULL; node = node->parent)
		node->count--;
	if (leaf != NULL && leaf->count == 0)
		remove_leaf(limits, leaf);
}

int
limits_read_source(struct limits_policy *policy, const char *value)
{
	unsigned long n;

	if (rulevars_read_source(value, &n) == -1)
		return -1;
	policy->per_source = n == 0 ? LIMITS_NONE : n;
	return 0;
}

int
limits_read_network(struct limits_policy *policy, const char *value)
{
	unsigned long n, prefix;

	if (rulevars_read_network(value, &n, &prefix) == -1)
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
	free(limits->nodes);
	memset(limits, 0, sizeof(*limits));
}
