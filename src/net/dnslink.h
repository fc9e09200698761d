/*
 * dnslink: single questions to one DNS server, over UDP and, for answers
 * that do not fit, TCP.
 *
 * Ids come from the kernel's random numbers, one by one; a source port
 * carries at most DNSLINK_PORT_QUERIES questions.  What comes from another
 * address, with another id or for another question is dropped.
 */
#ifndef NET_DNSLINK_H
#define NET_DNSLINK_H

#include <stddef.h>

#include "net/dnsmsg.h"
#include "net/ip.h"

#define DNSLINK_PORT_QUERIES 32

struct dnslink;
struct dnslink_query;
struct ev_loop;

/* bytes NULL: there will be no answer (refused, cut off, timed out). */
typedef void dnslink_reply(void *arg, const unsigned char *bytes, size_t len);

/*
 * A link to server, whose loop runs in the caller; nothing is opened
 * before the first question, and no file ever.  NULL when memory is short.
 */
struct dnslink *dnslink_new(
    struct ev_loop *loop, const struct ip_endpoint *server);

/*
 * Ask once.  reply is called once, from the loop, never from here.  A lost
 * question is not sent again: ask again.  NULL with errno when name is no
 * domain name or the question cannot be sent.
 */
struct dnslink_query *dnslink_ask(struct dnslink *link, const char *name,
    enum dnsmsg_type type, dnslink_reply *reply, void *arg);

/* No reply any more.  NULL is accepted. */
void dnslink_forget(struct dnslink_query *query);

/*
 * Free the link; questions not yet answered are forgotten.  Not from
 * within a reply.  NULL is accepted.
 */
void dnslink_free(struct dnslink *link);

#endif
