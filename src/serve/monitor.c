/*
 * The monitor: accepts clients and decides everything about them.
 *
 * Runs as a user of its own without rights.  It reads messages of sessions,
 * which the network may have taken over, and lets each through the table
 * in conn.c; it reads no byte of a client.  It never forks and never
 * waits: its sockets are read and written without blocking, its queues are
 * bounded by the number of connections, and what takes time is done by
 * somebody else.
 */
#include "serve/monitor.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <net/if.h>

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "net/sock.h"
#include "serve/chan.h"
#include "serve/environment.h"
#include "serve/events.h"
#include "serve/settings.h"
#include "serve/table.h"

/* Per connection: control socket and the program's two pipe ends. */
#define DESCRIPTORS_PER_CONNECTION 3
/* Work sockets, listener, the loop's own, one START under way. */
#define DESCRIPTORS_EXTRA 128
#define GRACE_SECONDS 1.0	/* for a session that was told to end */
#define PAUSE_SECONDS 0.1	/* accepting, when a resource is short */
#define STATUS_FAILED (111 << 8) /* wait status of a failed connection */
#define MESSAGES_PER_TURN 16

struct keeper {
	struct chan chan;
	ev_io io;
	unsigned load;		/* requests not yet answered */
};

struct monitor {
	const struct settings *settings;
	struct ev_loop *loop;
	struct table table;
	struct events events;
	struct chan master, nursery;
	ev_io master_io, nursery_io, listen_io;
	ev_timer pause;
	struct keeper keepers[SETTINGS_KEEPERS_MAX];
	int listen_fd;
	bool is_short;		/* told that accepting pauses */
	bool is_stopping;
	struct msg_room room;
};

/* Channels.  The queue is flushed when the socket takes more. */

static void
watch_chan(struct monitor *m, struct chan *chan, ev_io *io)
{
	int events = EV_READ | (chan_is_waiting(chan) ? EV_WRITE : 0);

	if (chan->fd == -1 || (ev_is_active(io) && io->events == events))
		return;
	ev_io_stop(m->loop, io);
	ev_io_set(io, chan->fd, events);
	ev_io_start(m->loop, io);
}

static int
send_master(struct monitor *m, const struct msg *msg)
{
	int r = chan_send(&m->master, msg);

	watch_chan(m, &m->master, &m->master_io);
	return r;
}

static int
send_nursery(struct monitor *m, const struct msg *msg)
{
	int r = chan_send(&m->nursery, msg);

	watch_chan(m, &m->nursery, &m->nursery_io);
	return r;
}

static void
watch_listener(struct monitor *m)
{
	bool wants = m->listen_fd != -1 && m->nursery.fd != -1 &&
	    m->table.count < m->table.limit && !ev_is_active(&m->pause);

	if (wants && !ev_is_active(&m->listen_io))
		ev_io_start(m->loop, &m->listen_io);
	else if (!wants && ev_is_active(&m->listen_io))
		ev_io_stop(m->loop, &m->listen_io);
}

/* A resource is short: let what is there go on, and look again. */
static void
pause_accepting(struct monitor *m, int error)
{
	if (!m->is_short)
		events_warning(&m->events, "accepting pauses: %s",
		    strerror(error));
	m->is_short = true;
	ev_timer_set(&m->pause, PAUSE_SECONDS, 0);
	ev_timer_start(m->loop, &m->pause);
	watch_listener(m);
}

static void
on_pause_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	watch_listener(timer->data);
}

static void
tell_status(struct monitor *m)
{
	events_status(&m->events, m->table.count, m->table.limit,
	    m->table.limit);
}

/* The life of a connection, from its end to its beginning. */

static pid_t
shown_pid(const struct connection *conn)
{
	return conn->program != 0 ? conn->program : conn->session;
}

static void
tell_idle(struct monitor *m)
{
	const struct msg msg = { .type = MSG_IDLE };

	if (m->is_stopping && m->table.count == 0)
		send_master(m, &msg);
}

