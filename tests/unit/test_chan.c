/*
 * test_chan: order and descriptors survive a full socket, the queue's bound
 * holds, and nothing leaks.
 */
#include "serve/chan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"

static int
lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* Fill the socket until something waits.  The number of messages sent. */
static uint64_t
fill(struct chan *chan)
{
	uint64_t sent = 0;

	while (!chan_is_waiting(chan)) {
		assert_int_equal(
		    chan_send_bytes(chan, MSG_EXITED, sent, "x", 1), 0);
		sent++;
	}
	return sent;
}

static void
order_and_descriptors_survive(void **state)
{
	struct msg with_fd = { .type = MSG_EXEC, .fd_count = 1 }, in;
	static struct msg_room room;
	struct chan chan;
	int ends[2], pipe_ends[2];
	int free_before = lowest_free_fd();
	uint64_t sent, got = 0;
	bool more;

	(void)state;
	assert_int_equal(fd_message_pair(ends), 0);
	assert_int_equal(fd_pipe(pipe_ends), 0);
	chan_init(&chan, 10);
	chan_open(&chan, ends[0]);
	sent = fill(&chan);
	with_fd.conn = sent++;
	with_fd.fds[0] = pipe_ends[1];
	assert_int_equal(chan_send(&chan, &with_fd), 0);
	while (got < sent) {
		assert_int_equal(chan_flush(&chan), 0);
		assert_int_equal(
		    msg_receive(ends[1], &room, &in, 1, true, &more), 1);
		assert_true(in.conn == got);
		got++;
	}
	assert_false(chan_is_waiting(&chan));
	/* The last one brought the only writer of the pipe. */
	assert_int_equal(in.fd_count, 1);
	msg_close_fds(&in);
	assert_int_equal(read(pipe_ends[0], &(char){ 0 }, 1), 0);
	fd_close(&pipe_ends[0]);
	fd_close(&ends[1]);
	chan_close(&chan);
	assert_int_equal(lowest_free_fd(), free_before);
}

static void
the_bound_holds(void **state)
{
	struct msg with_fd = { .type = MSG_EXEC, .fd_count = 1 };
	struct chan chan;
	int ends[2], free_before = lowest_free_fd();
	unsigned i;

	(void)state;
	assert_int_equal(fd_message_pair(ends), 0);
	chan_init(&chan, 3);
	chan_open(&chan, ends[0]);
	fill(&chan);
	for (i = 0; i < 2; i++) {
		with_fd.fds[0] = dup(0);
		assert_int_equal(chan_send(&chan, &with_fd), 0);
	}
	with_fd.fds[0] = dup(0);
	errno = 0;
	assert_int_equal(chan_send(&chan, &with_fd), -1);
	assert_int_equal(errno, EAGAIN);
	chan_close(&chan);
	fd_close(&ends[1]);
	assert_int_equal(lowest_free_fd(), free_before);
}

static void
a_closed_channel_refuses(void **state)
{
	struct msg with_fd = { .type = MSG_EXEC, .fd_count = 1 };
	struct chan chan;
	int free_before = lowest_free_fd();

	(void)state;
	chan_init(&chan, 3);
	with_fd.fds[0] = dup(0);
	assert_int_equal(chan_send(&chan, &with_fd), -1);
	assert_false(chan_is_waiting(&chan));
	assert_int_equal(lowest_free_fd(), free_before);
}

static void
a_gone_reader_is_an_error(void **state)
{
	struct chan chan;
	int ends[2];

	(void)state;
	assert_int_equal(fd_message_pair(ends), 0);
	chan_init(&chan, 3);
	chan_open(&chan, ends[0]);
	fd_close(&ends[1]);
	assert_int_equal(chan_send_bytes(&chan, MSG_EXITED, 1, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	chan_close(&chan);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_and_descriptors_survive),
		cmocka_unit_test(the_bound_holds),
		cmocka_unit_test(a_closed_channel_refuses),
		cmocka_unit_test(a_gone_reader_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
