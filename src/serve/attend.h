/*
 * attend: what sessions and programs report, and what follows.
 */
#ifndef SERVE_ATTEND_H
#define SERVE_ATTEND_H

#include <ev.h>

#include "serve/conn.h"

struct connection;
struct monitor;
struct msg;

/* libev callbacks of a connection (data); the loop's userdata is m. */
void attend_on_session(struct ev_loop *loop, ev_io *io, int revents);
void attend_on_deadline(struct ev_loop *loop, ev_timer *timer, int revents);
void attend_on_kill_after(struct ev_loop *loop, ev_timer *timer, int revents);

/* Have the program made, with the connection's ends and environment. */
void attend_execute(struct monitor *m, struct connection *conn);

/* The handshake is done, and a program there: the lines that say so. */
void attend_tell_tls(struct monitor *m, const struct connection *conn);

/* The nursery has reaped the session.  May release the connection. */
void attend_reaped(struct monitor *m, struct connection *conn);

/* Master tells what became of the program.  May release the connection. */
void attend_program(struct monitor *m, struct connection *conn,
    enum conn_event event, const struct msg *msg);

/* Master has sent the signal it was asked for. */
void attend_signalled(struct connection *conn);

#endif
