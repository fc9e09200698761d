/*
 * Messages between our own processes, on SOCK_SEQPACKET sockets.
 *
 * Runs in every role.  What arrives may come from a session that has been
 * taken over: types, lengths and descriptor counts are checked here, the
 * meaning by the receiver.  Descriptors arrive close-on-exec, never more
 * than the receiver asked for.
 */
#include "serve/msg.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "compat/compat.h"

struct header {
	uint16_t type;
	uint16_t more; /* 1: further pieces of this message follow */
	uint32_t len;  /* of this piece's body */
	uint64_t conn;
};

union control {
	struct cmsghdr align;
	unsigned char bytes[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
};

static void
attach_fds(struct msghdr *mh, union control *control, const struct msg *msg)
{
	struct cmsghdr *cm;
	size_t size = msg->fd_count * sizeof(int);

	memset(control, 0, sizeof(*control));
	mh->msg_control = control->bytes;
	mh->msg_controllen = CMSG_SPACE(size);
	cm = CMSG_FIRSTHDR(mh);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(cm), msg->fds, size);
}

/* What one piece is sent from. */
struct piece {
	struct header header;
	struct iovec iov[2];
	union control control;
};

/* Have mh send body bytes from..from+len as one piece. */
static void
make_piece(struct piece *piece, struct msghdr *mh, const struct msg *msg,
    size_t from, size_t len)
{
	/* sendmsg does not write here, but struct iovec knows no const. */
	union {
		const void *in;
		void *out;
	} body = { .in = len ? msg->body + from : NULL };

	piece->header = (struct header){ .type = (uint16_t)msg->type,
		.more = from + len < msg->len,
		.len = (uint32_t)len,
		.conn = msg->conn };
	piece->iov[0] = (struct iovec){ &piece->header, sizeof(piece->header) };
	piece->iov[1] = (struct iovec){ body.out, len };
	memset(mh, 0, sizeof(*mh));
	mh->msg_iov = piece->iov;
	mh->msg_iovlen = len ? 2 : 1;
	if (from == 0 && msg->fd_count > 0)
		attach_fds(mh, &piece->control, msg);
}

static int
send_piece(int fd, const struct msg *msg, size_t from, size_t len, int flags)
{
	struct piece piece;
	struct msghdr mh;

	make_piece(&piece, &mh, msg, from, len);
	for (;;) {
		if (sendmsg(fd, &mh, flags | MSG_NOSIGNAL) != -1)
			return 0;
		if (errno != EINTR)
			return -1;
	}
}

int
msg_send_piece(int fd, const struct msg *msg, size_t *from, bool dont_wait)
{
	size_t len = msg->len - *from;

	if (msg->len > MSG_BODY_MAX || msg->fd_count > MSG_FDS_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	if (len > MSG_PIECE_MAX)
		len = MSG_PIECE_MAX;
	if (send_piece(fd, msg, *from, len, dont_wait ? MSG_DONTWAIT : 0) == -1)
		return -1;
	*from += len;
	return 0;
}

int
msg_send(int fd, const struct msg *msg, bool dont_wait)
{
	size_t from = 0;

	if (dont_wait && msg->len > MSG_PIECE_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	do {
		if (msg_send_piece(fd, msg, &from, dont_wait) == -1)
			return -1;
	} while (from < msg->len);
	return 0;
}

int
msg_send_both(int fd, const struct msg *first, const struct msg *second)
{
	struct mmsghdr both[2] = { 0 };
	struct piece pieces[2];
	int sent = 0;

	if (first->len > MSG_PIECE_MAX || second->len > MSG_PIECE_MAX)
		return msg_send(fd, first, false) == -1
		    ? -1
		    : msg_send(fd, second, false);
	make_piece(&pieces[0], &both[0].msg_hdr, first, 0, first->len);
	make_piece(&pieces[1], &both[1].msg_hdr, second, 0, second->len);
	do
		sent = sendmmsg(fd, both, 2, MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	if (sent != 1)
		return sent == -1 ? -1 : 0;
	return msg_send(fd, second, false);
}

int
msg_send_bytes(int fd, enum msg_type type, uint64_t conn, const void *body,
    size_t len, bool dont_wait)
{
	struct msg msg = {
		.type = type, .conn = conn, .body = body, .len = len
	};

	return msg_send(fd, &msg, dont_wait);
}

/* Take the descriptors out of a control message. */
static void
detach_fds(struct msghdr *mh, struct msg *msg)
{
	struct cmsghdr *cm;
	size_t count, i;
	int fd;

	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(fd), sizeof(fd));
			if (msg->fd_count < MSG_FDS_MAX)
				msg->fds[msg->fd_count++] = fd;
			else
				fd_close(&fd);
		}
	}
}

