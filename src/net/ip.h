/*
 * ip: IPv4 and IPv6 addresses as one value type, their text, and prefixes.
 *
 * IPv4 is held v4-mapped (::ffff:a.b.c.d) so that one comparison serves
 * both; ip_is_v4 tells.
 */
#ifndef NET_IP_H
#define NET_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>

/* Longest text of an address with its NUL ("%" and zone not included). */
#define IP_TEXT_SIZE 46

struct ip {
	unsigned char bytes[16]; /* network order */
};

/* An address with its port and, for link-local IPv6, its interface. */
struct ip_endpoint {
	struct ip ip;
	uint16_t port;	/* host order */
	uint32_t scope; /* interface index, 0: none */
};

bool ip_is_v4(const struct ip *ip);
bool ip_is_link_local(const struct ip *ip); /* fe80::/10 */
bool ip_is_any(const struct ip *ip);	    /* 0.0.0.0 or :: */
bool ip_equal(const struct ip *a, const struct ip *b);

/*
 * Read all of s as an IPv4 dotted quad (exactly four decimal parts without
 * leading zeros, which some would read as octal) or an IPv6 literal without
 * zone.  0, or -1 and *ip as it was.
 */
int ip_parse(const char *s, struct ip *ip);

/* Write dotted quad, or RFC 5952 text; v4-mapped as IPv4.  Returns text. */
char *ip_format(char text[IP_TEXT_SIZE], const struct ip *ip);

/* From what accept(2) or getsockname(2) gave.  0, or -1: other family. */
int ip_from_sockaddr(struct ip_endpoint *end, const struct sockaddr *sa);

/*
 * To a socket address for bind(2) or connect(2) of that family (AF_INET or
 * AF_INET6; an IPv4 address in AF_INET6 stays mapped).  Returns its length,
 * or 0 when AF_INET cannot hold the address.
 */
socklen_t ip_to_sockaddr(
    struct sockaddr_storage *ss, const struct ip_endpoint *end, int family);

/*
 * The first prefix bits (of the 16 bytes; more than 128 means 128) kept,
 * the rest zero.  An IPv4 prefix of n bits is one of 96 + n here.
 */
struct ip ip_prefix(const struct ip *ip, unsigned prefix);

#endif
