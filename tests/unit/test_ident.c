/*
 * test_ident: replies taken apart, and servers that are slow or hostile.
 */
#include "net/ident.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/sock.h"

#define SOON 1000 /* ms: nothing here takes that long on loopback */

static void
replies_are_taken_apart(void **state)
{
	static const struct {
		const char *line, *info; /* NULL: refused */
	} cases[] = {
		{ "6193 , 23 : USERID : UNIX : stjohns", "stjohns" },
		{ "6193,23:USERID:UNIX:stjohns", "stjohns" },
		{ "\t6193\t,\t23 :\tUSERID\t: x , UTF-8 :\t st johns ",
		    "st johns " },
		{ "6193,23:USERID:OTHER:a:b%c", "a:b%c" },
		{ "6193,23:USERID:UNIX:\001\377x\177", "??x?" },
		{ "6193,23:USERID::x", "x" },
		{ "6193, 23 : ERROR : NO-USER", NULL },
		{ "6193,23:userid:UNIX:x", NULL },
		{ "6193,23:USERIDS:UNIX:x", NULL },
		{ "6193,24:USERID:UNIX:x", NULL },
		{ "23,6193:USERID:UNIX:x", NULL },
		{ "71729,23:USERID:UNIX:x", NULL },
		{ "6193 23:USERID:UNIX:x", NULL },
		{ "6193,23:USERID:UNIX:", NULL },
		{ "6193,23:USERID:UNIX: ", NULL },
		{ "6193,23:USERID:UNIX", NULL },
		{ "6193,23:USERID", NULL },
		{ "6193,23", NULL },
		{ "6193,", NULL },
		{ "6193", NULL },
		{ ":::", NULL },
		{ ",:::", NULL },
		{ "", NULL },
		{ "6193,23:USERIDUSERIDUSERID:UNIX:x", NULL },
		{ "00000000000000006193,23:USERID:UNIX:x", NULL },
	};
	char info[IDENT_INFO_SIZE];
	size_t i;
	int r;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = ident_parse(
		    info, cases[i].line, strlen(cases[i].line), 6193, 23);
		if (r != (cases[i].info == NULL ? -1 : 0))
			fail_msg("\"%s\" gives %d", cases[i].line, r);
		if (r == 0)
			assert_string_equal(info, cases[i].info);
	}
}

static void
nul_bytes_are_no_end(void **state)
{
	static const char in_port[] = "6193\0,23:USERID:UNIX:x";
	static const char in_word[] = "6193,23:USERID\0:UNIX:x";
	static const char in_name[] = "6193,23:USERID:UNIX:\0x";
	char info[IDENT_INFO_SIZE];

	(void)state;
	assert_int_equal(
	    ident_parse(info, in_port, sizeof(in_port) - 1, 6193, 23), -1);
	assert_int_equal(
	    ident_parse(info, in_word, sizeof(in_word) - 1, 6193, 23), -1);
	assert_int_equal(
	    ident_parse(info, in_name, sizeof(in_name) - 1, 6193, 23), 0);
	assert_string_equal(info, "?x");
}

static void
long_names_are_refused_not_cut(void **state)
{
	char line[1000] = "6193,23:USERID:UNIX:", info[IDENT_INFO_SIZE];
	size_t start = strlen(line);

	(void)state;
	memset(line + start, 'x', sizeof(line) - start);
	assert_int_equal(ident_parse(info, line, start + 512, 6193, 23), 0);
	assert_int_equal(strlen(info), 512);
	assert_int_equal(ident_parse(info, line, start + 513, 6193, 23), -1);
}

/* A server whose every step the test takes. */

struct fixture {
	struct ev_loop *loop;
	int listen_fd, fd;
	struct ip_endpoint server, local, remote;
};

static struct fixture f;

struct outcome {
	bool is_there, is_known;
	char info[IDENT_INFO_SIZE];
	int64_t at;
};

static void
on_info(void *arg, const char *info)
{
	struct outcome *outcome = arg;

	assert_false(outcome->is_there);
	outcome->is_there = true;
	outcome->is_known = info != NULL;
	if (info != NULL)
		strcpy(outcome->info, info);
	outcome->at = clock_now();
}

static int
set_up(void **state)
{
	struct sock_listen how = { .family = AF_INET, .backlog = 10 };

	(void)state;
	memset(&f, 0, sizeof(f));
	f.fd = -1;
	f.loop = ev_loop_new(EVFLAG_NOENV);
	assert_int_equal(ip_parse("127.0.0.1", &how.local.ip), 0);
	f.listen_fd = sock_listen(&how, &f.server);
	assert_int_not_equal(f.listen_fd, -1);
	fd_set_nonblocking(f.listen_fd, 0);
	f.remote = f.server;
	f.remote.port = 6193;
	assert_int_equal(ip_parse("127.0.0.2", &f.local.ip), 0);
	f.local.port = 23;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fd_close(&f.fd);
	fd_close(&f.listen_fd);
	ev_loop_destroy(f.loop);
	return 0;
}

