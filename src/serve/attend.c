/*
 * Attending to connections: events in, decisions out.
 *
 * Runs in the monitor.  Messages of sessions go through conn_next first
 * and are decoded whole or refused; a session that is taken over gains
 * nothing here but its own end.
 */
#include "serve/attend.h"

#include <net/if.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "serve/admission.h"
#include "serve/delayed.h"
#include "serve/environment.h"
#include "serve/facts.h"
#include "serve/life.h"
#include "serve/monitor_state.h"
#include "serve/nurseries.h"
#include "serve/resuming.h"
#include "serve/signing.h"

#define START_SECONDS 30.0 /* for master, to make the program */
#define RETRY_SECONDS 0.1
#define DONE_SECONDS 10.0	  /* for a session that has said DONE */
#define STATUS_REFUSED (110 << 8) /* wait status without a program */
/* An EXEC: addresses and names, the TLS variables, those of rules. */
#define EXEC_MAX (FACTS_BODY_MAX + 48 * 1024)

static const char *
interface_name(const struct monitor *m, const struct connection *conn,
    char name[IF_NAMESIZE])
{
	if (ip_is_v4(&conn->remote.ip))
		return NULL;
	if (conn->remote.scope != 0 &&
	    if_indextoname(conn->remote.scope, name) != NULL)
		return name;
	return m->settings->interface;
}

/* What rules say comes last: it wins. */
static void
put_variables(struct msg_writer *w, const struct connection *conn)
{
	size_t at = 0;

	while (at < conn->variables_len) {
		msg_put_text(w, conn->variables + at);
		at += strlen(conn->variables + at) + 1;
	}
}

/* The program's ends become the message's. */
static void
give_ends(struct msg *msg, struct connection *conn)
{
	if (conn->is_delayed) {
		msg->fds[msg->fd_count++] = conn->program_client;
		msg->fds[msg->fd_count++] = conn->program_asks;
	}
	msg->fds[msg->fd_count++] = conn->program_in;
	msg->fds[msg->fd_count++] = conn->program_out;
	if (conn->input_fd != -1)
		msg->fds[msg->fd_count++] = conn->input_fd;
	conn->program_client = conn->program_asks = -1;
	conn->program_in = conn->program_out = conn->input_fd = -1;
}

void
attend_execute(struct monitor *m, struct connection *conn)
{
	static unsigned char body[EXEC_MAX];
	char name[IF_NAMESIZE];
	struct environment env = { .local = &conn->local,
		.remote = &conn->remote,
		.local_host = conn->local_host,
		.remote_host = conn->host,
		.remote_info = conn->info,
		.interface = interface_name(m, conn, name),
		.has_tcp = m->settings->has_tcp_environment,
		.is_plain = conn->is_delayed };
	struct msg msg = { .type = MSG_EXEC, .conn = conn->id, .body = body };
	struct msg_writer w;

	ev_timer_stop(m->loop, &conn->deadline);
	ev_timer_set(&conn->deadline, START_SECONDS, 0);
	ev_timer_start(m->loop, &conn->deadline);
	msg_write_to(&w, body, sizeof(body));
	if (environment_put(&env, &w) == -1 ||
	    facts_put_texts(conn->facts, conn->facts_len, &w) == -1) {
		life_fail(m, conn, "environment too large");
		return;
	}
	table_drop_facts(conn);
	put_variables(&w, conn);
	if (msg_written(&w, &msg.len) == -1) {
		life_fail(m, conn, "environment too large");
		return;
	}
	give_ends(&msg, conn);
	conn->program_is_gone = false;
	if (monitor_send_master(m, &msg) == -1) {
		conn->program_is_gone = true;
		life_fail(m, conn, "unable to reach master");
	}
}

/*
 * Facts are nobody's to send who was not asked for them, and a client's
 * certificate is nobody's to name who was not told to demand one.
 */
static int
keep_facts(struct connection *conn, const unsigned char *bytes, size_t len)
{
	if (!conn->wants_facts)
		return len == 0 ? 0 : -1;
	if (facts_check(bytes, len) == -1 ||
	    !facts_agree(bytes, len, conn->cert.mode != TLSVERIFY_NONE))
		return -1;
	if (len == 0)
		return 0;
	conn->facts = malloc(len);
	if (conn->facts == NULL)
		return -1;
	memcpy(conn->facts, bytes, len);
	conn->facts_len = len;
	return 0;
}

