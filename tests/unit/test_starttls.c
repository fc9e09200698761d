/*
 * test_starttls: the dance on real sockets, with a peer whose every step the
 * test takes: not a byte too many is read, and every wait ends.
 */
#include "client/starttls.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/ip.h"
#include "net/sock.h"
#include "support.h"

#define LONG 60000 /* ms: nothing that ends by itself takes that long */
#define WORDS_MAX 8

/* What a peer does, in a thread of its own. */
struct peer {
	int fd;
	const char *says[WORDS_MAX]; /* before each, a line is waited for */
	const char *greeting;	     /* said first; NULL: nothing */
	bool hangs_up, is_slow;
	char heard[512];
};

static void
say(int fd, const char *text, bool is_slow)
{
	size_t i, len = strlen(text);

	if (!is_slow) {
		assert_int_equal(fd_write_all(fd, text, len), 0);
		return;
	}
	for (i = 0; i < len; i++)
		assert_int_equal(fd_write_all(fd, text + i, 1), 0);
}

/* Hear one line.  Is there one? */
static bool
hear(struct peer *peer)
{
	size_t len = strlen(peer->heard);
	char byte = '\0';

	while (byte != '\n' && len + 1 < sizeof(peer->heard)) {
		if (read(peer->fd, &byte, 1) != 1)
			return false;
		peer->heard[len++] = byte;
	}
	return true;
}

static void *
be_peer(void *arg)
{
	struct peer *peer = arg;
	size_t i;

	if (peer->greeting != NULL)
		say(peer->fd, peer->greeting, peer->is_slow);
	for (i = 0; peer->says[i] != NULL && hear(peer); i++)
		say(peer->fd, peer->says[i], peer->is_slow);
	if (peer->hangs_up)
		shutdown(peer->fd, SHUT_RDWR);
	return NULL;
}

struct fixture {
	int fd; /* ours */
	struct peer peer;
	char why[STARTTLS_WHY_SIZE];
};

static struct fixture f;

static int
set_up(void **state)
{
	int ends[2];

	(void)state;
	memset(&f, 0, sizeof(f));
	assert_int_equal(fd_stream_pair(ends), 0);
	f.fd = ends[0];
	f.peer.fd = ends[1];
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fd_close(&f.fd);
	fd_close(&f.peer.fd);
	return 0;
}

static int
dance(enum starttls_protocol protocol, int ms)
{
	pthread_t thread;
	int result;

	assert_int_equal(pthread_create(&thread, NULL, be_peer, &f.peer), 0);
	result = starttls(f.fd, -1, protocol, "host.example",
	    clock_after(clock_now(), ms), f.why);
	/* A peer that still waits for us. */
	if (result == -1)
		shutdown(f.fd, SHUT_WR);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return result;
}

static void
smtp_peer(const char *last)
{
	f.peer.greeting = "220 x\r\n";
	f.peer.says[0] = "250-x\r\n250 STARTTLS\r\n";
	f.peer.says[1] = last;
}

static void
all_goes_well(void **state)
{
	(void)state;
	smtp_peer("220 go\r\n");
	assert_int_equal(dance(STARTTLS_SMTP, LONG), 0);
	assert_string_equal(f.peer.heard, "EHLO localhost\r\nSTARTTLS\r\n");
	/* The descriptor is as it was. */
	assert_int_equal(fcntl(f.fd, F_GETFL) & O_NONBLOCK, 0);
}

static void
a_slow_peer_and_a_socket_that_does_not_block(void **state)
{
	(void)state;
	smtp_peer("220 go\r\n");
	f.peer.is_slow = true;
	assert_int_equal(fd_set_nonblocking(f.fd, 1), 0);
	assert_int_equal(dance(STARTTLS_SMTP, LONG), 0);
	assert_string_equal(f.peer.heard, "EHLO localhost\r\nSTARTTLS\r\n");
}

static void
what_comes_behind_the_last_answer_stays_unread(void **state)
{
	char bytes[16];

	(void)state;
	f.peer.greeting = "+OK\r\n";
	f.peer.says[0] = "+OK\r\nSTLS\r\n.\r\n";
	f.peer.says[1] = "+OK\r\nINJECTED";
	assert_int_equal(dance(STARTTLS_POP3, LONG), -1);
	assert_string_equal(
	    f.why, "pop3: before TLS came what nobody had asked for: INJECTED");
	assert_int_equal(recv(f.fd, bytes, sizeof(bytes), 0), 8);
	assert_memory_equal(bytes, "INJECTED", 8);
}

static void
an_answer_before_the_question_is_refused(void **state)
{
	(void)state;
	f.peer.greeting = "220 x\r\n234 go\r\n";
	f.peer.says[0] = "";
	assert_int_equal(dance(STARTTLS_FTP, LONG), -1);
	assert_string_equal(f.why,
	    "ftp: before AUTH TLS came what nobody had asked for: 234 go??");
	assert_string_equal(f.peer.heard, "");
}