static void
release_if_over(struct monitor *m, struct connection *conn)
{
	if (!conn->session_is_gone || !conn->program_is_gone)
		return;
	if (shown_pid(conn) != 0)
		events_ended(&m->events, shown_pid(conn), conn->status);
	ev_io_stop(m->loop, &conn->control);
	ev_timer_stop(m->loop, &conn->deadline);
	ev_timer_stop(m->loop, &conn->kill_after);
	table_release(&m->table, conn);
	tell_status(m);
	watch_listener(m);
	tell_idle(m);
}

static void
signal_program(struct monitor *m, const struct connection *conn, int signo)
{
	uint64_t body[2] = { (uint64_t)conn->program, (uint64_t)signo };
	struct msg msg = { .type = MSG_SIGNAL, .conn = conn->id,
		.body = (unsigned char *)body, .len = sizeof(body) };

	if (conn->program != 0 && !conn->program_is_gone)
		send_master(m, &msg);
}

static void
tell_session(const struct connection *conn, enum msg_type type)
{
	/* So few and small that they always fit; else it is not reading. */
	if (conn->control_fd != -1)
		msg_send_bytes(conn->control_fd, type, conn->id, NULL, 0,
		    true);
}

/* SIGTERM now, or as soon as the program runs and can take it. */
static void
terminate_program(struct monitor *m, struct connection *conn)
{
	if (conn->state == CONN_STARTING || (conn->seen &
	    (1u << CONN_EXECED | 1u << CONN_EXECFAILED)) == 0)
		conn->wants_term = true;
	else
		signal_program(m, conn, SIGTERM);
}

/* The same for a session that must not show end of file before it. */
static void
terminate_then_go(struct monitor *m, struct connection *conn)
{
	if (conn->program_is_gone) {
		tell_session(conn, MSG_GO);
		return;
	}
	conn->wants_go = true;
	terminate_program(m, conn);
}

static void
kill_session(struct monitor *m, const struct connection *conn)
{
	uint64_t body[2] = { (uint64_t)conn->session,
		(uint64_t)(conn->session_start * 100) + 1 };
	struct msg msg = { .conn = conn->id, .body = (unsigned char *)body };

	if (conn->session == 0 || conn->session_is_gone)
		return;
	if (conn->is_orphan) {
		msg.type = MSG_KILL_SESSION;
		msg.len = sizeof(body);
		send_master(m, &msg);
	} else {
		msg.type = MSG_KILL;
		msg.len = sizeof(body[0]);
		send_nursery(m, &msg);
	}
}

/* Let the session see our end; if it does not go, have it killed. */
static void
end_session(struct monitor *m, struct connection *conn)
{
	if (conn->session_is_gone)
		return;
	if (conn->control_fd != -1)
		shutdown(conn->control_fd, SHUT_WR);
	ev_timer_stop(m->loop, &conn->deadline);
	ev_timer_set(&conn->deadline, GRACE_SECONDS, 0);
	ev_timer_start(m->loop, &conn->deadline);
}

static void
tell_ok(struct monitor *m, const struct connection *conn)
{
	const struct events_client client = {
		.local_host = m->settings->local_name,
		.local = &conn->local, .remote = &conn->remote };

	events_ok(&m->events, shown_pid(conn), conn->session, &client);
}

/* The line about a connection that fails in this state. */
static void
tell_failure(struct monitor *m, const struct connection *conn,
    enum conn_state state, const char *reason, bool was_truncated)
{
	if (state == CONN_HANDSHAKE) {
		tell_ok(m, conn);
		events_unable_to_accept(&m->events, &conn->remote.ip,
		    conn->session, reason, was_truncated);
	} else
		events_unable_to_speak(&m->events, &conn->remote.ip,
		    shown_pid(conn), reason, was_truncated);
}