static int
take_facts(struct connection *conn, const struct msg *msg)
{
	const char *protocol, *cipher;
	char shown[TEXT_PRINTABLE_SIZE];
	struct msg_reader r;

	msg_read_from(&r, msg);
	protocol = msg_get_text(&r);
	cipher = msg_get_text(&r);
	if (r.failed || protocol == NULL || cipher == NULL ||
	    keep_facts(conn, r.bytes, r.left) == -1)
		return -1;
	text_copy(conn->protocol, sizeof(conn->protocol),
	    text_printable(shown, protocol, strlen(protocol)));
	text_copy(conn->cipher, sizeof(conn->cipher),
	    text_printable(shown, cipher, strlen(cipher)));
	return 0;
}

/* The line about a client that has no certificate, or not the right one. */
static void
tell_refusal(struct monitor *m, struct connection *conn, enum msg_end end,
    const char *reason)
{
	const struct ip *ip = &conn->remote.ip;
	pid_t pid = life_shown_pid(conn);

	if (conn->program == 0) {
		life_tell_ok(m, conn);
		conn->status = STATUS_REFUSED;
	}
	if (end == MSG_END_NO_CERT)
		events_no_cert(&m->events, ip, pid);
	else if (end == MSG_END_BAD_CERT)
		events_bad_cert(&m->events, ip, pid, reason);
	else
		events_bad_name(&m->events, ip, pid, conn->host, reason);
}

static bool
is_refusal(uint64_t end)
{
	return end == MSG_END_NO_CERT || end == MSG_END_BAD_CERT ||
	    end == MSG_END_BAD_NAME;
}

/* Can a session that was in that state end so? */
static bool
is_possible(const struct connection *conn, enum conn_state before, uint64_t end)
{
	if (end < MSG_END_CLEAN || end >= MSG_ENDS)
		return false;
	if (is_refusal(end) && before != CONN_HANDSHAKE)
		return false;
	return certpolicy_permits(&conn->cert, (enum msg_end)end);
}

static void
session_is_done(struct monitor *m, struct connection *conn,
    enum conn_state before, const struct msg *msg)
{
	bool was_truncated, is_clean;
	struct msg_reader r;
	const char *reason;
	uint64_t end;
	int error;

	msg_read_from(&r, msg);
	end = msg_get_number(&r);
	was_truncated = msg_get_number(&r) != 0;
	error = (int)msg_get_number(&r);
	reason = msg_get_text(&r);
	if (msg_read_all(&r) == -1 || !is_possible(conn, before, end)) {
		conn->state = before;
		life_fail(m, conn, "protocol violation");
		return;
	}
	is_clean = end == MSG_END_CLEAN && before != CONN_HANDSHAKE;
	if (reason == NULL || reason[0] == '\0')
		reason = error > 0 ? strerror(error) : "no reason given";
	if (is_refusal(end))
		tell_refusal(m, conn, (enum msg_end)end, reason);
	else if (!is_clean)
		life_tell_failure(m, conn, before, reason, was_truncated);
	/*
	 * A handshake's end waits for nothing, and with -n its program has no
	 * signal: see life_fail.
	 */
	if (!is_clean && before != CONN_HANDSHAKE) {
		delayed_end(m, conn);
		life_terminate_then_go(m, conn);
	}
	/* It goes by itself; if not, after a grace. */
	ev_timer_set(&conn->deadline, DONE_SECONDS, 0);
	ev_timer_start(m->loop, &conn->deadline);
	if (is_clean && conn->session_uses >= m->settings->uses)
		life_session_has_finished(m, conn);
}

static enum conn_event
event_of(enum msg_type type)
{
	switch (type) {
	case MSG_FETCH:
		return CONN_FETCH;
	case MSG_SIGN:
		return CONN_SIGN;
	case MSG_TICKETS:
		return CONN_TICKETS;
	case MSG_STORE:
		return CONN_STORE;
	case MSG_FACTS:
		return CONN_FACTS;
	case MSG_INPUT_ENDED:
		return CONN_INPUT_ENDED;
	case MSG_TRUNCATED:
		return CONN_TRUNCATED;
	case MSG_DONE:
		return CONN_DONE;
	default:
		return CONN_EVENTS;
	}
}

