/*
 * Sessions between two clients.  Runs in the monitor.
 *
 * One that waits has nothing to say: whatever comes from it is its end, and
 * so is whatever makes us do without it.  It is killed at once, as there is
 * nobody who could lose by it, and its place is free when the nursery has
 * reaped it, or master has been told to kill it.
 */
#include "serve/pool.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "serve/life.h"
#include "serve/monitor_state.h"
#include "serve/nurseries.h"

struct pooled {
	struct pooled *next; /* idle, or unused */
	uint64_t name;	     /* the nursery's for it; 0: unused */
	struct generation *generation;
	pid_t pid;
	double since;	    /* as a connection's session_start */
	unsigned long uses; /* clients so far */
	int control_fd;	    /* -1: it is to be gone */
	ev_io control;
};

static void
release(struct monitor *m, struct pooled *one)
{
	one->name = 0;
	one->next = m->pool.unused;
	m->pool.unused = one;
	m->pool.count--;
}

/* It waits no more. */
static void
unlink_idle(struct monitor *m, struct pooled *one)
{
	struct pooled **link = &m->pool.idle;

	while (*link != one)
		link = &(*link)->next;
	*link = one->next;
	ev_io_stop(m->loop, &one->control);
}

static void
dismiss(struct monitor *m, struct pooled *one)
{
	uint64_t pid = (uint64_t)one->pid;
	const struct msg msg = { .type = MSG_KILL,
		.conn = one->name,
		.body = (unsigned char *)&pid,
		.len = sizeof(pid) };

	unlink_idle(m, one);
	fd_close(&one->control_fd);
	nurseries_send_to(m, one->generation, &msg);
}

static void
on_idle(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)revents;
	dismiss(ev_userdata(loop), io->data);
}

int
pool_prepare(struct monitor *m)
{
	struct pool *pool = &m->pool;
	size_t i;

	if (m->settings->uses <= 1)
		return 0;
	pool->size = m->settings->limit;
	pool->all = calloc(pool->size, sizeof(*pool->all));
	if (pool->all == NULL)
		return -1;
	for (i = pool->size; i-- > 0;) {
		pool->all[i].next = pool->unused;
		pool->unused = &pool->all[i];
		ev_io_init(&pool->all[i].control, on_idle, -1, EV_READ);
		pool->all[i].control.data = &pool->all[i];
	}
	return 0;
}

/* 0, or -1: it is gone, or there is no way to it. */
static int
send_start(const struct pooled *one, const struct connection *conn,
    const struct start *start, const int fds[START_FDS])
{
	unsigned char body[START_SIZE];
	struct msg msg = { .type = MSG_START,
		.conn = conn->id,
		.body = body,
		.fd_count = START_NEXT_FDS };
	struct msg_writer w;

	memcpy(msg.fds, fds + 1, START_NEXT_FDS * sizeof(fds[0]));
	msg_write_to(&w, body, sizeof(body));
	start_put(start, &w); /* host is a DNS name: it fits */
	msg_written(&w, &msg.len);
	return msg_send(one->control_fd, &msg, true);
}

/* From the pool to the connection. */
static void
give(struct monitor *m, struct pooled *one, struct connection *conn)
{
	unlink_idle(m, one);
	conn->session = one->pid;
	conn->session_start = one->since;
	conn->session_name = one->name;
	conn->session_uses = one->uses + 1;
	conn->session_is_gone = false;
	conn->generation = one->generation;
	conn->control_fd = one->control_fd;
	one->control_fd = -1;
	release(m, one);
	events_pid(&m->events, conn->session, &conn->remote.ip);
	ev_io_set(&conn->control, conn->control_fd, EV_READ);
	ev_io_start(m->loop, &conn->control);
}

bool
pool_start_session(struct monitor *m, struct connection *conn,
    struct start *start, const int fds[START_FDS])
{
	struct pooled *one;

	while ((one = m->pool.idle) != NULL) {
		start->stays = one->uses + 1 < m->settings->uses;
		if (send_start(one, conn, start, fds) == 0) {
			give(m, one, conn);
			return true;
		}
		dismiss(m, one);
	}
	return false;
}

/*
 * Whom we have told to end, or whose nursery is not the newest, ends; so
 * does one that has a question open, which no session has that waits.
 */
static bool
may_stay(const struct monitor *m, const struct connection *conn)
{
	return conn->session_uses < m->settings->uses && !m->is_stopping &&
	    !conn->is_dismissed && !conn->is_cut && !conn->is_orphan &&
	    conn->generation == m->newest && nurseries_are_ready(m) &&
	    conn->keeper == NULL && conn->unsigned_request == NULL &&
	    !conn->is_fetching;
}

bool
pool_take(struct monitor *m, struct connection *conn)
{
	struct pooled *one = m->pool.unused;

	if (one == NULL || !may_stay(m, conn))
		return false;
	ev_io_stop(m->loop, &conn->control);
	m->pool.unused = one->next;
	m->pool.count++;
	one->name = conn->session_name;
	one->generation = conn->generation;
	one->pid = conn->session;
	one->since = conn->session_start;
	one->uses = conn->session_uses;
	one->control_fd = conn->control_fd;
	one->next = m->pool.idle;
	m->pool.idle = one;
	conn->control_fd = -1;
	conn->generation = NULL;
	conn->session_name = 0;
	conn->session_is_gone = true;
	ev_io_set(&one->control, one->control_fd, EV_READ);
	ev_io_start(m->loop, &one->control);
	return true;
}

void
pool_dismiss(struct monitor *m, const struct generation *generation)
{
	struct pooled *one, *next;

	for (one = m->pool.idle; one != NULL; one = next) {
		next = one->next;
		if (generation == NULL || one->generation == generation)
			dismiss(m, one);
	}
}

bool
pool_reaped(
    struct monitor *m, const struct generation *generation, uint64_t name)
{
	struct pooled *one;
	size_t i;

	if (name == 0 || m->pool.count == 0)
		return false;
	for (i = 0; i < m->pool.size; i++) {
		one = &m->pool.all[i];
		if (one->name != name || one->generation != generation)
			continue;
		if (one->control_fd != -1) {
			unlink_idle(m, one);
			fd_close(&one->control_fd);
		}
		release(m, one);
		nurseries_drop_session(m, one->generation);
		life_tell_idle(m);
		return true;
	}
	return false;
}

void
pool_orphan(struct monitor *m, const struct generation *generation)
{
	struct pooled *one;
	size_t i;

	pool_dismiss(m, generation);
	for (i = 0; i < m->pool.size; i++) {
		one = &m->pool.all[i];
		if (one->name == 0 || one->generation != generation)
			continue;
		life_kill_orphan(m, one->pid, one->since);
		release(m, one);
		nurseries_drop_session(m, one->generation);
	}
	life_tell_idle(m);
}