/* End it from our side, at once. */
static void
fail(struct monitor *m, struct connection *conn, const char *reason)
{
	enum conn_state state = conn->state;

	conn->state = CONN_CLOSING;
	if (state != CONN_CLOSING)
		tell_failure(m, conn, state, reason, false);
	terminate_program(m, conn);
	end_session(m, conn);
	kill_session(m, conn);
}

static void
session_is_gone(struct monitor *m, struct connection *conn)
{
	enum conn_state state = conn->state;

	ev_io_stop(m->loop, &conn->control);
	ev_timer_stop(m->loop, &conn->deadline);
	fd_close(&conn->control_fd);
	conn->session_is_gone = true;
	conn->state = CONN_CLOSING;
	if (state != CONN_CLOSING) {
		tell_failure(m, conn, state, "session ended unexpectedly",
		    false);
		terminate_program(m, conn);
	}
	if (!conn->program_is_gone &&
	    m->settings->kill_after_s != SETTINGS_NEVER) {
		ev_timer_set(&conn->kill_after,
		    (double)m->settings->kill_after_s, 0);
		ev_timer_start(m->loop, &conn->kill_after);
	}
	release_if_over(m, conn);
}

/* Signatures. */

static struct keeper *
least_loaded(struct monitor *m)
{
	struct keeper *best = NULL;
	size_t i;

	for (i = 0; i < m->settings->keepers; i++)
		if (m->keepers[i].chan.fd != -1 &&
		    (best == NULL || m->keepers[i].load < best->load))
			best = &m->keepers[i];
	return best;
}

static int
ask_keeper(struct monitor *m, struct connection *conn,
    const unsigned char *body, size_t len)
{
	struct keeper *keeper = least_loaded(m);
	int r;

	if (keeper == NULL)
		return -1;
	r = chan_send_bytes(&keeper->chan, MSG_SIGN, conn->id, body, len);
	watch_chan(m, &keeper->chan, &keeper->io);
	if (r == -1)
		return -1;
	conn->keeper = (int)(keeper - m->keepers);
	keeper->load++;
	return 0;
}

/* To a keeper, unread; or wait until there is one again. */
static void
forward_request(struct monitor *m, struct connection *conn,
    const struct msg *msg)
{
	if (msg->len > MSG_SIGN_MAX) {
		fail(m, conn, "protocol violation");
		return;
	}
	if (ask_keeper(m, conn, msg->body, msg->len) == 0)
		return;
	conn->unsigned_request = malloc(msg->len + 1);
	if (conn->unsigned_request == NULL) {
		fail(m, conn, "out of memory");
		return;
	}
	memcpy(conn->unsigned_request, msg->body, msg->len);
	conn->unsigned_len = msg->len;
}

static void
ask_again(struct monitor *m, struct connection *conn)
{
	if (conn->unsigned_request == NULL || ask_keeper(m, conn,
	    conn->unsigned_request, conn->unsigned_len) == -1)
		return;
	free(conn->unsigned_request);
	conn->unsigned_request = NULL;
}

static void
forward_signature(struct monitor *m, const struct keeper *keeper,
    const struct msg *msg)
{
	struct connection *conn = table_find(&m->table, msg->conn);
	uint64_t outcome = 0;

	if (conn == NULL || conn->keeper != (int)(keeper - m->keepers))
		return;
	conn->keeper = -1;
	if (msg->len >= sizeof(outcome))
		memcpy(&outcome, msg->body, sizeof(outcome));
	if (conn->state != CONN_HANDSHAKE)
		return;
	if (outcome == MSG_SIGN_REFUSED)
		fail(m, conn, "protocol violation: not a handshake to sign");
	else if (msg_send(conn->control_fd, msg, true) == -1)
		fail(m, conn, "protocol violation");
}