static void
obey_session(struct monitor *m, struct connection *conn, const struct msg *msg)
{
	enum conn_state before = conn->state;

	switch (conn_next(
	    &conn->state, &conn->seen, conn->is_delayed, event_of(msg->type))) {
	case CONN_LATE:
		return;
	case CONN_VIOLATION:
		life_fail(m, conn, "protocol violation");
		return;
	case CONN_PERMITTED:
		break;
	}
	switch (msg->type) {
	case MSG_FETCH:
		resuming_fetch(m, conn, msg);
		break;
	case MSG_SIGN:
		signing_request(m, conn, msg);
		break;
	case MSG_TICKETS:
		resuming_tickets(m, conn, msg);
		break;
	case MSG_STORE:
		resuming_store(m, conn, msg);
		break;
	case MSG_FACTS:
		ev_timer_stop(m->loop, &conn->deadline);
		if (take_facts(conn, msg) == -1) {
			conn->state = before; /* there it failed */
			life_fail(m, conn, "protocol violation");
		} else if (conn->is_delayed)
			delayed_run(m, conn);
		else
			attend_execute(m, conn);
		break;
	case MSG_INPUT_ENDED:
		life_close_input(m, conn);
		break;
	case MSG_TRUNCATED:
		events_unable_to_speak(&m->events, &conn->remote.ip,
		    life_shown_pid(conn), "unexpected end of file", true);
		if (m->settings->strict_close)
			life_terminate_then_go(m, conn);
		break;
	default:
		ev_timer_stop(m->loop, &conn->deadline);
		session_is_done(m, conn, before, msg);
	}
}

/*
 * Facts may come in several pieces, where they are due and wanted.  -1: a
 * violation, or no memory for them.
 */
static int
join(struct connection *conn, struct msg *msg, bool more)
{
	enum conn_state state = conn->state;
	unsigned seen = conn->seen;

	if (more &&
	    (msg->type != MSG_FACTS || !conn->wants_facts ||
		conn_next(&state, &seen, conn->is_delayed, CONN_FACTS) !=
		    CONN_PERMITTED))
		return -1;
	return msg_join_add(&conn->joined, msg, more);
}

/* Take one piece of a message.  Returns whether there was one. */
static bool
hear_session(struct monitor *m, struct connection *conn)
{
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(conn->control_fd, &m->room, &msg, 0, true, &more);
	if (r == 0)
		return false;
	if (r == -1 && errno != EPROTO) {
		life_control_has_ended(m, conn);
		return false;
	}
	/* After a violation only its end matters, or that it has left. */
	if (conn->state == CONN_CLOSING)
		return r == -1 || more || msg.conn != conn->id ||
		    msg.type != MSG_VACANT || !life_session_is_vacant(m, conn);
	if (r == -1 || msg.conn != conn->id ||
	    (r = join(conn, &msg, more)) == -1)
		life_fail(m, conn, "protocol violation");
	else if (r == 1)
		obey_session(m, conn, &msg);
	return true;
}

static bool
has_stored(const struct connection *conn)
{
	return (conn->seen & 1u << CONN_STORE) != 0;
}

void
attend_on_session(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct connection *conn = io->data;
	bool had_stored = has_stored(conn);
	uint64_t id = conn->id;

	(void)revents;
	if (!hear_session(m, conn) || table_find(&m->table, id) == NULL)
		return;
	/* A session sends STORE and FACTS together. */
	if (has_stored(conn) && !had_stored && conn->control_fd != -1)
		(void)hear_session(m, conn);
}

void
attend_reaped(struct monitor *m, struct connection *conn)
{
	uint64_t id = conn->id;

	/*
	 * Its last words are in the socket.  Its end need not be: it can
	 * have given the socket to somebody else.
	 */
	while (table_find(&m->table, id) != NULL && conn->control_fd != -1 &&
	    hear_session(m, conn))
		continue;
	if (table_find(&m->table, id) != NULL)
		life_session_is_reaped(m, conn);
}

