/*
 * test_connect: which of several loopback addresses is connected to, and
 * what is known of the others.
 *
 * An address that answers nothing is a listener whose queue is full.
 */
#include "net/connect.h"

#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "net/sock.h"

#define LONG_MS 60000
#define SHORT_MS 300

static int notes;
static int told_fd = -1; /* written to at each note */

static void
count_note(void *arg, const struct connect_target *target)
{
	(void)arg;
	assert_int_not_equal(target->error, 0);
	notes++;
	if (told_fd != -1)
		assert_int_equal(write(told_fd, "", 1), 1);
}

/* Wait for one: the kernel may queue it later than the client knows. */
static int
accept_from(int listen_fd, struct ip_endpoint *remote)
{
	struct pollfd polled = { .fd = listen_fd, .events = POLLIN };

	assert_int_equal(poll(&polled, 1, 30000), 1);
	return sock_accept(listen_fd, remote);
}

static int
listen_at(const char *address, struct connect_target *target)
{
	struct sock_listen how = { .backlog = 5 };
	int fd;

	assert_int_equal(ip_parse(address, &how.local.ip), 0);
	how.family = ip_is_v4(&how.local.ip) ? AF_INET : AF_INET6;
	how.v6only = true;
	memset(target, 0, sizeof(*target));
	fd = sock_listen(&how, &target->remote);
	if (fd == -1 && how.family == AF_INET6)
		skip(); /* no IPv6 */
	assert_true(fd != -1);
	return fd;
}

/* Nobody listens there any more. */
static void
make_refusing(const char *address, struct connect_target *target)
{
	close(listen_at(address, target));
}

/* A listener whose queue is full: it answers nobody. */
static int
make_silent(struct connect_target *target, int fillers[8])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = listen_at("127.0.0.1", target), i;

	assert_int_equal(listen(fd, 0), 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(target->remote.port);
	for (i = 0; i < 8; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (struct sockaddr *)&sin, sizeof(sin));
	}
	return fd;
}

static void
close_all(int fd, int fillers[8])
{
	int i;

	close(fd);
	for (i = 0; i < 8; i++)
		close(fillers[i]);
}

static struct connect_plan
plan_of(struct connect_target *targets, size_t count)
{
	notes = 0;
	return (struct connect_plan){ .targets = targets,
		.count = count,
		.first_ms = LONG_MS,
		.note = count_note };
}

