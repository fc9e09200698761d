/*
 * signing: from a session's request to a keeper and back.
 */
#ifndef SERVE_SIGNING_H
#define SERVE_SIGNING_H

#include <stdint.h>

struct connection;
struct generation;
struct monitor;
struct msg;

/* Make the channels of a generation's keepers, closed.  0 or -1. */
int signing_prepare(struct monitor *m, struct generation *generation);

/*
 * The socket of one of its keepers, from master; requests of its sessions
 * that waited for one go there.
 */
void signing_take_keeper(
    struct monitor *m, struct generation *generation, uint64_t number, int fd);

/*
 * Forward a SIGN, unread, to the keeper with the least to do among those of
 * the session's generation, as others have another key.  The answer goes to
 * the session by itself.  Without a keeper it waits for the next; in an old
 * generation none will come, and the handshake fails.
 */
void signing_request(
    struct monitor *m, struct connection *conn, const struct msg *msg);

/* It has become old: whoever waits for a keeper of it waits in vain. */
void signing_is_old(struct monitor *m, struct generation *generation);

/* It is gone. */
void signing_forget(struct monitor *m, struct generation *generation);

#endif
