/*
 * The old functions that wait: handshakes with a time limit, and the relay.
 *
 * Runs in programs of others, on bytes from the network.  0.12's callers
 * had made the socket non-blocking before; those that forgot it had no time
 * limit.  Here it does not matter.
 */
#include "tls/oldapi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "tls/relay.h"
#include "tls/tlsconn_internal.h"

int ssl_errno; /* promised by 0.12's header */

int
oldapi_fail(const SSL *ssl, int answer)
{
	ssl_errno = SSL_get_error(ssl, answer);
	return -1;
}

/* 0: ready, -1 with errno: not, or too late. */
static int
await(SSL *ssl, int error, int64_t deadline)
{
	struct pollfd wait = { .fd = SSL_get_fd(ssl),
		.events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT };
	int r;

	do
		r = poll(&wait, 1, clock_poll_timeout(clock_now(), deadline));
	while (r == -1 && errno == EINTR);
	if (r == 0)
		errno = ETIMEDOUT;
	return r == 1 ? 0 : -1;
}

static int
shake_hands(SSL *ssl, int64_t deadline)
{
	int answer, error;

	for (;;) {
		ERR_clear_error();
		errno = 0;
		answer = SSL_do_handshake(ssl);
		if (answer == 1)
			return 0;
		error = SSL_get_error(ssl, answer);
		if (error != SSL_ERROR_WANT_READ &&
		    error != SSL_ERROR_WANT_WRITE)
			return oldapi_fail(ssl, answer);
		if (await(ssl, error, deadline) == -1)
			return oldapi_fail(ssl, answer);
	}
}

/* As the socket was before it is again afterwards. */
static int
handshake(SSL *ssl, unsigned timeout)
{
	int64_t deadline = clock_after(clock_now(), (int64_t)timeout * 1000);
	int fd = SSL_get_fd(ssl), flags = fcntl(fd, F_GETFL), r, saved;

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return -1;
	r = shake_hands(ssl, deadline);
	saved = errno;
	(void)fcntl(fd, F_SETFL, flags);
	errno = saved;
	return r;
}

int
ssl_timeoutconn(SSL *ssl, unsigned int timeout)
{
	SSL_set_connect_state(ssl);
	return handshake(ssl, timeout);
}

int
ssl_timeoutaccept(SSL *ssl, unsigned int timeout)
{
	SSL_set_accept_state(ssl);
	return handshake(ssl, timeout);
}

/* What an end means to old callers: 0, or an errno. */
static int
error_of(const struct relay_result *result)
{
	switch (result->end) {
	case RELAY_CLEAN:
		return 0;
	case RELAY_IDLE:
		return ETIMEDOUT;
	case RELAY_RESET:
		return result->error != 0 ? result->error : ECONNRESET;
	default:
		return EPROTO;
	}
}

int
ssl_io(SSL *ssl, int fdleft, int fdright, unsigned int timeout)
{
	struct relay relay = { .client_fd = SSL_get_fd(ssl),
		.program_in = &fdleft,
		.program_out = &fdright,
		.cancel_fd = -1,
		.idle_ms = timeout > INT_MAX / 1000 ? 0 : (int)timeout * 1000 };
	struct relay_result result;

	relay.conn = tlsconn_adopt(ssl, relay.client_fd);
	if (relay.conn == NULL) {
		errno = ENOMEM;
		return -1;
	}
	relay_run(&relay, &result);
	tlsconn_release(relay.conn);
	fd_close(&fdleft);
	fd_close(&fdright);
	if (result.end == RELAY_CLEAN)
		return 0;
	ssl_errno = result.end == RELAY_TLS ? SSL_ERROR_SSL : SSL_ERROR_SYSCALL;
	errno = error_of(&result);
	return -1;
}
