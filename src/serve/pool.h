/*
 * pool: sessions that wait for their next client.  Of the monitor.
 *
 * Nobody is made ahead: a session that is vacant stays, and the next client
 * goes to the one that left last, whose memory is still warm.  So there are
 * never more sessions than there have been clients at once, and no more
 * than -c.  A session has all profiles, as the nursery that it was forked
 * from; so one pool is enough.  Only sessions of the newest generation wait.
 */
#ifndef SERVE_POOL_H
#define SERVE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/start.h"

struct connection;
struct generation;
struct monitor;
struct pooled;

struct pool {
	struct pooled *all, *unused; /* NULL: sessions serve one client */
	struct pooled *idle;	     /* the last one first */
	size_t size, count;	     /* count: in use, those to be gone too */
};

/* Room for as many as there can be connections.  0, or -1: no memory. */
int pool_prepare(struct monitor *m);

/*
 * Give the connection to a session that waits, and with it copies of the
 * descriptors that START has, but for the control socket: that is the
 * session's.  false: there is none.
 */
bool pool_start_session(struct monitor *m, struct connection *conn,
    struct start *start, const int fds[START_FDS]);

/*
 * The connection's session is vacant: it waits, and the connection has none
 * any more.  false: it is not to be used again, and nothing is changed.
 */
bool pool_take(struct monitor *m, struct connection *conn);

/* Those that wait, of a generation or (NULL) of all, are to be gone. */
void pool_dismiss(struct monitor *m, const struct generation *generation);

/* The nursery has reaped that one.  false: it is not ours. */
bool pool_reaped(
    struct monitor *m, const struct generation *generation, uint64_t name);

/* The nursery is gone: so are those that it made, through master. */
void pool_orphan(struct monitor *m, const struct generation *generation);

#endif
