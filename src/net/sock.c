/*
 * sock: the listening socket, accepted and own connections.
 *
 * The listener is made at start, with the privileges of whoever starts us,
 * because ports below 1024 need them; the monitor accepts without any.  No
 * byte of a connection is read here but to be thrown away.  An error of
 * accept(2) may be an old error of the connection just taken from the
 * queue, or mean that we are out of descriptors; the header tells its
 * caller which is which.
 */
#include "net/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "compat/compat.h"

static int
set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int
prepare(int fd, const struct sock_listen *how)
{
	/* Else a restart fails while old connections are in TIME_WAIT. */
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1)
		return -1;
	/* Always said: the default is the administrator's (bindv6only). */
	if (how->family == AF_INET6 &&
	    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, how->v6only) == -1)
		return -1;
	if (how->no_delay && set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == -1)
		return -1;
	return 0;
}

int
sock_local(int fd, struct ip_endpoint *local)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return -1;
	if (ip_from_sockaddr(local, (struct sockaddr *)&ss) == -1) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return 0;
}

int
sock_listen(const struct sock_listen *how, struct ip_endpoint *bound)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	len = ip_to_sockaddr(&ss, &how->local, how->family);
	if (len == 0) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	fd = socket(how->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (prepare(fd, how) == -1 ||
	    bind(fd, (struct sockaddr *)&ss, len) == -1 ||
	    listen(fd, how->backlog) == -1 || sock_local(fd, bound) == -1)
		fd_close(&fd);
	return fd;
}

int
sock_accept(int listen_fd, struct ip_endpoint *remote)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len;
	int fd;

	do {
		len = sizeof(ss);
		fd = accept4(
		    listen_fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC);
	} while (fd == -1 && (errno == EINTR || errno == ECONNABORTED));
	if (fd == -1)
		return -1;
	if (ip_from_sockaddr(remote, (struct sockaddr *)&ss) == -1) {
		fd_close(&fd);
		errno = EAFNOSUPPORT;
	}
	return fd;
}

bool
sock_is_waiting(int listen_fd)
{
	struct pollfd poll_fd = { .fd = listen_fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

bool
sock_has_ended(int fd)
{
	/* These two are told unasked. */
	struct pollfd poll_fd = { .fd = fd, .events = 0 };

	return poll(&poll_fd, 1, 0) == 1 &&
	    (poll_fd.revents & (POLLHUP | POLLERR)) != 0;
}

int
sock_kill_options(int fd)
{
	return setsockopt(fd, IPPROTO_IP, IP_OPTIONS, NULL, 0);
}

static int
bind_local(int fd, const struct ip_endpoint *local, int family)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&ss, local, family);

	if (len == 0) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	/* A port of one's own may still be in TIME_WAIT. */
	if (local->port != 0 && set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return -1;
#ifdef IP_BIND_ADDRESS_NO_PORT
	/*
	 * The port is chosen when both ends are known: else there are no
	 * more connections than ports to all together.
	 */
	if (local->port == 0)
		(void)set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
#endif
	return bind(fd, (struct sockaddr *)&ss, len);
}

/* As *how says, of that family. */
static int
prepare_connect(int fd, const struct sock_connect *how, int family)
{
	struct ip_endpoint local = how->local;

	if (how->no_delay && set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == -1)
		return -1;
	if (!how->has_local_ip) {
		if (local.port == 0)
			return 0;
		/* Any address, which is not the same in both families. */
		memset(&local.ip, 0, sizeof(local.ip));
		if (family == AF_INET)
			memset(local.ip.bytes + 10, 0xff, 2);
	}
	return bind_local(fd, &local, family);
}

int
sock_connect(const struct sock_connect *how, const struct ip_endpoint *remote)
{
	int family = ip_is_v4(&remote->ip) ? AF_INET : AF_INET6;
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&ss, remote, family);
	int fd;

	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (prepare_connect(fd, how, family) == -1 ||
	    (connect(fd, (struct sockaddr *)&ss, len) == -1 &&
		errno != EINPROGRESS))
		fd_close(&fd);
	return fd;
}

int
sock_connect_from(
    const struct ip_endpoint *local, const struct ip_endpoint *remote)
{
	struct sock_connect how = { .local = *local, .has_local_ip = true };

	how.local.port = 0;
	return sock_connect(&how, remote);
}

int
sock_connected(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return -1;
	errno = error;
	return error == 0 ? 0 : -1;
}

void
sock_deepen(int fd, int bytes)
{
	int half = bytes / 2; /* Linux doubles it, for what it needs itself */

#ifdef SO_SNDBUFFORCE
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &half, sizeof(half)) ==
	    0)
		return;
#endif
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half));
}

void
sock_acknowledge(int fd)
{
#ifdef TCP_QUICKACK
	int on = 1;

	/* A failure costs time, nothing else. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
#else
	(void)fd;
#endif
}

void
sock_linger(int fd, int cancel_fd, int ms, bool is_idle)
{
	struct pollfd set[2] = { { .fd = fd, .events = POLLIN },
		{ .fd = cancel_fd, .events = POLLIN } };
	int64_t now = clock_now(), deadline = clock_after(now, ms);
	char bytes[2048];      /* a small piece of stack, nothing is kept */
	bool waits = !is_idle; /* at first, too: rarely is anything there */
	bool is_over = false;  /* both have ended: nothing more can come */
	ssize_t n;

	while (now < deadline) {
		if (waits &&
		    poll(set, 2, clock_poll_timeout(now, deadline)) > 0) {
			if (set[1].revents != 0)
				return;
			is_over = (set[0].revents & POLLHUP) != 0;
		}
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
			return;
		if (n == -1 ? is_idle : is_over && (size_t)n < sizeof(bytes))
			return;
		waits = n == -1;
		now = clock_now();
	}
}

void
sock_cut(int fd)
{
	char bytes[16384];
	ssize_t n;

	shutdown(fd, SHUT_RDWR);
	/* MSG_TRUNC: TCP copies nothing (tcp(7)).  Nothing more comes now. */
	do
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
	while (n > 0 || (n == -1 && errno == EINTR));
}
