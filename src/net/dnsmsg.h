/*
 * dnsmsg: DNS messages (RFC 1035): questions written, answers read.
 *
 * Pure functions.  Answers come from the network: names are never longer
 * than DNSMSG_NAME_SIZE, compression cannot loop, and an answer with more
 * than DNSMSG_RECORDS_MAX records is refused.
 */
#ifndef NET_DNSMSG_H
#define NET_DNSMSG_H

#include <stddef.h>
#include <stdint.h>

#include "net/ip.h"

#define DNSMSG_NAME_SIZE 256	/* text of a name with its NUL */
#define DNSMSG_QUERY_SIZE 280	/* the longest question */
#define DNSMSG_RECORDS_MAX 128	/* in an answer that we read */
#define DNSMSG_NAMES_MAX 8	/* more of a PTR answer are not kept */
#define DNSMSG_ADDRESSES_MAX 64 /* more of an address answer are not kept */

enum dnsmsg_type { DNSMSG_A = 1, DNSMSG_PTR = 12, DNSMSG_AAAA = 28 };

enum dnsmsg_kind {
	DNSMSG_FOUND,
	DNSMSG_NONE,  /* permanent: no such name, or no such record */
	DNSMSG_FAILED /* temporary: the server failed, or sent nonsense */
};

struct dnsmsg_answer {
	uint32_t ttl; /* FOUND: smallest of the records used, in seconds */
	size_t count;
	union {
		char names[DNSMSG_NAMES_MAX][DNSMSG_NAME_SIZE]; /* PTR */
		struct ip addresses[DNSMSG_ADDRESSES_MAX];	/* A, AAAA */
	};
};

/* The name whose PTR records name ip.  Returns name. */
char *dnsmsg_reverse(char name[DNSMSG_NAME_SIZE], const struct ip *ip);

/*
 * Write a question for a recursive server.  Returns its length, or 0 when
 * name is no domain name.
 */
size_t dnsmsg_query(unsigned char bytes[DNSMSG_QUERY_SIZE], uint16_t id,
    const char *name, enum dnsmsg_type type);

/*
 * Read the answer to the question for name, which must be lower case; id
 * and question have been compared by the transport.  Aliases (CNAME) are
 * followed within the answer, eight at most.  *answer is set for FOUND.
 * Its names are lower case, bytes that text cannot hold are '?': they need
 * dnsmsg_host_name before anybody may see them.
 */
enum dnsmsg_kind dnsmsg_read(struct dnsmsg_answer *answer,
    const unsigned char *bytes, size_t len, const char *name,
    enum dnsmsg_type type);

/*
 * Is name fit for rules, log and environment?  Then write it to host in
 * lower case without a final dot and return 0.  Else -1: only letters,
 * digits, hyphen and underscore, in labels of 1 to 63 without a hyphen at
 * either end, 253 bytes in all, and not a number at the end, so that no
 * name looks like an address.
 */
int dnsmsg_host_name(char host[DNSMSG_NAME_SIZE], const char *name);

#endif