static void
keeper_is_gone(struct monitor *m, struct keeper *keeper)
{
	uint64_t body[2] = { MSG_SIGN_FAILED, 0 };
	struct connection *conn;

	ev_io_stop(m->loop, &keeper->io);
	chan_close(&keeper->chan);
	keeper->load = 0;
	for (conn = table_next(&m->table, NULL); conn != NULL;
	    conn = table_next(&m->table, conn)) {
		if (conn->keeper != (int)(keeper - m->keepers))
			continue;
		conn->keeper = -1;
		if (conn->control_fd != -1)
			msg_send_bytes(conn->control_fd, MSG_SIGNATURE,
			    conn->id, body, sizeof(body), true);
	}
}

static void
on_keeper(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct keeper *keeper = io->data;
	struct msg msg;
	bool more;
	int r;

	if (revents & EV_WRITE)
		chan_flush(&keeper->chan);
	watch_chan(m, &keeper->chan, io);
	if (!(revents & EV_READ))
		return;
	r = msg_receive(keeper->chan.fd, &m->room, &msg, 0, true, &more);
	if (r == 0)
		return;
	if (r == -1 || more || msg.type != MSG_SIGNATURE) {
		keeper_is_gone(m, keeper);
		return;
	}
	if (keeper->load > 0)
		keeper->load--;
	forward_signature(m, keeper, &msg);
}

/* What sessions say. */

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

/* The handshake is done: have the program made. */
static void
execute(struct monitor *m, struct connection *conn)
{
	static unsigned char body[MSG_PIECE_MAX];
	char name[IF_NAMESIZE];
	struct environment env = { .local = &conn->local,
		.remote = &conn->remote,
		.local_host = m->settings->local_name,
		.interface = interface_name(m, conn, name),
		.has_tcp = m->settings->has_tcp_environment };
	struct msg msg = { .type = MSG_EXEC, .conn = conn->id, .body = body,
		.fds = { conn->program_in, conn->program_out },
		.fd_count = 2 };
	struct msg_writer w;

	msg_write_to(&w, body, sizeof(body));
	if (environment_put(&env, &w) == -1) {
		fail(m, conn, "environment too large");
		return;
	}
	msg_written(&w, &msg.len);
	conn->program_in = conn->program_out = -1;
	conn->program_is_gone = false;
	if (send_master(m, &msg) == -1) {
		conn->program_is_gone = true;
		fail(m, conn, "unable to reach master");
	}
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
	if (msg_read_all(&r) == -1 || protocol == NULL || cipher == NULL)
		return -1;
	text_copy(conn->protocol, sizeof(conn->protocol),
	    text_printable(shown, protocol, strlen(protocol)));
	text_copy(conn->cipher, sizeof(conn->cipher),
	    text_printable(shown, cipher, strlen(cipher)));
	return 0;
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
	if (msg_read_all(&r) == -1) {
		conn->state = before;
		fail(m, conn, "protocol violation");
		return;
	}
	is_clean = end == MSG_END_CLEAN && before != CONN_HANDSHAKE;
	if (reason == NULL || reason[0] == '\0')
		reason = error > 0 ? strerror(error) : "no reason given";
	if (!is_clean)
		tell_failure(m, conn, before, reason, was_truncated);
	if (!is_clean)
		terminate_then_go(m, conn);
	/* It goes by itself; if not, after a grace. */
	ev_timer_set(&conn->deadline, GRACE_SECONDS * 10, 0);
	ev_timer_start(m->loop, &conn->deadline);
}

static enum conn_event
event_of(enum msg_type type)
{
	switch (type) {
	case MSG_SIGN:
		return CONN_SIGN;
	case MSG_FACTS:
		return CONN_FACTS;
	case MSG_TRUNCATED:
		return CONN_TRUNCATED;
	case MSG_DONE:
		return CONN_DONE;
	default:
		return CONN_EVENTS;
	}
}

