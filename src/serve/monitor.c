/*
 * The monitor: accepts clients and decides everything about them.
 *
 * Runs as a user of its own without rights.  It reads messages of sessions,
 * which the network may have taken over, and lets each through the table
 * in conn.c; it reads no byte of a client.  It never forks and never waits
 * for anybody: its sockets are read and written without blocking, its
 * queues are bounded by the number of connections, and what takes time is
 * done by somebody else.  This file has the loop, the listener and the
 * sockets to other roles.
 */
#include "serve/monitor.h"

#include <sys/resource.h>

#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "net/sock.h"
#include "serve/admission.h"
#include "serve/attend.h"
#include "serve/delayed.h"
#include "serve/life.h"
#include "serve/monitor_state.h"
#include "serve/nurseries.h"
#include "serve/resuming.h"

/*
 * Per connection: control socket, the program's two pipe ends and, with
 * --strict-close, a third.  With -n, while an EXEC waits for master: both
 * ends of control socket and pipes, the client twice, and always that third.
 */
#define DESCRIPTORS_PER_CONNECTION 4
#define DESCRIPTORS_PER_DELAYED 9
/* Of a session that waits, while its connection's program still runs. */
#define DESCRIPTORS_PER_POOLED 1
/* Work sockets, listener, the loop's own, one START under way. */
#define DESCRIPTORS_EXTRA 128
/* A nursery, and one that is being replaced; a keeper has one. */
#define DESCRIPTORS_PER_NURSERY 2
/*
 * Where that many may not be open: a connection whose program runs has a
 * control socket alone, and so many can begin at the same time.
 */
#define DESCRIPTORS_PER_RUNNING 1
#define BEGINNING_MIN 64
/* Then the last ones are not for clients: a new nursery's socket comes. */
#define DESCRIPTORS_KEPT 96
#define PAUSE_SECONDS 0.1 /* accepting, when a resource is short */
/* The nursery says when there are processes again; this is if it does not. */
#define PROCESS_PAUSE_SECONDS 1.0
#define STATUS_FAILED (111 << 8) /* wait status of a failed connection */
#define REFUSALS_PER_TURN 16
#define REST_SECONDS 0.0005 /* after a turn of refusals alone */

/* Channels.  The queue is flushed when the socket takes more. */

void
monitor_watch(struct monitor *m, struct chan *chan, ev_io *io)
{
	int events = EV_READ | (chan_is_waiting(chan) ? EV_WRITE : 0);

	if (chan->fd == -1 || (ev_is_active(io) && io->events == events))
		return;
	ev_io_stop(m->loop, io);
	ev_io_set(io, chan->fd, events);
	ev_io_start(m->loop, io);
}

void
monitor_watch_listener(struct monitor *m)
{
	bool pauses = ev_is_active(&m->pause) &&
	    !(m->lacks_processes && m->pool.idle != NULL);
	bool wants = m->listen_fd != -1 && nurseries_are_ready(m) &&
	    m->table.count < m->table.limit && !pauses;

	if (wants && !ev_is_active(&m->listen_io))
		ev_io_start(m->loop, &m->listen_io);
	else if (!wants && ev_is_active(&m->listen_io))
		ev_io_stop(m->loop, &m->listen_io);
}

/* A resource is short: let what is there go on, and look again. */
static void
pause_accepting(struct monitor *m, int error, double seconds)
{
	if (!m->is_short)
		events_warning(
		    &m->events, "accepting pauses: %s", strerror(error));
	m->is_short = true;
	m->lacks_processes = false;
	ev_timer_stop(m->loop, &m->pause);
	ev_timer_set(&m->pause, seconds, 0);
	ev_timer_start(m->loop, &m->pause);
	monitor_watch_listener(m);
}

void
monitor_lacks_processes(struct monitor *m, int error)
{
	pause_accepting(m, error, PROCESS_PAUSE_SECONDS);
	m->lacks_processes = true;
	monitor_watch_listener(m);
}

