/*
 * test_msg: messages and fields arrive as they were sent, or are refused;
 * descriptors nobody asked for are closed.
 */
#include "serve/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fd.h"

static int ends[2] = { -1, -1 };
static struct msg_room room;

static int
open_pair(void **state)
{
	(void)state;
	return fd_message_pair(ends);
}

static int
close_pair(void **state)
{
	(void)state;
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	return 0;
}

static int
lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void
one_piece_arrives(void **state)
{
	struct msg msg;
	bool more;

	(void)state;
	assert_int_equal(
	    msg_send_bytes(ends[0], MSG_SIGN, 12345678901, "abc", 3, true), 0);
	assert_int_equal(msg_receive(ends[1], &room, &msg, 0, true, &more), 1);
	assert_int_equal(msg.type, MSG_SIGN);
	assert_true(msg.conn == 12345678901);
	assert_int_equal(msg.len, 3);
	assert_memory_equal(msg.body, "abc", 3);
	assert_false(more);
	assert_int_equal(msg_receive(ends[1], &room, &msg, 0, true, &more), 0);
}

static void
end_of_file_has_no_errno(void **state)
{
	struct msg msg;
	bool more;

	(void)state;
	fd_close(&ends[0]);
	errno = EIO;
	assert_int_equal(
	    msg_receive(ends[1], &room, &msg, 0, false, &more), -1);
	assert_int_equal(errno, 0);
}

static void
large_messages_are_joined(void **state)
{
	size_t len = 3 * MSG_PIECE_MAX + 17, i;
	unsigned char *body = malloc(len);
	struct buf whole;
	struct msg msg;

	(void)state;
	assert_non_null(body);
	for (i = 0; i < len; i++)
		body[i] = (unsigned char)(i * 31);
	/* Room for all, as this thread is sender and receiver. */
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF,
			     &(int){ 1 << 20 }, sizeof(int)),
	    0);
	assert_int_equal(
	    msg_send_bytes(ends[0], MSG_CONFIG, 0, body, len, false), 0);
	buf_init(&whole, MSG_BODY_MAX);
	assert_int_equal(
	    msg_receive_whole(ends[1], &room, &whole, &msg, 0, true), 1);
	assert_int_equal(msg.len, len);
	assert_memory_equal(msg.body, body, len);
	buf_free(&whole);
	free(body);
}

static void
too_large_a_message_is_refused(void **state)
{
	size_t len = 2 * MSG_PIECE_MAX;
	unsigned char *body = calloc(1, len);
	struct buf whole;
	struct msg msg;

	(void)state;
	assert_non_null(body);
	errno = 0;
	assert_int_equal(
	    msg_send_bytes(ends[0], MSG_CONFIG, 0, body, len, true), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF,
			     &(int){ 1 << 20 }, sizeof(int)),
	    0);
	assert_int_equal(
	    msg_send_bytes(ends[0], MSG_CONFIG, 0, body, len, false), 0);
	buf_init(&whole, MSG_PIECE_MAX + 1);
	assert_int_equal(
	    msg_receive_whole(ends[1], &room, &whole, &msg, 0, true), -1);
	assert_int_equal(errno, EPROTO);
	buf_free(&whole);
	free(body);
}