static void
the_first_is_taken(void **state)
{
	struct connect_target targets[2];
	struct connect_plan plan = plan_of(targets, 2);
	int a = listen_at("127.0.0.1", &targets[0]);
	int b = listen_at("127.0.0.1", &targets[1]);
	struct ip_endpoint remote;
	int before = open_descriptors(), fd, accepted;
	size_t which = 9;

	(void)state;
	fd = connect_run(&plan, &which);
	assert_true(fd != -1);
	assert_int_equal(which, 0);
	assert_int_equal(notes, 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	accepted = accept_from(a, &remote);
	assert_true(accepted != -1);
	assert_int_equal(sock_accept(b, &remote), -1);
	close(accepted);
	close(fd);
	assert_int_equal(open_descriptors(), before);
	close(a);
	close(b);
}

static void
one_that_refuses_is_passed_over(void **state)
{
	struct connect_target targets[3];
	struct connect_plan plan = plan_of(targets, 3);
	int listener, fd;
	size_t which = 9;

	(void)state;
	make_refusing("127.0.0.1", &targets[0]);
	make_refusing("127.0.0.1", &targets[1]);
	listener = listen_at("127.0.0.1", &targets[2]);
	fd = connect_run(&plan, &which);
	assert_true(fd != -1);
	assert_int_equal(which, 2);
	assert_int_equal(targets[0].error, ECONNREFUSED);
	assert_int_equal(targets[1].error, ECONNREFUSED);
	assert_int_equal(notes, 2);
	close(fd);
	close(listener);
}

static void
each_failure_has_its_reason(void **state)
{
	struct connect_target targets[2];
	struct connect_plan plan = plan_of(targets, 2);
	int before = open_descriptors();
	size_t which;

	(void)state;
	make_refusing("127.0.0.1", &targets[0]);
	make_refusing("127.0.0.1", &targets[1]);
	plan.again_ms = LONG_MS;
	plan.is_racing = true;
	assert_int_equal(connect_run(&plan, &which), -1);
	assert_int_equal(targets[0].error, ECONNREFUSED);
	assert_int_equal(targets[1].error, ECONNREFUSED);
	/* One that refused is not asked again. */
	assert_int_equal(notes, 2);
	assert_int_equal(open_descriptors(), before);
}

static void
a_race_does_not_wait_for_the_silent(void **state)
{
	struct connect_target targets[2];
	struct connect_plan plan = plan_of(targets, 2);
	int fillers[8], silent, listener, fd, before;
	size_t which = 9;

	(void)state;
	silent = make_silent(&targets[0], fillers);
	listener = listen_at("127.0.0.1", &targets[1]);
	plan.is_racing = true;
	before = open_descriptors();
	fd = connect_run(&plan, &which);
	assert_true(fd != -1);
	assert_int_equal(which, 1);
	/* The other attempt was ended, it had not failed. */
	assert_int_equal(targets[0].error, 0);
	assert_int_equal(notes, 0);
	close(fd);
	assert_int_equal(open_descriptors(), before);
	close(listener);
	close_all(silent, fillers);
}

static void
in_turn_the_silent_one_has_its_time(void **state)
{
	struct connect_target targets[2];
	struct connect_plan plan = plan_of(targets, 2);
	int fillers[8], silent, listener, fd;
	size_t which = 9;

	(void)state;
	silent = make_silent(&targets[0], fillers);
	listener = listen_at("127.0.0.1", &targets[1]);
	plan.first_ms = SHORT_MS;
	fd = connect_run(&plan, &which);
	assert_true(fd != -1);
	assert_int_equal(which, 1);
	assert_int_equal(targets[0].error, ETIMEDOUT);
	assert_int_equal(notes, 1);
	close(fd);
	close(listener);
	close_all(silent, fillers);
}

static void
the_silent_one_is_tried_again(void **state)
{
	struct connect_target targets[2];
	struct connect_plan plan = plan_of(targets, 2);
	int fillers[8], silent;
	size_t which;

	(void)state;
	make_refusing("127.0.0.1", &targets[0]);
	silent = make_silent(&targets[1], fillers);
	plan.first_ms = SHORT_MS;
	plan.again_ms = SHORT_MS;
	assert_int_equal(connect_run(&plan, &which), -1);
	assert_int_equal(targets[0].error, ECONNREFUSED);
	assert_int_equal(targets[1].error, ETIMEDOUT);
	assert_int_equal(notes, 3);
	close_all(silent, fillers);
}

static void
the_second_time_it_may_answer(void **state)
{
	struct connect_target targets[1];
	struct connect_plan plan = plan_of(targets, 1);
	int fillers[8], told[2], silent, fd;
	struct ip_endpoint remote;
	size_t which = 9;
	char byte;
	pid_t pid;

	(void)state;
	silent = make_silent(&targets[0], fillers);
	plan.first_ms = SHORT_MS;
	plan.again_ms = LONG_MS;
	/* Somebody empties the queue when the first attempt has failed. */
	assert_int_equal(pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		(void)!read(told[0], &byte, 1);
		while (accept_from(silent, &remote) != -2)
			continue;
	}
	told_fd = told[1];
	fd = connect_run(&plan, &which);
	told_fd = -1;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(told[0]);
	close(told[1]);
	assert_true(fd != -1);
	assert_int_equal(which, 0);
	assert_int_equal(notes, 1);
	close(fd);
	close_all(silent, fillers);
}

static void
local_address_and_port_are_taken(void **state)
{
	struct connect_target target, other;
	struct connect_plan plan = plan_of(&target, 1);
	int listener = listen_at("127.0.0.1", &target), fd, accepted, i, on;
	socklen_t len = sizeof(on);
	struct ip_endpoint remote;
	char text[IP_TEXT_SIZE];
	size_t which;

	(void)state;
	make_refusing("127.0.0.9", &other);
	plan.local.port = other.remote.port;
	for (i = 0; i < 2; i++) {
		plan.has_local_ip = i == 1;
		assert_int_equal(ip_parse("127.0.0.9", &plan.local.ip), 0);
		plan.no_delay = i == 1;
		fd = connect_run(&plan, &which);
		assert_true(fd != -1);
		accepted = accept_from(listener, &remote);
		assert_true(accepted != -1);
		assert_int_equal(remote.port, other.remote.port);
		assert_string_equal(ip_format(text, &remote.ip),
		    i == 1 ? "127.0.0.9" : "127.0.0.1");
		assert_int_equal(
		    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
		assert_int_equal(on != 0, i == 1);
		close(fd);
		close(accepted);
	}
	close(listener);
}

static void
a_local_address_of_the_other_family_fails(void **state)
{
	struct connect_target target;
	struct connect_plan plan = plan_of(&target, 1);
	int listener = listen_at("::1", &target);
	size_t which;

	(void)state;
	plan.has_local_ip = true;
	assert_int_equal(ip_parse("127.0.0.1", &plan.local.ip), 0);
	assert_int_equal(connect_run(&plan, &which), -1);
	assert_int_not_equal(target.error, 0);
	close(listener);
}

/* Families as letters, with their order kept by port. */
static void
expect_order(const char *before, const char *after)
{
	struct connect_target targets[8];
	size_t i, count = strlen(before) / 2;
	char shown[17];

	memset(targets, 0, sizeof(targets));
	for (i = 0; i < count; i++) {
		assert_int_equal(
		    ip_parse(before[2 * i] == '4' ? "192.0.2.1" : "2001:db8::1",
			&targets[i].remote.ip),
		    0);
		targets[i].remote.port = (uint16_t)before[2 * i + 1];
	}
	connect_interleave(targets, count);
	for (i = 0; i < count; i++) {
		shown[2 * i] = ip_is_v4(&targets[i].remote.ip) ? '4' : '6';
		shown[2 * i + 1] = (char)targets[i].remote.port;
	}
	shown[2 * count] = '\0';
	assert_string_equal(shown, after);
}

static void
families_take_turns(void **state)
{
	(void)state;
	expect_order("", "");
	expect_order("6a", "6a");
	expect_order("4a4b", "4a4b");
	expect_order("6a4b", "6a4b");
	expect_order("6a6b6c4d4e", "6a4d6b4e6c");
	expect_order("4a4b4c6d", "4a6d4b4c");
	expect_order("4a6b6c6d", "4a6b6c6d");
	expect_order("6a6b4c6d4e4f", "6a4c6b4e6d4f");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_taken),
		cmocka_unit_test(one_that_refuses_is_passed_over),
		cmocka_unit_test(each_failure_has_its_reason),
		cmocka_unit_test(a_race_does_not_wait_for_the_silent),
		cmocka_unit_test(in_turn_the_silent_one_has_its_time),
		cmocka_unit_test(the_silent_one_is_tried_again),
		cmocka_unit_test(the_second_time_it_may_answer),
		cmocka_unit_test(local_address_and_port_are_taken),
		cmocka_unit_test(a_local_address_of_the_other_family_fails),
		cmocka_unit_test(families_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
