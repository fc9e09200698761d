/*
 * The end of connections.  Runs in the monitor.
 *
 * Nothing here trusts a session: what it is told it may ignore, and then
 * it is killed; what it says has been through conn_next before.
 */
#include "serve/life.h"

#include <sys/socket.h>

#include <signal.h>

#include "base/fd.h"
#include "serve/admission.h"
#include "serve/delayed.h"
#include "serve/monitor_state.h"
#include "serve/nurseries.h"
#include "serve/pool.h"
#include "serve/resuming.h"

#define GRACE_SECONDS 1.0 /* for a session that was told to end */
#define CUT_SECONDS 1.0	  /* for a session to leave its client */

pid_t
life_shown_pid(const struct connection *conn)
{
	return conn->program != 0 ? conn->program : conn->session;
}

void
life_tell_idle(struct monitor *m)
{
	const struct msg msg = { .type = MSG_IDLE };

	if (!m->is_stopping || m->table.count > 0 || m->pool.count > 0)
		return;
	events_report_lost(&m->events);
	monitor_send_master(m, &msg);
}

void
life_release_if_over(struct monitor *m, struct connection *conn)
{
	if (!conn->session_is_gone || !conn->program_is_gone)
		return;
	if (life_shown_pid(conn) != 0)
		events_ended(&m->events, life_shown_pid(conn), conn->status);
	ev_io_stop(m->loop, &conn->control);
	ev_io_stop(m->loop, &conn->asks);
	ev_timer_stop(m->loop, &conn->deadline);
	ev_timer_stop(m->loop, &conn->kill_after);
	resuming_end(m, conn);
	limits_release(&m->limits, &conn->hold);
	table_release(&m->table, conn);
	monitor_tell_status(m);
	monitor_watch_listener(m);
	life_tell_idle(m);
}

void
life_signal_program(struct monitor *m, const struct connection *conn, int signo)
{
	uint64_t body[2] = { (uint64_t)conn->program, (uint64_t)signo };
	struct msg msg = { .type = MSG_SIGNAL,
		.conn = conn->id,
		.body = (unsigned char *)body,
		.len = sizeof(body) };

	if (conn->program != 0 && !conn->program_is_gone)
		monitor_send_master(m, &msg);
}

void
life_tell_session(const struct connection *conn, enum msg_type type)
{
	/* So few and small that they always fit; else it is not reading. */
	if (conn->control_fd != -1)
		msg_send_bytes(conn->control_fd, type, conn->id, NULL, 0, true);
}

/* SIGTERM now, or as soon as the program runs and can take it. */
void
life_terminate_program(struct monitor *m, struct connection *conn)
{
	if (conn->state == CONN_STARTING ||
	    (conn->seen & (1u << CONN_EXECED | 1u << CONN_EXECFAILED)) == 0)
		conn->wants_term = true;
	else
		life_signal_program(m, conn, SIGTERM);
}

/* The same for a session that must not show end of file before it. */
void
life_terminate_then_go(struct monitor *m, struct connection *conn)
{
	if (conn->program_is_gone) {
		life_tell_session(conn, MSG_GO);
		return;
	}
	conn->wants_go = true;
	life_terminate_program(m, conn);
}

void
life_kill_orphan(struct monitor *m, pid_t session, double start)
{
	uint64_t body[2] = { (uint64_t)session, (uint64_t)(start * 100) + 1 };
	const struct msg msg = { .type = MSG_KILL_SESSION,
		.body = (unsigned char *)body,
		.len = sizeof(body) };

	monitor_send_master(m, &msg);
}

void
life_kill_session(struct monitor *m, struct connection *conn)
{
	uint64_t pid = (uint64_t)conn->session;
	const struct msg msg = { .type = MSG_KILL,
		.conn = conn->session_name,
		.body = (unsigned char *)&pid,
		.len = sizeof(pid) };

	if (conn->session == 0 || conn->session_is_gone)
		return;
	conn->is_dismissed = true;
	if (conn->is_orphan)
		life_kill_orphan(m, conn->session, conn->session_start);
	else
		nurseries_send(m, conn, &msg);
}

/* Let the session see our end; if it does not go, have it killed. */
void
life_end_session(struct monitor *m, struct connection *conn)
{
	if (conn->session_is_gone)
		return;
	conn->is_dismissed = true;
	if (conn->control_fd != -1)
		shutdown(conn->control_fd, SHUT_WR);
	ev_timer_stop(m->loop, &conn->deadline);
	ev_timer_set(&conn->deadline, GRACE_SECONDS, 0);
	ev_timer_start(m->loop, &conn->deadline);
}

void
life_tell_ok(struct monitor *m, const struct connection *conn)
{
	const struct events_client client = { .local_host = conn->local_host,
		.local = &conn->local,
		.remote = &conn->remote,
		.remote_host = conn->host,
		.remote_info = conn->info };

	events_ok(&m->events, life_shown_pid(conn), conn->session, &client);
}

/* The line about a connection that fails in this state. */
void
life_tell_failure(struct monitor *m, const struct connection *conn,
    enum conn_state state, const char *reason, bool was_truncated)
{
	if (state == CONN_HANDSHAKE) {
		if (!conn->is_delayed)
			life_tell_ok(m, conn);
		events_unable_to_accept(&m->events, &conn->remote.ip,
		    life_shown_pid(conn), reason, was_truncated);
	} else
		events_unable_to_speak(&m->events, &conn->remote.ip,
		    life_shown_pid(conn), reason, was_truncated);
}

/*
 * A program that has asked for TLS learns that there is none by its end of
 * file, without a signal: it has taken nothing for whole that was cut.
 */
static bool
is_signalled(const struct connection *conn, enum conn_state state)
{
	return !(conn->is_delayed && state == CONN_HANDSHAKE);
}

