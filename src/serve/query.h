/*
 * query: what monitor and resolver say to each other, and master to the
 * resolver.
 */
#ifndef SERVE_QUERY_H
#define SERVE_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "net/dns.h"
#include "net/ident.h"
#include "net/ip.h"

struct msg;
struct msg_writer;

#define QUERY_SIZE 128 /* room for the body of QUERY */
#define QUERY_NAMES_SIZE (3 * 8 + 2 * DNS_NAME_SIZE + IDENT_INFO_SIZE)
#define QUERY_SERVERS_SIZE (8 + DNS_SERVERS_MAX * 40)

enum query_wants {
	QUERY_NAME = 1,	      /* the host name of remote */
	QUERY_CONFIRM = 2,    /* and that only if it leads back to remote */
	QUERY_LOCAL_NAME = 4, /* the host name of local */
	QUERY_INFO = 8,	      /* IDENT */
	QUERY_WANTS_ALL = 15
};

/* A connection, and what is to be found out.  Deadlines: clock_now's. */
struct query {
	struct ip_endpoint local, remote;
	unsigned wants; /* enum query_wants, added */
	int64_t name_deadline, info_deadline;
};

/* The answer; NULL: unknown, or not wanted. */
struct query_names {
	const char *host;
	const char *info;
	const char *local_host;
};

/* Encode.  0, or -1 when it does not fit. */
int query_put(const struct query *query, struct msg_writer *w);
int query_put_names(const struct query_names *names, struct msg_writer *w);
int query_put_servers(
    const struct ip_endpoint *servers, size_t count, struct msg_writer *w);

/*
 * Decode; texts lie in the message.  0, or -1 when malformed.  Names have
 * passed the checks of net/dnsmsg.h and net/ident.h once more, because the
 * resolver meets the network and the monitor does not believe it.
 */
int query_get(struct query *query, const struct msg *msg);
int query_get_names(struct query_names *names, const struct msg *msg);

/* servers has room for DNS_SERVERS_MAX. */
int query_get_servers(
    struct ip_endpoint *servers, size_t *count, const struct msg *msg);

#endif