void
monitor_has_processes(struct monitor *m)
{
	m->is_short = false;
	if (!m->lacks_processes)
		return;
	m->lacks_processes = false;
	ev_timer_stop(m->loop, &m->pause);
	monitor_watch_listener(m);
}

/* Descriptors are held back by the kernel: time is what helps. */
void
monitor_pause_if_held(struct monitor *m)
{
	if (chan_is_held(&m->master) || nurseries_are_held(m))
		pause_accepting(m, ETOOMANYREFS, PAUSE_SECONDS);
}

int
monitor_send_master(struct monitor *m, const struct msg *msg)
{
	int r = chan_send(&m->master, msg);

	monitor_watch(m, &m->master, &m->master_io);
	monitor_pause_if_held(m);
	return r;
}

void
monitor_tell_stuck(struct monitor *m, enum msg_stuck which,
    enum msg_stuck_why why, uint64_t pid)
{
	/* With its pid: master may have replaced it already. */
	uint64_t body[3] = { which, why, pid };
	const struct msg msg = { .type = MSG_STUCK,
		.body = (unsigned char *)body,
		.len = sizeof(body) };

	monitor_send_master(m, &msg);
}

static void
on_pause_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct monitor *m = timer->data;

	(void)loop;
	(void)revents;
	if (chan_is_held(&m->master))
		chan_flush(&m->master);
	monitor_watch(m, &m->master, &m->master_io);
	nurseries_flush(m);
	monitor_pause_if_held(m);
	monitor_watch_listener(m);
}

void
monitor_tell_status(struct monitor *m)
{
	events_status(&m->events, m->table.count, m->table.limit,
	    limits_shown(&m->settings->limits, m->table.limit));
}

/* Accepting. */

