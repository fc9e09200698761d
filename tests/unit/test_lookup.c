/*
 * test_lookup: the way of clients through LOOKUP, in a monitor in a process
 * of its own; the test is master, resolver, nursery, logger and clients.
 *
 * lookup.c is taken in as text, so that its clock can be put forward.
 */
#include <sys/mman.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/sock.h"
#include "serve/cache.h"
#include "serve/monitor.h"
#include "serve/msg.h"
#include "serve/profiles.h"

static int64_t *clock_shift; /* milliseconds, also in the monitor */

static int64_t
shifted_clock(void)
{
	return clock_now() + *clock_shift;
}

#define clock_now shifted_clock
#include "serve/lookup.c"
#undef clock_now

#define WAIT_MS 30000
#define NOT_A_PID 1073741823 /* beyond what a system gives out */
#define ROLE_PID 77	     /* of resolver and nursery, we say */

/* A message, and the piece it lies in. */
struct heard {
	struct msg msg;
	struct msg_room room;
};

struct fixture {
	pid_t monitor;
	int master_fd, nursery_fd, resolver_fd, log_fd;
	struct ip_endpoint bound;
	struct settings settings;
	struct heard heard;
};

static struct fixture f;

/* The next message; NULL at the end of the socket. */
static const struct msg *
hear(int fd, size_t max_fds)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	bool more;
	int r;

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	r = msg_receive(fd, &f.heard.room, &f.heard.msg, max_fds, false, &more);
	return r == 1 ? &f.heard.msg : NULL;
}

/* The digest of the one that there always is, and no lists of others. */
static void
put_profiles(struct msg_writer *w)
{
	static const unsigned char digest[CACHE_PROFILE_SIZE];
	size_t i;

	msg_put_bytes(w, digest, sizeof(digest));
	for (i = 0; i < PROFILES_LISTS; i++)
		msg_put_number(w, 0);
}

/* As master: hand the monitor one end of something. */
static void
give(enum msg_type type, int *fd)
{
	unsigned char body[200];
	struct msg msg = {
		.type = type, .body = body, .fds = { *fd }, .fd_count = 1
	};
	struct msg_writer w;

	msg_write_to(&w, body, sizeof(body));
	if (type == MSG_NURSERY)
		msg_put_number(&w, 1);
	msg_put_number(&w, ROLE_PID);
	if (type == MSG_NURSERY)
		put_profiles(&w);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	assert_int_equal(msg_send(f.master_fd, &msg, false), 0);
	fd_close(fd);
}

/* One end for the monitor.  Returns the other. */
static int
give_end(enum msg_type type)
{
	int ends[2];

	assert_int_equal(fd_message_pair(ends), 0);
	give(type, &ends[1]);
	return ends[0];
}

static void
give_listener(void)
{
	struct sock_listen how = { .family = AF_INET, .backlog = 10 };
	int fd;

	assert_int_equal(ip_parse("127.0.0.1", &how.local.ip), 0);
	fd = sock_listen(&how, &f.bound);
	assert_int_not_equal(fd, -1);
	give(MSG_LISTENER, &fd);
}

static int
start(const struct settings *settings)
{
	int ends[2];

	f.settings = *settings;
	f.settings.program_name = "sslserver";
	*clock_shift = 0;
	assert_int_equal(fd_message_pair(ends), 0);
	f.monitor = fork();
	if (f.monitor == 0) {
		fd_close(&ends[0]);
		monitor_run(&f.settings, ends[1]);
	}
	fd_close(&ends[1]);
	f.master_fd = ends[0];
	assert_int_equal(hear(f.master_fd, 0)->type, MSG_READY);
	f.log_fd = give_end(MSG_LOGGER);
	f.nursery_fd = give_end(MSG_NURSERY);
	f.resolver_fd = give_end(MSG_RESOLVER);
	give_listener();
	return 0;
}

static int
start_with_names(void **state)
{
	struct settings settings = { .limit = 20,
		.handshake_s = 60,
		.wants_name = true,
		.limits = { LIMITS_NONE, LIMITS_NONE, 0 },
		.kill_after_s = SETTINGS_NEVER,
		.verbosity = VERBOSITY_ALL };

	(void)state;
	return start(&settings);
}

