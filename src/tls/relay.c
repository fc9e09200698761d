/*
 * relay: TLS on one side, two pipes on the other, and nothing in between.
 *
 * Runs in a session after its handshake, in a jail; it trusts neither the
 * client nor the program.  Two flows that know nothing of each other: what
 * the client sends goes to program_in, what program_out gives goes to the
 * client.  Each is moved until something would block; then poll(2) waits
 * for exactly the things that block.  A descriptor whose readiness nobody
 * wants is not polled, or polled for errors alone, so that no state spins.
 */
#include "tls/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "net/sock.h"

/* A pipe's worth: fewer, larger transfers and wake-ups. */
#define PIECE (64 * 1024)

/* How many pieces one flow may move before the other gets its turn. */
#define TURN 4

/* Places in the set that is polled. */
enum { CLIENT, PROGRAM_IN, PROGRAM_OUT, CANCEL, PLACES };

/* Client to program. */
struct input {
	bool is_ready;	   /* reading from TLS may give something */
	bool wants_output; /* it can go on when the socket takes output */
	bool is_ended;	   /* close_notify or end of file */
	bool is_told;	   /* and the program knows */
	bool never_waits;  /* the pipe has been set so */
	size_t given;	   /* bytes that it has taken; enough to know if few */
	size_t start, len; /* what the pipe has not taken yet */
	size_t used;	   /* of bytes, since they are there */
	unsigned char *bytes; /* PIECE, or NULL */
};

/* Program to client. */
struct output {
	bool is_ready;		   /* the pipe has something, or its end */
	bool is_last;		   /* what it has is all: no writer is left */
	bool is_blocked;	   /* the socket is full */
	bool wants_input;	   /* TLS must read before it writes */
	bool is_unsent;		   /* bytes may wait in TLS's buffer */
	bool is_closed;		   /* close_notify and FIN are out */
	const unsigned char *next; /* what TLS has not taken yet */
	size_t len;
	size_t used;	      /* of bytes, since they are there */
	unsigned char *bytes; /* PIECE, or NULL */
};

struct pump {
	struct relay *relay;
	struct relay_result *result;
	bool is_over;
	bool has_failed;  /* it is over when the program has its input */
	bool is_watched;  /* the client's socket, while we want nothing */
	bool has_rested;  /* since something happened */
	int64_t deadline; /* of idleness */
	uint64_t moved;	  /* tlsconn_moved when it was computed */
	struct input in;
	struct output out;
};

/*
 * Ends
 */

static void
note(struct pump *pump, enum relay_end how, int error, const char *reason)
{
	pump->result->end = how;
	pump->result->error = error;
	text_printable(pump->result->reason, reason, strlen(reason));
}

static void
end(struct pump *pump, enum relay_end how, int error, const char *reason)
{
	if (pump->is_over)
		return;
	pump->is_over = true;
	note(pump, how, error, reason);
}

/* Nothing more can be sent.  The first failure is the one that counts. */
static void
fail(struct pump *pump, enum relay_end how, int error, const char *reason)
{
	struct output *out = &pump->out;

	if (!pump->relay->keeps_input) {
		end(pump, how, error, reason);
		return;
	}
	if (pump->is_over || pump->has_failed)
		return;
	pump->has_failed = true;
	note(pump, how, error, reason);
	fd_close(pump->relay->program_out);
	out->len = 0;
	out->is_unsent = out->is_blocked = out->wants_input = false;
}

/* The connection has failed: as a reset, or as TLS. */
static void
fail_tls(struct pump *pump, enum tlsconn_status status)
{
	const struct tlsconn *conn = pump->relay->conn;

	fail(pump, status == TLSCONN_RESET ? RELAY_RESET : RELAY_TLS,
	    tlsconn_errno(conn), tlsconn_reason(conn));
}

static void
fail_errno(struct pump *pump, int error)
{
	fail(pump, RELAY_RESET, error, strerror(error));
}

/*
 * Memory
 */

/* Is there room for a piece? */
static bool
has_room(struct pump *pump, unsigned char **bytes)
{
	if (*bytes == NULL)
		*bytes = malloc(PIECE);
	if (*bytes == NULL)
		end(pump, RELAY_RESET, ENOMEM, "out of memory");
	return *bytes != NULL;
}

