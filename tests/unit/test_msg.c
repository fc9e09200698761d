/*
 * test_msg: messages and fields arrive as they were sent, or are refused;
 * descriptors nobody asked for are closed.
 */
#include "serve/msg.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/fd.h"

/* The form of a piece, written anew. */
struct head {
	uint16_t type, more;
	uint32_t len;
	uint64_t conn;
};

static int ends[2] = { -1, -1 };
static struct msg_room room;
static int open_before;

static int
open_pair(void **state)
{
	(void)state;
	open_before = open_descriptors();
	return fd_message_pair(ends) == -1 ||
	    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 18 },
		sizeof(int)) == -1;
}

/* Every test ends with the descriptors it began with. */
static int
close_pair(void **state)
{
	(void)state;
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	return open_descriptors() != open_before;
}

/* Send head and body as they are, with count copies of descriptor 0. */
static void
send_raw(const struct head *head, const void *body, size_t len, size_t count)
{
	static unsigned char bytes[MSG_PIECE_MAX + 64];
	struct iovec iov = { bytes, sizeof(*head) + len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	_Alignas(struct cmsghdr) unsigned char control[256];
	struct cmsghdr *cm;

	memcpy(bytes, head, sizeof(*head));
	if (len > 0)
		memcpy(bytes + sizeof(*head), body, len);
	if (count > 0) {
		memset(control, 0, sizeof(control));
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(count * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(count * sizeof(int));
	}
	assert_int_equal(sendmsg(ends[0], &mh, 0), (ssize_t)iov.iov_len);
}

/* Receive, and expect a refusal that leaves nothing open. */
static void
expect_refusal(size_t max_fds)
{
	int before = open_descriptors();
	struct msg msg;
	bool more;

	errno = 0;
	assert_int_equal(
	    msg_receive(ends[1], &room, &msg, max_fds, true, &more), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(open_descriptors(), before);
}

static void
one_piece_arrives(void **state)
{
	struct msg msg;
	bool more = true;

	(void)state;
	assert_int_equal(
	    msg_send_bytes(ends[0], MSG_SIGN, 12345678901, "abc", 3, true), 0);
	assert_int_equal(
	    msg_send_bytes(ends[0], MSG_DONE, UINT64_MAX, NULL, 0, true), 0);
	assert_int_equal(msg_receive(ends[1], &room, &msg, 0, true, &more), 1);
	assert_int_equal(msg.type, MSG_SIGN);
	assert_true(msg.conn == 12345678901);
	assert_int_equal(msg.len, 3);
	assert_memory_equal(msg.body, "abc", 3);
	assert_false(more);
	assert_int_equal(msg_receive(ends[1], &room, &msg, 0, true, &more), 1);
	assert_true(msg.type == MSG_DONE && msg.conn == UINT64_MAX);
	assert_int_equal(msg.len, 0);
	assert_int_equal(msg_receive(ends[1], &room, &msg, 0, true, &more), 0);
}

static void
expect_text(enum msg_type type, const char *text)
{
	struct msg msg;
	bool more;

	assert_int_equal(msg_receive(ends[1], &room, &msg, 1, true, &more), 1);
	assert_true(msg.type == type && msg.conn == 7 && !more);
	assert_int_equal(msg.len, strlen(text));
	assert_memory_equal(msg.body, text, msg.len);
	assert_int_equal(msg.fd_count, type == MSG_SIGN);
	msg_close_fds(&msg);
}

static void
both_arrive_in_order(void **state)
{
	const struct msg first = { .type = MSG_STORE,
		.conn = 7,
		.body = (const unsigned char *)"abc",
		.len = 3 };
	const struct msg second = { .type = MSG_SIGN,
		.conn = 7,
		.body = (const unsigned char *)"de",
		.len = 2,
		.fds = { ends[0] },
		.fd_count = 1 };
	const struct msg empty = { .type = MSG_GO, .conn = 7 };

	(void)state;
	assert_int_equal(msg_send_both(ends[0], &first, &second), 0);
	expect_text(MSG_STORE, "abc");
	expect_text(MSG_SIGN, "de");
	assert_int_equal(msg_send_both(ends[0], &second, &empty), 0);
	expect_text(MSG_SIGN, "de");
	expect_text(MSG_GO, "");
	fd_close(&ends[1]);
	assert_int_equal(msg_send_both(ends[0], &first, &empty), -1);
	assert_int_equal(errno, EPIPE);
}

/* Larger than a piece, and larger than what the socket takes at once. */
static void
both_arrive_in_pieces(void **state)
{
	static unsigned char body[600000];
	const struct msg small = { .type = MSG_SIGN, .conn = 7 };
	const struct msg large = {
		.type = MSG_CONFIG, .conn = 7, .body = body, .len = sizeof(body)
	};
	struct buf whole;
	struct msg msg;
	pid_t pid;
	int status;

	(void)state;
	memset(body, 'b', sizeof(body));
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		_exit(msg_send_both(ends[0], &small, &large) == 0 ? 0 : 1);
	buf_init(&whole, MSG_BODY_MAX);
	assert_int_equal(
	    msg_receive_whole(ends[1], &room, &whole, &msg, 0, false), 1);
	assert_true(msg.type == MSG_SIGN && msg.len == 0);
	assert_int_equal(
	    msg_receive_whole(ends[1], &room, &whole, &msg, 0, false), 1);
	assert_true(msg.type == MSG_CONFIG && msg.len == sizeof(body));
	assert_memory_equal(msg.body, body, sizeof(body));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	buf_free(&whole);
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
	errno = 0;
	assert_int_equal(
	    msg_send_bytes(ends[1], MSG_SIGN, 1, "x", 1, false), -1);
	assert_int_equal(errno, EPIPE);
}

/* A sender of its own, as a message may be larger than the socket. */
static void
send_from_child(const void *body, size_t len)
{
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0)
		_exit(msg_send_bytes(
			  ends[0], MSG_CONFIG, 9, body, len, false) == -1);
}

static void
large_messages_are_joined(void **state)
{
	static const size_t lengths[] = { MSG_PIECE_MAX, MSG_PIECE_MAX + 1,
		2 * MSG_PIECE_MAX, 3 * MSG_PIECE_MAX + 17, MSG_BODY_MAX };
	unsigned char *body = malloc(MSG_BODY_MAX + 1);
	struct buf whole;
	struct msg msg;
	size_t i;
	int status;

	(void)state;
	assert_non_null(body);
	for (i = 0; i <= MSG_BODY_MAX; i++)
		body[i] = (unsigned char)(i * 31 >> 3);
	buf_init(&whole, MSG_BODY_MAX);
	for (i = 0; i < COUNT(lengths); i++) {
		send_from_child(body, lengths[i]);
		assert_int_equal(
		    msg_receive_whole(ends[1], &room, &whole, &msg, 0, false),
		    1);
		assert_true(msg.type == MSG_CONFIG && msg.conn == 9);
		assert_int_equal(msg.len, lengths[i]);
		assert_memory_equal(msg.body, body, lengths[i]);
		wait(&status);
		assert_int_equal(status, 0);
	}
	errno = 0;
	assert_int_equal(msg_send_bytes(ends[0], MSG_CONFIG, 9, body,
			     MSG_BODY_MAX + 1, false),
	    -1);
	assert_int_equal(errno, EMSGSIZE);
	buf_free(&whole);
	free(body);
}

/* A piece as msg_receive gives it, of which a byte fills the body. */
static struct msg
piece(uint64_t conn, int fill, size_t len)
{
	static unsigned char body[MSG_PIECE_MAX];

	memset(body, fill, sizeof(body));
	return (struct msg){
		.type = MSG_FACTS, .conn = conn, .body = body, .len = len
	};
}

static void
a_message_of_one_piece_is_not_copied(void **state)
{
	struct msg_join join;
	struct msg msg = piece(5, 'a', 10);
	const unsigned char *body = msg.body;

	(void)state;
	msg_join_init(&join, 0);
	assert_int_equal(msg_join_add(&join, &msg, false), 1);
	assert_true(msg.body == body && msg.len == 10 && msg.conn == 5);
	msg = piece(5, 'a', 0);
	assert_int_equal(msg_join_add(&join, &msg, false), 1);
	assert_int_equal(msg.len, 0);
	msg_join_clear(&join);
}

static void
pieces_are_joined_without_waiting(void **state)
{
	struct msg_join join;
	struct msg msg;
	size_t last;

	(void)state;
	msg_join_init(&join, 2 * MSG_PIECE_MAX + 7);
	for (last = 0; last <= 7; last += 7) {
		msg = piece(5, 'a', MSG_PIECE_MAX);
		msg.fds[msg.fd_count++] = dup(0);
		assert_int_equal(msg_join_add(&join, &msg, true), 0);
		msg = piece(5, 'b', MSG_PIECE_MAX);
		assert_int_equal(msg_join_add(&join, &msg, true), 0);
		msg = piece(5, 'c', last);
		assert_int_equal(msg_join_add(&join, &msg, false), 1);
		assert_true(msg.type == MSG_FACTS && msg.conn == 5);
		assert_int_equal(msg.len, 2 * MSG_PIECE_MAX + last);
		assert_int_equal(msg.body[0], 'a');
		assert_int_equal(msg.body[MSG_PIECE_MAX], 'b');
		if (last > 0)
			assert_int_equal(msg.body[msg.len - 1], 'c');
		assert_int_equal(msg.fd_count, 1);
		msg_close_fds(&msg);
	}
	msg_join_clear(&join);
	/* What is not whole yet goes as well. */
	msg = piece(5, 'a', MSG_PIECE_MAX);
	msg.fds[msg.fd_count++] = dup(0);
	assert_int_equal(msg_join_add(&join, &msg, true), 0);
	msg_join_clear(&join);
}

/* After a full piece of conn 5: this one, which is refused. */
static void
expect_no_join(struct msg msg, bool more, int error)
{
	struct msg_join join;
	struct msg first = piece(5, 'a', MSG_PIECE_MAX);

	msg_join_init(&join, 2 * MSG_PIECE_MAX);
	first.fds[first.fd_count++] = dup(0);
	assert_int_equal(msg_join_add(&join, &first, true), 0);
	errno = 0;
	assert_int_equal(msg_join_add(&join, &msg, more), -1);
	assert_int_equal(errno, error);
	assert_int_equal(msg.fd_count, 0);
	/* It begins anew. */
	msg = piece(6, 'a', 1);
	assert_int_equal(msg_join_add(&join, &msg, false), 1);
	msg_join_clear(&join);
}

static void
pieces_out_of_order_are_not_joined(void **state)
{
	struct msg msg = piece(5, 'b', 1);
	struct msg_join join;

	(void)state;
	msg.type = MSG_DONE;
	expect_no_join(msg, false, EPROTO);
	expect_no_join(piece(6, 'b', 1), false, EPROTO);
	msg = piece(5, 'b', 1);
	msg.fds[msg.fd_count++] = dup(0);
	expect_no_join(msg, false, EPROTO);
	/* Else a sender could go on for ever. */
	expect_no_join(piece(5, 'b', 0), true, EPROTO);
	expect_no_join(piece(5, 'b', MSG_PIECE_MAX - 1), true, EPROTO);
	msg_join_init(&join, MSG_PIECE_MAX);
	msg = piece(5, 'b', 1);
	assert_int_equal(msg_join_add(&join, &msg, true), -1);
	msg = piece(5, 'b', MSG_PIECE_MAX);
	assert_int_equal(msg_join_add(&join, &msg, true), 0);
	errno = 0;
	msg = piece(5, 'b', 1);
	assert_int_equal(msg_join_add(&join, &msg, false), -1);
	assert_int_equal(errno, EMSGSIZE);
	msg_join_clear(&join);
}

static void
sending_has_limits(void **state)
{
	static const unsigned char body[MSG_PIECE_MAX + 1];
	struct msg out = { .type = MSG_START, .fd_count = MSG_FDS_MAX + 1 };
	struct buf whole;
	struct msg in;

	(void)state;
	errno = 0;
	assert_int_equal(
	    msg_send_bytes(ends[0], MSG_CONFIG, 0, body, sizeof(body), true),
	    -1);
	assert_int_equal(errno, EMSGSIZE);
	errno = 0;
	assert_int_equal(msg_send(ends[0], &out, true), -1);
	assert_int_equal(errno, EMSGSIZE);
	/* The receiver's maximum counts, too. */
	assert_int_equal(
	    msg_send_bytes(ends[0], MSG_CONFIG, 0, body, sizeof(body), false),
	    0);
	buf_init(&whole, sizeof(body) - 1);
	assert_int_equal(
	    msg_receive_whole(ends[1], &room, &whole, &in, 0, true), -1);
	assert_int_equal(errno, EPROTO);
	buf_free(&whole);
}

static void
descriptors_come_along_close_on_exec(void **state)
{
	struct msg out = { .type = MSG_START,
		.conn = 7,
		.fds = { 0, 1, 2, -1 },
		.fd_count = MSG_FDS_MAX };
	struct msg in;
	int pipe_ends[2];
	bool more;
	char byte;
	size_t i;

	(void)state;
	assert_int_equal(fd_pipe(pipe_ends), 0);
	out.fds[3] = pipe_ends[1];
	assert_int_equal(msg_send(ends[0], &out, true), 0);
	fd_close(&pipe_ends[1]);
	assert_int_equal(
	    msg_receive(ends[1], &room, &in, MSG_FDS_MAX, true, &more), 1);
	assert_int_equal(in.fd_count, MSG_FDS_MAX);
	for (i = 0; i < MSG_FDS_MAX; i++)
		assert_true(fcntl(in.fds[i], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(in.fds[3], "x", 1), 1);
	assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
	msg_close_fds(&in);
	assert_int_equal(in.fd_count, 0);
	assert_int_equal(read(pipe_ends[0], &byte, 1), 0);
	fd_close(&pipe_ends[0]);
}

static void
unwanted_descriptors_are_closed(void **state)
{
	const struct head good = { .type = MSG_SIGN, .len = 1 };
	const struct head bad = { .type = MSG_TYPES, .len = 1 };
	size_t max_fds, count;
	struct msg msg;
	bool more;

	(void)state;
	for (max_fds = 0; max_fds < MSG_FDS_MAX; max_fds++) {
		for (count = max_fds + 1; count <= MSG_FDS_MAX; count++) {
			send_raw(&good, "x", 1, count);
			expect_refusal(max_fds);
		}
	}
	/* Permitted in number, with what is refused for another reason. */
	send_raw(&bad, "x", 1, 2);
	expect_refusal(MSG_FDS_MAX);
	/* More than the format knows: refused, or without any. */
	send_raw(&good, "x", 1, MSG_FDS_MAX + 3);
	if (msg_receive(ends[1], &room, &msg, MSG_FDS_MAX, true, &more) == 1)
		assert_int_equal(msg.fd_count, 0);
}

static int
receive_without_room(void)
{
	struct rlimit limit = { 0, 0 };
	int before = open_descriptors();
	struct msg msg;
	bool more;

	/* A pair of descriptors is coming, and there is room for one. */
	limit.rlim_cur = limit.rlim_max = (rlim_t)dup(0) + 1;
	EXPECT(close((int)limit.rlim_cur - 1) == 0);
	EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	EXPECT(msg_receive(ends[1], &room, &msg, 2, true, &more) == 1);
	EXPECT(msg.type == MSG_START && msg.conn == 7);
	EXPECT(msg.fd_count == 0);
	EXPECT(open_descriptors() == before);
	return 0;
}

static void
descriptors_come_together_or_not_at_all(void **state)
{
	struct msg out = {
		.type = MSG_START, .conn = 7, .fds = { 0, 1 }, .fd_count = 2
	};

	(void)state;
	assert_int_equal(msg_send(ends[0], &out, true), 0);
	in_child(receive_without_room);
}

static void
malformed_pieces_are_refused(void **state)
{
	static const unsigned char body[MSG_PIECE_MAX + 1];
	static const struct {
		struct head head;
		size_t len;
	} pieces[] = {
		{ { 0, 0, 4, 1 }, 4 },
		{ { MSG_TYPES, 0, 4, 1 }, 4 },
		{ { 0xffff, 0, 4, 1 }, 4 },
		{ { MSG_SIGN, 2, 4, 1 }, 4 },
		{ { MSG_SIGN, 0, 4, 1 }, 0 },
		{ { MSG_SIGN, 0, 4, 1 }, 3 },
		{ { MSG_SIGN, 0, 4, 1 }, 5 },
		{ { MSG_SIGN, 0, UINT32_MAX, 1 }, 4 },
		{ { MSG_SIGN, 0, MSG_PIECE_MAX + 1, 1 }, MSG_PIECE_MAX + 1 },
		{ { MSG_SIGN, 0, MSG_PIECE_MAX, 1 }, MSG_PIECE_MAX + 1 },
	};
	struct head head = { .type = MSG_SIGN, .len = 0 };
	struct msg msg;
	size_t i;
	bool more;

	(void)state;
	for (i = 0; i < COUNT(pieces); i++) {
		send_raw(&pieces[i].head, body, pieces[i].len, 0);
		expect_refusal(0);
	}
	for (i = 1; i < sizeof(head); i++) {
		assert_int_equal(send(ends[0], &head, i, 0), (ssize_t)i);
		expect_refusal(0);
	}
	for (head.type = 1; head.type < MSG_TYPES; head.type++) {
		send_raw(&head, NULL, 0, 0);
		assert_int_equal(
		    msg_receive(ends[1], &room, &msg, 0, true, &more), 1);
		assert_int_equal(msg.type, head.type);
	}
}

static void
pieces_that_do_not_belong_together(void **state)
{
	static const struct {
		struct head head;
		size_t len, fds;
	} second[] = {
		{ { MSG_READY, 0, 2, 5 }, 2, 0 },
		{ { MSG_CONFIG, 0, 2, 6 }, 2, 0 },
		{ { MSG_CONFIG, 0, 2, 5 }, 1, 0 },
		{ { MSG_CONFIG, 0, 2, 5 }, 2, 1 },
	};
	const struct head begin = { MSG_CONFIG, 1, 3, 5 };
	int before = open_descriptors();
	struct buf whole;
	struct msg msg;
	size_t i;

	(void)state;
	buf_init(&whole, 100);
	for (i = 0; i <= COUNT(second); i++) {
		send_raw(&begin, "one", 3, 1);
		if (i == COUNT(second))
			shutdown(ends[0], SHUT_WR);
		else
			send_raw(&second[i].head, "xy", second[i].len,
			    second[i].fds);
		errno = 0;
		assert_int_equal(
		    msg_receive_whole(ends[1], &room, &whole, &msg, 1, true),
		    -1);
		assert_int_equal(errno, EPROTO);
		assert_int_equal(open_descriptors(), before);
	}
	buf_free(&whole);
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
	msg_put_bytes(&w, "\0\1\2", 3);
	msg_put_number(&w, UINT64_MAX);
	msg_put_text(&w, "text");
	msg_put_text(&w, NULL);
	msg_put_text(&w, "");
	msg_put_bytes(&w, NULL, 0);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	msg_read_from(&r, &msg);
	assert_memory_equal(msg_get_bytes(&r, &len), "\0\1\2", 3);
	assert_int_equal(len, 3);
	assert_true(msg_get_number(&r) == UINT64_MAX);
	assert_string_equal(msg_get_text(&r), "text");
	assert_int_equal(msg_read_all(&r), -1);
	assert_null(msg_get_text(&r));
	assert_string_equal(msg_get_text(&r), "");
	msg_get_bytes(&r, &len);
	assert_int_equal(len, 0);
	assert_int_equal(msg_read_all(&r), 0);
	assert_true(msg_get_number(&r) == 0);
	assert_int_equal(msg_read_all(&r), -1);
}

/* A body of one length field and bytes behind it. */
static void
read_field(
    struct msg_reader *r, uint64_t claimed, const char *bytes, size_t len)
{
	static unsigned char body[64];
	static struct msg msg;

	memcpy(body, &claimed, sizeof(claimed));
	memcpy(body + sizeof(claimed), bytes, len);
	msg = (struct msg){ .body = body, .len = sizeof(claimed) + len };
	msg_read_from(r, &msg);
}

static void
fields_that_lie_are_refused(void **state)
{
	static const uint64_t lengths[] = { 9, 255, UINT32_MAX, SIZE_MAX - 7,
		UINT64_MAX };
	struct msg_reader r;
	size_t len = 1, i;

	(void)state;
	for (i = 0; i < COUNT(lengths); i++) {
		read_field(&r, lengths[i], "12345678", 8);
		assert_null(msg_get_bytes(&r, &len));
		assert_int_equal(len, 0);
		/* Once failed, always: what is left is not looked at. */
		assert_true(msg_get_number(&r) == 0);
		assert_null(msg_get_text(&r));
		assert_int_equal(msg_read_all(&r), -1);
	}
	/* A text without its NUL, with one inside, or with two. */
	read_field(&r, 3, "abc", 3);
	assert_null(msg_get_text(&r));
	assert_int_equal(msg_read_all(&r), -1);
	read_field(&r, 4, "a\0b", 4);
	assert_null(msg_get_text(&r));
	assert_int_equal(msg_read_all(&r), -1);
	read_field(&r, 3, "a\0", 3);
	assert_null(msg_get_text(&r));
	/* Half a number. */
	read_field(&r, 0, "1234567", 7);
	assert_true(msg_get_number(&r) == 0);
	assert_true(msg_get_number(&r) == 0);
	assert_int_equal(msg_read_all(&r), -1);
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
	/* What would fit now must not hide what did not. */
	msg_put_text(&w, NULL);
	assert_int_equal(msg_written(&w, &len), -1);
	assert_memory_equal(bytes + 20, "\xee\xee\xee\xee", 4);
	msg_write_to(&w, bytes, 20);
	msg_put_bytes(&w, "123456789abc", 12);
	assert_int_equal(msg_written(&w, &len), 0);
	assert_int_equal(len, 20);
	msg_put_bytes(&w, "", SIZE_MAX);
	assert_int_equal(msg_written(&w, &len), -1);
}

static void
a_writer_without_bytes_counts(void **state)
{
	struct msg_writer w;
	size_t len;

	(void)state;
	msg_write_to(&w, NULL, 20);
	msg_put_bytes(&w, "1234", 4);
	msg_put_number(&w, 5);
	assert_int_equal(msg_written(&w, &len), 0);
	assert_int_equal(len, 20);
	msg_put_text(&w, NULL);
	assert_int_equal(msg_written(&w, &len), -1);
}

#define WITH_PAIR(test) \
	cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_PAIR(one_piece_arrives),
		WITH_PAIR(both_arrive_in_order),
		WITH_PAIR(both_arrive_in_pieces),
		WITH_PAIR(end_of_file_has_no_errno),
		WITH_PAIR(large_messages_are_joined),
		cmocka_unit_test(a_message_of_one_piece_is_not_copied),
		WITH_PAIR(pieces_are_joined_without_waiting),
		WITH_PAIR(pieces_out_of_order_are_not_joined),
		WITH_PAIR(sending_has_limits),
		WITH_PAIR(descriptors_come_along_close_on_exec),
		WITH_PAIR(unwanted_descriptors_are_closed),
		WITH_PAIR(descriptors_come_together_or_not_at_all),
		WITH_PAIR(malformed_pieces_are_refused),
		WITH_PAIR(pieces_that_do_not_belong_together),
		WITH_PAIR(a_full_socket_sends_nothing),
		cmocka_unit_test(fields_come_out_as_they_went_in),
		cmocka_unit_test(fields_that_lie_are_refused),
		cmocka_unit_test(a_writer_never_overflows),
		cmocka_unit_test(a_writer_without_bytes_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