/* The ends of one kind, both close-on-exec. */
static void
close_ends(int ends[2])
{
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

static void
close_spare(struct spare *spare)
{
	close_ends(spare->control);
	close_ends(spare->in);
	close_ends(spare->out);
	fd_close(&spare->input);
}

/*
 * What the next connection needs, made before it is accepted: a client for
 * whom there are no descriptors waits in the backlog.  0, or -1 with
 * errno.
 */
static int
make_spare(struct monitor *m)
{
	struct spare *spare = &m->spare;
	int error;

	/* A session that is there already has left us its control pair. */
	if (spare->control[0] == -1 &&
	    (m->settings->is_delayed ? fd_stream_pair(spare->control)
				     : fd_message_pair(spare->control)) == -1)
		goto failed;
	if (spare->in[0] == -1 &&
	    (fd_pipe(spare->in) == -1 || fd_pipe(spare->out) == -1))
		goto failed;
	if ((m->settings->strict_close || m->settings->is_delayed) &&
	    spare->input == -1 &&
	    (spare->input = fd_dup_above(spare->in[1], 3)) == -1)
		goto failed;
	/* The lowest free number is given: all below are in use. */
	if (spare->out[1] >= m->descriptor_max) {
		errno = EMFILE;
		goto failed;
	}
	return 0;

failed:
	error = errno;
	close_spare(spare);
	errno = error;
	return -1;
}

/* They belong to somebody else now. */
static void
forget_spare(struct spare *spare)
{
	*spare = (struct spare){ .control = { -1, -1 },
		.in = { -1, -1 },
		.out = { -1, -1 },
		.input = -1 };
}

int
monitor_start_session(
    struct monitor *m, struct connection *conn, const int fds[START_FDS])
{
	struct start start = { .verify = certpolicy_verify(
				   &conn->cert, conn->host, &conn->remote.ip),
		.wants_facts = conn->wants_facts,
		.stays = m->settings->uses > 1 };
	unsigned char body[START_SIZE];
	struct msg_writer w;
	struct msg msg = { .type = MSG_START,
		.conn = conn->id,
		.body = body,
		.fd_count = START_FDS };

	memcpy(msg.fds, fds, START_FDS * sizeof(fds[0]));
	/* With -n the rule's settings may be gone since. */
	if (admission_find_profile(m, conn) == -1) {
		msg_close_fds(&msg);
		errno = ESTALE;
		return -1;
	}
	start.profile = conn->profile;
	if (pool_start_session(m, conn, &start, fds)) {
		msg.fds[START_CONTROL] = -1;
		msg_close_fds(&msg);
		return 0;
	}
	msg_write_to(&w, body, sizeof(body));
	start_put(&start, &w); /* host is a DNS name: it fits */
	msg_written(&w, &msg.len);
	return nurseries_start_session(m, conn, &msg);
}

/* Nobody but the session ever reads from client_fd. */
static int
ask_for_session(struct monitor *m, struct connection *conn, int client_fd)
{
	struct spare *spare = &m->spare;
	const int fds[START_FDS] = { [START_CONTROL] = spare->control[1],
		[START_CLIENT] = client_fd,
		[START_PROGRAM_IN] = spare->in[1],
		[START_PROGRAM_OUT] = spare->out[0] };
	const int control[2] = { spare->control[0], spare->control[1] };
	int r;

	conn->control_fd = control[0];
	conn->program_in = spare->in[0];
	conn->program_out = spare->out[1];
	conn->input_fd = spare->input;
	forget_spare(spare);
	r = monitor_start_session(m, conn, fds);
	/* A session that was there has a control socket. */
	if (conn->control_fd != control[0])
		memcpy(spare->control, control, sizeof(control));
	return r;
}

/* With -n: all that a connection can need is its own from the start. */
static void
take_spare(struct monitor *m, struct connection *conn)
{
	struct spare *spare = &m->spare;

	conn->asks_fd = spare->control[0];
	conn->program_asks = spare->control[1];
	conn->program_in = spare->in[0];
	conn->session_in = spare->in[1];
	conn->session_out = spare->out[0];
	conn->program_out = spare->out[1];
	conn->input_fd = spare->input;
	forget_spare(spare);
}

const char *
monitor_session_error(int error)
{
	return error == ESTALE ? "the TLS settings of its rule are gone"
			       : strerror(error);
}

void
monitor_refuse_session(struct monitor *m, struct connection *conn, int error)
{
	char reason[96];

	text_format(reason, sizeof(reason), "unable to make a session: %s",
	    monitor_session_error(error));
	nurseries_end_session(m, conn);
	/* Of one whose time was over all is told already. */
	if (conn->state == CONN_CLOSING) {
		if (conn->is_delayed)
			life_leave_program(m, conn);
	} else if (conn->is_delayed)
		life_fail(m, conn, reason);
	else
		events_unable_to_accept(
		    &m->events, &conn->remote.ip, 0, reason, false);
	life_release_if_over(m, conn);
}

void
monitor_prepare(struct monitor *m, struct connection *conn)
{
	ev_io_init(&conn->control, attend_on_session, -1, EV_READ);
	conn->control.data = conn;
	ev_timer_init(&conn->deadline, attend_on_deadline,
	    (double)m->settings->handshake_s, 0);
	conn->deadline.data = conn;
	ev_timer_init(&conn->kill_after, attend_on_kill_after, 0, 0);
	conn->kill_after.data = conn;
	ev_io_init(&conn->asks, delayed_on_program, -1, EV_READ);
	conn->asks.data = conn;
	conn->is_delayed = m->settings->is_delayed;
	resuming_begin(conn);
	conn->status = STATUS_FAILED;
	conn->wants_facts = m->settings->has_tls_environment;
}

bool
monitor_is_ready(struct monitor *m)
{
	return nurseries_are_ready(m) && make_spare(m) == 0;
}

void
monitor_admit(struct monitor *m, struct connection *conn, int client_fd)
{
	if (!m->settings->keeps_options && ip_is_v4(&conn->remote.ip))
		sock_kill_options(client_fd);
	if (conn->is_delayed) {
		conn->state = CONN_STARTING;
		take_spare(m, conn);
		delayed_begin(m, conn, client_fd);
		return;
	}
	conn->state = CONN_HANDSHAKE;
	if (ask_for_session(m, conn, client_fd) == -1) {
		monitor_refuse_session(m, conn, errno);
		return;
	}
	ev_timer_set(&conn->deadline, (double)m->settings->handshake_s, 0);
	ev_timer_start(m->loop, &conn->deadline);
}

/* Accept one client.  Returns whether there may be more to refuse. */
static bool
accept_client(struct monitor *m)
{
	struct ip_endpoint remote;
	int client_fd;

	client_fd = sock_accept(m->listen_fd, &remote);
	if (client_fd != -1)
		return !admission_begin(m, client_fd, &remote);
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		pause_accepting(m, errno, PAUSE_SECONDS);
		break;
	case EINVAL: /* master has shut it down */
	case EBADF:
		ev_io_stop(m->loop, &m->listen_io);
		fd_close(&m->listen_fd);
		break;
	default: /* that client is gone already, or there is none */
		break;
	}
	return false;
}

