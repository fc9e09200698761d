/*
 * resuming: between sessions and the cache, for clients that come back.
 *
 * Nothing a session waits for here lasts longer than a moment: a cache that
 * is gone, late or full of questions is a miss, and the handshake goes on
 * in full.
 */
#ifndef SERVE_RESUMING_H
#define SERVE_RESUMING_H

#include <stdint.h>

struct connection;
struct generation;
struct monitor;
struct msg;
struct msg_reader;

/* Make the cache's channel, closed, and a connection's part. */
void resuming_prepare(struct monitor *m);
void resuming_begin(struct connection *conn);

/* The cache's socket, from master, and its pid. */
void resuming_take_cache(struct monitor *m, uint64_t pid, int fd);

/*
 * The next field: the digests of the profiles that its sessions are made
 * with, of CACHE_PROFILE_SIZE bytes each.  Of one that has none nothing is
 * resumed.
 */
void resuming_take_digests(struct generation *generation, struct msg_reader *r);

/*
 * Forward a FETCH or a STORE, unread, with the connection's binding.  A
 * FETCH is answered by itself, with CONN_HIT before it where something was
 * found.
 */
void resuming_fetch(
    struct monitor *m, struct connection *conn, const struct msg *msg);
void resuming_store(
    struct monitor *m, struct connection *conn, const struct msg *msg);

/* The same of TICKETS, which is answered as a FETCH, but is no hit. */
void resuming_tickets(
    struct monitor *m, struct connection *conn, const struct msg *msg);

/* The connection is about to be released. */
void resuming_end(struct monitor *m, struct connection *conn);

#endif
