/*
 * Delayed TLS.  Runs in the monitor.
 *
 * Of the program's control socket one byte is read and, if it asked so, a
 * block is written; the program is as little trusted as it is waited for.
 * Between the byte and the end of the handshake the monitor holds a write
 * end of the program's input, so that a handshake that fails, in whatever
 * way, is seen by the program only after the client's socket is shut down:
 * it has no way back into plain text.
 */
#include "serve/delayed.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "net/sock.h"
#include "serve/attend.h"
#include "serve/facts.h"
#include "serve/life.h"
#include "serve/monitor_state.h"
#include "serve/nurseries.h"

/* The socket is new and empty: it takes a greeting whole. */
static void
greet(const struct monitor *m, const struct connection *conn)
{
	if (m->settings->greeting_len > 0)
		send(conn->client_fd, m->settings->greeting,
		    m->settings->greeting_len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
delayed_begin(struct monitor *m, struct connection *conn, int client_fd)
{
	conn->session_is_gone = true; /* there is none yet */
	conn->client_fd = client_fd;
	conn->program_client = fd_dup_above(client_fd, 3);
	if (conn->program_client == -1)
		life_fail(m, conn, strerror(errno));
	else {
		greet(m, conn);
		attend_execute(m, conn);
	}
	life_release_if_over(m, conn);
}

void
delayed_listen(struct monitor *m, struct connection *conn)
{
	ev_io_set(&conn->asks, conn->asks_fd, EV_READ);
	ev_io_start(m->loop, &conn->asks);
}

/* The session. */

static void
refuse(struct monitor *m, struct connection *conn, int error)
{
	char reason[96];

	text_format(reason, sizeof(reason), "unable to make a session: %s",
	    monitor_session_error(error));
	life_fail(m, conn, reason);
}

/*
 * What START carries: its control socket, and copies, as a nursery can die
 * with the message unread.
 */
static int
make_ends(const struct connection *conn, int fds[START_FDS], int *control_fd)
{
	int control[2], error;
	size_t i;

	if (fd_message_pair(control) == -1)
		return -1;
	*control_fd = control[0];
	fds[START_CONTROL] = control[1];
	fds[START_CLIENT] = fd_dup_above(conn->client_fd, 3);
	fds[START_PROGRAM_IN] = fd_dup_above(conn->session_in, 3);
	fds[START_PROGRAM_OUT] = fd_dup_above(conn->session_out, 3);
	if (fds[START_CLIENT] != -1 && fds[START_PROGRAM_IN] != -1 &&
	    fds[START_PROGRAM_OUT] != -1)
		return 0;
	error = errno;
	for (i = 0; i < START_FDS; i++)
		fd_close(&fds[i]);
	fd_close(control_fd);
	errno = error;
	return -1;
}

/* Without a nursery it waits for the next, as long as -T lasts. */
static void
ask_for_session(struct monitor *m, struct connection *conn)
{
	int fds[START_FDS], error;

	if (!nurseries_are_ready(m))
		return;
	if (make_ends(conn, fds, &conn->control_fd) == -1)
		refuse(m, conn, errno);
	else if (monitor_start_session(m, conn, fds) == -1) {
		error = errno;
		nurseries_end_session(m, conn);
		fd_close(&conn->control_fd);
		/* It is dead, and we shall hear of it. */
		if (error != EPIPE && error != ECONNRESET)
			refuse(m, conn, error);
	}
}

/*
 * Should there be a session nonetheless, of which the nursery could not
 * tell any more: it ends with its control socket.
 */
bool
delayed_waits_again(struct monitor *m, struct connection *conn)
{
	if (!conn->is_delayed || conn->state != CONN_HANDSHAKE ||
	    conn->session != 0)
		return false;
	fd_close(&conn->control_fd);
	nurseries_end_session(m, conn);
	return true;
}

static bool
waits_for_nursery(const struct connection *conn)
{
	return conn->is_delayed && conn->state == CONN_HANDSHAKE &&
	    conn->session_is_gone;
}

void
delayed_nursery_is_there(struct monitor *m)
{
	struct connection *conn;

	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn))
		if (waits_for_nursery(conn))
			ask_for_session(m, conn);
}

/* What the program asks for. */