static void
on_listener(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	int i;

	(void)io;
	(void)revents;
	if (make_spare(m) == -1) {
		pause_accepting(m, errno, PAUSE_SECONDS);
		return;
	}
	/*
	 * One that is let in ends the turn; a flood is refused in rows.  To
	 * find that nobody waits is dear for accept(2), which makes the socket
	 * first, and cheap for poll(2).
	 */
	for (i = 0; i < REFUSALS_PER_TURN; i++)
		if (!accept_client(m))
			break;
		else if (!sock_is_waiting(m->listen_fd)) {
			m->is_refusing = true;
			break;
		}
	monitor_watch_listener(m);
}

/*
 * To be woken costs a fifth of a refusal.  After a turn that refused
 * everybody the loop sleeps for a moment before it looks again, so that
 * the next ones come in a row.  Not at other times: it would delay those
 * who are served.
 */
static void
before_waiting(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	struct monitor *m = prepare->data;

	(void)revents;
	ev_set_io_collect_interval(loop, m->is_refusing ? REST_SECONDS : 0);
	m->is_refusing = false;
}

/* Why a role is to be replaced, from which msg_receive gave that. */
static enum msg_stuck_why
why_replaced(int received)
{
	return received == -1 && errno == 0 ? MSG_STUCK_CLOSED
					    : MSG_STUCK_NONSENSE;
}

/* What the resolver says. */

static void
resolver_is_gone(struct monitor *m)
{
	struct connection *conn;

	ev_io_stop(m->loop, &m->resolver_io);
	chan_close(&m->resolver);
	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn))
		if (conn->state == CONN_LOOKUP)
			admission_without_names(m, conn);
}

void
monitor_replace_resolver(struct monitor *m, enum msg_stuck_why why)
{
	monitor_tell_stuck(m, MSG_STUCK_RESOLVER, why, m->resolver_pid);
	resolver_is_gone(m);
}

static void
on_resolver(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct connection *conn;
	struct msg msg;
	bool more;
	int r, i;

	if (revents & EV_WRITE)
		chan_flush(&m->resolver);
	monitor_watch(m, &m->resolver, io);
	for (i = 0; revents & EV_READ && i < MESSAGES_PER_TURN; i++) {
		r = msg_receive(m->resolver.fd, &m->room, &msg, 0, true, &more);
		if (r == 0)
			return;
		if (r == -1 || more || msg.type != MSG_NAMES) {
			monitor_replace_resolver(m, why_replaced(r));
			return;
		}
		m->resolver_heard = ev_now(loop);
		conn = table_find(&m->table, msg.conn);
		if (conn != NULL)
			admission_take_names(m, conn, &msg);
	}
}

/* What master says. */

static void
take_listener(struct monitor *m, int fd)
{
	fd_close(&m->listen_fd);
	m->listen_fd = fd;
	ev_io_set(&m->listen_io, fd, EV_READ);
	monitor_watch_listener(m);
}

