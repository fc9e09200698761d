/*
 * test_events: the exact log lines, what each verbosity shows, and that a
 * slow logger costs lines but never time.
 */
#include "serve/events.h"

#include "support.h"

#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

static int ends[2]; /* we read 0, events writes 1 */
static struct events events, *const e = &events;
static char line[4096];
static struct ip_endpoint local = { .port = 443 }, remote = { .port = 65535 };
static const struct events_client client = {
	.local_host = "here.example", .local = &local, .remote = &remote
};

static int
open_log(void **state)
{
	(void)state;
	events_init(e, "sslserver", -1, VERBOSITY_ALL);
	if (fd_message_pair(ends) == -1 ||
	    ip_parse("192.0.2.1", &local.ip) == -1 ||
	    ip_parse("2001:db8::9", &remote.ip) == -1)
		return -1;
	events_init(e, "sslserver", ends[1], VERBOSITY_ALL);
	return 0;
}

static int
close_log(void **state)
{
	(void)state;
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	return 0;
}

/* The next message, which is one line; "" when there is none. */
static const char *
next(void)
{
	ssize_t got = recv(ends[0], line, sizeof(line) - 1, MSG_DONTWAIT);

	line[got > 0 ? got : 0] = '\0';
	return line;
}

/* Expect just this line. */
static void
expect(const char *text)
{
	assert_string_equal(next(), text);
	assert_string_equal(next(), "");
}

