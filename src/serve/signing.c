/*
 * The way to the keepers.  Runs in the monitor.
 *
 * How often and when a session may ask is conn_next's; whether the text is
 * a handshake is the keeper's.  Here nothing is read but the outcome.
 */
#include "serve/signing.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "serve/life.h"
#include "serve/monitor_state.h"

static struct keeper *
least_loaded(const struct monitor *m, const struct generation *generation)
{
	struct keeper *best = NULL, *keeper;
	size_t i;

	if (generation == NULL)
		return NULL;
	for (i = 0; i < m->settings->keepers; i++) {
		keeper = &generation->keepers[i];
		if (keeper->chan.fd != -1 &&
		    (best == NULL || keeper->load < best->load))
			best = keeper;
	}
	return best;
}

/*
 * The session names a key of its profile, but which profile that is we say:
 * what it asks for is no key of another one.
 */
static int
ask_keeper(struct monitor *m, struct connection *conn,
    const unsigned char *request, size_t len)
{
	unsigned char body[sizeof(uint64_t) + MSG_SIGN_MAX];
	struct keeper *keeper = least_loaded(m, conn->generation);
	struct msg_writer w;
	int r;

	if (keeper == NULL)
		return -1;
	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, conn->profile);
	memcpy(body + w.len, request, len);
	r = chan_send_bytes(
	    &keeper->chan, MSG_SIGN, conn->id, body, w.len + len);
	monitor_watch(m, &keeper->chan, &keeper->io);
	if (r == -1)
		return -1;
	conn->keeper = keeper;
	keeper->load++;
	return 0;
}

static void
tell_failure(const struct connection *conn)
{
	const uint64_t body[2] = { MSG_SIGN_FAILED, 0 };

	if (conn->control_fd != -1)
		msg_send_bytes(conn->control_fd, MSG_SIGNATURE, conn->id, body,
		    sizeof(body), true);
}

/* To a keeper, unread; or wait until there is one again. */
void
signing_request(
    struct monitor *m, struct connection *conn, const struct msg *msg)
{
	if (msg->len > MSG_SIGN_MAX) {
		life_fail(m, conn, "protocol violation");
		return;
	}
	if (ask_keeper(m, conn, msg->body, msg->len) == 0)
		return;
	if (conn->generation != m->newest) {
		tell_failure(conn);
		return;
	}
	conn->unsigned_request = malloc(msg->len + 1);
	if (conn->unsigned_request == NULL) {
		life_fail(m, conn, "out of memory");
		return;
	}
	memcpy(conn->unsigned_request, msg->body, msg->len);
	conn->unsigned_len = msg->len;
}

static void
forget_request(struct connection *conn)
{
	free(conn->unsigned_request);
	conn->unsigned_request = NULL;
}

static void
ask_again(struct monitor *m, struct connection *conn)
{
	if (conn->unsigned_request != NULL &&
	    ask_keeper(m, conn, conn->unsigned_request, conn->unsigned_len) ==
		0)
		forget_request(conn);
}

void
signing_is_old(struct monitor *m, struct generation *generation)
{
	struct connection *conn;

	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn)) {
		if (conn->generation != generation ||
		    conn->unsigned_request == NULL)
			continue;
		forget_request(conn);
		tell_failure(conn);
	}
}

/* The keeper's answer.  A refusal is the session's end, in any state. */
static void
forward_signature(
    struct monitor *m, const struct keeper *keeper, const struct msg *msg)
{
	struct connection *conn = table_find(&m->table, msg->conn);
	uint64_t outcome = 0;

	if (conn == NULL || conn->keeper != keeper)
		return;
	conn->keeper = NULL;
	if (msg->len >= sizeof(outcome))
		memcpy(&outcome, msg->body, sizeof(outcome));
	/* Whatever it has become since: such a session is not to be trusted. */
	if (outcome == MSG_SIGN_REFUSED) {
		life_fail(
		    m, conn, "protocol violation: not a handshake to sign");
		return;
	}
	if (conn->state != CONN_HANDSHAKE)
		return;
	/* It can only be used, and told of in facts, when it was given. */
	if (outcome == MSG_SIGNED)
		(void)conn_next(
		    &conn->state, &conn->seen, conn->is_delayed, CONN_SIGNED);
	if (msg_send(conn->control_fd, msg, true) == -1)
		life_fail(m, conn, "protocol violation");
}

static void
keeper_is_gone(struct monitor *m, struct keeper *keeper)
{
	struct connection *conn;

	ev_io_stop(m->loop, &keeper->io);
	chan_close(&keeper->chan);
	keeper->load = 0;
	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn)) {
		if (conn->keeper != keeper)
			continue;
		conn->keeper = NULL;
		tell_failure(conn);
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
	monitor_watch(m, &keeper->chan, io);
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

void
signing_take_keeper(
    struct monitor *m, struct generation *generation, uint64_t number, int fd)
{
	struct connection *conn;
	struct keeper *keeper;

	if (number >= m->settings->keepers) {
		fd_close(&fd);
		return;
	}
	keeper = &generation->keepers[number];
	if (keeper->chan.fd != -1)
		keeper_is_gone(m, keeper);
	chan_open(&keeper->chan, fd);
	monitor_watch(m, &keeper->chan, &keeper->io);
	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn))
		if (conn->generation == generation)
			ask_again(m, conn);
}

void
signing_forget(struct monitor *m, struct generation *generation)
{
	size_t i;

	for (i = 0; i < m->settings->keepers; i++)
		if (generation->keepers[i].chan.fd != -1)
			keeper_is_gone(m, &generation->keepers[i]);
}

int
signing_prepare(struct monitor *m, struct generation *generation)
{
	struct keeper *keeper;
	size_t i;

	generation->keepers =
	    calloc(m->settings->keepers, sizeof(*generation->keepers));
	if (generation->keepers == NULL)
		return -1;
	for (i = 0; i < m->settings->keepers; i++) {
		keeper = &generation->keepers[i];
		chan_init(&keeper->chan, m->settings->limit + 64);
		ev_io_init(&keeper->io, on_keeper, -1, EV_READ);
		keeper->io.data = keeper;
	}
	return 0;
}