static void
obey_session(struct monitor *m, struct connection *conn,
    const struct msg *msg)
{
	enum conn_state before = conn->state;

	switch (conn_next(&conn->state, &conn->seen, event_of(msg->type))) {
	case CONN_LATE:
		return;
	case CONN_VIOLATION:
		fail(m, conn, "protocol violation");
		return;
	case CONN_PERMITTED:
		break;
	}
	switch (msg->type) {
	case MSG_SIGN:
		forward_request(m, conn, msg);
		break;
	case MSG_FACTS:
		ev_timer_stop(m->loop, &conn->deadline);
		if (take_facts(conn, msg) == -1)
			fail(m, conn, "protocol violation");
		else
			execute(m, conn);
		break;
	case MSG_TRUNCATED:
		events_unable_to_speak(&m->events, &conn->remote.ip,
		    shown_pid(conn), "unexpected end of file", true);
		if (m->settings->strict_close)
			terminate_then_go(m, conn);
		break;
	default:
		ev_timer_stop(m->loop, &conn->deadline);
		session_is_done(m, conn, before, msg);
	}
}

static void
on_session(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct connection *conn = io->data;
	struct msg msg;
	bool more;
	int r;

	(void)revents;
	r = msg_receive(conn->control_fd, &m->room, &msg, 0, true, &more);
	if (r == 0)
		return;
	if (r == -1 && errno != EPROTO)
		session_is_gone(m, conn);
	else if (r == -1 || more || msg.conn != conn->id) {
		fail(m, conn, "protocol violation");
		/* It may say what it likes now; only its end matters. */
	} else
		obey_session(m, conn, &msg);
}

static void
on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct connection *conn = timer->data;

	(void)revents;
	if (conn->state == CONN_HANDSHAKE)
		fail(m, conn, "handshake timeout");
	else
		kill_session(m, conn);
}

static void
on_kill_after(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)revents;
	signal_program(ev_userdata(loop), timer->data, SIGKILL);
}

/* Accepting. */

/* The four descriptors of a START.  0, or -1 with errno. */
static int
make_sockets(struct connection *conn, int session_ends[3])
{
	int control[2] = { -1, -1 }, in[2] = { -1, -1 }, out[2];
	int error;

	if (fd_message_pair(control) == -1 || fd_pipe(in) == -1 ||
	    fd_pipe(out) == -1) {
		error = errno;
		fd_close(&control[0]);
		fd_close(&control[1]);
		fd_close(&in[0]);
		fd_close(&in[1]);
		errno = error;
		return -1;
	}
	conn->control_fd = control[0];
	session_ends[0] = control[1];
	conn->program_in = in[0];
	session_ends[1] = in[1];
	session_ends[2] = out[0];
	conn->program_out = out[1];
	return 0;
}

/* Nobody but the session ever reads from client_fd. */
static int
ask_for_session(struct monitor *m, struct connection *conn, int client_fd)
{
	struct msg msg = { .type = MSG_START, .conn = conn->id,
		.fds = { client_fd }, .fd_count = 4 };

	if (make_sockets(conn, &msg.fds[1]) == -1)
		return -1;
	return send_nursery(m, &msg);
}

static void
refuse(struct monitor *m, struct connection *conn, int error)
{
	char reason[96];

	text_format(reason, sizeof(reason), "unable to make a session: %s",
	    strerror(error));
	events_unable_to_accept(&m->events, &conn->remote.ip, 0, reason,
	    false);
	conn->session_is_gone = true;
	release_if_over(m, conn);
}