static void
take_resolver(struct monitor *m, uint64_t pid, int fd)
{
	if (m->resolver.fd != -1)
		resolver_is_gone(m);
	m->resolver_pid = pid;
	chan_open(&m->resolver, fd);
	monitor_watch(m, &m->resolver, &m->resolver_io);
}

/* Connections without a program end; the others go on. */
static void
stop(struct monitor *m)
{
	struct connection *conn;

	m->is_stopping = true;
	pool_dismiss(m, NULL);
	ev_io_stop(m->loop, &m->listen_io);
	fd_close(&m->listen_fd);
	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn))
		if (conn->state == CONN_LOOKUP)
			admission_cancel(m, conn);
		else if (conn->state == CONN_HANDSHAKE && !conn->is_delayed) {
			conn->state = CONN_CLOSING;
			life_end_session(m, conn);
		}
	life_tell_idle(m);
}

/* The time for connections is over. */
static void
end_everything(struct monitor *m)
{
	struct connection *conn;

	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn)) {
		life_cut(m, conn);
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
	if (msg->type == MSG_RULES) {
		admission_take_rules(
		    m, msg, msg->fd_count == 1 ? msg->fds[0] : -1);
		return;
	}
	if (msg->type == MSG_NURSERY) {
		nurseries_take(m, number, &r, msg);
		return;
	}
	if (msg->fd_count != 1) {
		msg_close_fds(msg);
		return;
	}
	fd = msg->fds[0];
	switch (msg->type) {
	case MSG_LISTENER:
		take_listener(m, fd);
		break;
	case MSG_RESOLVER:
		take_resolver(m, number, fd);
		break;
	case MSG_CACHE:
		resuming_take_cache(m, number, fd);
		break;
	case MSG_KEEPER:
		nurseries_take_keeper(m, number, msg_get_number(&r), fd);
		break;
	default:
		fd_close(&m->events.fd);
		m->events.fd = fd;
	}
}

/* That it runs says that it has started: mostly both are news. */
static void
hear_of_program(struct monitor *m, struct connection *conn,
    enum conn_event event, const struct msg *msg)
{
	if (event == CONN_EXECED)
		attend_program(m, conn, CONN_STARTED, msg);
	attend_program(m, conn, event, msg);
}

static void
obey_master(struct monitor *m, struct msg *msg)
{
	static const struct {
		enum msg_type type;
		enum conn_event event;
	} programs[] = { { MSG_STARTED, CONN_STARTED },
		{ MSG_EXECED, CONN_EXECED },
		{ MSG_EXECFAILED, CONN_EXECFAILED },
		{ MSG_EXITED, CONN_EXITED } };
	struct connection *conn = table_find(&m->table, msg->conn);
	struct msg_reader r;
	size_t i;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (msg->type == programs[i].type) {
			if (conn != NULL)
				hear_of_program(
				    m, conn, programs[i].event, msg);
			return;
		}
	switch (msg->type) {
	case MSG_SIGNALLED:
		if (conn != NULL)
			attend_signalled(conn);
		break;
	case MSG_STOP:
		stop(m);
		break;
	case MSG_END:
		end_everything(m);
		break;
	case MSG_LEFT:
		msg_read_from(&r, msg);
		nurseries_forget(m, msg_get_number(&r));
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
	monitor_watch(m, &m->master, io);
	for (i = 0; revents & EV_READ && i < MESSAGES_PER_TURN; i++) {
		r = msg_receive(m->master.fd, &m->room, &msg,
		    1 + PROFILES_LISTS, true, &more);
		if (r == 0)
			return;
		if (r == -1) {
			delayed_end_all(m);
			_exit(0); /* and every session with us */
		}
		obey_master(m, &msg);
	}
}

static rlim_t
descriptors_besides(const struct settings *settings)
{
	size_t generation = settings->keepers + DESCRIPTORS_PER_NURSERY;
	size_t pooled = settings->uses > 1 ? DESCRIPTORS_PER_POOLED : 0;

	return (rlim_t)(settings->limit * pooled + DESCRIPTORS_EXTRA +
	    GENERATIONS_MAX * generation);
}

/* For as many connections as there may be, whatever they are doing. */
static rlim_t
descriptors_wanted(const struct settings *settings)
{
	size_t each = settings->is_delayed ? DESCRIPTORS_PER_DELAYED
					   : DESCRIPTORS_PER_CONNECTION;

	return (rlim_t)(settings->limit * each) + descriptors_besides(settings);
}

/* For as many if few of them begin at the same time; others wait. */
static rlim_t
descriptors_least(const struct settings *settings)
{
	size_t few =
	    settings->limit < BEGINNING_MIN ? settings->limit : BEGINNING_MIN;
	size_t more = DESCRIPTORS_PER_CONNECTION - DESCRIPTORS_PER_RUNNING;

	if (settings->is_delayed)
		return descriptors_wanted(settings);
	return (rlim_t)(settings->limit * DESCRIPTORS_PER_RUNNING +
		   few * more) +
	    descriptors_besides(settings);
}

/* Number from which on a descriptor is not for a client. */
static int
descriptor_max(const struct settings *settings)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 ||
	    limit.rlim_cur >= descriptors_wanted(settings))
		return INT_MAX;
	return (int)limit.rlim_cur - DESCRIPTORS_KEPT;
}