static void
descriptors_come_along_close_on_exec(void **state)
{
	struct msg out = { .type = MSG_START, .conn = 7 }, in;
	int pipe_ends[2];
	bool more;
	char byte;

	(void)state;
	assert_int_equal(fd_pipe(pipe_ends), 0);
	out.fds[0] = pipe_ends[1];
	out.fd_count = 1;
	assert_int_equal(msg_send(ends[0], &out, true), 0);
	fd_close(&pipe_ends[1]);
	assert_int_equal(msg_receive(ends[1], &room, &in, 1, true, &more), 1);
	assert_int_equal(in.fd_count, 1);
	assert_true(fcntl(in.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(in.fds[0], "x", 1), 1);
	assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
	msg_close_fds(&in);
	assert_int_equal(in.fd_count, 0);
	fd_close(&pipe_ends[0]);
}

static void
unwanted_descriptors_are_closed(void **state)
{
	struct msg out = { .type = MSG_SIGN, .conn = 7 }, in;
	int free_before = lowest_free_fd();
	bool more;

	(void)state;
	out.fds[0] = out.fds[1] = 0;
	out.fd_count = 2;
	assert_int_equal(msg_send(ends[0], &out, true), 0);
	assert_int_equal(msg_receive(ends[1], &room, &in, 1, true, &more), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(msg_send(ends[0], &out, true), 0);
	assert_int_equal(msg_receive(ends[1], &room, &in, 0, true, &more), -1);
	assert_int_equal(lowest_free_fd(), free_before);
}

/* Send raw bytes and expect them to be refused. */
static void
expect_refusal(const void *bytes, size_t len)
{
	struct msg msg;
	bool more;

	assert_int_equal(send(ends[0], bytes, len, 0), (ssize_t)len);
	errno = 0;
	assert_int_equal(msg_receive(ends[1], &room, &msg, 0, true, &more), -1);
	assert_int_equal(errno, EPROTO);
}

static void
malformed_pieces_are_refused(void **state)
{
	unsigned char piece[16 + 4] = { 0 };
	uint16_t type = MSG_SIGN, more = 0;
	uint32_t len = 4;

	(void)state;
	memcpy(piece, &type, 2);
	memcpy(piece + 4, &len, 4);
	expect_refusal(piece, 1);
	expect_refusal(piece, 15);
	expect_refusal(piece, 19);
	len = 3;
	memcpy(piece + 4, &len, 4);
	expect_refusal(piece, 20);
	len = 4;
	memcpy(piece + 4, &len, 4);
	more = 2;
	memcpy(piece + 2, &more, 2);
	expect_refusal(piece, 20);
	more = 0;
	memcpy(piece + 2, &more, 2);
	type = MSG_TYPES;
	memcpy(piece, &type, 2);
	expect_refusal(piece, 20);
	type = 0;
	memcpy(piece, &type, 2);
	expect_refusal(piece, 20);
}

static void
a_full_socket_sends_nothing(void **state)
{
	static const unsigned char body[1000];
	struct msg msg;
	unsigned sent = 0, got = 0;
	bool more;

	(void)state;
	while (msg_send_bytes(
		   ends[0], MSG_SIGN, sent, body, sizeof(body), true) == 0)
		sent++;
	assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
	while (msg_receive(ends[1], &room, &msg, 0, true, &more) == 1) {
		assert_true(msg.conn == got);
		assert_int_equal(msg.len, sizeof(body));
		got++;
	}
	assert_int_equal(got, sent);
}

static void
fields_come_out_as_they_went_in(void **state)
{
	unsigned char bytes[256];
	struct msg msg = { .body = bytes };
	struct msg_writer w;
	struct msg_reader r;
	size_t len;

	(void)state;
	msg_write_to(&w, bytes, sizeof(bytes));
	msg_put_number(&w, UINT64_MAX);
	msg_put_bytes(&w, "\0\1\2", 3);
	msg_put_text(&w, "text");
	msg_put_text(&w, NULL);
	msg_put_text(&w, "");
	assert_int_equal(msg_written(&w, &msg.len), 0);
	msg_read_from(&r, &msg);
	assert_true(msg_get_number(&r) == UINT64_MAX);
	assert_memory_equal(msg_get_bytes(&r, &len), "\0\1\2", 3);
	assert_int_equal(len, 3);
	assert_string_equal(msg_get_text(&r), "text");
	assert_int_equal(msg_read_all(&r), -1);
	assert_null(msg_get_text(&r));
	assert_string_equal(msg_get_text(&r), "");
	assert_int_equal(msg_read_all(&r), 0);
	assert_true(msg_get_number(&r) == 0);
	assert_int_equal(msg_read_all(&r), -1);
}

static void
fields_that_lie_are_refused(void **state)
{
	unsigned char bytes[32];
	struct msg msg = { .body = bytes };
	struct msg_writer w;
	struct msg_reader r;
	size_t len;

	(void)state;
	/* A length beyond the end, and one that would overflow. */
	msg_write_to(&w, bytes, sizeof(bytes));
	msg_put_number(&w, 9);
	msg_put_number(&w, 0);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	msg_read_from(&r, &msg);
	assert_null(msg_get_bytes(&r, &len));
	assert_int_equal(msg_read_all(&r), -1);
	memset(bytes, 0xff, 8);
	msg_read_from(&r, &msg);
	assert_null(msg_get_bytes(&r, &len));
	assert_int_equal(len, 0);
	/* A text without its NUL, or with one inside. */
	msg_write_to(&w, bytes, sizeof(bytes));
	msg_put_bytes(&w, "abc", 3);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	msg_read_from(&r, &msg);
	assert_null(msg_get_text(&r));
	assert_int_equal(msg_read_all(&r), -1);
	msg_write_to(&w, bytes, sizeof(bytes));
	msg_put_bytes(&w, "a\0b", 4);
	msg_read_from(&r, &msg);
	assert_null(msg_get_text(&r));
}

static void
a_writer_never_overflows(void **state)
{
	unsigned char bytes[24];
	struct msg_writer w;
	size_t len;

	(void)state;
	memset(bytes, 0xee, sizeof(bytes));
	msg_write_to(&w, bytes, 20);
	msg_put_bytes(&w, "123456789abcd", 13);
	assert_int_equal(msg_written(&w, &len), -1);
	assert_memory_equal(bytes + 20, "\xee\xee\xee\xee", 4);
	msg_write_to(&w, bytes, 20);
	msg_put_bytes(&w, "123456789abc", 12);
	assert_int_equal(msg_written(&w, &len), 0);
	assert_int_equal(len, 20);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    one_piece_arrives, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
		    end_of_file_has_no_errno, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
		    large_messages_are_joined, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
		    too_large_a_message_is_refused, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
		    descriptors_come_along_close_on_exec, open_pair,
		    close_pair),
		cmocka_unit_test_setup_teardown(
		    unwanted_descriptors_are_closed, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
		    malformed_pieces_are_refused, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
		    a_full_socket_sends_nothing, open_pair, close_pair),
		cmocka_unit_test(fields_come_out_as_they_went_in),
		cmocka_unit_test(fields_that_lie_are_refused),
		cmocka_unit_test(a_writer_never_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
