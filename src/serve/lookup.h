/*
 * lookup: what a client in LOOKUP waits for, its names and ours.
 */
#ifndef SERVE_LOOKUP_H
#define SERVE_LOOKUP_H

#include <stdbool.h>

struct connection;
struct monitor;
struct msg;

/*
 * Ask what is to be known of the connection, whose ends are set, and start
 * its deadline.  false: nothing, or there is nobody to ask.
 */
bool lookup_begin(struct monitor *m, struct connection *conn);

/*
 * A deadline of a connection that asks has passed.  Is it the last one?  If
 * not, the next has been set.
 */
bool lookup_is_over(struct monitor *m, struct connection *conn);

/*
 * Has the resolver said nothing to anybody since the answer to this
 * connection was due?  Asked after lookup_is_over.
 */
bool lookup_is_stuck(const struct monitor *m, const struct connection *conn);

/* Keep what NAMES tells of a connection that asks; it does not any more. */
void lookup_take_names(
    struct monitor *m, struct connection *conn, const struct msg *msg);

/* It does not ask any more, if it did: names are unknown. */
void lookup_cancel(struct monitor *m, struct connection *conn);

/* Set the connection's local name as far as it is known without asking. */
void lookup_local_host(struct monitor *m, struct connection *conn);

#endif
