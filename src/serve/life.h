/*
 * life: how a connection ends, whoever ends it.
 *
 * A connection is over when its session and its program are both gone, in
 * either order; until then its place is taken.
 */
#ifndef SERVE_LIFE_H
#define SERVE_LIFE_H

#include <sys/types.h>

#include <stdbool.h>

#include "serve/conn.h"
#include "serve/msg.h"

struct connection;
struct monitor;

/* Whose pid log lines show: the program's, else the session's. */
pid_t life_shown_pid(const struct connection *conn);

/* If both are gone: last line, place free, and IDLE when it was the last. */
void life_release_if_over(struct monitor *m, struct connection *conn);

/* Tell master that the monitor has stopped and serves nobody, if so. */
void life_tell_idle(struct monitor *m);

/* The lines `ok', and of a failure in this state. */
void life_tell_ok(struct monitor *m, const struct connection *conn);
void life_tell_failure(struct monitor *m, const struct connection *conn,
    enum conn_state state, const char *reason, bool was_truncated);

/* A message without body for the session; never blocks. */
void life_tell_session(const struct connection *conn, enum msg_type type);

/* Have master send the program a signal, if there is one. */
void life_signal_program(
    struct monitor *m, const struct connection *conn, int signo);

/* SIGTERM for the program, now or as soon as it runs. */
void life_terminate_program(struct monitor *m, struct connection *conn);

/*
 * SIGTERM for the program, then GO for the session, which keeps the
 * program's input open until that.
 */
void life_terminate_then_go(struct monitor *m, struct connection *conn);

/*
 * There is no session, or no more: the program has its signal if it was
 * cut, else its end of file, and --kill-after begins.
 */
void life_leave_program(struct monitor *m, struct connection *conn);

/*
 * The program may see its end of file now.  Without -n and --strict-close
 * nothing of ours keeps it from that.
 */
void life_close_input(struct monitor *m, struct connection *conn);

/* Let the session see our end; after a grace it is killed. */
void life_end_session(struct monitor *m, struct connection *conn);

/* SIGKILL, by the nursery or, if that is gone, by master. */
void life_kill_session(struct monitor *m, struct connection *conn);

/* The same of a session whose nursery is gone and that has no connection. */
void life_kill_orphan(struct monitor *m, pid_t session, double start);

/* End the connection from our side, at once, with a line that says why. */
void life_fail(struct monitor *m, struct connection *conn, const char *reason);

/*
 * The server ends it.  The session leaves its client and says DONE; then
 * its program has its SIGTERM, and then its end of file.
 */
void life_cut(struct monitor *m, struct connection *conn);

/*
 * A session is gone when its control socket has ended and the nursery has
 * reaped it; when the nursery is gone, the socket's end is enough.  Each of
 * these may release the connection.
 */
void life_control_has_ended(struct monitor *m, struct connection *conn);
void life_session_is_reaped(struct monitor *m, struct connection *conn);
void life_session_is_orphan(struct monitor *m, struct connection *conn);

/*
 * The session has said that all is well and over, and serves nobody after
 * this: there is nothing more to hear from it, and it is gone when it has
 * been reaped.  The socket is closed.  May release the connection, as above;
 * a deadline is the caller's to set before.
 */
void life_session_has_finished(struct monitor *m, struct connection *conn);

/*
 * The session says that it has left its client and can take another one.
 * true: it is the pool's from here on, and the connection may be released.
 */
bool life_session_is_vacant(struct monitor *m, struct connection *conn);

#endif