static void
admit(struct monitor *m, struct connection *conn, int client_fd)
{
	int error;

	if (sock_local(client_fd, &conn->local) == -1)
		memset(&conn->local, 0, sizeof(conn->local));
	if (!m->settings->keeps_options && ip_is_v4(&conn->remote.ip))
		sock_kill_options(client_fd);
	ev_io_init(&conn->control, on_session, -1, EV_READ);
	conn->control.data = conn;
	ev_timer_init(&conn->deadline, on_deadline,
	    (double)m->settings->handshake_s, 0);
	conn->deadline.data = conn;
	ev_timer_init(&conn->kill_after, on_kill_after, 0, 0);
	conn->kill_after.data = conn;
	conn->status = STATUS_FAILED;
	tell_status(m);
	if (ask_for_session(m, conn, client_fd) == -1) {
		error = errno;
		fd_close(&client_fd);
		refuse(m, conn, error);
		pause_accepting(m, error);
		return;
	}
	ev_timer_start(m->loop, &conn->deadline);
}

static void
on_listener(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct ip_endpoint remote;
	struct connection *conn;
	int client_fd;

	(void)io;
	(void)revents;
	client_fd = sock_accept(m->listen_fd, &remote);
	if (client_fd != -1) {
		m->is_short = false;
		conn = table_take(&m->table);	/* there is one: see watch */
		conn->remote = remote;
		admit(m, conn, client_fd);
		watch_listener(m);
		return;
	}
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		pause_accepting(m, errno);
		break;
	case EINVAL:		/* master has shut it down */
	case EBADF:
		ev_io_stop(loop, &m->listen_io);
		fd_close(&m->listen_fd);
		break;
	default:		/* that client is gone already */
		break;
	}
}

/* What the nursery says. */

static void
session_has_started(struct monitor *m, const struct msg *msg)
{
	struct connection *conn = table_find(&m->table, msg->conn);
	struct msg_reader r;
	uint64_t number;

	msg_read_from(&r, msg);
	number = msg_get_number(&r);
	if (conn == NULL || conn->session != 0 || msg_read_all(&r) == -1)
		return;
	if (msg->type == MSG_FAILED) {
		ev_timer_stop(m->loop, &conn->deadline);
		refuse(m, conn, (int)number);
		return;
	}
	conn->session = (pid_t)number;
	conn->session_start = clock_since_boot();
	events_pid(&m->events, conn->session, &conn->remote.ip);
	ev_io_set(&conn->control, conn->control_fd, EV_READ);
	ev_io_start(m->loop, &conn->control);
	if (conn->state == CONN_CLOSING)
		kill_session(m, conn);
}

/* Its sessions go on; those it had not told of yet are lost. */
static void
nursery_is_gone(struct monitor *m)
{
	struct connection *conn;

	ev_io_stop(m->loop, &m->nursery_io);
	chan_close(&m->nursery);
	watch_listener(m);
	for (conn = table_next(&m->table, NULL); conn != NULL;
	    conn = table_next(&m->table, conn)) {
		conn->is_orphan = true;
		if (conn->session == 0 && !conn->session_is_gone)
			session_is_gone(m, conn);
	}
}

static void
on_nursery(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct msg msg;
	bool more;
	int r, i;

	if (revents & EV_WRITE)
		chan_flush(&m->nursery);
	watch_chan(m, &m->nursery, io);
	for (i = 0; revents & EV_READ && i < MESSAGES_PER_TURN; i++) {
		r = msg_receive(m->nursery.fd, &m->room, &msg, 0, true,
		    &more);
		if (r == 0)
			return;
		if (r == -1 || more || (msg.type != MSG_STARTED &&
		    msg.type != MSG_FAILED)) {
			nursery_is_gone(m);
			return;
		}
		session_has_started(m, &msg);
	}
}

/* What master says. */

static void
program_event(struct monitor *m, struct connection *conn,
    enum conn_event event, const struct msg *msg)
{
	enum conn_state before = conn->state;
	struct msg_reader r;
	const char *reason;

