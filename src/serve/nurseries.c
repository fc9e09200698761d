/*
 * The ways to nurseries, and which sessions are whose.  Runs in the monitor.
 *
 * A nursery has no rights but holds many clients' sockets for a moment; what
 * it says must be one of three things about a connection, else it is to be
 * replaced.  Whether a generation is still needed is counted here, as only
 * the monitor knows of sessions that are asked for and not yet made.
 */
#include "serve/nurseries.h"

#include <errno.h>
#include <ev.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "serve/attend.h"
#include "serve/defaults.h"
#include "serve/delayed.h"
#include "serve/life.h"
#include "serve/monitor_state.h"
#include "serve/pool.h"
#include "serve/resuming.h"
#include "serve/signing.h"

bool
nurseries_are_ready(const struct monitor *m)
{
	return m->newest->nursery.fd != -1;
}

uint64_t
nurseries_pid(const struct connection *conn)
{
	return conn->generation == NULL ? 0 : conn->generation->nursery_pid;
}

/* Who is needed. */

static void
tell_if_spent(struct monitor *m, const struct generation *generation)
{
	uint64_t number = generation->number;
	const struct msg msg = { .type = MSG_SPENT,
		.body = (unsigned char *)&number,
		.len = sizeof(number) };

	if (generation != m->newest && generation->sessions == 0)
		monitor_send_master(m, &msg);
}

int
nurseries_send_to(
    struct monitor *m, struct generation *generation, const struct msg *msg)
{
	int r = chan_send(&generation->nursery, msg);

	monitor_watch(m, &generation->nursery, &generation->nursery_io);
	monitor_pause_if_held(m);
	return r;
}

int
nurseries_start_session(
    struct monitor *m, struct connection *conn, const struct msg *start)
{
	conn->session_is_gone = false;
	conn->generation = m->newest;
	conn->generation->sessions++;
	conn->session_name = conn->id;
	conn->session_uses = 1;
	return nurseries_send_to(m, conn->generation, start);
}

void
nurseries_drop_session(struct monitor *m, struct generation *generation)
{
	generation->sessions--;
	tell_if_spent(m, generation);
}

void
nurseries_end_session(struct monitor *m, struct connection *conn)
{
	struct generation *generation = conn->generation;

	conn->session_is_gone = true;
	conn->generation = NULL;
	if (generation == NULL)
		return;
	nurseries_drop_session(m, generation);
}

int
nurseries_send(
    struct monitor *m, const struct connection *conn, const struct msg *msg)
{
	if (conn->generation != NULL)
		return nurseries_send_to(m, conn->generation, msg);
	errno = EPIPE;
	return -1;
}

/* What a nursery says. */

static void
session_has_started(
    struct monitor *m, struct connection *conn, const struct msg *msg)
{
	struct msg_reader r;
	uint64_t number;

	msg_read_from(&r, msg);
	number = msg_get_number(&r);
	if (conn->session != 0 || conn->control_fd == -1 ||
	    msg_read_all(&r) == -1)
		return;
	if (msg->type == MSG_FAILED) {
		ev_timer_stop(m->loop, &conn->deadline);
		monitor_refuse_session(m, conn, (int)number);
		return;
	}
	monitor_has_processes(m);
	conn->session = (pid_t)number;
	conn->session_start = clock_since_boot();
	fd_close(&conn->session_out); /* with -n it is a copy */
	if (!conn->is_delayed)
		events_pid(&m->events, conn->session, &conn->remote.ip);
	ev_io_set(&conn->control, conn->control_fd, EV_READ);
	ev_io_start(m->loop, &conn->control);
	if (conn->state == CONN_CLOSING)
		life_kill_session(m, conn);
}

/* No process for it now: it is tried again, and others wait too. */
static void
session_is_late(
    struct monitor *m, struct connection *conn, const struct msg *msg)
{
	struct msg_reader r;
	uint64_t error;

	msg_read_from(&r, msg);
	error = msg_get_number(&r);
	conn->is_late = true;
	monitor_lacks_processes(m, msg_read_all(&r) == 0 ? (int)error : EAGAIN);
}

