/*
 * delayed: connections that begin in plain text (-n), as the monitor sees
 * them.
 *
 * The program runs first, with the client's socket, and asks for TLS on its
 * control socket, or does not.  The monitor keeps a copy of the client's
 * socket, from which it never reads, to end the connection whatever the
 * program does with its own.
 */
#ifndef SERVE_DELAYED_H
#define SERVE_DELAYED_H

#include <ev.h>
#include <stdbool.h>

struct connection;
struct monitor;

/*
 * It has been admitted and has its pipes: send the greeting, and have the
 * program made.  Takes client_fd.  May release the connection.
 */
void delayed_begin(struct monitor *m, struct connection *conn, int client_fd);

/* Its program runs: hear what it asks for. */
void delayed_listen(struct monitor *m, struct connection *conn);

/* libev callback of a connection's control socket (data). */
void delayed_on_program(struct ev_loop *loop, ev_io *io, int revents);

/*
 * The nursery is gone.  Has the program asked, and nobody told of a session?
 * Then it waits for the next nursery, as long as -T lasts.
 */
bool delayed_waits_again(struct monitor *m, struct connection *conn);

/* There is a nursery again: for those who wait for one. */
void delayed_nursery_is_there(struct monitor *m);

/* The handshake is done: the session relays, and the program is answered. */
void delayed_run(struct monitor *m, struct connection *conn);

/*
 * The connection has ended: neither its client nor its program can go on in
 * plain text, what nobody has read of it is thrown away, and the program sees the end of its control socket.  What it
 * is being told there it may still read.  Without -n: nothing.
 */
void delayed_end(struct monitor *m, struct connection *conn);

/* This process ends, and with it every connection that is not declined. */
void delayed_end_all(struct monitor *m);

#endif
