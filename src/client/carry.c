/*
 * Bytes between a person's descriptors and a connection's.
 *
 * Runs in the program behind sslcat and sslconnect, as whoever started them.
 * The two directions go on by themselves: what cannot be written yet keeps
 * neither back but its own, because a server may want to be read before it
 * reads on.  The person's descriptors may be shared with a shell and are left
 * in blocking mode: output is written in pieces that poll(2) has room for,
 * or waited for.
 */
#include "client/carry.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/fd.h"

/* What is on its way to the server. */
struct up {
	unsigned char bytes[2 * CARRY_SIZE];
	size_t at, len;
	char last;
};

size_t
carry_lines(
    unsigned char *dst, const unsigned char *src, size_t len, char *last)
{
	unsigned char *to = dst;
	size_t i;

	for (i = 0; i < len; i++) {
		if (src[i] == '\n' && *last != '\r')
			*to++ = '\r';
		*to++ = src[i];
		*last = (char)src[i];
	}
	return (size_t)(to - dst);
}

/* A piece from the server to output. */
static enum carry_end
carry_down(int server_in, int output, bool *has_ended)
{
	unsigned char bytes[CARRY_SIZE];
	ssize_t n = read(server_in, bytes, sizeof(bytes));

	if (n == -1)
		return errno == EINTR || errno == EAGAIN ? CARRY_ENDED
							 : CARRY_READ_FAILED;
	*has_ended = n == 0;
	return fd_write_all(output, bytes, (size_t)n) == -1 ? CARRY_WRITE_FAILED
							    : CARRY_ENDED;
}

/* Read a piece of input, when the last has been sent.  -1: an error. */
static int
fill(struct up *up, int *input)
{
	unsigned char bytes[CARRY_SIZE];
	ssize_t n = read(*input, bytes, sizeof(bytes));

	if (n == -1)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	if (n == 0)
		*input = -1;
	up->at = 0;
	up->len = carry_lines(up->bytes, bytes, (size_t)n, &up->last);
	return 0;
}

/* Send some of what is there.  A server that takes no more ends it. */
static void
drain(struct up *up, int *input, int server_out)
{
	ssize_t n = write(server_out, up->bytes + up->at, up->len - up->at);

	if (n > 0) {
		up->at += (size_t)n;
	} else if (n == -1 && errno != EINTR && errno != EAGAIN) {
		up->at = up->len;
		*input = -1;
	}
}

/* Whatever is possible now, at least one thing.  -1: poll(2) failed. */
static int
wait_for(struct pollfd set[3], int server_in, int input, int server_out,
    const struct up *up)
{
	bool is_full = up->at < up->len;
	int n;

	set[0] = (struct pollfd){ .fd = server_in, .events = POLLIN };
	set[1] =
	    (struct pollfd){ .fd = is_full ? -1 : input, .events = POLLIN };
	set[2] = (struct pollfd){ .fd = is_full ? server_out : -1,
		.events = POLLOUT };
	do
		n = poll(set, 3, -1);
	while (n == -1 && errno == EINTR);
	return n;
}

enum carry_end
carry(int server_in, int output, int input, int *server_out)
{
	struct up up = { .last = '\0' };
	enum carry_end end = CARRY_ENDED;
	bool has_ended = false;
	struct pollfd set[3];
	bool carries_up = input != -1;

	/* A pipe whose buffer is not quite full would block. */
	if (carries_up && fd_set_nonblocking(*server_out, 1) == -1)
		return CARRY_READ_FAILED;
	while (!has_ended && end == CARRY_ENDED) {
		if (wait_for(set, server_in, input, *server_out, &up) == -1)
			return CARRY_READ_FAILED;
		if (set[0].revents != 0)
			end = carry_down(server_in, output, &has_ended);
		if (set[1].revents != 0 && fill(&up, &input) == -1)
			return CARRY_READ_FAILED;
		if (set[2].revents != 0)
			drain(&up, &input, *server_out);
		if (carries_up && input == -1 && up.at == up.len)
			fd_close(server_out);
	}
	return end;
}
