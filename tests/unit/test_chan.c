/*
 * test_chan: order, bodies and descriptors survive a full socket, the
 * queue's bound holds, and nothing leaks.
 */
#include "serve/chan.h"

#include "support.h"

#include <string.h>

#include "base/fd.h"

struct fixture {
	struct chan chan;
	int ends[2];
	int open_before;
};

static struct fixture f;

static int
open_chan(void **state)
{
	(void)state;
	f.open_before = open_descriptors();
	if (fd_message_pair(f.ends) == -1)
		return -1;
	chan_init(&f.chan, 10);
	chan_open(&f.chan, f.ends[0]);
	return 0;
}

/* Whatever is queued goes, and its descriptors with it. */
static int
close_chan(void **state)
{
	(void)state;
	chan_close(&f.chan);
	chan_close(&f.chan);
	fd_close(&f.ends[1]);
	return open_descriptors() != f.open_before;
}

/* Fill the socket until one message waits.  The number of messages sent. */
static uint64_t
fill(void)
{
	static const unsigned char body[1000];
	uint64_t sent = 0;

	while (!chan_is_waiting(&f.chan))
		assert_int_equal(chan_send_bytes(&f.chan, MSG_EXITED, sent++,
				     body, sizeof(body)),
		    0);
	return sent;
}

/* Send one with a descriptor, which is the channel's from then on. */
static int
send_fd(uint64_t conn, int fd)
{
	struct msg msg = {
		.type = MSG_EXEC, .conn = conn, .fds = { fd }, .fd_count = 1
	};

	errno = 0;
	return chan_send(&f.chan, &msg);
}

static void
receive(uint64_t conn, struct msg *msg, bool *more)
{
	static struct msg_room room;

	assert_int_equal(chan_flush(&f.chan), 0);
	assert_int_equal(msg_receive(f.ends[1], &room, msg, 1, true, more), 1);
	assert_true(msg->conn == conn);
}

static void
order_and_descriptors_survive(void **state)
{
	uint64_t sent = fill(), got;
	int pipes[4][2], i;
	struct msg msg;
	char text[7], byte;
	bool more;

	(void)state;
	/* With and without a descriptor in turn; the sender's body goes. */
	for (i = 0; i < 4; i++) {
		assert_int_equal(fd_pipe(pipes[i]), 0);
		assert_int_equal(
		    send_fd(sent + 2 * (unsigned)i, pipes[i][1]), 0);
		snprintf(text, sizeof(text), "body %d", i);
		assert_int_equal(
		    chan_send_bytes(&f.chan, MSG_EXITED,
			sent + 2 * (unsigned)i + 1, text, sizeof(text)),
		    0);
	}
	memset(text, 'x', sizeof(text));
	for (got = 0; got < sent; got++)
		receive(got, &msg, &more);
	for (i = 0; i < 4; i++) {
		receive(got++, &msg, &more);
		assert_true(msg.type == MSG_EXEC && msg.fd_count == 1);
		assert_true(fcntl(msg.fds[0], F_GETFD) & FD_CLOEXEC);
		/* It is the pipe's only writer. */
		assert_int_equal(write(msg.fds[0], &"abcd"[i], 1), 1);
		msg_close_fds(&msg);
		assert_int_equal(read(pipes[i][0], &byte, 1), 1);
		assert_int_equal(byte, 'a' + i);
		assert_int_equal(read(pipes[i][0], &byte, 1), 0);
		fd_close(&pipes[i][0]);
		receive(got++, &msg, &more);
		assert_int_equal(msg.fd_count, 0);
		snprintf(text, sizeof(text), "body %d", i);
		assert_int_equal(msg.len, sizeof(text));
		assert_memory_equal(msg.body, text, sizeof(text));
	}
	assert_false(chan_is_waiting(&f.chan));
}

static void
nothing_overtakes_the_queue(void **state)
{
	uint64_t sent = fill(), got;
	struct msg msg;
	bool more;

	(void)state;
	/* There is room again, but one still waits. */
	for (got = 0; got < sent / 2; got++) {
		static struct msg_room room;

		assert_int_equal(
		    msg_receive(f.ends[1], &room, &msg, 0, true, &more), 1);
	}
	assert_int_equal(chan_send_bytes(&f.chan, MSG_EXITED, sent, "x", 1), 0);
	for (; got <= sent; got++)
		receive(got, &msg, &more);
	assert_false(chan_is_waiting(&f.chan));
}

