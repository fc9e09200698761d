/*
 * test_carry: bytes in both directions, with a server that the test plays.
 */
#include "client/carry.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "support.h"

#define LINES (2 * 1024 * 1024)
#define BULK ((size_t)2 * LINES)    /* "a\n" */
#define CARRIED ((size_t)3 * LINES) /* "a\r\n" */

static void
line_ends(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "", "" },
		{ "a\nb\n", "a\r\nb\r\n" },
		{ "a\r\nb\n", "a\r\nb\r\n" },
		{ "\n\n", "\r\n\r\n" },
		{ "\r\r\n", "\r\r\n" },
		{ "a\rb", "a\rb" },
	};
	unsigned char to[32];
	size_t i, at, len;
	char last;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		last = '\0';
		len = carry_lines(to, (const unsigned char *)cases[i].from,
		    strlen(cases[i].from), &last);
		assert_int_equal(len, strlen(cases[i].to));
		assert_memory_equal(to, cases[i].to, len);
		/* The same, byte by byte. */
		last = '\0';
		for (at = len = 0; cases[i].from[at] != '\0'; at++)
			len += carry_lines(to + len,
			    (const unsigned char *)cases[i].from + at, 1,
			    &last);
		assert_int_equal(len, strlen(cases[i].to));
		assert_memory_equal(to, cases[i].to, len);
	}
}

/* carry in a thread of its own, between four pipes. */
struct fixture {
	int server_in[2], server_out[2], input[2], output[2];
	bool reads_input;
	enum carry_end end;
	int error, out_fd;
	pthread_t thread;
};

static struct fixture f;

static int
set_up(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.reads_input = true;
	assert_int_equal(fd_pipe(f.server_in), 0);
	assert_int_equal(fd_pipe(f.server_out), 0);
	assert_int_equal(fd_pipe(f.input), 0);
	assert_int_equal(fd_pipe(f.output), 0);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int
tear_down(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		fd_close(&f.server_in[i]);
		fd_close(&f.server_out[i]);
		fd_close(&f.input[i]);
		fd_close(&f.output[i]);
	}
	return 0;
}

static void *
run(void *arg)
{
	(void)arg;
	f.end = carry(f.server_in[0], f.output[1],
	    f.reads_input ? f.input[0] : -1, &f.server_out[1]);
	f.error = errno;
	fd_close(&f.output[1]);
	return NULL;
}

static void
begin(void)
{
	assert_int_equal(pthread_create(&f.thread, NULL, run, NULL), 0);
}

static enum carry_end
finish(void)
{
	assert_int_equal(pthread_join(f.thread, NULL), 0);
	return f.end;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void
expect(int fd, const char *text)
{
	size_t len = strlen(text);
	char bytes[64];

	assert_true(len < sizeof(bytes));
	assert_int_equal(fd_read_all(fd, bytes, len), (ssize_t)len);
	assert_memory_equal(bytes, text, len);
}

static void
expect_end(int fd)
{
	char byte;

	assert_int_equal(fd_read_all(fd, &byte, 1), 0);
}

static void
a_talk(void **state)
{
	(void)state;
	begin();
	say(f.server_in[1], "220 hello\r\n");
	expect(f.output[0], "220 hello\r\n");
	say(f.input[1], "QUIT\n");
	expect(f.server_out[0], "QUIT\r\n");
	say(f.server_in[1], "221 bye\n");
	expect(f.output[0], "221 bye\n");
	fd_close(&f.server_in[1]);
	assert_int_equal(finish(), CARRY_ENDED);
	expect_end(f.output[0]);
}

static void
the_end_of_input_is_told(void **state)
{
	(void)state;
	begin();
	say(f.input[1], "last");
	fd_close(&f.input[1]);
	expect(f.server_out[0], "last");
	expect_end(f.server_out[0]);
	say(f.server_in[1], "answer");
	expect(f.output[0], "answer");
	fd_close(&f.server_in[1]);
	assert_int_equal(finish(), CARRY_ENDED);
}

static void
without_input_our_end_stays_open(void **state)
{
	(void)state;
	f.reads_input = false;
	begin();
	say(f.input[1], "not read");
	say(f.server_in[1], "hello");
	expect(f.output[0], "hello");
	fd_close(&f.server_in[1]);
	assert_int_equal(finish(), CARRY_ENDED);
	assert_int_not_equal(f.server_out[1], -1);
	expect(f.input[0], "not read");
}

static void
a_server_that_takes_no_more_may_still_speak(void **state)
{
	(void)state;
	begin();
	fd_close(&f.server_out[0]);
	say(f.input[1], "into the void\n");
	say(f.server_in[1], "goodbye");
	expect(f.output[0], "goodbye");
	fd_close(&f.server_in[1]);
	assert_int_equal(finish(), CARRY_ENDED);
}

static void
an_output_that_is_gone(void **state)
{
	(void)state;
	begin();
	fd_close(&f.output[0]);
	say(f.server_in[1], "hello");
	assert_int_equal(finish(), CARRY_WRITE_FAILED);
	assert_int_equal(f.error, EPIPE);
}

static void *
write_bulk(void *arg)
{
	char *bytes = malloc(BULK);
	size_t i;

	(void)arg;
	assert_non_null(bytes);
	/* Lengths that do not fill a pipe evenly. */
	for (i = 0; i < LINES; i++)
		memcpy(bytes + 2 * i, "a\n", 2);
	assert_int_equal(fd_write_all(f.input[1], bytes, BULK), 0);
	free(bytes);
	fd_close(&f.input[1]);
	return NULL;
}

/* The server reads nothing until it has been listened to. */
static void
neither_direction_holds_up_the_other(void **state)
{
	char *bytes = malloc(CARRIED);
	pthread_t writer;
	size_t i;

	(void)state;
	assert_non_null(bytes);
	begin();
	assert_int_equal(pthread_create(&writer, NULL, write_bulk, NULL), 0);
	for (i = 0; i < 1000; i++) {
		say(f.server_in[1], "one line\r\n");
		expect(f.output[0], "one line\r\n");
	}
	assert_int_equal(
	    fd_read_all(f.server_out[0], bytes, CARRIED), (ssize_t)CARRIED);
	for (i = 0; i < LINES; i++)
		if (memcmp(bytes + 3 * i, "a\r\n", 3) != 0)
			fail_msg("line %zu", i);
	expect_end(f.server_out[0]);
	free(bytes);
	assert_int_equal(pthread_join(writer, NULL), 0);
	fd_close(&f.server_in[1]);
	assert_int_equal(finish(), CARRY_ENDED);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_ends),
		TEST(a_talk),
		TEST(the_end_of_input_is_told),
		TEST(without_input_our_end_stays_open),
		TEST(a_server_that_takes_no_more_may_still_speak),
		TEST(an_output_that_is_gone),
		TEST(neither_direction_holds_up_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
