/*
 * test_events: the exact log lines, what each verbosity shows, and that a
 * slow logger costs lines but never time.
 */
#include "serve/events.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"

struct log {
	int ends[2]; /* we read 0, events writes 1 */
	struct events events;
	char line[4096];
};

static struct log the_log;
static struct ip_endpoint local = { .port = 443 }, remote = { .port = 50000 };
static const struct events_client client = {
	.local_host = "here.example", .local = &local, .remote = &remote
};

static int
open_log(void **state)
{
	assert_int_equal(fd_message_pair(the_log.ends), 0);
	events_init(&the_log.events, the_log.ends[1], VERBOSITY_ALL);
	assert_int_equal(ip_parse("192.0.2.1", &local.ip), 0);
	assert_int_equal(ip_parse("2001:db8::9", &remote.ip), 0);
	*state = &the_log;
	return 0;
}

static int
close_log(void **state)
{
	(void)state;
	fd_close(&the_log.ends[0]);
	fd_close(&the_log.ends[1]);
	return 0;
}

/* The next message, which is one line; "" when there is none. */
static const char *
next(struct log *log)
{
	ssize_t got =
	    recv(log->ends[0], log->line, sizeof(log->line) - 1, MSG_DONTWAIT);

	log->line[got > 0 ? got : 0] = '\0';
	return log->line;
}

static void
lines_have_the_known_form(void **state)
{
	struct log *log = *state;
	struct events *e = &log->events;

	events_status(e, 3, 40, 0);
	assert_string_equal(next(log), "sslserver: status: 3/40/0\n");
	events_pid(e, 77, &remote.ip);
	assert_string_equal(next(log), "sslserver: pid 77 from 2001:db8::9\n");
	events_ok(e, 78, 77, &client);
	assert_string_equal(next(log),
	    "sslserver: ok 78 here.example:192.0.2.1:443 "
	    ":2001:db8::9::50000\n");
	events_tls(e, 78, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
	assert_string_equal(next(log), "sslserver: tls 78 accept\n");
	events_ended(e, 78, 256);
	assert_string_equal(next(log), "sslserver: ended by 78 status 256\n");
	events_setting(e, "cert", 5, "/etc/cert.pem");
	assert_string_equal(next(log), "sslserver: cert 5 /etc/cert.pem\n");
}

static void
failures_name_pid_and_reason(void **state)
{
	struct log *log = *state;
	struct events *e = &log->events;

	events_unable_to_accept(e, &remote.ip, 77, "no shared cipher", false);
	assert_string_equal(next(log),
	    "sslserver: fatal: (111) unable to accept TLS from: 2001:db8::9 "
	    "for pid: 77 no shared cipher\n");
	events_unable_to_speak(
	    e, &remote.ip, 78, "unexpected end of file", true);
	assert_string_equal(next(log),
	    "sslserver: error: (111) unable to speak TLS with: 2001:db8::9 "
	    "for pid: 78 unexpected end of file truncated\n");
	events_unable_to_run(e, "/no/program", 79, "No such file");
	assert_string_equal(next(log),
	    "sslserver: fatal: (111) unable to run /no/program for pid: 79 "
	    "No such file\n");
}

static void
outside_bytes_are_shown_printable(void **state)
{
	struct log *log = *state;

	events_unable_to_accept(
	    &log->events, &remote.ip, 77, "a\nsslserver: ok 1 %n", false);
	assert_string_equal(next(log),
	    "sslserver: fatal: (111) unable to accept TLS from: 2001:db8::9 "
	    "for pid: 77 a?sslserver: ok 1 ?n\n");
}

static void
details_add_protocol_and_session(void **state)
{
	struct log *log = *state;

	log->events.verbosity = VERBOSITY_DETAILS;
	events_tls(&log->events, 78, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
	assert_string_equal(next(log),
	    "sslserver: tls 78 accept TLSv1.3:TLS_AES_256_GCM_SHA384\n");
	events_ok(&log->events, 78, 77, &client);
	assert_non_null(strstr(next(log), ":50000 session 77\n"));
}

static void
default_shows_failures_only(void **state)
{
	struct log *log = *state;

	log->events.verbosity = VERBOSITY_ERRORS;
	events_status(&log->events, 1, 40, 0);
	events_ok(&log->events, 78, 77, &client);
	events_ended(&log->events, 78, 0);
	assert_string_equal(next(log), "");
	events_warning(&log->events, "nearly %s", "full");
	assert_string_equal(next(log), "sslserver: warning: nearly full\n");
	log->events.verbosity = VERBOSITY_QUIET;
	events_error(&log->events, "full");
	events_unable_to_accept(&log->events, &remote.ip, 77, "x", false);
	assert_string_equal(next(log), "");
}

static void
long_lines_are_cut_at_a_line_end(void **state)
{
	struct log *log = *state;
	char text[8000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	events_warning(&log->events, "%s", text);
	next(log);
	assert_in_range(strlen(log->line), 1000, 2048);
	assert_int_equal(log->line[strlen(log->line) - 1], '\n');
}

static void
lost_lines_are_counted(void **state)
{
	struct log *log = *state;
	unsigned long lost;
	unsigned i;

	/* Nobody reads: the socket fills up, and no call waits. */
	for (i = 0; log->events.lost < 5; i++) {
		assert_true(i < 1000000);
		events_ended(&log->events, 78, 0);
	}
	lost = log->events.lost;
	while (next(log)[0] != '\0')
		assert_null(strstr(log->line, "lost"));
	events_ended(&log->events, 79, 0);
	assert_int_equal(log->events.lost, 0);
	assert_int_equal(lost, 5);
	assert_string_equal(
	    next(log), "sslserver: warning: 5 log lines lost\n");
	assert_string_equal(next(log), "sslserver: ended by 79 status 0\n");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    lines_have_the_known_form, open_log, close_log),
		cmocka_unit_test_setup_teardown(
		    failures_name_pid_and_reason, open_log, close_log),
		cmocka_unit_test_setup_teardown(
		    outside_bytes_are_shown_printable, open_log, close_log),
		cmocka_unit_test_setup_teardown(
		    details_add_protocol_and_session, open_log, close_log),
		cmocka_unit_test_setup_teardown(
		    default_shows_failures_only, open_log, close_log),
		cmocka_unit_test_setup_teardown(
		    long_lines_are_cut_at_a_line_end, open_log, close_log),
		cmocka_unit_test_setup_teardown(
		    lost_lines_are_counted, open_log, close_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