static void
the_bound_holds(void **state)
{
	unsigned i;

	(void)state;
	fill();
	for (i = 1; i < 10; i++)
		assert_int_equal(send_fd(i, dup(0)), 0);
	assert_int_equal(send_fd(i, dup(0)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(f.chan.queued, 10);
	/* Nothing fits, so nothing changes. */
	assert_int_equal(chan_flush(&f.chan), 0);
	assert_int_equal(f.chan.queued, 10);
	assert_int_equal(open_descriptors(), f.open_before + 2 + 9);
}

static void
a_new_socket_starts_over(void **state)
{
	struct msg msg;
	bool more;

	(void)state;
	fill();
	assert_int_equal(send_fd(1, dup(0)), 0);
	fd_close(&f.ends[1]);
	assert_int_equal(fd_message_pair(f.ends), 0);
	chan_open(&f.chan, f.ends[0]);
	assert_false(chan_is_waiting(&f.chan));
	assert_int_equal(open_descriptors(), f.open_before + 2);
	assert_int_equal(chan_send_bytes(&f.chan, MSG_EXITED, 77, NULL, 0), 0);
	receive(77, &msg, &more);
	assert_int_equal(msg.len, 0);
}

/* Much longer than a socket takes at once. */
#define LONG_LEN (20 * MSG_PIECE_MAX + 5)

/* What arrives at the other end, one whole message. */
static void
receive_whole(struct chan *other, struct msg *msg)
{
	static struct msg_room room;
	int r;

	while ((r = chan_receive(other, &room, msg, 1)) == 0)
		assert_int_equal(chan_flush(&f.chan), 0);
	assert_int_equal(r, 1);
}

static void
long_messages_keep_their_place(void **state)
{
	static unsigned char body[LONG_LEN];
	struct msg msg = { .type = MSG_EXEC,
		.conn = 2,
		.body = body,
		.len = sizeof(body),
		.fd_count = 1 };
	struct chan other;
	int ends[2];
	size_t i;
	char byte;

	(void)state;
	chan_init(&other, 10);
	chan_open(&other, f.ends[1]);
	f.ends[1] = -1;
	for (i = 0; i < sizeof(body); i++)
		body[i] = (unsigned char)(i * 31 >> 3);
	assert_int_equal(fd_pipe(ends), 0);
	msg.fds[0] = ends[1];
	assert_int_equal(chan_send_bytes(&f.chan, MSG_EXITED, 1, "x", 1), 0);
	assert_int_equal(chan_send(&f.chan, &msg), 0);
	assert_true(chan_is_waiting(&f.chan));
	assert_int_equal(chan_send_bytes(&f.chan, MSG_EXITED, 3, "y", 1), 0);
	receive_whole(&other, &msg);
	assert_true(msg.type == MSG_EXITED && msg.conn == 1);
	receive_whole(&other, &msg);
	assert_true(msg.type == MSG_EXEC && msg.conn == 2);
	assert_int_equal(msg.len, sizeof(body));
	assert_memory_equal(msg.body, body, sizeof(body));
	assert_int_equal(msg.fd_count, 1);
	msg_close_fds(&msg);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	fd_close(&ends[0]);
	receive_whole(&other, &msg);
	assert_true(msg.type == MSG_EXITED && msg.conn == 3);
	assert_false(chan_is_waiting(&f.chan));
	/* Its beginning has come when the channel closes. */
	msg = (struct msg){ .type = MSG_EXEC,
		.body = body,
		.len = sizeof(body),
		.fds = { dup(0) },
		.fd_count = 1 };
	assert_int_equal(chan_send(&f.chan, &msg), 0);
	{
		static struct msg_room room;

		assert_int_equal(chan_receive(&other, &room, &msg, 1), 0);
	}
	chan_close(&f.chan);
	chan_close(&other);
	assert_int_equal(open_descriptors(), f.open_before);
}

static void
refusals_close_descriptors(void **state)
{
	static const unsigned char body[MSG_BODY_MAX + 1];
	struct msg large = { .type = MSG_EXEC,
		.body = body,
		.len = sizeof(body),
		.fd_count = 1 };

	(void)state;
	large.fds[0] = dup(0);
	assert_int_equal(chan_send(&f.chan, &large), -1);
	assert_int_equal(errno, EMSGSIZE);
	large.len--;
	large.fds[0] = dup(0);
	assert_int_equal(chan_send(&f.chan, &large), 0);
	chan_close(&f.chan);
	assert_int_equal(send_fd(1, dup(0)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_false(chan_is_waiting(&f.chan));
	assert_int_equal(open_descriptors(), f.open_before + 1);
}

static void
a_gone_reader_is_an_error(void **state)
{
	(void)state;
	fill();
	fd_close(&f.ends[1]);
	assert_int_equal(chan_flush(&f.chan), -1);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	assert_true(f.chan.fd != -1);
	assert_int_equal(fd_message_pair(f.ends), 0);
	chan_open(&f.chan, f.ends[0]);
	fd_close(&f.ends[1]);
	assert_int_equal(send_fd(1, dup(0)), -1);
	assert_int_equal(errno, EPIPE);
}

#define WITH_CHAN(test) \
	cmocka_unit_test_setup_teardown(test, open_chan, close_chan)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_CHAN(order_and_descriptors_survive),
		WITH_CHAN(nothing_overtakes_the_queue),
		WITH_CHAN(the_bound_holds),
		WITH_CHAN(a_new_socket_starts_over),
		WITH_CHAN(long_messages_keep_their_place),
		WITH_CHAN(refusals_close_descriptors),
		WITH_CHAN(a_gone_reader_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