/* Nothing has happened for a while: keep only what is needed. */
static void
rest(struct pump *pump)
{
	pump->has_rested = true;
	if (pump->in.len == 0)
		buf_forget(&pump->in.bytes, &pump->in.used);
	if (pump->out.len == 0)
		buf_forget(&pump->out.bytes, &pump->out.used);
	tlsconn_rest(pump->relay->conn);
	pump->relay->rest(pump->relay->arg);
}

/*
 * Input
 */

/* The other end of the pipe is closed, so nobody can see this one closed. */
static void
drop(const struct pump *pump, int *fd)
{
	if (pump->relay->leaves_ends)
		*fd = -1;
	else
		fd_close(fd);
}

/* Nobody reads the pipe any more: what comes is thrown away. */
static void
stop_input(struct pump *pump)
{
	drop(pump, pump->relay->program_in);
	pump->in.len = 0;
}

/* Take decrypted bytes until there is a piece or nothing more. */
static void
fill_input(struct pump *pump)
{
	struct input *in = &pump->in;
	size_t n;

	if (!has_room(pump, &in->bytes))
		return;
	in->start = 0;
	while (in->is_ready && in->len < PIECE) {
		enum tlsconn_status status = tlsconn_read(pump->relay->conn,
		    in->bytes + in->len, PIECE - in->len, &n);

		in->len += n;
		if (in->len > in->used)
			in->used = in->len;
		in->is_ready = status == TLSCONN_OK;
		switch (status) {
		case TLSCONN_OK:
		case TLSCONN_WANT_READ:
			break;
		case TLSCONN_WANT_WRITE:
			in->wants_output = true;
			pump->out.is_blocked = true;
			break;
		case TLSCONN_TRUNCATED:
			pump->result->was_truncated = true;
			in->is_ended = true;
			break;
		case TLSCONN_CLOSED:
			in->is_ended = true;
			break;
		default:
			fail_tls(pump, status);
			in->is_ended = true;
		}
	}
}

/*
 * Before a write: it must not wait.  POLLOUT promises no more than PIPE_BUF
 * bytes, a new pipe so many in all; the rest needs the pipe's mode, which is
 * ours to set, as we alone write to it.  0 or -1.
 */
static int
forbid_waiting(const struct pump *pump, struct input *in)
{
	if (in->never_waits ||
	    (pump->relay->is_new_pipe && in->given + in->len <= PIPE_BUF))
		return 0;
	in->never_waits = true;
	return fcntl(*pump->relay->program_in, F_SETFL, O_WRONLY | O_NONBLOCK);
}

/* Give the program what there is; false: its pipe is full. */
static bool
drain_input(struct pump *pump)
{
	struct input *in = &pump->in;

	if (*pump->relay->program_in == -1)
		in->len = 0;
	if (in->len > 0 && forbid_waiting(pump, in) == -1) {
		end(pump, RELAY_RESET, errno, strerror(errno));
		return false;
	}
	while (in->len > 0) {
		ssize_t n = write(
		    *pump->relay->program_in, in->bytes + in->start, in->len);

		if (n >= 0) {
			in->start += (size_t)n;
			in->len -= (size_t)n;
			in->given += (size_t)n;
		} else if (errno == EAGAIN) {
			return false;
		} else if (errno != EINTR) {
			stop_input(pump); /* EPIPE: it closed its 0 */
		}
	}
	return true;
}

/* The client's end has come, and the program has had everything before. */
static void
tell_end(struct pump *pump)
{
	const struct relay *relay = pump->relay;

	pump->in.is_told = true;
	if (relay->input_ended != NULL &&
	    relay->input_ended(relay->arg, pump->result->was_truncated) == -1)
		end(pump, RELAY_CANCELLED, 0, "cancelled");
	else
		fd_close(relay->program_in);
}

static void
move_input(struct pump *pump)
{
	struct input *in = &pump->in;
	int turn;

	for (turn = 0; turn < TURN && !pump->is_over; turn++) {
		if (in->len == 0 && !in->is_ended)
			fill_input(pump);
		if (!drain_input(pump))
			return;
		if (in->is_ended || !in->is_ready)
			break;
	}
	if (in->is_ended && in->len == 0 && !in->is_told && !pump->is_over)
		tell_end(pump);
}

/*
 * Output
 */

/*
 * Read once: poll(2) has promised that this does not block, whatever the
 * pipe's mode, and a second read has no such promise.  When the last writer
 * has gone, a read that does not fill its buffer has had all there is; that
 * poll(2) saw nothing to read is no proof, as it looks at one after the
 * other.
 */