static bool
is_sound(const struct header *header, size_t got)
{
	return header->type > 0 && header->type < MSG_TYPES &&
	    header->more <= 1 && header->len == got - sizeof(*header);
}

/*
 * A peer that exits with messages of ours unread makes Linux say
 * ECONNRESET, once, before its own last messages: those are still there.
 */
static bool
is_first_reset(bool *was_reset)
{
	if (errno != ECONNRESET || *was_reset)
		return false;
	*was_reset = true;
	return true;
}

int
msg_receive(int fd, struct msg_room *room, struct msg *msg, size_t max_fds,
    bool dont_wait, bool *more)
{
	union control control;
	struct iovec iov = { room->bytes, sizeof(room->bytes) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct header header;
	bool was_reset = false;
	ssize_t got;

	if (max_fds > 0) {
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
	}
	do
		got = recvmsg(
		    fd, &mh, MSG_CMSG_CLOEXEC | (dont_wait ? MSG_DONTWAIT : 0));
	while (got == -1 && (errno == EINTR || is_first_reset(&was_reset)));
	if (got == -1)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;

	memset(msg, 0, sizeof(*msg));
	if (max_fds > 0)
		detach_fds(&mh, msg);
	if (got == 0) {
		msg_close_fds(msg);
		errno = 0;
		return -1;
	}
	if ((size_t)got < sizeof(header) || mh.msg_flags & MSG_TRUNC)
		goto malformed;
	memcpy(&header, room->bytes, sizeof(header));
	if (!is_sound(&header, (size_t)got) || msg->fd_count > max_fds)
		goto malformed;
	if (mh.msg_flags & MSG_CTRUNC) {
		/*
		 * Without room asked for, a descriptor was sent to somebody
		 * who takes none; with room, our own table is full.
		 */
		msg_close_fds(msg);
		if (max_fds == 0)
			goto malformed;
	}
	msg->type = (enum msg_type)header.type;
	msg->conn = header.conn;
	msg->body = room->bytes + sizeof(header);
	msg->len = header.len;
	*more = header.more;
	return 1;

malformed:
	msg_close_fds(msg);
	errno = EPROTO;
	return -1;
}

void
msg_wipe(struct msg_room *room, const struct msg *msg)
{
	explicit_bzero(room->bytes, sizeof(struct header) + msg->len);
}

int
msg_receive_whole(int fd, struct msg_room *room, struct buf *whole,
    struct msg *msg, size_t max_fds, bool dont_wait)
{
	struct msg piece;
	bool more;
	int r;

	r = msg_receive(fd, room, msg, max_fds, dont_wait, &more);
	if (r != 1 || !more)
		return r;
	whole->len = 0;
	piece = *msg;
	for (;;) {
		if (buf_append(whole, piece.body, piece.len) == -1)
			goto bad;
		if (!more)
			break;
		r = msg_receive(fd, room, &piece, 0, false, &more);
		if (r != 1 || piece.type != msg->type ||
		    piece.conn != msg->conn)
			goto bad;
	}
	msg->body = whole->data;
	msg->len = whole->len;
	return 1;

bad:
	msg_close_fds(msg);
	errno = EPROTO;
	return -1;
}

void
msg_join_init(struct msg_join *join, size_t max)
{
	memset(join, 0, sizeof(*join));
	buf_init(&join->body, max);
}

void
msg_join_clear(struct msg_join *join)
{
	if (join->is_partial)
		msg_close_fds(&join->first);
	join->is_partial = false;
	buf_free(&join->body);
}

/* A piece that is not full and not the last one is nothing we send. */
static bool
is_in_order(const struct msg_join *join, const struct msg *msg, bool more)
{
	if (more && msg->len != MSG_PIECE_MAX)
		return false;
	return !join->is_partial ||
	    (msg->type == join->first.type && msg->conn == join->first.conn &&
		msg->fd_count == 0);
}

int
msg_join_add(struct msg_join *join, struct msg *msg, bool more)
{
	int error = 0;

	if (!join->is_partial)
		buf_free(&join->body); /* of the message before */
	if (!is_in_order(join, msg, more))
		error = EPROTO;
	else if (!join->is_partial && !more)
		return 1;
	else if (buf_append(&join->body, msg->body, msg->len) == -1)
		error = errno;
	if (error != 0) {
		msg_close_fds(msg);
		msg_join_clear(join);
		errno = error;
		return -1;
	}
	if (!join->is_partial)
		join->first = *msg;
	join->is_partial = more;
	if (more)
		return 0;
	*msg = join->first;
	msg->body = join->body.data;
	msg->len = join->body.len;
	return 1;
}

void
msg_close_fds(struct msg *msg)
{
	fd_close_all(msg->fds, msg->fd_count);
	msg->fd_count = 0;
}

void
msg_write_to(struct msg_writer *w, void *bytes, size_t size)
{
	w->bytes = bytes;
	w->size = size;
	w->len = 0;
	w->failed = false;
}

static void
put(struct msg_writer *w, const void *bytes, size_t len)
{
	if (w->failed || len > w->size - w->len) {
		w->failed = true;
		return;
	}
	if (len > 0 && w->bytes != NULL)
		memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

void
msg_put_number(struct msg_writer *w, uint64_t n)
{
	put(w, &n, sizeof(n));
}

void
msg_put_bytes(struct msg_writer *w, const void *bytes, size_t len)
{
	msg_put_number(w, len);
	put(w, bytes, len);
}

void
msg_put_text(struct msg_writer *w, const char *s)
{
	msg_put_bytes(w, s, s == NULL ? 0 : strlen(s) + 1);
}

void
msg_put_variable(
    struct msg_writer *w, const char *name, const void *value, size_t len)
{
	size_t name_len = strlen(name);

	msg_put_number(w, name_len + len + sizeof("="));
	put(w, name, name_len);
	put(w, "=", 1);
	put(w, value, len);
	put(w, "", 1);
}

int
msg_written(const struct msg_writer *w, size_t *len)
{
	*len = w->len;
	return w->failed ? -1 : 0;
}

void
msg_read_from(struct msg_reader *r, const struct msg *msg)
{
	r->bytes = msg->body;
	r->left = msg->len;
	r->failed = false;
}

static const unsigned char *
take(struct msg_reader *r, uint64_t len)
{
	const unsigned char *p = r->bytes;

	if (r->failed || len > r->left) {
		r->failed = true;
		return NULL;
	}
	r->bytes += len;
	r->left -= (size_t)len;
	return p;
}

uint64_t
msg_get_number(struct msg_reader *r)
{
	const unsigned char *p = take(r, sizeof(uint64_t));
	uint64_t n = 0;

	if (p != NULL)
		memcpy(&n, p, sizeof(n));
	return n;
}

const unsigned char *
msg_get_bytes(struct msg_reader *r, size_t *len)
{
	uint64_t n = msg_get_number(r);
	const unsigned char *p = take(r, n);

	*len = p == NULL ? 0 : (size_t)n;
	return p;
}

const char *
msg_get_text(struct msg_reader *r)
{
	size_t len;
	const unsigned char *p = msg_get_bytes(r, &len);

	if (p == NULL || len == 0)
		return NULL;
	if (memchr(p, '\0', len) != p + len - 1) {
		r->failed = true;
		return NULL;
	}
	return (const char *)p;
}

int
msg_read_all(const struct msg_reader *r)
{
	return r->failed || r->left > 0 ? -1 : 0;
}
