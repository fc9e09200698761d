/*
 * ip: IPv4 and IPv6 addresses as one value type.
 *
 * Used by the monitor and at start; pure functions, no look-ups, and no
 * trust in what they read.  Text comes from our own writer and not from
 * inet_ntop(3), because C libraries differ in what they print (RFC 5952
 * came later), and rules, logs and programs compare addresses as text.
 */
#include "net/ip.h"

#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#define GROUPS 8 /* 16-bit groups of an IPv6 address */

static const unsigned char mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

bool
ip_is_v4(const struct ip *ip)
{
	return memcmp(ip->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool
ip_is_link_local(const struct ip *ip)
{
	return ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

bool
ip_is_any(const struct ip *ip)
{
	static const unsigned char zeros[16];
	size_t skip = ip_is_v4(ip) ? sizeof(mapped_prefix) : 0;

	return memcmp(ip->bytes + skip, zeros, sizeof(zeros) - skip) == 0;
}

bool
ip_equal(const struct ip *a, const struct ip *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static void
map_v4(struct ip *ip, const void *quad)
{
	memcpy(ip->bytes, mapped_prefix, sizeof(mapped_prefix));
	memcpy(ip->bytes + sizeof(mapped_prefix), quad, 4);
}

int
ip_parse(const char *s, struct ip *ip)
{
	unsigned char quad[4];
	unsigned char bytes[16];

	if (inet_pton(AF_INET, s, quad) == 1) {
		map_v4(ip, quad);
		return 0;
	}
	if (inet_pton(AF_INET6, s, bytes) == 1) {
		memcpy(ip->bytes, bytes, sizeof(bytes));
		return 0;
	}
	return -1;
}

static unsigned
group(const struct ip *ip, int i)
{
	return (unsigned)ip->bytes[2 * i] << 8 | ip->bytes[2 * i + 1];
}

/*
 * RFC 5952 section 4.2: the longest run of zero groups, the first of equal
 * ones, never a single group.  Returns its length, 0 if there is none.
 */
static int
longest_zeros(const struct ip *ip, int *start)
{
	int best = 1;
	int run = 0;
	int i;

	for (i = 0; i < GROUPS; i++) {
		run = group(ip, i) == 0 ? run + 1 : 0;
		if (run > best) {
			best = run;
			*start = i + 1 - run;
		}
	}
	return best > 1 ? best : 0;
}

static char *
format_v6(char text[IP_TEXT_SIZE], const struct ip *ip)
{
	size_t at = 0;
	int start = 0;
	int zeros = longest_zeros(ip, &start);
	int i = 0;

	while (i < GROUPS) {
		if (zeros > 0 && i == start) {
			/* One colon more when none follows a group. */
			at += (size_t)snprintf(
			    text + at, IP_TEXT_SIZE - at, i == 0 ? "::" : ":");
			i += zeros;
			continue;
		}
		at += (size_t)snprintf(text + at, IP_TEXT_SIZE - at,
		    i + 1 < GROUPS ? "%x:" : "%x", group(ip, i));
		i++;
	}
	return text;
}

char *
ip_format(char text[IP_TEXT_SIZE], const struct ip *ip)
{
	const unsigned char *quad = ip->bytes + sizeof(mapped_prefix);

	if (!ip_is_v4(ip))
		return format_v6(text, ip);
	(void)snprintf(text, IP_TEXT_SIZE, "%u.%u.%u.%u", (unsigned)quad[0],
	    (unsigned)quad[1], (unsigned)quad[2], (unsigned)quad[3]);
	return text;
}

/* Copies, because sa need not be aligned for the type it really has. */
int
ip_from_sockaddr(struct ip_endpoint *end, const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	memset(end, 0, sizeof(*end));
	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		map_v4(&end->ip, &in.sin_addr);
		end->port = ntohs(in.sin_port);
		return 0;
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		memcpy(end->ip.bytes, &in6.sin6_addr, sizeof(end->ip.bytes));
		end->port = ntohs(in6.sin6_port);
		if (ip_is_link_local(&end->ip))
			end->scope = in6.sin6_scope_id;
		return 0;
	default:
		return -1;
	}
}

socklen_t
ip_to_sockaddr(
    struct sockaddr_storage *ss, const struct ip_endpoint *end, int family)
{
	struct sockaddr_in in = { 0 };
	struct sockaddr_in6 in6 = { 0 };

	memset(ss, 0, sizeof(*ss));
	if (family == AF_INET6) {
		in6.sin6_family = AF_INET6;
		in6.sin6_port = htons(end->port);
		in6.sin6_scope_id = end->scope;
		memcpy(&in6.sin6_addr, end->ip.bytes, sizeof(in6.sin6_addr));
		memcpy(ss, &in6, sizeof(in6));
		return sizeof(in6);
	}
	if (!ip_is_v4(&end->ip))
		return 0;
	in.sin_family = AF_INET;
	in.sin_port = htons(end->port);
	memcpy(&in.sin_addr, end->ip.bytes + sizeof(mapped_prefix), 4);
	memcpy(ss, &in, sizeof(in));
	return sizeof(in);
}

struct ip
ip_prefix(const struct ip *ip, unsigned prefix)
{
	struct ip kept = *ip;
	unsigned i;

	for (i = 0; i < sizeof(kept.bytes); i++) {
		if (prefix >= 8 * (i + 1))
			continue;
		if (prefix <= 8 * i)
			kept.bytes[i] = 0;
		else
			kept.bytes[i] &=
			    (unsigned char)(0xff << (8 * (i + 1) - prefix));
	}
	return kept;
}
