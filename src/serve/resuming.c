/*
 * The way to the cache.  Runs in the monitor.
 *
 * How often and when a session may ask or tell is conn_next's; what it says
 * is the cache's to read.  Whose sessions it may get is decided here, by
 * the binding.  It could ask for a number that its client never sent, and
 * nobody can tell; that is why there is one question, and why an entry is
 * not given out under another policy than its own.
 */
#include "serve/resuming.h"

#include <errno.h>
#include <ev.h>
#include <string.h>

#include "base/fd.h"
#include "serve/cache.h"
#include "serve/life.h"
#include "serve/monitor_state.h"

#define PATIENCE_SECONDS 3.0 /* for an answer; then it is a miss */
#define SILENCE_SECONDS 5.0  /* and then the cache is replaced */
#define QUEUE_MAX 256	     /* messages to it that its socket did not take */

#define BODY_MAX (8 + CACHE_BINDING_SIZE + CACHE_STORE_MAX)
_Static_assert(BODY_MAX <= MSG_PIECE_MAX, "STORE is a message of one piece");

/* The start values of the server do not change while a cache lives. */
static void
make_binding(
    const struct connection *conn, unsigned char binding[CACHE_BINDING_SIZE])
{
	unsigned char *policy = binding + CACHE_PROFILE_SIZE;
	const struct certpolicy *cert = &conn->cert;

	memcpy(binding,
	    conn->generation->digests + conn->profile * CACHE_PROFILE_SIZE,
	    CACHE_PROFILE_SIZE);
	policy[0] = (unsigned char)cert->mode;
	policy[1] = (unsigned char)cert->depth;
	policy[2] = cert->matches_name;
	policy[3] = cert->strict_names;
}

static int
forward(struct monitor *m, const struct connection *conn, const struct msg *msg)
{
	static unsigned char body[BODY_MAX];
	unsigned char binding[CACHE_BINDING_SIZE];
	struct msg_writer w;
	int r;

	if (m->cache.fd == -1 || m->cache_is_late || conn->generation == NULL ||
	    conn->profile >= conn->generation->digest_count)
		return -1;
	make_binding(conn, binding);
	msg_write_to(&w, body, sizeof(body));
	msg_put_bytes(&w, binding, sizeof(binding));
	memcpy(body + w.len, msg->body, msg->len);
	r = chan_send_bytes(
	    &m->cache, msg->type, conn->id, body, w.len + msg->len);
	explicit_bzero(body, w.len + msg->len);
	monitor_watch(m, &m->cache, &m->cache_io);
	return r;
}

/* Nothing (length 0) is a miss. */
static void
answer(struct monitor *m, struct connection *conn, const unsigned char *entry,
    size_t len)
{
	bool is_hit = len > 0 && !conn->wants_tickets;

	conn->is_fetching = conn->wants_tickets = false;
	ev_timer_stop(m->loop, &conn->patience);
	if (conn->state != CONN_HANDSHAKE)
		return;
	if (is_hit &&
	    conn_next(&conn->state, &conn->seen, conn->is_delayed, CONN_HIT) !=
		CONN_PERMITTED)
		return;
	if (msg_send_bytes(conn->control_fd, MSG_FETCHED, conn->id, entry, len,
		true) == -1)
		life_fail(m, conn, "protocol violation");
}

/* A session waits for one answer at a time. */
static void
ask(struct monitor *m, struct connection *conn, const struct msg *msg,
    size_t max)
{
	if (msg->len > max || conn->is_fetching) {
		life_fail(m, conn, "protocol violation");
		return;
	}
	conn->wants_tickets = msg->type == MSG_TICKETS;
	if (forward(m, conn, msg) == -1) {
		answer(m, conn, NULL, 0);
		return;
	}
	m->cache_waits++;
	conn->is_fetching = true;
	ev_timer_set(&conn->patience, PATIENCE_SECONDS, 0);
	ev_timer_start(m->loop, &conn->patience);
}

void
resuming_fetch(
    struct monitor *m, struct connection *conn, const struct msg *msg)
{
	ask(m, conn, msg, CACHE_FETCH_MAX);
}

void
resuming_tickets(
    struct monitor *m, struct connection *conn, const struct msg *msg)
{
	ask(m, conn, msg, 0);
}