static void
silence_ends_with_the_deadline(void **state)
{
	int64_t before = clock_now();

	(void)state;
	assert_int_equal(dance(STARTTLS_IMAP, 100), -1);
	assert_true(clock_now() - before >= 100);
	assert_string_equal(f.why, "imap: the greeting did not come in time");
}

/* Bytes without end: each wait is short, and together they are too long. */
static void *
babble(void *arg)
{
	int *fd = arg;

	while (send(*fd, "x", 1, MSG_NOSIGNAL) == 1)
		(void)poll(NULL, 0, 1);
	return NULL;
}

static void
a_babbling_peer_ends_too(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, babble, &f.peer.fd), 0);
	assert_int_equal(starttls(f.fd, -1, STARTTLS_IMAP, NULL,
			     clock_after(clock_now(), 100), f.why),
	    -1);
	fd_close(&f.fd);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(f.why, "imap: the greeting did not come in time");
}

/* One that reads nothing, on a connection that holds no byte more. */
static void
a_peer_that_does_not_listen_ends_too(void **state)
{
	char bytes[4096] = { 0 };

	(void)state;
	while (send(f.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
	say(f.peer.fd, "220 x\r\n", false);
	assert_int_equal(dance(STARTTLS_FTP, 2000), -1);
	assert_string_equal(
	    f.why, "ftp: the answer to AUTH TLS did not come in time");
}

static void
a_peer_that_hangs_up(void **state)
{
	(void)state;
	f.peer.greeting = "220 x\r\n";
	f.peer.says[0] = "250-x\r\n250-STARTTLS";
	f.peer.hangs_up = true;
	assert_int_equal(dance(STARTTLS_SMTP, LONG), -1);
	assert_string_equal(
	    f.why, "smtp: the answer to EHLO did not come: the server hung up");
}

static void
a_peer_that_is_gone_already(void **state)
{
	(void)state;
	fd_close(&f.peer.fd);
	assert_int_equal(starttls(f.fd, -1, STARTTLS_POSTGRES, NULL,
			     clock_after(clock_now(), LONG), f.why),
	    -1);
	assert_string_equal(f.why,
	    "postgres: the answer to SSLRequest did not come: Broken pipe");
}

static void
who_does_not_want_it_any_more_is_heard(void **state)
{
	int wants[2];

	(void)state;
	assert_int_equal(fd_pipe(wants), 0);
	fd_close(&wants[1]);
	assert_int_equal(starttls(f.fd, wants[0], STARTTLS_IMAP, NULL,
			     clock_after(clock_now(), LONG), f.why),
	    -1);
	fd_close(&wants[0]);
	assert_string_equal(
	    f.why, "imap: the greeting did not come: Operation canceled");
}

/* A connection of that family over loopback in the place of the pair. */
static void
connect_over(int family, const char *address)
{
	struct sock_listen how = { .family = family, .backlog = 1 };
	struct ip_endpoint bound, from;
	int listen_fd;

	assert_int_equal(ip_parse(address, &how.local.ip), 0);
	listen_fd = sock_listen(&how, &bound);
	if (listen_fd == -1)
		SKIP("no such loopback address");
	fd_set_nonblocking(listen_fd, 0);
	fd_close(&f.fd);
	fd_close(&f.peer.fd);
	how.local.port = 0;
	f.fd = sock_connect_from(&how.local, &bound);
	assert_int_not_equal(f.fd, -1);
	f.peer.fd = sock_accept(listen_fd, &from);
	assert_int_not_equal(f.peer.fd, -1);
	fd_close(&listen_fd);
}

static void
smtp_is_told_our_address(void **state)
{
	(void)state;
	connect_over(AF_INET, "127.0.0.3");
	smtp_peer("220 go\r\n");
	assert_int_equal(dance(STARTTLS_SMTP, LONG), 0);
	assert_string_equal(f.peer.heard, "EHLO [127.0.0.3]\r\nSTARTTLS\r\n");
}

static void
an_ipv6_address_is_told_as_such(void **state)
{
	(void)state;
	connect_over(AF_INET6, "::1");
	smtp_peer("220 go\r\n");
	assert_int_equal(dance(STARTTLS_SMTP, LONG), 0);
	assert_string_equal(f.peer.heard, "EHLO [IPv6:::1]\r\nSTARTTLS\r\n");
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(all_goes_well),
		TEST(a_slow_peer_and_a_socket_that_does_not_block),
		TEST(what_comes_behind_the_last_answer_stays_unread),
		TEST(an_answer_before_the_question_is_refused),
		TEST(silence_ends_with_the_deadline),
		TEST(a_babbling_peer_ends_too),
		TEST(a_peer_that_does_not_listen_ends_too),
		TEST(a_peer_that_hangs_up),
		TEST(a_peer_that_is_gone_already),
		TEST(who_does_not_want_it_any_more_is_heard),
		TEST(smtp_is_told_our_address),
		TEST(an_ipv6_address_is_told_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