/* As the time for names cannot be chosen, that for IDENT. */
static int
start_with_ident(void **state)
{
	struct settings settings = { .limit = 100,
		.handshake_s = 60,
		.wants_ident = true,
		.ident_s = 1,
		.local_name = "here",
		.limits = { LIMITS_NONE, LIMITS_NONE, 0 },
		.kill_after_s = SETTINGS_NEVER,
		.verbosity = VERBOSITY_QUIET };

	(void)state;
	return start(&settings);
}

/* It ends with its life line, in good order. */
static int
tear_down(void **state)
{
	int status;

	(void)state;
	fd_close(&f.master_fd);
	assert_int_equal(waitpid(f.monitor, &status, 0), f.monitor);
	fd_close(&f.nursery_fd);
	fd_close(&f.resolver_fd);
	fd_close(&f.log_fd);
	return status;
}

/* Clients. */

static int
connect_client(void)
{
	struct ip_endpoint any = { .port = 0 };
	struct pollfd poll_fd = { .events = POLLOUT };

	assert_int_equal(ip_parse("127.0.0.1", &any.ip), 0);
	poll_fd.fd = sock_connect_from(&any, &f.bound);
	assert_int_not_equal(poll_fd.fd, -1);
	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	assert_int_equal(sock_connected(poll_fd.fd), 0);
	return poll_fd.fd;
}

/* The resolver's side. */

/* The next QUERY.  Returns its connection; *wants is what it asks for. */
static uint64_t
hear_query(unsigned *wants)
{
	const struct msg *msg = hear(f.resolver_fd, 0);
	struct query query;

	assert_non_null(msg);
	assert_int_equal(msg->type, MSG_QUERY);
	assert_int_equal(query_get(&query, msg), 0);
	*wants = query.wants;
	return msg->conn;
}

static void
answer(uint64_t conn, const char *local_host)
{
	const struct query_names names = { .local_host = local_host };
	unsigned char body[QUERY_NAMES_SIZE];
	struct msg_writer w;

	msg_write_to(&w, body, sizeof(body));
	assert_int_equal(query_put_names(&names, &w), 0);
	assert_int_equal(
	    msg_send_bytes(f.resolver_fd, MSG_NAMES, conn, body, w.len, false),
	    0);
}

/* The nursery's side. */

/* The START of this connection.  Returns the session's control socket. */
static int
hear_start(uint64_t conn)
{
	const struct msg *msg = hear(f.nursery_fd, MSG_FDS_MAX);
	struct msg taken;
	int control_fd;

	assert_non_null(msg);
	assert_int_equal(msg->type, MSG_START);
	assert_true(msg->conn == conn);
	assert_int_equal(msg->fd_count, 4);
	taken = *msg;
	control_fd = fd_dup_above(taken.fds[1], 3);
	msg_close_fds(&taken);
	return control_fd;
}

static void
tell_nursery_number(enum msg_type type, uint64_t conn, uint64_t number)
{
	assert_int_equal(msg_send_bytes(f.nursery_fd, type, conn, &number,
			     sizeof(number), false),
	    0);
}

/* The next line of the log that begins so. */
static const char *
hear_line(const char *beginning)
{
	static char line[4096];
	struct pollfd poll_fd = { .fd = f.log_fd, .events = POLLIN };
	ssize_t len;

	do {
		assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
		len = recv(f.log_fd, line, sizeof(line) - 1, 0);
		assert_true(len > 0);
		line[len] = '\0';
	} while (strncmp(line, beginning, strlen(beginning)) != 0);
	return line;
}

/* A session that comes and goes, for the line `ok', with this name of ours. */
static void
expect_local_name(uint64_t conn, int control_fd, const char *name)
{
	char text[600];

	tell_nursery_number(MSG_STARTED, conn, NOT_A_PID);
	hear_line("sslserver: pid");
	tell_nursery_number(MSG_GONE, conn, 0);
	snprintf(text, sizeof(text), "sslserver: ok %d %s:127.0.0.1:%u ",
	    NOT_A_PID, name, f.bound.port);
	assert_memory_equal(hear_line("sslserver: ok"), text, strlen(text));
	fd_close(&control_fd);
}

/* Tests. */

