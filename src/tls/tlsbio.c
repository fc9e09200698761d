/*
 * tlsbio: recv(2), send(2) and a buffer, in the shape of an OpenSSL BIO.
 *
 * Runs in sessions.  EINTR needs no loop of its own here: a transfer that
 * never waits is not interrupted.
 */
#include "tls/tlsbio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>

#include "base/buf.h"

/* The functions below as OpenSSL wants them; the same for every BIO. */
static BIO_METHOD *method;

void
tlsbio_init(struct tlsbio *io, int fd)
{
	io->fd = fd;
	io->error = io->send_error = 0;
	io->is_ended = io->is_drained = io->is_mute = io->is_held = false;
	io->is_last = io->is_answered = false;
	io->moved = 0;
	io->start = io->len = io->used = 0;
	io->bytes = NULL;
}

void
tlsbio_rest(struct tlsbio *io)
{
	if (io->len == 0)
		buf_forget(&io->bytes, &io->used);
}

size_t
tlsbio_room(const struct tlsbio *io)
{
	return TLSBIO_SIZE - io->len;
}

static bool
is_temporary(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

int
tlsbio_flush(struct tlsbio *io)
{
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

#ifdef MSG_MORE
	/* In one segment with the FIN. */
	if (io->is_last)
		flags |= MSG_MORE;
#endif
	if (io->error != 0 || io->send_error != 0)
		return -1;
	while (io->len > 0) {
		ssize_t n = send(io->fd, io->bytes + io->start, io->len, flags);

		if (n < 0) {
			if (is_temporary(errno))
				return 1;
			io->send_error = errno;
			io->is_mute = !io->is_held;
			return -1;
		}
		io->is_answered = true;
		io->moved += (uint64_t)n;
		io->start += (size_t)n;
		io->len -= (size_t)n;
	}
	io->start = 0;
	return 0;
}

static int
bio_read(BIO *bio, char *bytes, int size)
{
	struct tlsbio *io = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	/* The peer answers what it has got. */
	if (io->is_held)
		(void)tlsbio_flush(io);
	if (size <= 0 || io->error != 0 || (io->is_held && io->send_error != 0))
		return -1;
	/*
	 * A recv that gave less than it was asked for has emptied the
	 * socket: say "nothing" without asking again.  The caller polls.
	 */
	if (io->is_drained || io->is_ended) {
		io->is_drained = false;
		BIO_set_retry_read(bio);
		return -1;
	}
	n = recv(io->fd, bytes, (size_t)size, MSG_DONTWAIT);
	if (n > 0) {
		io->is_answered = false;
		io->moved += (uint64_t)n;
		io->is_drained = n < size;
		return (int)n;
	}
	if (n == 0)
		io->is_ended = true;
	else if (!is_temporary(errno))
		io->error = errno;
	if (io->error == 0)
		BIO_set_retry_read(bio);
	return -1;
}

/* Room for len more bytes, sending if that is what it takes. */
static size_t
make_room(struct tlsbio *io, size_t len)
{
	if (io->bytes == NULL && (io->bytes = malloc(TLSBIO_SIZE)) == NULL) {
		io->send_error = ENOMEM;
		return 0;
	}
	if (tlsbio_room(io) < len)
		(void)tlsbio_flush(io);
	if (io->start > 0 && TLSBIO_SIZE - io->start - io->len < len) {
		memmove(io->bytes, io->bytes + io->start, io->len);
		io->start = 0;
	}
	return TLSBIO_SIZE - io->start - io->len;
}

static int
bio_write(BIO *bio, const char *bytes, int size)
{
	struct tlsbio *io = BIO_get_data(bio);
	size_t len, room;

	BIO_clear_retry_flags(bio);
	if (size <= 0)
		return 0;
	if (io->is_mute)
		return size;
	len = (size_t)size;
	room = make_room(io, len);
	if (io->is_mute)
		return size;
	if (io->error != 0 || io->send_error != 0)
		return -1;
	if (room == 0) {
		BIO_set_retry_write(bio);
		return -1;
	}
	if (len > room)
		len = room;
	memcpy(io->bytes + io->start + io->len, bytes, len);
	io->len += len;
	if (io->start + io->len > io->used)
		io->used = io->start + io->len;
	return (int)len;
}

static long
bio_flush(BIO *bio)
{
	struct tlsbio *io = BIO_get_data(bio);
	int r;

	BIO_clear_retry_flags(bio);
	if (io->is_held)
		return 1;
	r = tlsbio_flush(io);
	if (r == 0)
		return 1;
	if (r == 1)
		BIO_set_retry_write(bio);
	return -1;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH ? bio_flush(bio) : 0;
}

int
tlsbio_start(void)
{
	BIO_METHOD *made;

	if (method != NULL)
		return 0;
	made = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ucspissl socket");
	if (made == NULL || BIO_meth_set_read(made, bio_read) != 1 ||
	    BIO_meth_set_write(made, bio_write) != 1 ||
	    BIO_meth_set_ctrl(made, bio_ctrl) != 1) {
		BIO_meth_free(made);
		return -1;
	}
	method = made;
	return 0;
}

BIO *
tlsbio_new(struct tlsbio *io)
{
	BIO *bio;

	if (tlsbio_start() == -1)
		return NULL;
	bio = BIO_new(method);
	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, io);
	BIO_set_init(bio, 1);
	return bio;
}
