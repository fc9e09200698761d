/*
 * test_resolver: the role in a process of its own, between a test that is
 * master and monitor, and scripted DNS and IDENT servers in another process.
 *
 * The DNS server names 10.x.0.y at once, says nothing about 10.x.1.y, and
 * that others have no name.
 */
#include "serve/resolver.h"

#include <ev.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "dnsserver.h"
#include "net/ident.h"
#include "net/sock.h"
#include "serve/msg.h"
#include "serve/query.h"

#define LIMIT 1001
#define WAIT_MS 30000

struct fixture {
	pid_t server, resolver;
	uint16_t dns_port;
	int ident_fd;
	struct ip_endpoint ident;
	int life_fd, work_fd;
	struct resolver_settings settings;
	struct msg_room room;
};

static struct fixture f;

static void
serve(struct dnsserver_question *q)
{
	char name[64];

	if (dnsserver_octet(q, 2) == 1)
		return;
	dnsserver_begin(q, 0);
	if (dnsserver_octet(q, 0) == 127)
		dnsserver_name(q, NULL, 12, 100, "Here.Example");
	else if (dnsserver_octet(q, 2) == 0) {
		snprintf(
		    name, sizeof(name), "h%u.example", dnsserver_octet(q, 3));
		dnsserver_name(q, NULL, 12, 100, name);
	}
	dnsserver_send(q);
}

static void
run_server(int port_fd)
{
	static struct dnsserver server;
	struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);

	dnsserver_start(&server, loop, serve);
	fd_write_all(port_fd, &server.port, sizeof(server.port));
	fd_close(&port_fd);
	ev_run(loop, 0);
	_exit(1);
}

static void
start_server(void)
{
	int ends[2];

	assert_int_equal(fd_pipe(ends), 0);
	f.server = fork();
	if (f.server == 0)
		run_server(ends[1]);
	fd_close(&ends[1]);
	assert_int_equal(fd_read_all(ends[0], &f.dns_port, 2), 2);
	fd_close(&ends[0]);
}

static int
receive(int fd, struct msg *msg)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	bool more;

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	return msg_receive(fd, &f.room, msg, 0, false, &more);
}

/* Give the resolver a new work socket. */
static void
send_work(void)
{
	struct msg msg = { .type = MSG_WORK, .fd_count = 1 };
	int ends[2];

	assert_int_equal(fd_message_pair(ends), 0);
	msg.fds[0] = ends[1];
	assert_int_equal(msg_send(f.life_fd, &msg, false), 0);
	fd_close(&ends[1]);
	/* The old one is closed by the resolver first. */
	if (f.work_fd != -1)
		assert_int_equal(receive(f.work_fd, &msg), -1);
	fd_close(&f.work_fd);
	f.work_fd = ends[0];
}

static void
start_resolver(void)
{
	struct msg msg;
	int ends[2];

	assert_int_equal(fd_message_pair(ends), 0);
	f.resolver = fork();
	if (f.resolver == 0) {
		fd_close(&ends[0]);
		fd_close(&f.ident_fd);
		resolver_run(&f.settings, ends[1]);
	}
	fd_close(&ends[1]);
	f.life_fd = ends[0];
	assert_int_equal(receive(f.life_fd, &msg), 1);
	assert_int_equal(msg.type, MSG_READY);
	send_work();
}

static int
set_up(void **state)
{
	struct sock_listen how = { .family = AF_INET, .backlog = 10 };

	(void)state;
	memset(&f, 0, sizeof(f));
	f.work_fd = -1;
	start_server();
	assert_int_equal(ip_parse("127.0.0.1", &how.local.ip), 0);
	f.ident_fd = sock_listen(&how, &f.ident);
	assert_int_not_equal(f.ident_fd, -1);
	f.settings.limit = LIMIT;
	f.settings.server_count = 1;
	f.settings.servers[0].ip = how.local.ip;
	f.settings.servers[0].port = f.dns_port;
	f.settings.ident_port = f.ident.port;
	start_resolver();
	return 0;
}