static void
a_local_name_is_kept_whatever_comes_later(void **state)
{
	int clients[3] = { connect_client(), connect_client(), -1 };
	int controls[3];
	uint64_t conns[3];
	unsigned wants, i;

	(void)state;
	/* Both ask, as neither has an answer. */
	for (i = 0; i < 2; i++) {
		conns[i] = hear_query(&wants);
		assert_int_equal(wants, QUERY_NAME | QUERY_LOCAL_NAME);
	}
	answer(conns[0], "here.example");
	controls[0] = hear_start(conns[0]);
	answer(conns[1], NULL);
	controls[1] = hear_start(conns[1]);
	clients[2] = connect_client();
	conns[2] = hear_query(&wants);
	assert_int_equal(wants, QUERY_NAME);
	answer(conns[2], NULL);
	controls[2] = hear_start(conns[2]);
	for (i = 0; i < 3; i++) {
		expect_local_name(conns[i], controls[i], "here.example");
		fd_close(&clients[i]);
	}
}

static struct ip
local_address(unsigned number)
{
	char text[IP_TEXT_SIZE];
	struct ip ip;

	snprintf(text, sizeof(text), "127.0.0.%u", number);
	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

/* A client at this address of ours.  Returns the name it finds; "": none. */
static const char *
name_at(struct monitor *m, unsigned number)
{
	struct ip ip = local_address(number);
	const struct local_name *local;

	if (is_to_be_asked(m, &ip))
		return "";
	local = find_local_name(m, &ip);
	assert_non_null(local);
	return local->name;
}

static void
tell_name(struct monitor *m, unsigned number)
{
	struct ip ip = local_address(number);
	char name[32];

	snprintf(name, sizeof(name), "h%u.example", number);
	keep_local_name(m, &ip, name);
}

/* Whatever is used keeps its name; one more address has one as well. */
static void
there_is_room_for_another_local_name(void **state)
{
	static struct monitor m;
	unsigned number;

	(void)state;
	for (number = 1; number <= LOCAL_NAMES_MAX; number++) {
		assert_string_equal(name_at(&m, number), "");
		tell_name(&m, number);
	}
	assert_string_equal(name_at(&m, 1), "h1.example");
	assert_string_equal(name_at(&m, 17), "");
	tell_name(&m, 17);
	assert_string_equal(name_at(&m, 17), "h17.example");
	assert_string_equal(name_at(&m, 1), "h1.example");
	assert_string_equal(name_at(&m, 3), "h3.example");
	/* This one had not been used for longest. */
	assert_string_equal(name_at(&m, 2), "");
	tell_name(&m, 2);
	assert_string_equal(name_at(&m, 2), "h2.example");
	assert_string_equal(name_at(&m, 3), "h3.example");
	assert_string_equal(name_at(&m, 4), "");
}

/* A client comes, and is told of no name.  Returns what it asked for. */
static unsigned
come_and_go(const char *local_host)
{
	int client_fd = connect_client(), control_fd;
	unsigned wants;
	uint64_t conn = hear_query(&wants);

	answer(conn, local_host);
	control_fd = hear_start(conn);
	fd_close(&control_fd);
	fd_close(&client_fd);
	return wants;
}

static void
an_unknown_local_name_is_asked_again(void **state)
{
	int client_fd;
	unsigned wants;
	uint64_t conn;

	(void)state;
	assert_true(come_and_go(NULL) & QUERY_LOCAL_NAME);
	*clock_shift += LOCAL_NAME_MS - 1000;
	assert_false(come_and_go(NULL) & QUERY_LOCAL_NAME);
	/* Those who did not ask have not put it off. */
	*clock_shift += 1000;
	client_fd = connect_client();
	conn = hear_query(&wants);
	assert_true(wants & QUERY_LOCAL_NAME);
	/* Nobody waits for it beside the one who asks. */
	assert_false(come_and_go(NULL) & QUERY_LOCAL_NAME);
	answer(conn, "here.example");
	expect_local_name(conn, hear_start(conn), "here.example");
	*clock_shift += 10 * LOCAL_NAME_MS;
	assert_false(come_and_go(NULL) & QUERY_LOCAL_NAME);
	fd_close(&client_fd);
}

static void
a_session_that_was_not_asked_for_is_ignored(void **state)
{
	int client_fd = connect_client(), control_fd;
	unsigned wants;
	uint64_t conn = hear_query(&wants);

	(void)state;
	tell_nursery_number(MSG_STARTED, conn, NOT_A_PID);
	tell_nursery_number(MSG_FAILED, conn, ENOMEM);
	tell_nursery_number(MSG_GONE, conn, 0);
	/* These three have been read when another client has its START. */
	(void)come_and_go(NULL);
	answer(conn, NULL);
	control_fd = hear_start(conn);
	expect_local_name(conn, control_fd, "");
	fd_close(&client_fd);
}

/* Only one of them has gone, and none may be read. */
static void
a_client_that_resets_is_released(void **state)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	int silent_fd = connect_client(), half_fd, reset_fd, control_fd;
	uint64_t silent, half, reset;
	const struct msg *msg;
	unsigned wants;

	(void)state;
	silent = hear_query(&wants);
	half_fd = connect_client();
	half = hear_query(&wants);
	fd_write_all(half_fd, "hello", 5);
	shutdown(half_fd, SHUT_WR);
	reset_fd = connect_client();
	reset = hear_query(&wants);
	fd_write_all(reset_fd, "hello", 5);
	setsockopt(reset_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	hear_line("sslserver: status: 3/20/20");
	fd_close(&reset_fd);
	msg = hear(f.resolver_fd, 0);
	assert_non_null(msg);
	assert_int_equal(msg->type, MSG_CANCEL);
	assert_true(msg->conn == reset);
	hear_line("sslserver: status: 2/20/20");
	/* Too late; and the others still have their place. */
	answer(reset, NULL);
	answer(half, NULL);
	control_fd = hear_start(half);
	fd_close(&control_fd);
	answer(silent, NULL);
	control_fd = hear_start(silent);
	fd_close(&control_fd);
	fd_close(&half_fd);
	fd_close(&silent_fd);
}

static void
expect_start(uint64_t conn)
{
	int control_fd = hear_start(conn);

	fd_close(&control_fd);
}

/* Nobody is asked for this client. */
static void
expect_start_at_once(void)
{
	int client_fd = connect_client();
	const struct msg *msg = hear(f.nursery_fd, MSG_FDS_MAX);
	struct msg taken;

	assert_non_null(msg);
	assert_int_equal(msg->type, MSG_START);
	taken = *msg;
	msg_close_fds(&taken);
	fd_close(&client_fd);
}

/* The monitor has heard whatever it was told: it drops the old log. */
static void
wait_until_heard(void)
{
	int old_fd = f.log_fd;
	char line[4096];

	f.log_fd = give_end(MSG_LOGGER);
	while (recv(old_fd, line, sizeof(line), 0) > 0)
		continue;
	fd_close(&old_fd);
}

/* Is there something to be heard now? */
static bool
says_something(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

/* Master is told to replace a role. */
static void
expect_stuck(enum msg_stuck which, enum msg_stuck_why why)
{
	const struct msg *msg = hear(f.master_fd, 0);
	struct msg_reader r;

	assert_non_null(msg);
	assert_int_equal(msg->type, MSG_STUCK);
	msg_read_from(&r, msg);
	assert_int_equal(msg_get_number(&r), which);
	assert_int_equal(msg_get_number(&r), why);
	assert_int_equal(msg_get_number(&r), ROLE_PID);
	assert_int_equal(msg_read_all(&r), 0);
}

/* Not a message at all, one too many, and the end of the socket. */
static void
a_resolver_that_fails_is_replaced(void **state)
{
	static const enum msg_stuck_why whys[] = { MSG_STUCK_NONSENSE,
		MSG_STUCK_NONSENSE, MSG_STUCK_CLOSED };
	int client_fd;
	unsigned wants, i;
	uint64_t conn;

	(void)state;
	for (i = 0; i < 3; i++) {
		client_fd = connect_client();
		conn = hear_query(&wants);
		if (i == 0)
			assert_int_equal(
			    send(f.resolver_fd, "garbage!", 8, 0), 8);
		else if (i == 1)
			msg_send_bytes(
			    f.resolver_fd, MSG_QUERY, conn, NULL, 0, false);
		else
			fd_close(&f.resolver_fd);
		expect_stuck(MSG_STUCK_RESOLVER, whys[i]);
		/* It does not wait for the next one. */
		expect_start(conn);
		fd_close(&client_fd);
		fd_close(&f.resolver_fd);
		f.resolver_fd = give_end(MSG_RESOLVER);
		wait_until_heard();
	}
	/* The next one is asked. */
	assert_true(come_and_go(NULL) & QUERY_NAME);
}

static void
a_nursery_that_fails_is_replaced(void **state)
{
	int old_fd;

	(void)state;
	assert_int_equal(send(f.nursery_fd, "garbage!", 8, 0), 8);
	expect_stuck(MSG_STUCK_NURSERY, MSG_STUCK_NONSENSE);
	/* That would be the end of every session; it is to be killed. */
	wait_until_heard();
	assert_false(says_something(f.nursery_fd));
	old_fd = f.nursery_fd;
	f.nursery_fd = give_end(MSG_NURSERY);
	assert_null(hear(old_fd, 0));
	fd_close(&old_fd);
	fd_close(&f.nursery_fd);
	expect_stuck(MSG_STUCK_NURSERY, MSG_STUCK_CLOSED);
	f.nursery_fd = give_end(MSG_NURSERY);
	wait_until_heard();
	(void)come_and_go(NULL);
}

static void
a_resolver_that_is_silent_is_replaced(void **state)
{
	int clients[2] = { connect_client(), connect_client() };
	unsigned wants, i;
	uint64_t conns[2];

	(void)state;
	for (i = 0; i < 2; i++)
		conns[i] = hear_query(&wants);
	expect_stuck(MSG_STUCK_RESOLVER, MSG_STUCK_SILENT);
	/* All that was asked is unknown, and nothing more is asked. */
	assert_null(hear(f.resolver_fd, 0));
	for (i = 0; i < 2; i++)
		expect_start(conns[i]);
	expect_start_at_once();
	fd_close(&f.resolver_fd);
	f.resolver_fd = give_end(MSG_RESOLVER);
	wait_until_heard();
	assert_int_equal(come_and_go(NULL), QUERY_INFO);
	assert_false(says_something(f.master_fd));
	for (i = 0; i < 2; i++)
		fd_close(&clients[i]);
}

/* Any START.  Returns whether it was that of this connection. */
static bool
hear_any_start(uint64_t conn)
{
	const struct msg *msg = hear(f.nursery_fd, MSG_FDS_MAX);
	struct msg taken;

	assert_non_null(msg);
	assert_int_equal(msg->type, MSG_START);
	taken = *msg;
	msg_close_fds(&taken);
	tell_nursery_number(MSG_FAILED, taken.conn, ENOMEM);
	return taken.conn == conn;
}

/* A client whose names the resolver tells, as long as it is asked. */
static enum msg_type
answer_another(uint64_t *conn)
{
	int client_fd = connect_client();
	const struct msg *msg = hear(f.resolver_fd, 0);
	enum msg_type type;

	assert_non_null(msg);
	type = msg->type;
	*conn = msg->conn;
	if (type == MSG_QUERY)
		answer(*conn, NULL);
	fd_close(&client_fd);
	return type;
}

/* It has lost one question, which is its business. */
static void
a_resolver_that_answers_others_stays(void **state)
{
	int client_fd = connect_client();
	unsigned wants;
	uint64_t conn = hear_query(&wants), other;
	enum msg_type type;
	bool has_started = false;

	(void)state;
	/* The last answers and the end of patience may cross. */
	while ((type = answer_another(&other)) == MSG_QUERY)
		has_started |= hear_any_start(conn);
	assert_int_equal(type, MSG_CANCEL);
	assert_true(other == conn);
	while (!has_started)
		has_started = hear_any_start(conn);
	assert_false(says_something(f.master_fd));
	fd_close(&client_fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_room_for_another_local_name),
		cmocka_unit_test_setup_teardown(
		    a_local_name_is_kept_whatever_comes_later, start_with_names,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    an_unknown_local_name_is_asked_again, start_with_names,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    a_session_that_was_not_asked_for_is_ignored,
		    start_with_names, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_client_that_resets_is_released, start_with_names,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    a_resolver_that_fails_is_replaced, start_with_names,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    a_nursery_that_fails_is_replaced, start_with_names,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    a_resolver_that_is_silent_is_replaced, start_with_ident,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    a_resolver_that_answers_others_stays, start_with_ident,
		    tear_down),
	};

	clock_shift = mmap(NULL, sizeof(*clock_shift), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (clock_shift == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
