/*
 * test_sock: listening and accepting on loopback addresses.
 */
#include "net/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

/* A listener on address, the kernel's choice of port; -1 if impossible. */
static int
listening(
    const char *address, int family, bool v6only, struct ip_endpoint *bound)
{
	struct sock_listen how = {
		.family = family, .v6only = v6only, .backlog = 5
	};

	assert_int_equal(ip_parse(address, &how.local.ip), 0);
	return sock_listen(&how, bound);
}

static int
connected(const struct ip_endpoint *to, int family)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&ss, to, family);
	int fd = socket(family, SOCK_STREAM, 0);

	assert_true(fd != -1);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static int
accepted(int listen_fd, struct ip_endpoint *remote)
{
	struct pollfd polled = { .fd = listen_fd, .events = POLLIN };

	assert_int_equal(poll(&polled, 1, 30000), 1);
	return sock_accept(listen_fd, remote);
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void
assert_endpoint(
    const struct ip_endpoint *got, const char *address, uint16_t port)
{
	char text[IP_TEXT_SIZE];

	assert_string_equal(ip_format(text, &got->ip), address);
	assert_int_equal(got->port, port);
	assert_int_equal(got->scope, 0);
}

static void
ipv4_connection(void **state)
{
	struct ip_endpoint bound;
	struct ip_endpoint remote;
	struct ip_endpoint client;
	struct ip_endpoint local;
	int listen_fd = listening("127.0.0.1", AF_INET, false, &bound);
	int client_fd;
	int fd;

	(void)state;
	assert_true(listen_fd >= 0);
	assert_true(bound.port != 0);
	assert_endpoint(&bound, "127.0.0.1", bound.port);
	assert_true((fcntl(listen_fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(listen_fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true(option(listen_fd, SOL_SOCKET, SO_REUSEADDR) != 0);

	assert_int_equal(sock_accept(listen_fd, &remote), -1);
	assert_true(errno == EAGAIN || errno == EWOULDBLOCK);

	assert_false(sock_is_waiting(listen_fd));
	client_fd = connected(&bound, AF_INET);
	assert_true(sock_is_waiting(listen_fd));
	fd = accepted(listen_fd, &remote);
	assert_true(fd >= 0);
	assert_false(sock_is_waiting(listen_fd));
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
	assert_int_equal(sock_local(client_fd, &client), 0);
	assert_endpoint(&remote, "127.0.0.1", client.port);
	assert_int_equal(sock_local(fd, &local), 0);
	assert_endpoint(&local, "127.0.0.1", bound.port);
	assert_int_equal(sock_kill_options(fd), 0);
	(void)close(fd);
	(void)close(client_fd);
	(void)close(listen_fd);
}

/* Reset, or closed by both; not by one, and not because there is data. */
static void
an_end_is_noticed(void **state)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct pollfd poll_fd = { .events = POLLIN };
	struct ip_endpoint bound, remote;
	int listen_fd = listening("127.0.0.1", AF_INET, false, &bound);
	int client_fd = connected(&bound, AF_INET), fd;

	(void)state;
	fd = accepted(listen_fd, &remote);
	assert_false(sock_has_ended(fd));
	assert_int_equal(send(client_fd, "x", 1, 0), 1);
	assert_int_equal(shutdown(client_fd, SHUT_WR), 0);
	poll_fd.fd = fd;
	assert_int_equal(poll(&poll_fd, 1, 30000), 1);
	assert_false(sock_has_ended(fd));
	assert_int_equal(setsockopt(client_fd, SOL_SOCKET, SO_LINGER, &at_once,
			     sizeof(at_once)),
	    0);
	(void)close(client_fd);
	poll_fd.events = 0;
	assert_int_equal(poll(&poll_fd, 1, 30000), 1);
	assert_true(sock_has_ended(fd));
	(void)close(fd);
	(void)close(listen_fd);
}

static void
ipv6_connection(void **state)
{
	struct ip_endpoint bound;
	struct ip_endpoint remote;
	struct ip_endpoint client;
	int listen_fd = listening("::1", AF_INET6, true, &bound);
	int client_fd;
	int fd;

	(void)state;
	if (listen_fd == -1)
		skip(); /* no IPv6 here */
	assert_endpoint(&bound, "::1", bound.port);
	assert_int_equal(option(listen_fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	client_fd = connected(&bound, AF_INET6);
	fd = accepted(listen_fd, &remote);
	assert_true(fd >= 0);
	assert_int_equal(sock_local(client_fd, &client), 0);
	assert_endpoint(&remote, "::1", client.port);
	assert_int_equal(sock_kill_options(fd), 0);
	(void)close(fd);
	(void)close(client_fd);
	(void)close(listen_fd);
}

/* Some systems never let an IPv6 socket take IPv4 connections. */
static bool
has_dual_stack(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	int off = 0;
	bool has;

	has = fd != -1 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0;
	(void)close(fd);
	return has;
}

/* Dual stack: the peer is IPv4 although the socket is IPv6. */
static void
mapped_connection(void **state)
{
	struct ip_endpoint bound;
	struct ip_endpoint remote;
	struct ip_endpoint client;
	int listen_fd;
	int client_fd;
	int fd;

	(void)state;
	if (!has_dual_stack())
		skip();
	assert_int_equal(listening("127.0.0.1", AF_INET6, true, &bound), -1);
	listen_fd = listening("127.0.0.1", AF_INET6, false, &bound);
	assert_true(listen_fd >= 0);
	assert_int_equal(option(listen_fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	assert_endpoint(&bound, "127.0.0.1", bound.port);
	client_fd = connected(&bound, AF_INET);
	fd = accepted(listen_fd, &remote);
	assert_true(fd >= 0);
	assert_int_equal(sock_local(client_fd, &client), 0);
	assert_endpoint(&remote, "127.0.0.1", client.port);
	assert_int_equal(sock_kill_options(fd), 0);
	(void)close(fd);
	(void)close(client_fd);
	(void)close(listen_fd);
}

static void
failures_leave_no_descriptor(void **state)
{
	struct ip_endpoint bound;
	struct ip_endpoint again;
	struct sock_listen how = { .family = AF_INET, .backlog = 5 };
	int listen_fd = listening("127.0.0.1", AF_INET, false, &bound);
	int before = dup(2);
	int after;

	(void)state;
	assert_true(listen_fd >= 0 && before >= 0);
	(void)close(before);
	how.local = bound;
	assert_int_equal(sock_listen(&how, &again), -1);
	assert_int_equal(errno, EADDRINUSE);
	how.local.port = 0;
	assert_int_equal(ip_parse("192.0.2.1", &how.local.ip), 0);
	assert_int_equal(sock_listen(&how, &again), -1);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_int_equal(ip_parse("::1", &how.local.ip), 0);
	assert_int_equal(sock_listen(&how, &again), -1);
	assert_int_equal(errno, EAFNOSUPPORT);
	after = dup(2);
	assert_int_equal(after, before);
	(void)close(after);
	(void)close(listen_fd);
	errno = 0;
	assert_int_equal(sock_accept(listen_fd, &again), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(sock_local(listen_fd, &again), -1);
	assert_int_equal(sock_kill_options(listen_fd), -1);
}

static void
other_sockets_have_no_address(void **state)
{
	struct ip_endpoint local;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(sock_local(fd, &local), -1);
	assert_int_equal(errno, EAFNOSUPPORT);
	(void)close(fd);
}

static void
no_delay_is_inherited(void **state)
{
	struct sock_listen how = { .family = AF_INET, .backlog = 5 };
	struct ip_endpoint bound;
	struct ip_endpoint remote;
	int listen_fd;
	int client_fd;
	int fd;
	int i;

	(void)state;
	assert_int_equal(ip_parse("127.0.0.1", &how.local.ip), 0);
	for (i = 0; i < 2; i++) {
		how.no_delay = i == 1;
		listen_fd = sock_listen(&how, &bound);
		assert_true(listen_fd >= 0);
		client_fd = connected(&bound, AF_INET);
		fd = accepted(listen_fd, &remote);
		assert_true(fd >= 0);
		assert_int_equal(
		    option(fd, IPPROTO_TCP, TCP_NODELAY) != 0, i == 1);
		(void)close(fd);
		(void)close(client_fd);
		(void)close(listen_fd);
	}
}

static socklen_t
options_length(int fd)
{
	unsigned char options[40];
	socklen_t len = sizeof(options);

	assert_int_equal(
	    getsockopt(fd, IPPROTO_IP, IP_OPTIONS, options, &len), 0);
	return len;
}

/*
 * A client that sends the record-route option: replies carry it too, until
 * it is dropped.  Source routes go the same way, but few kernels let one in.
 */
static void
ip_options_are_dropped(void **state)
{
	static const unsigned char record_route[8] = { 7, 7, 4 };
	struct ip_endpoint bound;
	struct ip_endpoint remote;
	struct sockaddr_storage ss;
	socklen_t len;
	int listen_fd = listening("127.0.0.1", AF_INET, false, &bound);
	int client_fd = socket(AF_INET, SOCK_STREAM, 0);
	int fd;

	(void)state;
	assert_true(listen_fd >= 0 && client_fd >= 0);
	if (setsockopt(client_fd, IPPROTO_IP, IP_OPTIONS, record_route,
		sizeof(record_route)) == -1)
		skip(); /* a kernel without IP options */
	len = ip_to_sockaddr(&ss, &bound, AF_INET);
	assert_int_equal(connect(client_fd, (struct sockaddr *)&ss, len), 0);
	fd = accepted(listen_fd, &remote);
	assert_true(fd >= 0);
	if (options_length(fd) == 0)
		skip(); /* a kernel that does not echo them */
	assert_int_equal(sock_kill_options(fd), 0);
	assert_int_equal(options_length(fd), 0);
	(void)close(fd);
	(void)close(client_fd);
	(void)close(listen_fd);
}

/* What is thrown away, and what ends that. */
static void
lingering_ends_with_the_peer(void **state)
{
	int ends[2], cancel[2];
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(pipe(cancel), 0);
	assert_int_equal(write(ends[1], "abc", 3), 3);
	sock_linger(ends[0], -1, 600000, true);
	assert_int_equal(recv(ends[0], &byte, 1, MSG_DONTWAIT), -1);
	/* Time is up. */
	sock_linger(ends[0], cancel[0], 10, false);
	/* Somebody wants it to end. */
	assert_int_equal(write(cancel[1], "x", 1), 1);
	sock_linger(ends[0], cancel[0], 600000, false);
	assert_int_equal(read(cancel[0], &byte, 1), 1);
	/* The peer's own end, behind what it still had to say. */
	assert_int_equal(write(ends[1], "abc", 3), 3);
	(void)close(ends[1]);
	sock_linger(ends[0], cancel[0], 600000, false);
	assert_int_equal(recv(ends[0], &byte, 1, MSG_DONTWAIT), 0);
	(void)close(ends[0]);
	(void)close(cancel[0]);
	(void)close(cancel[1]);
}

/* For another holder of the socket too: nothing to read, nothing to say. */
static void
a_cut_leaves_nothing_to_read(void **state)
{
	static char bytes[40000];
	struct ip_endpoint bound, remote;
	int listen_fd, client_fd, fd, copy;
	struct pollfd polled = { .events = POLLIN };
	int there = 0;

	(void)state;
	listen_fd = listening("127.0.0.1", AF_INET, false, &bound);
	client_fd = connected(&bound, AF_INET);
	fd = accepted(listen_fd, &remote);
	copy = dup(fd);
	assert_int_equal(write(client_fd, bytes, sizeof(bytes)), sizeof(bytes));
	while (there < (int)sizeof(bytes)) {
		polled.fd = copy;
		assert_int_equal(poll(&polled, 1, 30000), 1);
		assert_int_equal(ioctl(copy, FIONREAD, &there), 0);
	}
	sock_cut(fd);
	assert_int_equal(recv(copy, bytes, 1, MSG_DONTWAIT), 0);
	assert_int_equal(send(copy, bytes, 1, MSG_NOSIGNAL), -1);
	/* The client sees an end, not a reset. */
	assert_int_equal(recv(client_fd, bytes, 1, 0), 0);
	sock_cut(fd);
	(void)close(fd);
	(void)close(copy);
	(void)close(client_fd);
	(void)close(listen_fd);
}

/* Messages that a queue takes while nobody reads. */
static size_t
queued(int fd)
{
	static const char line[100];
	size_t count = 0;

	while (send(fd, line, sizeof(line), MSG_DONTWAIT) == sizeof(line))
		count++;
	return count;
}

static void
a_deeper_queue_takes_more(void **state)
{
	int ends[2];
	size_t before;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	before = queued(ends[1]);
	assert_true(before > 0);
	sock_deepen(ends[1], 1 << 20);
	assert_true(queued(ends[1]) > before / 2);
	close(ends[0]);
	close(ends[1]);
	sock_deepen(-1, 1 << 20); /* nothing happens */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deeper_queue_takes_more),
		cmocka_unit_test(ipv4_connection),
		cmocka_unit_test(an_end_is_noticed),
		cmocka_unit_test(ipv6_connection),
		cmocka_unit_test(mapped_connection),
		cmocka_unit_test(failures_leave_no_descriptor),
		cmocka_unit_test(other_sockets_have_no_address),
		cmocka_unit_test(no_delay_is_inherited),
		cmocka_unit_test(ip_options_are_dropped),
		cmocka_unit_test(lingering_ends_with_the_peer),
		cmocka_unit_test(a_cut_leaves_nothing_to_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