static void
begin_handshake(struct monitor *m, struct connection *conn)
{
	ev_timer_set(&conn->deadline, (double)m->settings->handshake_s, 0);
	ev_timer_start(m->loop, &conn->deadline);
	ask_for_session(m, conn);
}

/*
 * Plain text to the end.  Its socket is the program's alone now, so that
 * the client sees the program close it.
 */
static void
decline(struct monitor *m, struct connection *conn)
{
	fd_close(&conn->client_fd);
	fd_close(&conn->asks_fd);
	fd_close(&conn->session_in);
	fd_close(&conn->session_out);
	life_close_input(m, conn);
}

static void
hear_program(struct monitor *m, struct connection *conn)
{
	enum conn_event event = CONN_UNASKED;
	char byte = 0;
	ssize_t n;

	n = recv(conn->asks_fd, &byte, 1, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 1)
		event = byte == 'y' || byte == 'Y' ? CONN_ASKED : CONN_MISASKED;
	ev_io_stop(m->loop, &conn->asks);
	if (conn_next(&conn->state, &conn->seen, true, event) != CONN_PERMITTED)
		return;
	if (event == CONN_ASKED) {
		conn->wants_facts = byte == 'Y';
		begin_handshake(m, conn);
	} else if (event == CONN_UNASKED)
		decline(m, conn);
	else {
		conn->state = CONN_PLAIN; /* there it failed */
		life_fail(m, conn, "program asked for neither y nor Y");
	}
}

/* The answer. */

static bool
is_answering(const struct connection *conn)
{
	return conn->answer.len > 0;
}

static void
end_answer(struct monitor *m, struct connection *conn)
{
	ev_io_stop(m->loop, &conn->asks);
	fd_close(&conn->asks_fd);
	buf_free(&conn->answer);
}

/* As much as the program takes; the rest when it has read that. */
static void
write_answer(struct monitor *m, struct connection *conn)
{
	struct buf *answer = &conn->answer;
	ssize_t n = 0;

	while (answer->len > 0 && n != -1) {
		n = send(conn->asks_fd, answer->data, answer->len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			buf_consume(answer, (size_t)n);
	}
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		if (!ev_is_active(&conn->asks)) {
			ev_io_set(&conn->asks, conn->asks_fd, EV_WRITE);
			ev_io_start(m->loop, &conn->asks);
		}
		return;
	}
	end_answer(m, conn); /* whole; or nobody reads it */
}

/* To `y' the end of the socket is answer enough. */
static int
make_answer(struct connection *conn)
{
	int r = 0;

	buf_init(&conn->answer, FACTS_TEXTS_MAX + 1);
	if (conn->wants_facts)
		r = facts_put_block(
		    conn->facts, conn->facts_len, &conn->answer);
	table_drop_facts(conn);
	return r;
}

void
delayed_run(struct monitor *m, struct connection *conn)
{
	if (make_answer(conn) == -1) {
		conn->state = CONN_HANDSHAKE; /* there it failed */
		life_fail(m, conn, strerror(errno));
		return;
	}
	fd_close(&conn->session_in);
	/* With --strict-close it is still master's to close. */
	if (!m->settings->strict_close)
		life_close_input(m, conn);
	attend_tell_tls(m, conn);
	life_tell_session(conn, MSG_RUN);
	write_answer(m, conn);
}

void
delayed_on_program(struct ev_loop *loop, ev_io *io, int revents)
{
	struct connection *conn = io->data;
	struct monitor *m = ev_userdata(loop);

	(void)revents;
	if (is_answering(conn))
		write_answer(m, conn);
	else
		hear_program(m, conn);
}

/* The end. */

void
delayed_end(struct monitor *m, struct connection *conn)
{
	if (!conn->is_delayed)
		return;
	if (conn->client_fd != -1)
		sock_cut(conn->client_fd);
	fd_close(&conn->client_fd);
	fd_close(&conn->session_in);
	fd_close(&conn->session_out);
	if (!is_answering(conn))
		end_answer(m, conn);
}

void
delayed_end_all(struct monitor *m)
{
	struct connection *conn;

	for (conn = table_next(&m->table, NULL); conn != NULL;
	     conn = table_next(&m->table, conn))
		delayed_end(m, conn);
}