/* Its sessions go on; those it had not told of yet are lost. */
static void
nursery_is_gone(struct monitor *m, struct generation *generation)
{
	struct connection *conn;

	ev_io_stop(m->loop, &generation->nursery_io);
	/* It must not see an end of us: it would kill every session then. */
	fd_close(&generation->lost_fd);
	generation->lost_fd = generation->nursery.fd;
	generation->nursery.fd = -1;
	chan_close(&generation->nursery);
	pool_orphan(m, generation);
	monitor_watch_listener(m);
	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn))
		if (conn->generation == generation && !conn->session_is_gone &&
		    !delayed_waits_again(m, conn))
			life_session_is_orphan(m, conn);
}

/*
 * A session that serves clients in turn has its name from the first one,
 * and can be with nobody or with another one by now.
 */
static void
session_is_reaped(
    struct monitor *m, struct generation *generation, uint64_t name)
{
	struct connection *conn = table_find(&m->table, name);

	if (pool_reaped(m, generation, name))
		return;
	if (conn == NULL || conn->session_name != name ||
	    conn->generation != generation)
		conn = table_find_session(&m->table, generation, name);
	if (conn != NULL && conn->session != 0)
		attend_reaped(m, conn);
}

/* -1: it talks nonsense. */
static int
obey(struct monitor *m, struct generation *generation, const struct msg *msg)
{
	struct connection *conn = table_find(&m->table, msg->conn);

	if (msg->type != MSG_STARTED && msg->type != MSG_FAILED &&
	    msg->type != MSG_GONE && msg->type != MSG_SHORT)
		return -1;
	/* Others' sessions are none of its business. */
	if (msg->type == MSG_GONE)
		session_is_reaped(m, generation, msg->conn);
	else if (conn == NULL || conn->generation != generation)
		return 0;
	else if (msg->type == MSG_SHORT)
		session_is_late(m, conn, msg);
	else
		session_has_started(m, conn, msg);
	return 0;
}

/* Take one message.  Returns whether there was one. */
static bool
hear(struct monitor *m, struct generation *generation)
{
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(generation->nursery.fd, &m->room, &msg, 0, true, &more);
	if (r == 0)
		return false;
	if (r == 1 && !more && obey(m, generation, &msg) == 0)
		return true;
	monitor_tell_stuck(m, MSG_STUCK_NURSERY,
	    r == -1 && errno == 0 ? MSG_STUCK_CLOSED : MSG_STUCK_NONSENSE,
	    generation->nursery_pid);
	nursery_is_gone(m, generation);
	return false;
}

static void
on_nursery(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct generation *generation = io->data;
	int i;

	if (revents & EV_WRITE)
		chan_flush(&generation->nursery);
	monitor_watch(m, &generation->nursery, io);
	for (i = 0; revents & EV_READ && i < MESSAGES_PER_TURN; i++)
		if (!hear(m, generation))
			return;
}

/* What master says of them. */

static struct generation *
find(struct monitor *m, uint64_t number)
{
	size_t i;

	for (i = 0; i < GENERATIONS_MAX; i++)
		if (m->generations[i].number == number)
			return &m->generations[i];
	return NULL;
}

/* That of this number; a new one if master has not spoken of it before. */
static struct generation *
find_or_begin(struct monitor *m, uint64_t number)
{
	struct generation *generation = find(m, number);

	if (generation == NULL && (generation = find(m, 0)) != NULL)
		generation->number = number;
	return generation;
}

static void
make_newest(struct monitor *m, struct generation *generation)
{
	struct generation *before = m->newest;

	m->newest = generation;
	monitor_watch_listener(m);
	delayed_nursery_is_there(m);
	if (before == generation)
		return;
	signing_is_old(m, before);
	pool_dismiss(m, before);
	tell_if_spent(m, before);
}

/*
 * The profiles that its nursery and keepers have.  Without any of the lists
 * they would be numbered in another way: better none.
 */