	if (conn_next(&conn->state, &conn->seen, event) != CONN_PERMITTED)
		return;
	msg_read_from(&r, msg);
	switch (event) {
	case CONN_STARTED:
		conn->program = (pid_t)msg_get_number(&r);
		return;
	case CONN_EXECED:
		if (conn->wants_term)
			signal_program(m, conn, SIGTERM);
		if (before != CONN_STARTING)
			return;
		tell_ok(m, conn);
		events_tls(&m->events, conn->program, conn->protocol,
		    conn->cipher);
		tell_session(conn, MSG_RUN);
		return;
	case CONN_EXECFAILED:
		reason = msg_get_text(&r);
		if (before == CONN_STARTING) {
			tell_ok(m, conn);
			events_unable_to_run(&m->events,
			    m->settings->program[0], shown_pid(conn),
			    reason == NULL ? "no reason given" : reason);
			end_session(m, conn);
		}
		if (conn->program == 0)
			conn->program_is_gone = true;
		break;
	default:
		conn->program_is_gone = true;
		conn->status = (int)msg_get_number(&r);
		if (conn->wants_go)
			tell_session(conn, MSG_GO);
		conn->wants_go = false;
		if (before == CONN_STARTING)
			end_session(m, conn);
	}
	release_if_over(m, conn);
}

static void
program_is_signalled(struct connection *conn)
{
	if (conn->wants_go)
		tell_session(conn, MSG_GO);
	conn->wants_go = false;
}

static void
take_listener(struct monitor *m, int fd)
{
	fd_close(&m->listen_fd);
	m->listen_fd = fd;
	ev_io_set(&m->listen_io, fd, EV_READ);
	watch_listener(m);
}

static void
take_nursery(struct monitor *m, int fd)
{
	if (m->nursery.fd != -1)
		nursery_is_gone(m);
	chan_open(&m->nursery, fd);
	watch_chan(m, &m->nursery, &m->nursery_io);
	watch_listener(m);
}

static void
take_keeper(struct monitor *m, uint64_t number, int fd)
{
	struct connection *conn;
	struct keeper *keeper;

	if (number >= m->settings->keepers) {
		fd_close(&fd);
		return;
	}
	keeper = &m->keepers[number];
	if (keeper->chan.fd != -1)
		keeper_is_gone(m, keeper);
	chan_open(&keeper->chan, fd);
	watch_chan(m, &keeper->chan, &keeper->io);
	for (conn = table_next(&m->table, NULL); conn != NULL;
	    conn = table_next(&m->table, conn))
		ask_again(m, conn);
}

/* Connections without a program end; the others go on. */
static void
stop(struct monitor *m)
{
	struct connection *conn;

	m->is_stopping = true;
	ev_io_stop(m->loop, &m->listen_io);
	fd_close(&m->listen_fd);
	for (conn = table_next(&m->table, NULL); conn != NULL;
	    conn = table_next(&m->table, conn))
		if (conn->state == CONN_HANDSHAKE) {
			conn->state = CONN_CLOSING;
			end_session(m, conn);
		}
	tell_idle(m);
}

/* Master signals the programs itself. */
static void
end_everything(struct monitor *m)
{
	struct connection *conn;

	for (conn = table_next(&m->table, NULL); conn != NULL;
	    conn = table_next(&m->table, conn)) {
		conn->state = CONN_CLOSING;
		end_session(m, conn);
	}
}

static void
take_descriptor(struct monitor *m, struct msg *msg)
{
	struct msg_reader r;
	uint64_t number;
	int fd;

	msg_read_from(&r, msg);
	number = msg_get_number(&r);
	if (msg->fd_count != 1) {
		msg_close_fds(msg);
		return;
	}
	fd = msg->fds[0];
	switch (msg->type) {
	case MSG_LISTENER:
		take_listener(m, fd);
		break;
	case MSG_NURSERY:
		take_nursery(m, fd);
		break;
	case MSG_KEEPER:
		take_keeper(m, number, fd);
		break;
	default:
		fd_close(&m->events.fd);
		m->events.fd = fd;
	}
}