static void
fill_output(struct pump *pump)
{
	struct output *out = &pump->out;
	ssize_t n;

	if (!has_room(pump, &out->bytes))
		return;
	n = read(*pump->relay->program_out, out->bytes, PIECE);
	out->is_ready = false;
	if (n > 0) {
		out->next = out->bytes;
		out->len = (size_t)n;
		if (out->len > out->used)
			out->used = out->len;
	}
	if (n == 0 || (n > 0 && n < PIECE && out->is_last) ||
	    (n == -1 && errno != EAGAIN && errno != EINTR))
		drop(pump, pump->relay->program_out);
}

/*
 * Let TLS have what there is and send it, as far as both go.  With the last
 * of it close_notify is sent.
 */
static void
drain_output(struct pump *pump)
{
	struct output *out = &pump->out;
	enum tlsconn_status status = TLSCONN_OK;
	size_t n;

	while (out->len > 0 && status == TLSCONN_OK) {
		out->is_unsent = true;
		status =
		    tlsconn_write(pump->relay->conn, out->next, out->len, &n);
		out->next += n;
		out->len -= n;
	}
	if (status == TLSCONN_WANT_READ) {
		out->wants_input = true;
		status = TLSCONN_OK;
	}
	if (status == TLSCONN_OK && out->is_unsent &&
	    (*pump->relay->program_out != -1 || out->len > 0))
		status = tlsconn_flush(pump->relay->conn);
	if (status == TLSCONN_OK)
		out->is_unsent = out->len > 0;
	else if (status == TLSCONN_WANT_WRITE)
		out->is_blocked = true;
	else
		fail_tls(pump, status);
}

/* All is sent and nothing will follow: say so.  Input goes on. */
static void
close_output(struct pump *pump)
{
	enum tlsconn_status status =
	    tlsconn_close_notify(pump->relay->conn, true);

	if (status == TLSCONN_WANT_WRITE) {
		pump->out.is_unsent = true;
		pump->out.is_blocked = true;
	} else if (status != TLSCONN_OK) {
		fail_tls(pump, status);
	} else {
		shutdown(pump->relay->client_fd, SHUT_WR);
		pump->out.is_closed = true;
	}
}

static bool
can_move_output(const struct pump *pump)
{
	const struct output *out = &pump->out;

	return !pump->is_over && !pump->has_failed && !out->is_closed &&
	    !out->is_blocked && !out->wants_input;
}

static void
move_output(struct pump *pump)
{
	struct output *out = &pump->out;

	if (!can_move_output(pump))
		return;
	if (out->is_ready && out->len == 0)
		fill_output(pump);
	if (out->len > 0 || out->is_unsent)
		drain_output(pump);
	if (*pump->relay->program_out == -1 && out->len == 0 &&
	    !out->is_unsent && can_move_output(pump))
		close_output(pump);
}

/*
 * Waiting
 */

static short
client_events(const struct pump *pump)
{
	const struct input *in = &pump->in;
	const struct output *out = &pump->out;
	short events = 0;

	if (out->wants_input ||
	    (!in->is_ended && !in->wants_output && in->len == 0))
		events |= POLLIN;
	if (out->is_blocked)
		events |= POLLOUT;
	return events;
}

static void
choose(const struct pump *pump, struct pollfd set[PLACES])
{
	const struct relay *relay = pump->relay;
	const struct output *out = &pump->out;
	int i;

	for (i = 0; i < PLACES; i++)
		set[i] = (struct pollfd){ .fd = -1 };
	set[CLIENT].events = client_events(pump);
	/* Without events it still tells of a reset. */
	if (set[CLIENT].events != 0 || pump->is_watched)
		set[CLIENT].fd = relay->client_fd;
	/* Without events it still tells that its last reader has gone. */
	set[PROGRAM_IN].fd = *relay->program_in;
	set[PROGRAM_IN].events = pump->in.len > 0 ? POLLOUT : 0;
	if (out->len == 0 && !out->is_unsent && !out->is_ready) {
		set[PROGRAM_OUT].fd = *relay->program_out;
		set[PROGRAM_OUT].events = POLLIN;
	}
	set[CANCEL].fd = relay->cancel_fd;
	set[CANCEL].events = POLLIN;
}

/* Something is wrong with a socket from which we want nothing now. */
static void
check_client(struct pump *pump, short revents)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(pump->relay->client_fd, SOL_SOCKET, SO_ERROR, &error,
		&len) == -1)
		error = errno;
	if (error != 0 || (revents & (POLLERR | POLLNVAL)))
		fail_errno(pump, error != 0 ? error : ECONNRESET);
	/* A mere POLLHUP stays for ever: the next transfer will tell. */
	pump->is_watched = false;
}

