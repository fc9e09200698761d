/*
 * STARTTLS: the dance on a socket.
 *
 * Runs in the jailed process that will speak TLS, before it does.  The
 * server's bytes are looked at where they lie (MSG_PEEK) and only those that
 * belong to an answer are taken out, so that this process never holds a byte
 * that comes after the last answer, and none can cross into TLS.  One that is
 * there already is refused with a sentence; one that comes later meets the
 * TLS parser.  Every wait ends at the deadline.
 */
#include "client/starttls.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <sys/socket.h>

#include "base/clock.h"
#include "base/text.h"
#include "client/dance.h"
#include "net/ip.h"
#include "net/sock.h"

#define PIECE_SIZE 4096
#define OWN_SIZE (sizeof("[IPv6:]") + IP_TEXT_SIZE)

/*
 * A client that has no name says its address (RFC 5321, 4.1.3 and 4.1.4);
 * any other name would be a guess.
 */
static const char *
own_name(char own[OWN_SIZE], int fd)
{
	struct ip_endpoint local;
	char text[IP_TEXT_SIZE];

	if (sock_local(fd, &local) == -1)
		return "localhost";
	(void)text_format(own, OWN_SIZE, "[%s%s]",
	    ip_is_v4(&local.ip) ? "" : "IPv6:", ip_format(text, &local.ip));
	return own;
}

/* The socket, and until when it may be waited for. */
struct place {
	int fd, cancel_fd;
	int64_t deadline;
};

/* 0 when the socket is ready for events, or what dance_lost takes. */
static int
wait_for(const struct place *place, short events)
{
	struct pollfd set[2] = { { .fd = place->fd, .events = events },
		{ .fd = place->cancel_fd, .events = POLLIN } };
	int64_t now;
	int n;

	do {
		now = clock_now();
		/* A peer that always has a byte more is late too. */
		if (now >= place->deadline)
			return ETIMEDOUT;
		n = poll(set, 2, clock_poll_timeout(now, place->deadline));
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return errno;
	} while (n <= 0);
	return set[1].revents != 0 ? ECANCELED : 0;
}

/* Take len bytes out that are there.  0 or errno. */
static int
discard(int fd, size_t len)
{
	unsigned char bytes[PIECE_SIZE];
	ssize_t n;

	while (len > 0) {
		n = recv(fd, bytes, len, MSG_DONTWAIT);
		if (n == -1 && errno != EINTR)
			return errno;
		if (n == 0)
			return EIO; /* they were there */
		if (n > 0)
			len -= (size_t)n;
	}
	return 0;
}

static void
read_some(const struct place *place, struct dance *d)
{
	unsigned char bytes[PIECE_SIZE];
	int error = wait_for(place, POLLIN);
	ssize_t n;

	if (error != 0) {
		dance_lost(d, error);
		return;
	}
	n = recv(place->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		dance_lost(d, n == 0 ? 0 : errno);
		return;
	}
	error = discard(place->fd, dance_take(d, bytes, (size_t)n));
	if (error != 0)
		dance_lost(d, error);
}

/* It is our turn: whatever the server has said more was not asked for. */
static void
check_silence(int fd, struct dance *d)
{
	unsigned char bytes[PIECE_SIZE];
	ssize_t n;

	n = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	if (n > 0)
		dance_surplus(d, bytes, (size_t)n);
}

static void
send_out(const struct place *place, struct dance *d)
{
	size_t sent = 0;
	ssize_t n;
	int error;

	while (sent < d->out_len) {
		error = wait_for(place, POLLOUT);
		n = error != 0
		    ? -1
		    : send(place->fd, d->out + sent, d->out_len - sent,
			  MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			sent += (size_t)n;
		} else if (error != 0 || (errno != EAGAIN && errno != EINTR)) {
			dance_lost(d, error != 0 ? error : errno);
			return;
		}
	}
	dance_sent(d);
}

int
starttls(int fd, int cancel_fd, enum starttls_protocol protocol,
    const char *host, int64_t deadline, char why[STARTTLS_WHY_SIZE])
{
	const struct place place = { fd, cancel_fd, deadline };
	char own[OWN_SIZE];
	struct dance d;

	dance_begin(&d, protocol, own_name(own, fd), host);
	while (d.state == DANCE_READ || d.state == DANCE_SEND) {
		if (d.state == DANCE_READ) {
			read_some(&place, &d);
			continue;
		}
		check_silence(fd, &d);
		if (d.state == DANCE_SEND)
			send_out(&place, &d);
	}
	if (d.state == DANCE_DONE)
		check_silence(fd, &d);
	if (d.state == DANCE_DONE)
		return 0;
	(void)text_copy(why, STARTTLS_WHY_SIZE, d.why);
	return -1;
}
