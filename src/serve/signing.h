/*
 * signing: from a session's request to a keeper and back.
 */
#ifndef SERVE_SIGNING_H
#define SERVE_SIGNING_H

#include <stdint.h>

struct connection;
struct monitor;
struct msg;

/* Make the keepers' channels, closed. */
void signing_prepare(struct monitor *m);

/* A keeper's socket, from master; requests that waited for one go there. */
void signing_take_keeper(struct monitor *m, uint64_t number, int fd);

/*
 * Forward a SIGN, unread, to the keeper with the least to do.  The answer
 * goes to the session by itself; without a keeper it waits for the next.
 */
void signing_request(
    struct monitor *m, struct connection *conn, const struct msg *msg);

#endif