static void
heed(struct pump *pump, const struct pollfd set[PLACES])
{
	short client = set[CLIENT].revents;
	short broken = client & (POLLERR | POLLHUP | POLLNVAL);

	if (set[CANCEL].revents != 0)
		end(pump, RELAY_CANCELLED, 0, "cancelled");
	if (broken && set[CLIENT].events == 0)
		check_client(pump, broken);
	if (client & POLLIN || broken) {
		pump->in.is_ready = !pump->in.is_ended;
		pump->out.wants_input = false;
	}
	if (client & POLLOUT || broken) {
		pump->out.is_blocked = false;
		pump->in.is_ready |= pump->in.wants_output;
		pump->in.wants_output = false;
	}
	if (set[PROGRAM_IN].revents & (POLLERR | POLLHUP | POLLNVAL))
		stop_input(pump);
	if (set[PROGRAM_OUT].revents != 0)
		pump->out.is_ready = true;
	if (set[PROGRAM_OUT].revents & POLLHUP)
		pump->out.is_last = true;
}

/* The time poll may take; 0 and an end if idleness has lasted. */
static int
idle_timeout(struct pump *pump)
{
	uint64_t moved;
	int64_t now;

	if (pump->relay->idle_ms <= 0)
		return -1;
	now = clock_now();
	moved = tlsconn_moved(pump->relay->conn);
	if (moved != pump->moved) {
		pump->moved = moved;
		pump->deadline = clock_after(now, pump->relay->idle_ms);
	}
	if (now >= pump->deadline)
		end(pump, RELAY_IDLE, 0, "idle timeout");
	return clock_poll_timeout(now, pump->deadline);
}

/* Could the input flow go on without waiting? */
static bool
has_work(const struct pump *pump)
{
	return pump->in.is_ready && !pump->in.is_ended && pump->in.len == 0;
}

/* Would a rest come before the end of idleness, and be the first? */
static bool
can_rest(const struct pump *pump, int timeout)
{
	return pump->relay->rest != NULL && !pump->has_rested &&
	    (timeout == -1 || timeout > RELAY_REST_MS);
}

static void
wait_for_work(struct pump *pump)
{
	struct pollfd set[PLACES];
	int timeout = idle_timeout(pump);
	bool may_rest = can_rest(pump, timeout);
	int ready;

	if (pump->is_over)
		return;
	choose(pump, set);
	if (has_work(pump))
		timeout = 0;
	else if (may_rest)
		timeout = RELAY_REST_MS;
	ready = poll(set, PLACES, timeout);
	if (ready > 0)
		heed(pump, set);
	if (ready != 0)
		pump->has_rested = false;
	else if (timeout != 0 && may_rest)
		rest(pump);
}

static void
run(struct pump *pump)
{
	const struct relay *relay = pump->relay;

	pump->in.is_ready = true;
	pump->is_watched = true;
	/* What the handshake may have left. */
	pump->out.is_unsent = true;
	pump->out.next = (const unsigned char *)relay->greeting;
	pump->out.len = relay->greeting == NULL ? 0 : relay->greeting_len;
	/* Differs from the real number, so that the clock starts now. */
	pump->moved = UINT64_MAX;
	while (!pump->is_over) {
		move_input(pump);
		move_output(pump);
		/* What has failed stays so, though our end was told before. */
		if (pump->has_failed && *relay->program_in == -1)
			pump->is_over = true;
		/* The client has our end; the program has its, or is gone. */
		if (pump->out.is_closed && *relay->program_in == -1)
			end(pump, RELAY_CLEAN, 0, "");
		if (!pump->is_over)
			wait_for_work(pump);
	}
	/* After its close_notify nothing worth waiting for comes. */
	if (pump->result->end == RELAY_CLEAN)
		sock_linger(relay->client_fd, relay->cancel_fd, RELAY_LINGER_MS,
		    pump->in.is_ended);
}

void
relay_run(struct relay *relay, struct relay_result *result)
{
	struct pump pump = { .relay = relay, .result = result };

	memset(result, 0, sizeof(*result));
	run(&pump);
	buf_forget(&pump.in.bytes, &pump.in.used);
	buf_forget(&pump.out.bytes, &pump.out.used);
}