void
resuming_store(
    struct monitor *m, struct connection *conn, const struct msg *msg)
{
	/* What is not stored is a full handshake later. */
	if (msg->len > CACHE_STORE_MAX)
		life_fail(m, conn, "protocol violation");
	else
		(void)forward(m, conn, msg);
	msg_wipe(&m->room, msg);
}

/* Its questions are answered, and by whom does not matter. */
static void
cache_is_gone(struct monitor *m)
{
	struct connection *conn;

	ev_io_stop(m->loop, &m->cache_io);
	ev_timer_stop(m->loop, &m->cache_silence);
	chan_close(&m->cache);
	m->cache_waits = 0;
	m->cache_is_late = false;
	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn))
		if (conn->is_fetching)
			answer(m, conn, NULL, 0);
}

static void
replace_cache(struct monitor *m, enum msg_stuck_why why)
{
	monitor_tell_stuck(m, MSG_STUCK_CACHE, why, m->cache_pid);
	cache_is_gone(m);
}

/* Until it has answered all there is, nobody else shall wait for it. */
static void
on_patience_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct monitor *m = ev_userdata(loop);

	(void)revents;
	if (!m->cache_is_late) {
		m->cache_is_late = true;
		ev_timer_set(&m->cache_silence, SILENCE_SECONDS, 0);
		ev_timer_start(loop, &m->cache_silence);
	}
	answer(m, timer->data, NULL, 0);
}

static void
on_silence(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct monitor *m = timer->data;

	(void)loop;
	(void)revents;
	replace_cache(m, MSG_STUCK_SILENT);
}

/* -1: it talks nonsense. */
static int
take_answer(struct monitor *m, const struct msg *msg)
{
	struct connection *conn = table_find(&m->table, msg->conn);

	if (msg->type != MSG_FETCHED || msg->len > TLSRESUME_ENTRY_MAX ||
	    m->cache_waits == 0)
		return -1;
	if (--m->cache_waits == 0) {
		m->cache_is_late = false;
		ev_timer_stop(m->loop, &m->cache_silence);
	}
	if (conn != NULL && conn->is_fetching)
		answer(m, conn, msg->body, msg->len);
	msg_wipe(&m->room, msg);
	return 0;
}

static void
on_cache(struct ev_loop *loop, ev_io *io, int revents)
{
	struct monitor *m = ev_userdata(loop);
	struct msg msg;
	bool more;
	int r;

	if (revents & EV_WRITE)
		chan_flush(&m->cache);
	monitor_watch(m, &m->cache, io);
	if (!(revents & EV_READ))
		return;
	r = msg_receive(m->cache.fd, &m->room, &msg, 0, true, &more);
	if (r == 0)
		return;
	if (r == -1 && errno == 0)
		replace_cache(m, MSG_STUCK_CLOSED);
	else if (r == -1 || more || take_answer(m, &msg) == -1)
		replace_cache(m, MSG_STUCK_NONSENSE);
}

void
resuming_take_cache(struct monitor *m, uint64_t pid, int fd)
{
	if (m->cache.fd != -1)
		cache_is_gone(m);
	m->cache_pid = pid;
	chan_open(&m->cache, fd);
	monitor_watch(m, &m->cache, &m->cache_io);
}

void
resuming_take_digests(struct generation *generation, struct msg_reader *r)
{
	size_t len;
	const unsigned char *digests = msg_get_bytes(r, &len);

	generation->digest_count = 0;
	if (len == 0 || len > sizeof(generation->digests) ||
	    len % CACHE_PROFILE_SIZE != 0)
		return;
	memcpy(generation->digests, digests, len);
	generation->digest_count = len / CACHE_PROFILE_SIZE;
}

void
resuming_prepare(struct monitor *m)
{
	chan_init(&m->cache, QUEUE_MAX);
	ev_io_init(&m->cache_io, on_cache, -1, EV_READ);
	/* After a pause of our own: what has come, before what is too late. */
	ev_set_priority(&m->cache_io, 1);
	ev_timer_init(&m->cache_silence, on_silence, SILENCE_SECONDS, 0);
	m->cache_silence.data = m;
}

void
resuming_begin(struct connection *conn)
{
	ev_timer_init(&conn->patience, on_patience_over, PATIENCE_SECONDS, 0);
	conn->patience.data = conn;
}

void
resuming_end(struct monitor *m, struct connection *conn)
{
	conn->is_fetching = false;
	ev_timer_stop(m->loop, &conn->patience);
}