/* End it from our side, at once. */
void
life_fail(struct monitor *m, struct connection *conn, const char *reason)
{
	enum conn_state state = conn->state;

	/* Once: a session that goes on lying must not keep others busy. */
	if (state == CONN_CLOSING)
		return;
	conn->state = CONN_CLOSING;
	life_tell_failure(m, conn, state, reason, false);
	if (is_signalled(conn, state)) {
		conn->is_cut = true;
		life_terminate_program(m, conn);
	}
	delayed_end(m, conn);
	if (conn->session_is_gone)
		life_leave_program(m, conn);
	life_end_session(m, conn);
	life_kill_session(m, conn);
}

void
life_close_input(struct monitor *m, struct connection *conn)
{
	uint64_t pid = (uint64_t)conn->program;
	struct msg msg = { .type = MSG_CLOSE_INPUT,
		.conn = conn->id,
		.body = (unsigned char *)&pid,
		.len = sizeof(pid) };

	if ((m->settings->strict_close || conn->is_delayed) &&
	    conn->program != 0 && !conn->program_is_gone)
		monitor_send_master(m, &msg);
}

void
life_leave_program(struct monitor *m, struct connection *conn)
{
	delayed_end(m, conn);
	if (conn->is_cut)
		life_terminate_program(m, conn);
	else
		life_close_input(m, conn);
	if (conn->program_is_gone ||
	    m->settings->kill_after_s == SETTINGS_NEVER)
		return;
	ev_timer_stop(m->loop, &conn->kill_after);
	ev_timer_set(&conn->kill_after, (double)m->settings->kill_after_s, 0);
	ev_timer_start(m->loop, &conn->kill_after);
}

/*
 * Gone is what its parent has reaped.  A session that has closed its
 * control socket and lives on is killed after a grace; one whose nursery
 * is gone has nobody to tell, and is killed through master.
 */
static void
conclude_session(struct monitor *m, struct connection *conn)
{
	if (!conn->control_has_ended || conn->session_is_gone)
		return;
	if (conn->is_orphan)
		life_kill_session(m, conn);
	else if (!conn->is_reaped && conn->session != 0) {
		life_end_session(m, conn);
		return;
	}
	ev_timer_stop(m->loop, &conn->deadline);
	nurseries_end_session(m, conn);
	life_leave_program(m, conn);
	life_release_if_over(m, conn);
}

void
life_control_has_ended(struct monitor *m, struct connection *conn)
{
	enum conn_state state = conn->state;

	ev_io_stop(m->loop, &conn->control);
	ev_timer_stop(m->loop, &conn->deadline);
	fd_close(&conn->control_fd);
	conn->control_has_ended = true;
	conn->state = CONN_CLOSING;
	if (state != CONN_CLOSING) {
		life_tell_failure(
		    m, conn, state, "session ended unexpectedly", false);
		conn->is_cut |= is_signalled(conn, state);
	}
	conclude_session(m, conn);
}

void
life_session_has_finished(struct monitor *m, struct connection *conn)
{
	ev_io_stop(m->loop, &conn->control);
	fd_close(&conn->control_fd);
	conn->control_has_ended = true;
	/* Nobody else will tell that it has gone. */
	if (conn->is_orphan)
		conclude_session(m, conn);
}

bool
life_session_is_vacant(struct monitor *m, struct connection *conn)
{
	if (conn_next(&conn->state, &conn->seen, conn->is_delayed,
		CONN_VACANT) != CONN_PERMITTED)
		return false;
	if (!pool_take(m, conn)) {
		life_end_session(m, conn);
		return false;
	}
	ev_timer_stop(m->loop, &conn->deadline);
	life_leave_program(m, conn);
	life_release_if_over(m, conn);
	return true;
}

void
life_session_is_reaped(struct monitor *m, struct connection *conn)
{
	conn->is_reaped = true;
	if (conn->control_has_ended)
		conclude_session(m, conn);
	else
		/* What was to be read has been: see attend_reaped. */
		life_control_has_ended(m, conn);
}

void
life_session_is_orphan(struct monitor *m, struct connection *conn)
{
	conn->is_orphan = true;
	if (conn->session == 0 && !conn->session_is_gone)
		life_control_has_ended(m, conn);
	else
		conclude_session(m, conn);
}

/* With -n: is there a program, and no handshake done? */
static bool
is_before_tls(const struct connection *conn)
{
	return conn->is_delayed && conn->state != CONN_LOOKUP &&
	    conn->state != CONN_RUNNING && conn->state != CONN_CLOSING;
}

/* No session relays: client and program learn it at once. */
static void
cut_delayed(struct monitor *m, struct connection *conn)
{
	conn->state = CONN_CLOSING;
	delayed_end(m, conn);
	if (conn->session_is_gone)
		life_leave_program(m, conn);
	else
		life_end_session(m, conn);
}

void
life_cut(struct monitor *m, struct connection *conn)
{
	conn->is_cut = true;
	if (is_before_tls(conn)) {
		cut_delayed(m, conn);
		return;
	}
	switch (conn->state) {
	case CONN_LOOKUP:
		admission_cancel(m, conn);
		break;
	case CONN_STARTING:
	case CONN_RUNNING:
		life_tell_session(conn, MSG_END);
		ev_timer_stop(m->loop, &conn->deadline);
		ev_timer_set(&conn->deadline, CUT_SECONDS, 0);
		ev_timer_start(m->loop, &conn->deadline);
		break;
	case CONN_CLOSING:
		if (conn->session_is_gone)
			life_terminate_program(m, conn);
		break;
	default:
		conn->state = CONN_CLOSING;
		life_end_session(m, conn);
	}
}