void
attend_on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct connection *conn = timer->data;
	bool has_asked = !conn->session_is_gone;
	uint64_t nursery = nurseries_pid(conn);

	(void)revents;
	if (conn->state == CONN_LOOKUP) {
		admission_deadline(m, conn);
		return;
	}
	if (conn->state == CONN_HANDSHAKE)
		life_fail(m, conn, "handshake timeout");
	else if (conn->state == CONN_STARTING) {
		life_fail(m, conn, "program not started in time");
		/* It may be stopped: only this gets through. */
		life_signal_program(m, conn, SIGKILL);
	} else if (conn->state == CONN_RUNNING)
		life_fail(m, conn, "session does not end");
	else
		life_kill_session(m, conn);
	/* All this time, and no word of a session. */
	if (conn->session == 0 && has_asked && !conn->is_late)
		monitor_tell_stuck(
		    m, MSG_STUCK_NURSERY, MSG_STUCK_SILENT, nursery);
}

void
attend_on_kill_after(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct connection *conn = timer->data;

	(void)revents;
	if (conn->program != 0)
		life_signal_program(ev_userdata(loop), conn, SIGKILL);
	else {
		/* It is being made; as soon as it has a process, then. */
		ev_timer_set(timer, RETRY_SECONDS, 0);
		ev_timer_start(loop, timer);
	}
}

void
attend_tell_tls(struct monitor *m, const struct connection *conn)
{
	events_tls(&m->events, conn->program, conn->protocol, conn->cipher);
	if (conn->cert.mode != TLSVERIFY_NONE)
		events_valid_cert(&m->events, &conn->remote.ip, conn->program);
}

/*
 * The program has ended before it had its first byte out of TLS.  What
 * others hold of the client's socket is theirs, unless TLS was asked for:
 * then they have no way back, though there may be no session yet.
 */
static void
end_without_program(
    struct monitor *m, struct connection *conn, enum conn_state before)
{
	if (before == CONN_HANDSHAKE || !conn->session_is_gone)
		delayed_end(m, conn);
	life_end_session(m, conn);
}

/* Workers have what follows the port, which may be nothing. */
static const char *
program_shown(const struct settings *settings)
{
	return settings->code != NULL ? settings->program_name
				      : settings->program[0];
}

void
attend_program(struct monitor *m, struct connection *conn,
    enum conn_event event, const struct msg *msg)
{
	enum conn_state before = conn->state;
	struct msg_reader r;
	const char *reason;

	if (conn_next(&conn->state, &conn->seen, conn->is_delayed, event) !=
	    CONN_PERMITTED)
		return;
	msg_read_from(&r, msg);
	switch (event) {
	case CONN_STARTED:
		conn->program = (pid_t)msg_get_number(&r);
		if (conn->is_delayed)
			events_pid(&m->events, conn->program, &conn->remote.ip);
		return;
	case CONN_EXECED:
		if (before == CONN_STARTING)
			ev_timer_stop(m->loop, &conn->deadline);
		if (conn->wants_term)
			life_signal_program(m, conn, SIGTERM);
		if (before != CONN_STARTING)
			return;
		life_tell_ok(m, conn);
		if (conn->is_delayed) {
			delayed_listen(m, conn);
			return;
		}
		attend_tell_tls(m, conn);
		life_tell_session(conn, MSG_RUN);
		return;
	case CONN_EXECFAILED:
		reason = msg_get_text(&r);
		if (before == CONN_STARTING) {
			life_tell_ok(m, conn);
			events_unable_to_run(&m->events,
			    program_shown(m->settings), life_shown_pid(conn),
			    reason == NULL ? "no reason given" : reason);
			life_end_session(m, conn);
			delayed_end(m, conn);
		}
		if (conn->program == 0)
			conn->program_is_gone = true;
		break;
	default:
		conn->program_is_gone = true;
		conn->status = (int)msg_get_number(&r);
		if (conn->wants_go)
			life_tell_session(conn, MSG_GO);
		conn->wants_go = false;
		if (before != CONN_RUNNING && before != CONN_CLOSING)
			end_without_program(m, conn, before);
	}
	life_release_if_over(m, conn);
}

void
attend_signalled(struct connection *conn)
{
	if (conn->wants_go)
		life_tell_session(conn, MSG_GO);
	conn->wants_go = false;
}
