/*
 * test_fetch: what of an answer reaches the output, and what is said of how
 * it ended.
 */
#include "client/fetch.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/fd.h"
#include "client/http.h"
#include "support.h"

#define OK "HTTP/1.1 200 OK\r\n"

static struct http http;

/* A pipe that holds text and has ended. */
static int
pipe_of(const char *text)
{
	int ends[2];

	assert_int_equal(fd_pipe(ends), 0);
	assert_int_equal(fd_write_all(ends[1], text, strlen(text)), 0);
	fd_close(&ends[1]);
	return ends[0];
}

static void
endings(void **state)
{
	static const struct {
		const char *answer, *report, *body;
		enum fetch_end end;
	} cases[] = {
		{ OK "\r\nhello", "end\n", "hello", FETCH_WHOLE },
		{ OK "\r\nhello", "truncated\n", "hello", FETCH_CUT },
		{ OK "\r\nhello", "", "hello", FETCH_CUT },
		{ OK "\r\nhello", "end", "hello", FETCH_CUT },
		{ OK "\r\nhello", "end\nend\n", "hello", FETCH_CUT },
		{ OK "Content-Length: 5\r\n\r\nhello", "truncated\n", "hello",
		    FETCH_WHOLE },
		{ OK "Content-Length: 6\r\n\r\nhello", "end\n", "hello",
		    FETCH_CUT },
		{ OK "Content-Length: 2\r\n\r\nhello", "end\n", "he",
		    FETCH_WHOLE },
		{ OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo"
		     "\r\n0\r\n\r\n",
		    "truncated\n", "hello", FETCH_WHOLE },
		{ OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", "end\n",
		    "he", FETCH_CUT },
		{ "HTTP/1.1 404 No\r\n\r\nhello", "end\n", "hello",
		    FETCH_WHOLE },
		{ "", "end\n", "", FETCH_NO_ANSWER },
		{ OK, "end\n", "", FETCH_NO_ANSWER },
		{ "hello\r\n", "end\n", "", FETCH_BAD },
		{ OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
		    "end\n", "he", FETCH_BAD },
	};
	struct fetch_server server;
	int closed[2], output[2];
	char body[64];
	ssize_t len;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		assert_int_equal(fd_pipe(closed), 0);
		server.in = pipe_of(cases[i].answer);
		server.out = closed[1];
		server.report_fd = pipe_of(cases[i].report);
		assert_int_equal(fd_pipe(output), 0);
		if (fetch(&http, &server, output[1]) != cases[i].end)
			fail_msg(
			    "\"%s\", \"%s\"", cases[i].answer, cases[i].report);
		fd_close(&output[1]);
		len = fd_read_all(output[0], body, sizeof(body) - 1);
		assert_int_not_equal(len, -1);
		body[len] = '\0';
		assert_string_equal(body, cases[i].body);
		fd_close(&output[0]);
		fd_close(&server.in);
		fd_close(&server.out);
		fd_close(&server.report_fd);
		fd_close(&closed[0]);
	}
}

/* An answer that frames itself is not waited for any longer. */
static void
a_framed_answer_needs_no_end(void **state)
{
	static const char answer[] = OK "Content-Length: 1\r\n\r\nx";
	int in[2], out[2], report[2], output[2];
	struct fetch_server server;

	(void)state;
	assert_int_equal(fd_pipe(in), 0);
	assert_int_equal(fd_pipe(out), 0);
	assert_int_equal(fd_pipe(report), 0);
	assert_int_equal(fd_pipe(output), 0);
	assert_int_equal(fd_write_all(in[1], answer, sizeof(answer) - 1), 0);
	server.in = in[0];
	server.out = out[1];
	server.report_fd = report[0];
	assert_int_equal(fetch(&http, &server, output[1]), FETCH_WHOLE);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
	close(report[0]);
	close(report[1]);
	close(output[0]);
	close(output[1]);
}

/* The TLS process: waits for our end, then reports. */
static void *
report_at_our_end(void *arg)
{
	int *fds = arg; /* the other end of out, and of the report */
	char byte;

	assert_int_equal(fd_read_all(fds[0], &byte, 1), 0);
	assert_int_equal(fd_write_all(fds[1], "end\n", 4), 0);
	close(fds[1]);
	return NULL;
}

static void
our_end_comes_before_the_report(void **state)
{
	int out[2], report[2], output[2], fds[2];
	struct fetch_server server;
	pthread_t thread;

	(void)state;
	assert_int_equal(fd_pipe(out), 0);
	assert_int_equal(fd_pipe(report), 0);
	assert_int_equal(fd_pipe(output), 0);
	fds[0] = out[0];
	fds[1] = report[1];
	assert_int_equal(
	    pthread_create(&thread, NULL, report_at_our_end, fds), 0);
	server.in = pipe_of(OK "\r\nhello");
	server.out = out[1];
	server.report_fd = report[0];
	assert_int_equal(fetch(&http, &server, output[1]), FETCH_WHOLE);
	assert_int_equal(server.out, -1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(server.in);
	close(out[0]);
	close(report[0]);
	close(output[0]);
	close(output[1]);
}

static void
descriptors_that_fail(void **state)
{
	struct fetch_server server = { pipe_of(OK "\r\nhello"), -1, -1 };
	int output[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(fd_pipe(output), 0);
	fd_close(&output[0]);
	assert_int_equal(fetch(&http, &server, output[1]), FETCH_WRITE_FAILED);
	assert_int_equal(errno, EPIPE);
	fd_close(&output[1]);
	fd_close(&server.in);
	assert_int_equal(fetch(&http, &server, 1), FETCH_READ_FAILED);
	assert_int_equal(errno, EBADF);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(endings),
		cmocka_unit_test(a_framed_answer_needs_no_end),
		cmocka_unit_test(our_end_comes_before_the_report),
		cmocka_unit_test(descriptors_that_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