/* The resolver ends with its life line, and with status 0. */
static int
tear_down(void **state)
{
	int status;

	(void)state;
	fd_close(&f.life_fd);
	assert_int_equal(waitpid(f.resolver, &status, 0), f.resolver);
	fd_close(&f.work_fd);
	fd_close(&f.ident_fd);
	kill(f.server, SIGKILL);
	assert_int_equal(waitpid(f.server, NULL, 0), f.server);
	return status;
}

static struct ip
address(unsigned n)
{
	char text[IP_TEXT_SIZE];
	struct ip ip;

	snprintf(
	    text, sizeof(text), "10.%u.%u.%u", n >> 16, n >> 8 & 255, n & 255);
	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static void
ask(uint64_t number, struct ip remote, unsigned wants, int ms)
{
	struct query query = { .wants = wants };
	unsigned char body[QUERY_SIZE];
	struct msg_writer w;

	assert_int_equal(ip_parse("127.0.0.1", &query.local.ip), 0);
	query.local.port = 443;
	query.remote.ip = remote;
	query.remote.port = 50000;
	query.name_deadline = query.info_deadline =
	    clock_after(clock_now(), ms);
	msg_write_to(&w, body, sizeof(body));
	assert_int_equal(query_put(&query, &w), 0);
	assert_int_equal(
	    msg_send_bytes(f.work_fd, MSG_QUERY, number, body, w.len, false),
	    0);
}

/* It is answered at once. */
static void
ask_for_nothing(uint64_t number)
{
	struct query query = { .wants = 0 };
	unsigned char body[QUERY_SIZE];
	struct msg_writer w;

	assert_int_equal(ip_parse("127.0.0.1", &query.local.ip), 0);
	query.remote = query.local;
	msg_write_to(&w, body, sizeof(body));
	assert_int_equal(query_put(&query, &w), 0);
	(void)msg_send_bytes(f.work_fd, MSG_QUERY, number, body, w.len, true);
}

/* The next answer; its connection. */
static uint64_t
hear(struct query_names *names)
{
	static struct msg msg;

	assert_int_equal(receive(f.work_fd, &msg), 1);
	assert_int_equal(msg.type, MSG_NAMES);
	assert_int_equal(query_get_names(names, &msg), 0);
	return msg.conn;
}

static void
names_are_found(void **state)
{
	struct query_names names;

	(void)state;
	ask(1, address(7), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
	assert_string_equal(names.host, "h7.example");
	assert_null(names.info);
	assert_null(names.local_host);
	ask(UINT64_MAX, address(8), QUERY_NAME | QUERY_LOCAL_NAME, WAIT_MS);
	assert_true(hear(&names) == UINT64_MAX);
	assert_string_equal(names.host, "h8.example");
	assert_string_equal(names.local_host, "here.example");
	/* The server knows no addresses. */
	ask(3, address(7), QUERY_NAME | QUERY_CONFIRM, WAIT_MS);
	assert_int_equal(hear(&names), 3);
	assert_null(names.host);
	ask(4, address(0x10200), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 4);
	assert_null(names.host);
	ask(5, address(7), 0, WAIT_MS);
	assert_int_equal(hear(&names), 5);
	assert_null(names.host);
}

static void
ident_is_asked(void **state)
{
	static const char reply[] = "50000,443:USERID:UNIX:joe\r\n";
	struct pollfd poll_fd = { .events = POLLIN };
	struct ip_endpoint from;
	struct query_names names;
	char question[64];
	int fd;

	(void)state;
	ask(1, f.ident.ip, QUERY_NAME | QUERY_INFO, WAIT_MS);
	poll_fd.fd = f.ident_fd;
	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	fd = sock_accept(f.ident_fd, &from);
	assert_true(recv(fd, question, sizeof(question), 0) > 0);
	fd_write_all(fd, reply, sizeof(reply) - 1);
	assert_int_equal(hear(&names), 1);
	assert_string_equal(names.info, "joe");
	assert_string_equal(names.host, "here.example");
	fd_close(&fd);
}

static void
a_deadline_is_kept(void **state)
{
	int64_t before = clock_now();
	struct query_names names;

	(void)state;
	ask(1, address(0x100), QUERY_NAME | QUERY_LOCAL_NAME, 800);
	assert_int_equal(hear(&names), 1);
	assert_null(names.host);
	/* What is known by then is told. */
	assert_string_equal(names.local_host, "here.example");
	assert_in_range(clock_now() - before, 790, 1800);
}

static void
silence_of_the_servers_is_told(void **state)
{
	struct query_names names;
	struct msg msg;
	unsigned i;

	(void)state;
	/* Once, however many find it out. */
	for (i = 1; i <= 3; i++)
		ask(i, address(0x100 + i), QUERY_NAME, 300);
	for (i = 1; i <= 3; i++)
		hear(&names);
	assert_int_equal(receive(f.life_fd, &msg), 1);
	assert_int_equal(msg.type, MSG_SILENCE);
	ask(1, address(0x107), QUERY_NAME, 100);
	hear(&names);
	assert_int_equal(
	    poll(&(struct pollfd){ f.life_fd, POLLIN, 0 }, 1, 0), 0);
}

static void
cancelled_is_not_answered(void **state)
{
	struct query_names names;

	(void)state;
	ask(1, address(0x100), QUERY_NAME, 300);
	assert_int_equal(
	    msg_send_bytes(f.work_fd, MSG_CANCEL, 1, NULL, 0, false), 0);
	/* One that is not known: it has just been answered. */
	assert_int_equal(
	    msg_send_bytes(f.work_fd, MSG_CANCEL, 9, NULL, 0, false), 0);
	ask(2, address(0x101), QUERY_NAME, 600);
	assert_int_equal(hear(&names), 2);
	/* Its number may come again. */
	ask(1, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
}

static void
a_thousand_wait_for_a_dead_server(void **state)
{
	static unsigned char heard[LIMIT + 1];
	struct query_names names;
	int64_t before, took;
	uint64_t number;
	unsigned i;

	(void)state;
	ask(1, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
	for (i = 0; i < 1000; i++)
		ask(10 + i, address(0x100 + (i & 255) + (i >> 8 << 16)),
		    QUERY_NAME, 3000);
	before = clock_now();
	ask(1, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
	took = clock_now() - before;
	print_message("# known name after %d ms\n", (int)took);
	assert_string_equal(names.host, "h1.example");
	assert_true(took < 500);
	before = clock_now();
	ask(2, address(2), QUERY_NAME, WAIT_MS);
	for (i = 0, number = 0; number != 2; i++) {
		number = hear(&names);
		assert_true(number == 2 || number >= 10);
	}
	took = clock_now() - before;
	print_message("# new name after %d ms\n", (int)took);
	assert_string_equal(names.host, "h2.example");
	for (i--; i < 1000; i++) {
		number = hear(&names);
		assert_in_range(number, 10, 1009);
		assert_int_equal(heard[number - 10]++, 0);
	}
}

static void
beyond_the_limit_nothing_is_known(void **state)
{
	struct query_names names;
	unsigned i;

	(void)state;
	for (i = 0; i < LIMIT; i++)
		ask(10 + i, address(0x100), QUERY_NAME, 2000);
	ask(1, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
	assert_null(names.host);
	for (i = 0; i < LIMIT; i++)
		hear(&names);
	ask(1, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
	assert_string_equal(names.host, "h1.example");
}

static void
a_new_monitor_starts_at_zero(void **state)
{
	struct query_names names;

	(void)state;
	ask(1, address(0x100), QUERY_NAME, 300);
	send_work();
	ask(1, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
	assert_string_equal(names.host, "h1.example");
	ask(2, address(0x101), QUERY_NAME, 600);
	assert_int_equal(hear(&names), 2);
}

/* It ends with status 111, and another one is there. */
static void
expect_failure(void)
{
	struct msg msg;
	int status;

	assert_int_equal(receive(f.work_fd, &msg), -1);
	assert_int_equal(waitpid(f.resolver, &status, 0), f.resolver);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 111);
	fd_close(&f.life_fd);
	fd_close(&f.work_fd);
	start_resolver();
}

static void
nonsense_ends_it(void **state)
{
	struct query_names names;

	(void)state;
	msg_send_bytes(f.work_fd, MSG_QUERY, 1, "x", 1, false);
	expect_failure();
	msg_send_bytes(f.work_fd, MSG_EXEC, 1, NULL, 0, false);
	expect_failure();
	assert_int_equal(send(f.work_fd, "garbage!", 8, 0), 8);
	expect_failure();
	/* Two queries for one connection. */
	ask(1, address(0x100), QUERY_NAME, WAIT_MS);
	ask(1, address(0x100), QUERY_NAME, WAIT_MS);
	expect_failure();
	ask(1, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
}

/* Its queue is as long as there can be answers: this is no monitor. */
static void
who_does_not_read_ends_it(void **state)
{
	struct pollfd poll_fd = { .events = POLLOUT };
	unsigned number;
	int status;

	(void)state;
	poll_fd.fd = f.work_fd;
	/* Answered at once; so there is no end of them. */
	for (number = 1; number < 100000; number++) {
		assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
		if (poll_fd.revents & (POLLHUP | POLLERR))
			break;
		ask_for_nothing(number);
	}
	assert_true(number < 100000);
	assert_int_equal(waitpid(f.resolver, &status, 0), f.resolver);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 111);
	fd_close(&f.life_fd);
	fd_close(&f.work_fd);
	start_resolver();
}

/* It has gone: another one will come. */
static void
the_end_of_the_work_socket_is_none_of_it(void **state)
{
	struct query_names names;

	(void)state;
	ask(1, address(0x100), QUERY_NAME, WAIT_MS);
	fd_close(&f.work_fd);
	send_work();
	ask(1, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
	assert_string_equal(names.host, "h1.example");
}

static void
servers_are_changed(void **state)
{
	unsigned char body[QUERY_SERVERS_SIZE];
	struct query_names names;
	struct msg_writer w;

	(void)state;
	ask(1, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 1);
	assert_non_null(names.host);
	/* Under way with the old ones. */
	ask(2, address(0x100), QUERY_NAME, 500);
	msg_write_to(&w, body, sizeof(body));
	assert_int_equal(query_put_servers(NULL, 0, &w), 0);
	assert_int_equal(
	    msg_send_bytes(f.life_fd, MSG_SERVERS, 0, body, w.len, false), 0);
	assert_int_equal(hear(&names), 2);
	/* Nobody to ask, and nothing remembered. */
	ask(3, address(1), QUERY_NAME, WAIT_MS);
	assert_int_equal(hear(&names), 3);
	assert_null(names.host);
	msg_write_to(&w, body, sizeof(body));
	assert_int_equal(query_put_servers(f.settings.servers, 1, &w), 0);
	assert_int_equal(
	    msg_send_bytes(f.life_fd, MSG_SERVERS, 0, body, w.len, false), 0);
	for (;;) {
		ask(4, address(1), QUERY_NAME, WAIT_MS);
		assert_int_equal(hear(&names), 4);
		if (names.host != NULL)
			break;
	}
	assert_string_equal(names.host, "h1.example");
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(names_are_found),
		TEST(ident_is_asked),
		TEST(a_deadline_is_kept),
		TEST(silence_of_the_servers_is_told),
		TEST(cancelled_is_not_answered),
		TEST(a_thousand_wait_for_a_dead_server),
		TEST(beyond_the_limit_nothing_is_known),
		TEST(a_new_monitor_starts_at_zero),
		TEST(nonsense_ends_it),
		TEST(who_does_not_read_ends_it),
		TEST(the_end_of_the_work_socket_is_none_of_it),
		TEST(servers_are_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