static void
take_profiles(struct monitor *m, struct generation *generation,
    struct msg_reader *r, const struct msg *msg)
{
	int lists[PROFILES_LISTS];
	struct profile start;
	size_t i, n = 1;

	for (i = 0; i < PROFILES_LISTS; i++) {
		lists[i] = -1;
		if (msg_get_number(r) != 0 && n++ < msg->fd_count)
			lists[i] = msg->fds[n - 1];
	}
	defaults_profile(&start);
	profiles_free(&generation->profiles);
	errno = EMFILE;
	if (msg_read_all(r) == 0 && n == msg->fd_count &&
	    profiles_make(&generation->profiles, &start, lists) == 0)
		return;
	events_error(&m->events,
	    "unable to take over the TLS settings of rules: %s",
	    strerror(errno));
}

/* Its socket remains the message's until here. */
static int
take_socket(struct msg *msg)
{
	int fd = msg->fd_count > 0 ? msg->fds[0] : -1;

	if (fd != -1)
		msg->fds[0] = -1;
	return fd;
}

void
nurseries_take(
    struct monitor *m, uint64_t number, struct msg_reader *r, struct msg *msg)
{
	struct generation *generation = find_or_begin(m, number);

	/* Master never has more than there is room for. */
	if (generation == NULL || msg->fd_count == 0) {
		msg_close_fds(msg);
		return;
	}
	if (generation->nursery.fd != -1)
		nursery_is_gone(m, generation);
	fd_close(&generation->lost_fd); /* master has reaped it */
	generation->nursery_pid = msg_get_number(r);
	resuming_take_digests(generation, r);
	take_profiles(m, generation, r, msg);
	chan_open(&generation->nursery, take_socket(msg));
	msg_close_fds(msg);
	monitor_watch(m, &generation->nursery, &generation->nursery_io);
	if (number >= m->newest->number)
		make_newest(m, generation);
}

void
nurseries_take_keeper(
    struct monitor *m, uint64_t number, uint64_t keeper, int fd)
{
	struct generation *generation = find_or_begin(m, number);

	if (generation == NULL)
		fd_close(&fd);
	else
		signing_take_keeper(m, generation, keeper, fd);
}

/* Its last words first: they may be about sessions that go on. */
void
nurseries_forget(struct monitor *m, uint64_t number)
{
	struct generation *generation = find(m, number);
	struct connection *conn;

	if (generation == NULL || generation == m->newest)
		return;
	while (generation->nursery.fd != -1 && hear(m, generation))
		continue;
	if (generation->nursery.fd != -1)
		nursery_is_gone(m, generation);
	fd_close(&generation->lost_fd);
	signing_forget(m, generation);
	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn))
		if (conn->generation == generation)
			conn->generation = NULL;
	profiles_free(&generation->profiles);
	generation->sessions = 0;
	generation->number = 0;
}

/* Channels. */

bool
nurseries_are_held(const struct monitor *m)
{
	size_t i;

	for (i = 0; i < GENERATIONS_MAX; i++)
		if (chan_is_held(&m->generations[i].nursery))
			return true;
	return false;
}

void
nurseries_flush(struct monitor *m)
{
	struct generation *generation;
	size_t i;

	for (i = 0; i < GENERATIONS_MAX; i++) {
		generation = &m->generations[i];
		if (chan_is_held(&generation->nursery))
			chan_flush(&generation->nursery);
		monitor_watch(m, &generation->nursery, &generation->nursery_io);
	}
}

int
nurseries_prepare(struct monitor *m)
{
	struct generation *generation;
	size_t i;

	m->newest = &m->generations[0];
	for (i = 0; i < GENERATIONS_MAX; i++) {
		generation = &m->generations[i];
		generation->lost_fd = -1;
		/* A connection has at most so many messages under way. */
		chan_init(&generation->nursery, m->settings->limit * 4 + 64);
		ev_io_init(&generation->nursery_io, on_nursery, -1, EV_READ);
		generation->nursery_io.data = generation;
		if (signing_prepare(m, generation) == -1)
			return -1;
	}
	return 0;
}