static void
obey_master(struct monitor *m, struct msg *msg)
{
	static const struct {
		enum msg_type type;
		enum conn_event event;
	} programs[] = {
		{ MSG_STARTED, CONN_STARTED }, { MSG_EXECED, CONN_EXECED },
		{ MSG_EXECFAILED, CONN_EXECFAILED },
		{ MSG_EXITED, CONN_EXITED }
	};
	struct connection *conn = table_find(&m->table, msg->conn);
	size_t i;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (msg->type == programs[i].type) {
			if (conn != NULL)
				program_event(m, conn, programs[i].event, msg);
			return;
		}
	switch (msg->type) {
	case MSG_SIGNALLED:
		if (conn != NULL)
			program_is_signalled(conn);
		break;
	case MSG_STOP:
		stop(m);
		break;
	case MSG_END:
		end_everything(m);
		break;
	default:
		take_descriptor(m, msg);
	}
}

static void
on_master(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct msg msg;
	bool more;
	int r, i;

	if (revents & EV_WRITE)
		chan_flush(&m->master);
	watch_chan(m, &m->master, io);
	for (i = 0; revents & EV_READ && i < MESSAGES_PER_TURN; i++) {
		r = msg_receive(m->master.fd, &m->room, &msg, 1, true, &more);
		if (r == 0)
			return;
		if (r == -1)
			_exit(0);	/* and every session with us */
		obey_master(m, &msg);
	}
}

int
monitor_raise_descriptors(const struct settings *settings,
    char error[MONITOR_ERROR_SIZE])
{
	rlim_t need = (rlim_t)(settings->limit * DESCRIPTORS_PER_CONNECTION +
	    DESCRIPTORS_EXTRA);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return -1;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < need)
		limit.rlim_max = need;
	limit.rlim_cur = need;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return 0;
	getrlimit(RLIMIT_NOFILE, &limit);
	text_format(error, MONITOR_ERROR_SIZE,
	    "-c %zu needs %lu open files, the limit is %lu", settings->limit,
	    (unsigned long)need, (unsigned long)limit.rlim_max);
	return -1;
}

static int
prepare(struct monitor *m, const struct settings *settings, int master_fd)
{
	size_t i;

	m->settings = settings;
	m->listen_fd = -1;
	/* NOENV: the environment has no say in how we wait. */
	m->loop = ev_loop_new(EVFLAG_NOENV);
	if (m->loop == NULL ||
	    table_init(&m->table, settings->limit) == -1)
		return -1;
	ev_set_userdata(m->loop, m);
	events_init(&m->events, -1, settings->verbosity);
	/* A connection has at most so many messages under way. */
	chan_init(&m->master, settings->limit * 8 + 64);
	chan_init(&m->nursery, settings->limit * 4 + 64);
	ev_io_init(&m->master_io, on_master, -1, EV_READ);
	ev_io_init(&m->nursery_io, on_nursery, -1, EV_READ);
	ev_io_init(&m->listen_io, on_listener, -1, EV_READ);
	ev_timer_init(&m->pause, on_pause_over, PAUSE_SECONDS, 0);
	m->pause.data = m;
	for (i = 0; i < settings->keepers; i++) {
		chan_init(&m->keepers[i].chan, settings->limit + 64);
		ev_io_init(&m->keepers[i].io, on_keeper, -1, EV_READ);
		m->keepers[i].io.data = &m->keepers[i];
	}
	chan_open(&m->master, master_fd);
	watch_chan(m, &m->master, &m->master_io);
	return 0;
}

void
monitor_run(const struct settings *settings, int master_fd)
{
	static struct monitor m;
	const struct msg ready = { .type = MSG_READY };
	static const char sentence[] = "out of memory for -c connections";

	if (prepare(&m, settings, master_fd) == -1) {
		msg_send_bytes(master_fd, MSG_FAILED, 0, sentence,
		    sizeof(sentence), true);
		_exit(111);
	}
	send_master(&m, &ready);
	ev_run(m.loop, 0);
	_exit(111);
}