int
monitor_raise_descriptors(
    const struct settings *settings, char error[MONITOR_ERROR_SIZE])
{
	rlim_t need = descriptors_least(settings);
	struct rlimit limit;

	limit.rlim_cur = limit.rlim_max = descriptors_wanted(settings);
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return -1;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max >= need && setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return 0;
	text_format(error, MONITOR_ERROR_SIZE,
	    "-c %zu needs %lu open files, the limit is %lu", settings->limit,
	    (unsigned long)need, (unsigned long)limit.rlim_max);
	return -1;
}

static int
prepare(struct monitor *m, const struct settings *settings, int master_fd)
{
	m->settings = settings;
	m->listen_fd = -1;
	m->descriptor_max = descriptor_max(settings);
	forget_spare(&m->spare);
	/* NOENV: the environment has no say in how we wait. */
	m->loop = ev_loop_new(EVFLAG_NOENV);
	if (m->loop == NULL || table_init(&m->table, settings->limit) == -1 ||
	    limits_init(&m->limits, settings->limit + 1) == -1 ||
	    nurseries_prepare(m) == -1 || pool_prepare(m) == -1)
		return -1;
	ev_set_userdata(m->loop, m);
	events_init(
	    &m->events, settings->program_name, -1, settings->verbosity);
	/* A connection has at most so many messages under way. */
	chan_init(&m->master, settings->limit * 8 + 64);
	chan_init(&m->resolver, settings->limit * 4 + 64);
	ev_io_init(&m->master_io, on_master, -1, EV_READ);
	/* Before the listener: who comes after a change meets it. */
	ev_set_priority(&m->master_io, EV_MAXPRI);
	ev_io_init(&m->resolver_io, on_resolver, -1, EV_READ);
	ev_io_init(&m->listen_io, on_listener, -1, EV_READ);
	ev_prepare_init(&m->rest, before_waiting);
	m->rest.data = m;
	ev_prepare_start(m->loop, &m->rest);
	ev_timer_init(&m->pause, on_pause_over, PAUSE_SECONDS, 0);
	m->pause.data = m;
	resuming_prepare(m);
	admission_prepare(m);
	chan_open(&m->master, master_fd);
	monitor_watch(m, &m->master, &m->master_io);
	return 0;
}

void
monitor_run(const struct settings *settings, int master_fd)
{
	static struct monitor m;
	const struct msg ready = { .type = MSG_READY };
	static const char sentence[] = "out of memory for -c connections";

	if (prepare(&m, settings, master_fd) == -1) {
		msg_send_bytes(
		    master_fd, MSG_FAILED, 0, sentence, sizeof(sentence), true);
		_exit(111);
	}
	monitor_send_master(&m, &ready);
	ev_run(m.loop, 0);
	_exit(111);
}