static struct ident *
ask(struct outcome *outcome, int ms)
{
	struct ident *ident;

	memset(outcome, 0, sizeof(*outcome));
	ident = ident_ask_port(f.loop, &f.local, &f.remote, f.server.port,
	    clock_after(clock_now(), ms), on_info, outcome);
	assert_non_null(ident);
	assert_false(outcome->is_there);
	return ident;
}

static void
wait_for(const struct outcome *outcome)
{
	while (!outcome->is_there)
		ev_run(f.loop, EVRUN_ONCE);
}

/* Accept, and wait until the question is there. */
static void
accept_question(void)
{
	struct ip_endpoint from;
	char question[64];
	ssize_t got = -1;

	f.fd = sock_accept(f.listen_fd, &from);
	assert_int_not_equal(f.fd, -1);
	assert_true(ip_equal(&from.ip, &f.local.ip));
	while (got == -1) {
		ev_run(f.loop, EVRUN_NOWAIT);
		got = recv(f.fd, question, sizeof(question), MSG_DONTWAIT);
	}
	assert_int_equal(got, 11);
	assert_memory_equal(question, "6193 , 23\r\n", 11);
}

static void
say(const char *text)
{
	assert_int_equal(fd_write_all(f.fd, text, strlen(text)), 0);
}

static void
an_answer_from_the_local_address(void **state)
{
	struct outcome outcome;

	(void)state;
	ask(&outcome, 5000);
	accept_question();
	say("6193 , 23 : USERID : UNIX : joe\r\n");
	wait_for(&outcome);
	assert_true(outcome.is_known);
	assert_string_equal(outcome.info, "joe");
}

static void
an_answer_in_pieces_and_more_after_it(void **state)
{
	static const char reply[] = "6193,23:USERID:UNIX:joe\njunk";
	struct outcome outcome;
	char piece[2] = "";
	size_t i;

	(void)state;
	ask(&outcome, 5000);
	accept_question();
	for (i = 0; i < sizeof(reply) - 1 && !outcome.is_there; i++) {
		piece[0] = reply[i];
		say(piece);
		ev_run(f.loop, EVRUN_NOWAIT);
	}
	wait_for(&outcome);
	assert_string_equal(outcome.info, "joe");
}

static void
an_unfinished_line_is_none(void **state)
{
	struct outcome outcome;

	(void)state;
	ask(&outcome, 5000);
	accept_question();
	say("6193,23:USERID:UNIX:joe");
	fd_close(&f.fd);
	wait_for(&outcome);
	assert_false(outcome.is_known);
}

static void
an_endless_line_is_cut_off(void **state)
{
	char text[IDENT_REPLY_MAX + 1] = "6193,23:USERID:";
	struct outcome outcome;

	(void)state;
	ask(&outcome, 5000);
	accept_question();
	memset(text + 15, 'x', IDENT_REPLY_MAX - 15);
	text[IDENT_REPLY_MAX] = '\0';
	say(text);
	wait_for(&outcome);
	assert_false(outcome.is_known);
	/* It hung up. */
	assert_int_equal(recv(f.fd, text, sizeof(text), 0), 0);
}

static void
nobody_there_is_known_at_once(void **state)
{
	int64_t before = clock_now();
	struct outcome outcome;

	(void)state;
	fd_close(&f.listen_fd);
	ask(&outcome, 5000);
	wait_for(&outcome);
	assert_false(outcome.is_known);
	assert_true(outcome.at - before < SOON);
	/* From an address that is not ours. */
	assert_int_equal(ip_parse("192.0.2.1", &f.local.ip), 0);
	ask(&outcome, 5000);
	wait_for(&outcome);
	assert_false(outcome.is_known);
	assert_true(outcome.at - before < SOON);
}

static void
silence_ends_with_the_deadline(void **state)
{
	int64_t before = clock_now();
	struct outcome outcome;

	(void)state;
	ask(&outcome, 200);
	accept_question();
	wait_for(&outcome);
	assert_false(outcome.is_known);
	assert_in_range(outcome.at - before, 190, 200 + SOON);
	ask(&outcome, -5);
	wait_for(&outcome);
	assert_false(outcome.is_known);
}

static void
forgotten_is_not_answered(void **state)
{
	struct outcome outcome;
	char byte;

	(void)state;
	ident_forget(NULL);
	ident_forget(ask(&outcome, 5000));
	f.fd = accept(f.listen_fd, NULL, NULL);
	assert_int_equal(recv(f.fd, &byte, 1, 0), 0);
	ev_run(f.loop, EVRUN_NOWAIT);
	assert_false(outcome.is_there);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_taken_apart),
		cmocka_unit_test(nul_bytes_are_no_end),
		cmocka_unit_test(long_names_are_refused_not_cut),
		TEST(an_answer_from_the_local_address),
		TEST(an_answer_in_pieces_and_more_after_it),
		TEST(an_unfinished_line_is_none),
		TEST(an_endless_line_is_cut_off),
		TEST(nobody_there_is_known_at_once),
		TEST(silence_ends_with_the_deadline),
		TEST(forgotten_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