static void
lines_have_the_known_form(void **state)
{
	const struct events_client known = { .local_host = "here.example",
		.local = &local,
		.remote = &local,
		.remote_host = "there.example",
		.remote_info = "joe" };

	(void)state;
	events_status(e, 3, 40, 7);
	expect("sslserver: status: 3/40/7\n");
	events_pid(e, 77, &remote.ip);
	expect("sslserver: pid 77 from 2001:db8::9\n");
	events_ok(e, 78, 77, &client);
	expect("sslserver: ok 78 here.example:192.0.2.1:443 "
	       ":2001:db8::9::65535\n");
	events_ok(e, 78, 77, &known);
	expect("sslserver: ok 78 here.example:192.0.2.1:443 "
	       "there.example:192.0.2.1:joe:443\n");
	events_tls(e, 78, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
	expect("sslserver: tls 78 accept\n");
	events_ended(e, 78, 28416);
	expect("sslserver: ended by 78 status 28416\n");
	events_setting(e, "cert", 5, "/etc/cert.pem");
	expect("sslserver: cert 5 /etc/cert.pem\n");
	events_warning(e, "nearly %s", "full");
	expect("sslserver: warning: nearly full\n");
	events_error(e, "full of %d", 3);
	expect("sslserver: error: (111) full of 3\n");
}

/* -V shows the rule, and what analysers look for stays at the end. */
static void
a_refusal_names_its_rule(void **state)
{
	static const char head[] = "sslserver: deny 0 here.example:"
				   "192.0.2.1:443 :2001:db8::9::65535";
	char expected[512];

	(void)state;
	events_deny(e, &client, "10.0.0.0/8", 0);
	snprintf(expected, sizeof(expected), "%s\n", head);
	expect(expected);
	e->verbosity = VERBOSITY_DETAILS;
	events_deny(e, &client, "10.0.0.0/8", 0);
	snprintf(expected, sizeof(expected), "%s rule 10.0.0.0/8\n", head);
	expect(expected);
	events_deny(e, &client, "=a\n%b", 7);
	snprintf(expected, sizeof(expected),
	    "%s rule =a??b ip connection limit:7 exceeded\n", head);
	expect(expected);
	events_deny(e, &client, NULL, 7);
	snprintf(expected, sizeof(expected),
	    "%s ip connection limit:7 exceeded\n", head);
	expect(expected);
}

static void
tables_are_told(void **state)
{
	char expected[128];

	(void)state;
	events_rules(e, false, "/etc/x.cdb", 2048);
	snprintf(expected, sizeof(expected),
	    "sslserver: rules %ld /etc/x.cdb 2048\n", (long)getpid());
	expect(expected);
	events_rules(e, true, "y\n.cdb", 4294967295u);
	snprintf(expected, sizeof(expected),
	    "sslserver: earlyrules %ld y?.cdb 4294967295\n", (long)getpid());
	expect(expected);
}

static void
failures_name_pid_and_reason(void **state)
{
	(void)state;
	events_unable_to_accept(e, &remote.ip, 77, "no shared cipher", false);
	expect("sslserver: fatal: (111) unable to accept TLS from: "
	       "2001:db8::9 for pid: 77 no shared cipher\n");
	events_unable_to_accept(e, &local.ip, 77, "unexpected eof", true);
	expect("sslserver: fatal: (111) unable to accept TLS from: "
	       "192.0.2.1 for pid: 77 unexpected eof truncated\n");
	events_unable_to_speak(
	    e, &remote.ip, 78, "unexpected end of file", true);
	expect("sslserver: error: (111) unable to speak TLS with: "
	       "2001:db8::9 for pid: 78 unexpected end of file truncated\n");
	events_unable_to_speak(e, &remote.ip, 78, "idle timeout", false);
	expect("sslserver: error: (111) unable to speak TLS with: "
	       "2001:db8::9 for pid: 78 idle timeout\n");
	events_unable_to_run(e, "/no/program", 79, "No such file");
	expect("sslserver: fatal: (111) unable to run /no/program for pid: "
	       "79 No such file\n");
}

static void
client_certificates_have_their_lines(void **state)
{
	(void)state;
	events_valid_cert(e, &remote.ip, 78);
	expect("sslserver: info: valid client cert received from: "
	       "2001:db8::9 for pid: 78\n");
	events_no_cert(e, &local.ip, 77);
	expect("sslserver: error: (110) no client certificate from: "
	       "192.0.2.1 for pid: 77\n");
	events_bad_cert(e, &local.ip, 77, "certificate has expired");
	expect("sslserver: error: (110) missing credentials (CA) or unable "
	       "to validate client certificate from: 192.0.2.1 for pid: 77 "
	       "certificate has expired\n");
	events_bad_name(e, &local.ip, 77, "mail.example", "other.example");
	expect("sslserver: error: (110) client hostname does not match "
	       "certificate for pid: 77 mail.example <=> other.example\n");
	events_bad_name(e, &remote.ip, 77, NULL, "a\nb%s");
	expect("sslserver: error: (110) client hostname does not match "
	       "certificate for pid: 77 2001:db8::9 <=> a?b?s\n");
}

static void
outside_bytes_are_shown_printable(void **state)
{
	static const char hostile[] = "a\nsslserver: ok 1\r\t\x1b\x7f\x80\xff";
	static const char shown[] = "a?sslserver: ok 1??????";
	struct events_client outside = client;
	char expected[400], many[300];

	(void)state;
	outside.local_host = outside.remote_host = hostile;
	outside.remote_info = hostile;
	events_ok(e, 78, 77, &outside);
	snprintf(expected, sizeof(expected),
	    "sslserver: ok 78 %s:192.0.2.1:443 %s:2001:db8::9:%s:65535\n",
	    shown, shown, shown);
	expect(expected);
	events_unable_to_accept(e, &local.ip, 77, hostile, false);
	snprintf(expected, sizeof(expected),
	    "sslserver: fatal: (111) unable to accept TLS from: 192.0.2.1 "
	    "for pid: 77 %s\n",
	    shown);
	expect(expected);
	events_unable_to_run(e, hostile, 77, "No such file");
	snprintf(expected, sizeof(expected),
	    "sslserver: fatal: (111) unable to run %s for pid: 77 "
	    "No such file\n",
	    shown);
	expect(expected);
	events_setting(e, "cert", 5, hostile);
	snprintf(expected, sizeof(expected), "sslserver: cert 5 %s\n", shown);
	expect(expected);
	/* No format, and no more than 100 of them. */
	memset(many, '%', sizeof(many));
	many[sizeof(many) - 1] = '\0';
	events_unable_to_speak(e, &local.ip, 77, many, true);
	next();
	assert_non_null(strstr(line, " 77 ????????"));
	assert_ptr_equal(strstr(line, "?... truncated\n"), strrchr(line, '?'));
	assert_int_equal(strrchr(line, '?') - strchr(line, '?') + 1, 100);
}

static void
details_add_protocol_and_session(void **state)
{
	(void)state;
	e->verbosity = VERBOSITY_DETAILS;
	events_tls(e, 78, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
	expect("sslserver: tls 78 accept TLSv1.3:TLS_AES_256_GCM_SHA384\n");
	events_ok(e, 78, 77, &client);
	expect("sslserver: ok 78 here.example:192.0.2.1:443 "
	       ":2001:db8::9::65535 session 77\n");
}

static void
say_everything(void)
{
	events_status(e, 1, 40, 0);
	events_pid(e, 77, &remote.ip);
	events_ok(e, 78, 77, &client);
	events_tls(e, 78, "TLSv1.3", "X");
	events_ended(e, 78, 0);
	events_setting(e, "cert", 5, "/etc/cert.pem");
	events_unable_to_accept(e, &remote.ip, 77, "x", false);
	events_unable_to_speak(e, &remote.ip, 77, "x", false);
	events_unable_to_run(e, "x", 77, "x");
	events_valid_cert(e, &remote.ip, 77);
	events_no_cert(e, &remote.ip, 77);
	events_bad_cert(e, &remote.ip, 77, "x");
	events_bad_name(e, &remote.ip, 77, "x", "x");
	events_warning(e, "x");
	events_error(e, "x");
}

static void
each_verbosity_shows_its_lines(void **state)
{
	static const struct {
		enum settings_verbosity verbosity;
		int lines, failures;
	} shown[] = { { VERBOSITY_QUIET, 0, 0 }, { VERBOSITY_ERRORS, 8, 8 },
		{ VERBOSITY_ALL, 15, 8 }, { VERBOSITY_DETAILS, 15, 8 } };
	int lines, failures;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(shown); i++) {
		e->verbosity = shown[i].verbosity;
		say_everything();
		for (lines = failures = 0; next()[0] != '\0'; lines++)
			failures += strstr(line, "(111)") != NULL ||
			    strstr(line, "(110)") != NULL ||
			    strstr(line, "warning") != NULL;
		assert_int_equal(lines, shown[i].lines);
		assert_int_equal(failures, shown[i].failures);
		assert_int_equal(e->lost, 0);
	}
}

static void
long_lines_are_cut_at_a_line_end(void **state)
{
	char text[8000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	events_warning(e, "%s", text);
	next();
	assert_in_range(strlen(line), 1000, 2048);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	events_setting(e, "cert", 5, text);
	next();
	assert_in_range(strlen(line), 100, 2048);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	events_unable_to_run(e, text, 77, "No such file");
	next();
	assert_in_range(strlen(line), 100, 2048);
	assert_non_null(strstr(line, " for pid: 77 No such file\n"));
}

static void
lost_lines_are_counted(void **state)
{
	unsigned i, read;

	(void)state;
	/* Nobody reads: the socket fills up, and no call waits. */
	for (i = 0; e->lost < 5; i++) {
		assert_true(i < 1000000);
		events_ended(e, 78, 0);
	}
	for (read = 0; next()[0] != '\0'; read++)
		assert_string_equal(line, "sslserver: ended by 78 status 0\n");
	assert_int_equal(read + 5, i);
	events_ended(e, 79, 0);
	assert_int_equal(e->lost, 0);
	assert_string_equal(next(), "sslserver: warning: 5 log lines lost\n");
	expect("sslserver: ended by 79 status 0\n");
	/* Said once. */
	events_ended(e, 80, 0);
	expect("sslserver: ended by 80 status 0\n");
}

static void
room_for_the_count_alone(void **state)
{
	unsigned i;
	unsigned long before, reported = 0, lost;

	(void)state;
	for (i = 0; e->lost < 3; i++) {
		assert_true(i < 1000000);
		events_ended(e, 78, 0);
	}
	/* One is read at a time: the count takes the place of a line. */
	do {
		before = e->lost;
		assert_true(before < 1000000);
		next();
		events_ended(e, 78, 0);
	} while (e->lost > before);
	while (next()[0] != '\0')
		if (sscanf(line, "sslserver: warning: %lu log", &lost) == 1)
			reported += lost;
	/* Every line that was missing is in one count. */
	assert_true(reported == before && e->lost <= 1);
}

static void
a_logger_that_is_gone_only_counts(void **state)
{
	(void)state;
	events_init(e, "sslserver", -1, VERBOSITY_DETAILS);
	say_everything();
	assert_int_equal(e->lost, 15);
	/* A new one learns of it; a dead one is no signal. */
	e->fd = ends[1];
	events_warning(e, "x");
	assert_string_equal(next(), "sslserver: warning: 15 log lines lost\n");
	expect("sslserver: warning: x\n");
	fd_close(&ends[0]);
	say_everything();
	assert_int_equal(e->lost, 15);
}

#define WITH_LOG(test) \
	cmocka_unit_test_setup_teardown(test, open_log, close_log)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_LOG(lines_have_the_known_form),
		WITH_LOG(a_refusal_names_its_rule),
		WITH_LOG(tables_are_told),
		WITH_LOG(failures_name_pid_and_reason),
		WITH_LOG(client_certificates_have_their_lines),
		WITH_LOG(outside_bytes_are_shown_printable),
		WITH_LOG(details_add_protocol_and_session),
		WITH_LOG(each_verbosity_shows_its_lines),
		WITH_LOG(long_lines_are_cut_at_a_line_end),
		WITH_LOG(lost_lines_are_counted),
		WITH_LOG(room_for_the_count_alone),
		WITH_LOG(a_logger_that_is_gone_only_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
