/*
 * test_dns: look-ups against a server that answers, lies, and is silent.
 *
 * Octet 2 of the address asked for says what the server does (see serve).
 */
#include "net/dns.h"

#include <errno.h>
#include <ev.h>
#include <setjmp.h>
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

#define SOON 1000    /* ms: nothing here takes that long on loopback */
#define LATE 10000   /* ms */
#define GIVE_UP 20.0 /* s */

enum behaviour {
	GOOD,
	NXDOMAIN,
	NODATA,
	SERVFAIL,
	SILENT,
	TRUNCATED, /* whole over TCP */
	TRUNCATED_ALWAYS,
	HANGS_UP, /* truncated, and TCP closes */
	TOO_LONG, /* over UDP, whole over TCP */
	HUGE_ANSWER,
	MALFORMED,
	SHORT,
	EMPTY_DATAGRAM, /* before the answer */
	ALIAS,
	ALIAS_LOOP,
	WRONG_ID,	/* before the answer */
	WRONG_SOURCE,	/* before the answer */
	WRONG_QUESTION, /* before the answer */
	ONLY_WRONG,	/* no answer after them */
	SECOND_TRY,	/* silent once */
	BAD_NAMES,	/* and a good one after them */
	ONLY_BAD_NAMES,
	TWO_NAMES, /* the second one can be confirmed */
	UNTRUE,	   /* a name that does not lead back */
	NO_ADDRESS,
	ADDRESS_FAILS,
	TTL_0,
	TTL_1,
	SLOW /* the answer comes when the test says so: answer_slow */
};

struct fixture {
	struct ev_loop *loop;
	struct dnsserver server;
	struct dns *dns;
};

static struct fixture fixture;
static struct dnsserver_question slow;
static unsigned silences;
static unsigned silent_once;

/* What came of a question. */
struct outcome {
	bool is_there;
	enum dns_result result;
	char name[DNS_NAME_SIZE];
	int64_t at;
};

static void
on_outcome(void *arg, enum dns_result result, const char *name)
{
	struct outcome *outcome = arg;

	assert_false(outcome->is_there);
	assert_true((result == DNS_FOUND) == (name != NULL));
	outcome->is_there = true;
	outcome->result = result;
	outcome->at = clock_now();
	if (name != NULL)
		strcpy(outcome->name, name);
}

/* The server. */

static void
answer_ptr(struct dnsserver_question *q, unsigned ttl)
{
	char name[256];

	snprintf(name, sizeof(name), "Host-%u-%u.Example",
	    dnsserver_octet(q, 2), dnsserver_octet(q, 3));
	dnsserver_begin(q, 0);
	dnsserver_name(q, NULL, 12, ttl, name);
	dnsserver_send(q);
}

/* For host-2-3.example: 10.0.2.3, or what the behaviour says. */
static void
answer_address(struct dnsserver_question *q)
{
	unsigned two = 0, three = 0;
	unsigned char v4[4] = { 10, 0, 0, 0 }, v6[16] = { 0xfd };

	sscanf(q->name, "host-%u-%u.example", &two, &three);
	v4[2] = (unsigned char)two;
	v4[3] = (unsigned char)three;
	v6[14] = v4[2];
	v6[15] = v4[3];
	if (two == ADDRESS_FAILS) {
		dnsserver_begin(q, 2);
		dnsserver_send(q);
		return;
	}
	dnsserver_begin(q, 0);
	if (two == UNTRUE)
		v4[0] = 11;
	if (two != NO_ADDRESS && q->type == 1) {
		dnsserver_record(q, NULL, 1, 100, "\177\0\0\1", 4);
		dnsserver_record(q, NULL, 1, 100, v4, 4);
	}
	if (q->type == 28)
		dnsserver_record(q, NULL, 28, 100, v6, 16);
	dnsserver_send(q);
}

static void
answer_truncated(struct dnsserver_question *q)
{
	dnsserver_begin(q, 0);
	q->bytes[2] |= 2;
	dnsserver_send(q);
}

static void
answer_huge(struct dnsserver_question *q)
{
	unsigned i;

	dnsserver_begin(q, 0);
	for (i = 0; i < 2400; i++)
		dnsserver_name(q, NULL, 12, 100, "host.example");
	dnsserver_send(q);
}

static void
answer_alias(struct dnsserver_question *q, bool is_loop)
{
	dnsserver_begin(q, 0);
	dnsserver_name(q, NULL, 5, 100, "A/1.example");
	dnsserver_name(q, "a/1.Example", 5, 100, "b.example");
	if (is_loop)
		dnsserver_name(q, "b.example", 5, 100, "a/1.example");
	else
		dnsserver_name(q, "b.example", 12, 100, "aliased.example");
	dnsserver_send(q);
}

static void
answer_names(struct dnsserver_question *q, const char *const *names)
{
	dnsserver_begin(q, 0);
	for (; *names != NULL; names++)
		dnsserver_name(q, NULL, 12, 100, *names);
	dnsserver_send(q);
}

/* The same question again, for lies that are followed by the truth. */
static struct dnsserver_question *
copy(const struct dnsserver_question *q)
{
	static struct dnsserver_question other;

	other = *q;
	return &other;
}

static void
lie(struct dnsserver_question *q, enum behaviour how)
{
	struct dnsserver_question *other = copy(q);
	static const char *const names[] = { "liar.example", NULL };

	switch (how) {
	case WRONG_ID:
		other->bytes[1] ^= 1;
		break;
	case WRONG_QUESTION:
		other->bytes[13] ^= 1;
		break;
	default: /* another socket */
		other->fd = socket(AF_INET, SOCK_DGRAM, 0);
	}
	answer_names(other, names);
	if (other->fd != q->fd)
		close(other->fd);
}

static void
serve_hard(struct dnsserver_question *q, enum behaviour how)
{
	static const char *const bad[] = { "-a.example", "a b.example",
		"10.0.0.1", NULL };
	static const char *const some[] = { "a,b.example", "_Fit.Example",
		"fit.example", NULL };
	static const char *const two[] = { "host-23-9.example",
		"host-22-1.example", NULL };

	switch (how) {
	case ALIAS:
	case ALIAS_LOOP:
		answer_alias(q, how == ALIAS_LOOP);
		return;
	case ONLY_WRONG:
		lie(q, WRONG_ID);
		lie(q, WRONG_SOURCE);
		lie(q, WRONG_QUESTION);
		return;
	case WRONG_ID:
	case WRONG_SOURCE:
	case WRONG_QUESTION:
		lie(q, how);
		break;
	case SECOND_TRY:
		if (silent_once++ == 0)
			return;
		break;
	case BAD_NAMES:
		answer_names(q, some);
		return;
	case ONLY_BAD_NAMES:
		answer_names(q, bad);
		return;
	case TWO_NAMES:
		answer_names(q, two);
		return;
	default:
		break;
	}
	answer_ptr(q, how == TTL_0 ? 0 : how == TTL_1 ? 1 : 100000);
}

static void
serve(struct dnsserver_question *q)
{
	enum behaviour how = dnsserver_octet(q, 2);

	if (strstr(q->name, ".ip6.arpa") != NULL) {
		answer_names(
		    q, (const char *const[]){ "host-0-7.example", NULL });
		return;
	}
	if (q->type != 12) {
		answer_address(q);
		return;
	}
	switch (how) {
	case NXDOMAIN:
	case NODATA:
	case SERVFAIL:
		dnsserver_begin(q, how == NODATA ? 0 : how == SERVFAIL ? 2 : 3);
		dnsserver_send(q);
		return;
	case SILENT:
		return;
	case SLOW:
		slow = *q;
		return;
	case TRUNCATED:
	case HANGS_UP:
	case TRUNCATED_ALWAYS:
		if (q->is_tcp && how == HANGS_UP)
			dnsserver_hang_up(q->server);
		else if (q->is_tcp && how == TRUNCATED)
			answer_ptr(q, 100);
		else
			answer_truncated(q);
		return;
	case TOO_LONG:
		answer_names(q,
		    (const char *const[]){ "one.example", "x.example",
			"x.example", "x.example", NULL });
		return;
	case HUGE_ANSWER:
		if (q->is_tcp)
			answer_huge(q);
		else
			answer_truncated(q);
		return;
	case MALFORMED:
		dnsserver_begin(q, 0);
		dnsserver_record(q, NULL, 12, 100, "\100bad", 4);
		dnsserver_send(q);
		return;
	case SHORT:
		q->len = 11;
		dnsserver_send(q);
		return;
	case EMPTY_DATAGRAM:
		sendto(q->fd, "", 0, 0, (struct sockaddr *)&q->from,
		    sizeof(q->from));
		/* fallthrough */
	default:
		serve_hard(q, how);
	}
}

/* Set up. */

static void
on_silence(void *arg)
{
	assert_ptr_equal(arg, &fixture);
	silences++;
}

static struct dns *
open_dns(const uint16_t *ports, size_t count)
{
	struct dns_settings settings = { .server_count = count,
		.max_questions = 1100,
		.max_cached = 100,
		.silence = on_silence,
		.silence_arg = &fixture };
	struct dns *dns;
	size_t i;

	for (i = 0; i < count; i++) {
		assert_int_equal(
		    ip_parse("127.0.0.1", &settings.servers[i].ip), 0);
		settings.servers[i].port = ports[i];
	}
	dns = dns_new(fixture.loop, &settings);
	assert_non_null(dns);
	return dns;
}

static int
set_up(void **state)
{
	fixture.loop = ev_loop_new(EVFLAG_NOENV);
	dnsserver_start(&fixture.server, fixture.loop, serve);
	fixture.dns = open_dns(&fixture.server.port, 1);
	silences = 0;
	*state = &fixture;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	dns_free(fixture.dns);
	dnsserver_stop(&fixture.server);
	ev_loop_destroy(fixture.loop);
	return 0;
}

static struct ip
address(unsigned how, unsigned n)
{
	char text[IP_TEXT_SIZE];
	struct ip ip;

	snprintf(text, sizeof(text), "10.%u.%u.%u", n >> 8, how, n & 255);
	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static struct dns_question *
ask(struct outcome *outcome, unsigned how, unsigned n, bool is_confirmed,
    int ms)
{
	struct ip ip = address(how, n);
	struct dns_question *question;

	memset(outcome, 0, sizeof(*outcome));
	question = dns_ask(fixture.dns, &ip, is_confirmed,
	    clock_after(clock_now(), ms), on_outcome, outcome);
	assert_non_null(question);
	assert_false(outcome->is_there);
	return question;
}

static void
wake(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(loop, EVBREAK_ONE);
}

/* Run the loop this long. */
static void
run_for(double seconds)
{
	ev_timer timer;

	ev_now_update(fixture.loop);
	ev_timer_init(&timer, wake, seconds, 0);
	ev_timer_start(fixture.loop, &timer);
	ev_run(fixture.loop, 0);
	ev_timer_stop(fixture.loop, &timer);
}

static void
wait_for(const struct outcome *outcome)
{
	int64_t end = clock_after(clock_now(), (int64_t)(GIVE_UP * 1000));

	while (!outcome->is_there) {
		assert_true(clock_now() < end);
		ev_run(fixture.loop, EVRUN_ONCE);
	}
}

/* Ask for one name and expect this; NULL: no name. */
static void
expect(
    unsigned how, bool is_confirmed, enum dns_result result, const char *name)
{
	int64_t before = clock_now();
	struct outcome outcome;

	ask(&outcome, how, 1, is_confirmed, LATE);
	wait_for(&outcome);
	if (outcome.result != result)
		fail_msg("behaviour %u gives %d", how, (int)outcome.result);
	if (name != NULL)
		assert_string_equal(outcome.name, name);
	assert_true(outcome.at - before < SOON);
}

/* Tests. */

static void
ordinary_answers(void **state)
{
	(void)state;
	expect(GOOD, false, DNS_FOUND, "host-0-1.example");
	expect(NXDOMAIN, false, DNS_NONE, NULL);
	expect(NODATA, false, DNS_NONE, NULL);
	expect(SERVFAIL, false, DNS_FAILED, NULL);
	expect(ALIAS, false, DNS_FOUND, "aliased.example");
	expect(BAD_NAMES, false, DNS_FOUND, "_fit.example");
	expect(ONLY_BAD_NAMES, false, DNS_NONE, NULL);
}

static void
answers_that_need_tcp(void **state)
{
	(void)state;
	expect(TRUNCATED, false, DNS_FOUND, "host-5-1.example");
	assert_int_equal(fixture.server.connections, 1);
	expect(TOO_LONG, false, DNS_FOUND, "one.example");
	expect(TRUNCATED_ALWAYS, false, DNS_FAILED, NULL);
	expect(HANGS_UP, false, DNS_FAILED, NULL);
	expect(HUGE_ANSWER, false, DNS_FAILED, NULL);
	assert_int_equal(fixture.server.connections, 4);
}

static void
hostile_answers(void **state)
{
	(void)state;
	expect(MALFORMED, false, DNS_FAILED, NULL);
	expect(ALIAS_LOOP, false, DNS_FAILED, NULL);
	expect(WRONG_ID, false, DNS_FOUND, "host-15-1.example");
	expect(WRONG_SOURCE, false, DNS_FOUND, "host-16-1.example");
	expect(WRONG_QUESTION, false, DNS_FOUND, "host-17-1.example");
	expect(EMPTY_DATAGRAM, false, DNS_FOUND, "host-12-1.example");
}

static void
no_answer_ends_with_the_deadline(void **state)
{
	static const enum behaviour how[] = { SILENT, SHORT, ONLY_WRONG };
	struct outcome outcomes[3];
	int64_t before = clock_now();
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		ask(&outcomes[i], how[i], 1, false, 300);
	for (i = 0; i < 3; i++) {
		wait_for(&outcomes[i]);
		assert_int_equal(outcomes[i].result, DNS_FAILED);
		assert_in_range(outcomes[i].at - before, 290, 300 + SOON);
	}
}

static void
names_are_confirmed(void **state)
{
	struct outcome outcome;
	struct ip ip;

	(void)state;
	expect(GOOD, true, DNS_FOUND, "host-0-1.example");
	expect(TWO_NAMES, true, DNS_FOUND, "host-22-1.example");
	expect(UNTRUE, true, DNS_NONE, NULL);
	expect(NO_ADDRESS, true, DNS_NONE, NULL);
	expect(ADDRESS_FAILS, true, DNS_FAILED, NULL);
	expect(NXDOMAIN, true, DNS_NONE, NULL);
	/* An answer without confirmation is no answer with it. */
	expect(UNTRUE, false, DNS_FOUND, "host-23-1.example");
	assert_int_equal(ip_parse("fd00::7", &ip), 0);
	memset(&outcome, 0, sizeof(outcome));
	assert_non_null(dns_ask(fixture.dns, &ip, true,
	    clock_after(clock_now(), LATE), on_outcome, &outcome));
	wait_for(&outcome);
	assert_string_equal(outcome.name, "host-0-7.example");
}

static void
the_same_question_is_asked_once(void **state)
{
	struct outcome outcomes[100];
	size_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		ask(&outcomes[i], GOOD, 1, false, LATE);
	for (i = 0; i < 100; i++) {
		wait_for(&outcomes[i]);
		assert_string_equal(outcomes[i].name, "host-0-1.example");
	}
	assert_int_equal(fixture.server.questions, 1);
}

static void
answers_are_kept(void **state)
{
	(void)state;
	expect(GOOD, false, DNS_FOUND, "host-0-1.example");
	expect(GOOD, false, DNS_FOUND, "host-0-1.example");
	assert_int_equal(fixture.server.questions, 1);
	expect(NXDOMAIN, false, DNS_NONE, NULL);
	expect(NXDOMAIN, false, DNS_NONE, NULL);
	assert_int_equal(fixture.server.questions, 2);
	expect(TTL_0, false, DNS_FOUND, NULL);
	expect(TTL_0, false, DNS_FOUND, NULL);
	assert_int_equal(fixture.server.questions, 4);
	expect(TTL_1, false, DNS_FOUND, NULL);
	expect(TTL_1, false, DNS_FOUND, NULL);
	assert_int_equal(fixture.server.questions, 5);
	run_for(1.1);
	expect(TTL_1, false, DNS_FOUND, NULL);
	assert_int_equal(fixture.server.questions, 6);
}

static void
the_cache_is_bounded(void **state)
{
	struct outcome outcome;
	unsigned i;

	(void)state;
	/* 100 are kept: of 101 the oldest is not. */
	for (i = 0; i < 101; i++) {
		ask(&outcome, GOOD, i, false, LATE);
		wait_for(&outcome);
	}
	assert_int_equal(fixture.server.questions, 101);
	ask(&outcome, GOOD, 1, false, LATE);
	wait_for(&outcome);
	assert_int_equal(fixture.server.questions, 101);
	ask(&outcome, GOOD, 0, false, LATE);
	wait_for(&outcome);
	assert_int_equal(fixture.server.questions, 102);
}

static void
a_lost_question_is_asked_again(void **state)
{
	struct outcome outcome;

	(void)state;
	silent_once = 0;
	ask(&outcome, SECOND_TRY, 1, false, LATE);
	wait_for(&outcome);
	assert_string_equal(outcome.name, "host-19-1.example");
	assert_int_equal(fixture.server.questions, 2);
}

static void
what_nobody_waits_for_is_not_waited_for(void **state)
{
	struct outcome outcome;

	(void)state;
	silent_once = 0;
	ask(&outcome, SECOND_TRY, 1, false, 50);
	wait_for(&outcome);
	assert_int_equal(outcome.result, DNS_FAILED);
	/* It begins anew, and does not wait for the old one's next try. */
	expect(SECOND_TRY, false, DNS_FOUND, "host-19-1.example");
}

static void
nobody_there_is_known_at_once(void **state)
{
	int64_t before = clock_now();
	struct outcome outcome;

	(void)state;
	dnsserver_stop(&fixture.server);
	ask(&outcome, GOOD, 1, false, LATE);
	wait_for(&outcome);
	assert_int_equal(outcome.result, DNS_FAILED);
	assert_true(outcome.at - before < SOON);
	dnsserver_start(&fixture.server, fixture.loop, serve);
}

/* Look-ups of one address that hear nothing. */
static void
hear_nothing_of(unsigned number)
{
	struct outcome outcome;

	ask(&outcome, SILENT, number, false, 300);
	wait_for(&outcome);
	ask(&outcome, SILENT, number, false, 300);
	wait_for(&outcome);
}

/* It may be for lack of those who know that address. */
static void
silence_about_one_address_is_not_told(void **state)
{
	(void)state;
	hear_nothing_of(1);
	assert_int_equal(silences, 0);
	/* The server is well. */
	expect(GOOD, false, DNS_FOUND, NULL);
	hear_nothing_of(2);
	assert_int_equal(silences, 0);
	hear_nothing_of(3);
	assert_int_equal(silences, 2);
}

/* Told for each look-up that fails so, and for nothing else. */
static void
silence_is_told(void **state)
{
	struct outcome outcome, other;

	(void)state;
	expect(GOOD, false, DNS_FOUND, NULL);
	expect(NXDOMAIN, false, DNS_NONE, NULL);
	expect(SERVFAIL, false, DNS_FAILED, NULL);
	assert_int_equal(silences, 0);
	ask(&outcome, SILENT, 1, false, 300);
	wait_for(&outcome);
	ask(&outcome, SILENT, 4, false, 300);
	wait_for(&outcome);
	assert_int_equal(silences, 1);
	/* Something has been heard while this one waited. */
	ask(&outcome, SILENT, 2, false, 300);
	ask(&other, SERVFAIL, 2, false, LATE);
	wait_for(&outcome);
	assert_true(other.is_there);
	assert_int_equal(silences, 1);
	/* Nothing was asked of anybody. */
	expect(SERVFAIL, false, DNS_FAILED, NULL);
	assert_int_equal(silences, 1);
	dnsserver_stop(&fixture.server);
	ask(&outcome, GOOD, 3, false, LATE);
	wait_for(&outcome);
	ask(&outcome, GOOD, 4, false, LATE);
	wait_for(&outcome);
	assert_int_equal(silences, 2);
	dnsserver_start(&fixture.server, fixture.loop, serve);
}

/*
 * A server that has answered at once may need its time for another name,
 * whatever the library thinks of that.
 */
static void
a_slow_answer_is_an_answer(void **state)
{
	struct outcome outcome;
	unsigned i;

	(void)state;
	for (i = 1; i < 6; i++)
		expect(GOOD, i % 2 == 0, DNS_FOUND, NULL);
	fixture.server.questions = 0;
	ask(&outcome, SLOW, 1, false, LATE);
	for (i = 0; i < 3; i++) {
		run_for(0.4);
		expect(
		    NXDOMAIN + i, false, i < 2 ? DNS_NONE : DNS_FAILED, NULL);
	}
	assert_false(outcome.is_there);
	answer_ptr(&slow, 100);
	wait_for(&outcome);
	assert_string_equal(outcome.name, "host-28-1.example");
	assert_int_equal(fixture.server.questions, 4);
}

static void
a_bad_answer_harms_no_other(void **state)
{
	struct outcome outcome, other;

	(void)state;
	ask(&outcome, SLOW, 1, false, LATE);
	ask(&other, SHORT, 1, false, 300);
	expect(MALFORMED, false, DNS_FAILED, NULL);
	expect(GOOD, false, DNS_FOUND, "host-0-1.example");
	wait_for(&other);
	assert_int_equal(other.result, DNS_FAILED);
	assert_false(outcome.is_there);
	answer_ptr(&slow, 100);
	wait_for(&outcome);
	assert_string_equal(outcome.name, "host-28-1.example");
	assert_int_equal(fixture.server.questions, 4);
}

static void
without_servers_nothing_is_known(void **state)
{
	(void)state;
	dns_free(fixture.dns);
	fixture.dns = open_dns(NULL, 0);
	expect(GOOD, false, DNS_FAILED, NULL);
	expect(GOOD, true, DNS_FAILED, NULL);
	assert_int_equal(silences, 0);
}

static void
fail_always(struct dnsserver_question *q)
{
	dnsserver_begin(q, 2);
	dnsserver_send(q);
}

static void
another_server_takes_over(void **state)
{
	static struct dnsserver broken;
	struct outcome outcome;
	uint16_t ports[2];

	(void)state;
	dnsserver_start(&broken, fixture.loop, fail_always);
	ports[0] = broken.port;
	ports[1] = fixture.server.port;
	dns_free(fixture.dns);
	fixture.dns = open_dns(ports, 2);
	expect(GOOD, false, DNS_FOUND, "host-0-1.example");
	assert_int_equal(broken.questions, 1);
	/* It is now the first to be asked. */
	ask(&outcome, GOOD, 2, false, LATE);
	wait_for(&outcome);
	assert_string_equal(outcome.name, "host-0-2.example");
	assert_int_equal(broken.questions, 1);
	dnsserver_stop(&broken);
}

static void
a_silent_server_costs_two_seconds(void **state)
{
	static struct dnsserver silent;
	int64_t before = clock_now();
	struct outcome outcome;
	uint16_t ports[2];

	(void)state;
	dnsserver_start(&silent, fixture.loop, NULL);
	ports[0] = silent.port;
	ports[1] = fixture.server.port;
	dns_free(fixture.dns);
	fixture.dns = open_dns(ports, 2);
	ask(&outcome, GOOD, 1, false, LATE);
	wait_for(&outcome);
	assert_string_equal(outcome.name, "host-0-1.example");
	assert_in_range(outcome.at - before, 1900, 2000 + SOON);
	dnsserver_stop(&silent);
}

static void
forgotten_questions_are_not_answered(void **state)
{
	struct outcome gone, other;
	struct dns_question *question;

	(void)state;
	question = ask(&gone, GOOD, 1, false, LATE);
	ask(&other, GOOD, 1, false, LATE);
	dns_forget(question);
	wait_for(&other);
	question = ask(&gone, GOOD, 2, true, LATE);
	dns_forget(question);
	/* Settled, but not yet told. */
	question = ask(&gone, GOOD, 1, false, LATE);
	dns_forget(question);
	run_for(0.1);
	assert_false(gone.is_there);
	dns_forget(NULL);
}

static void
too_many_questions_are_refused(void **state)
{
	static struct outcome outcomes[1100];
	static struct dns_question *questions[1100];
	struct ip ip = address(SILENT, 1);
	unsigned i;

	(void)state;
	for (i = 0; i < 1100; i++)
		questions[i] = ask(&outcomes[i], SILENT, 1, false, LATE);
	errno = 0;
	assert_null(dns_ask(fixture.dns, &ip, false,
	    clock_after(clock_now(), LATE), on_outcome, NULL));
	assert_int_equal(errno, EAGAIN);
	for (i = 0; i < 1100; i++)
		dns_forget(questions[i]);
	expect(GOOD, false, DNS_FOUND, "host-0-1.example");
}

static void
freed_with_the_last_answer(void **state)
{
	struct outcome outcome, silent;

	(void)state;
	ask(&outcome, GOOD, 1, true, LATE);
	ask(&silent, SILENT, 1, true, 200);
	dns_free(fixture.dns);
	wait_for(&outcome);
	assert_string_equal(outcome.name, "host-0-1.example");
	wait_for(&silent);
	fixture.dns = NULL;
}

/* An answer that asks, forgets and frees. */
struct chain {
	struct outcome last;
	struct dns_question *sibling;
};

static void
on_chain(void *arg, enum dns_result result, const char *name)
{
	struct chain *chain = arg;

	(void)result;
	(void)name;
	dns_forget(chain->sibling);
	ask(&chain->last, GOOD, 7, false, LATE);
	dns_free(fixture.dns);
	fixture.dns = NULL;
}

static void
an_answer_may_do_anything(void **state)
{
	struct ip ip = address(GOOD, 1);
	struct outcome sibling;
	struct chain chain = { .sibling = NULL };

	(void)state;
	assert_non_null(
	    dns_ask(fixture.dns, &ip, false, CLOCK_NEVER, on_chain, &chain));
	chain.sibling = ask(&sibling, SILENT, 1, false, LATE);
	wait_for(&chain.last);
	assert_string_equal(chain.last.name, "host-0-7.example");
	assert_false(sibling.is_there);
}

static void
a_thousand_dead_names_delay_nobody(void **state)
{
	static struct outcome dead[1000];
	struct outcome cached, live;
	int64_t before;
	unsigned i;

	(void)state;
	expect(GOOD, false, DNS_FOUND, "host-0-1.example");
	before = clock_now();
	for (i = 0; i < 1000; i++)
		ask(&dead[i], SILENT, i, true, 1500);
	ask(&cached, GOOD, 1, false, LATE);
	ask(&live, GOOD, 2, true, LATE);
	before = clock_now();
	wait_for(&cached);
	print_message("# cached: %d ms", (int)(cached.at - before));
	assert_true(cached.at - before < 200);
	/* The server's socket may be full of the dead ones' questions. */
	wait_for(&live);
	print_message(", live: %d ms\n", (int)(live.at - before));
	assert_string_equal(live.name, "host-0-2.example");
	for (i = 0; i < 1000; i++) {
		wait_for(&dead[i]);
		assert_int_equal(dead[i].result, DNS_FAILED);
		assert_in_range(dead[i].at - before, 1000, 1500 + SOON);
	}
}

/* Ids and ports. */

#define QUESTIONS 1000
#define OUT_AT_ONCE 40 /* so that no socket falls idle */

/* In a child: be where no file is, ask, and write the ids down. */
static void
ask_in_jail(int fd)
{
	static struct outcome outcomes[QUESTIONS];
	char path[] = "/tmp/test_dns.XXXXXX";
	unsigned i;

	if (geteuid() == 0 &&
	    (mkdtemp(path) == NULL || chdir(path) == -1 || rmdir(path) == -1 ||
		chroot(".") == -1 || access("/dev/urandom", F_OK) == 0))
		_exit(1);
	set_up(&(void *){ NULL });
	for (i = 0; i < QUESTIONS; i++) {
		ask(&outcomes[i], NXDOMAIN, i, false, LATE);
		if (i >= OUT_AT_ONCE)
			wait_for(&outcomes[i - OUT_AT_ONCE]);
	}
	for (i = 0; i < QUESTIONS; i++)
		wait_for(&outcomes[i]);
	if (fixture.server.questions != QUESTIONS)
		_exit(2);
	fd_write_all(fd, fixture.server.ids, QUESTIONS * sizeof(uint16_t));
	fd_write_all(fd, fixture.server.ports, QUESTIONS * sizeof(uint16_t));
	_exit(0);
}

static void
run_jailed(uint16_t ids[QUESTIONS], uint16_t ports[QUESTIONS])
{
	int ends[2], status;
	pid_t pid;

	assert_int_equal(fd_pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		ask_in_jail(ends[1]);
	fd_close(&ends[1]);
	assert_int_equal(fd_read_all(ends[0], ids, QUESTIONS * 2), 2000);
	assert_int_equal(fd_read_all(ends[0], ports, QUESTIONS * 2), 2000);
	fd_close(&ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static unsigned
count_different(const uint16_t *numbers)
{
	static unsigned char seen[65536];
	unsigned i, count = 0;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < QUESTIONS; i++)
		count += seen[numbers[i]]++ == 0;
	return count;
}

static unsigned
most_of_one(const uint16_t *numbers)
{
	static unsigned counts[65536];
	unsigned i, most = 0;

	memset(counts, 0, sizeof(counts));
	for (i = 0; i < QUESTIONS; i++)
		if (++counts[numbers[i]] > most)
			most = counts[numbers[i]];
	return most;
}

/* How often two successive ids of one stand anywhere in the other. */
static unsigned
count_shared(const uint16_t *a, const uint16_t *b)
{
	unsigned i, j, count = 0;

	for (i = 0; i + 1 < QUESTIONS; i++)
		for (j = 0; j + 1 < QUESTIONS; j++)
			count += a[i] == b[j] && a[i + 1] == b[j + 1];
	return count;
}

static void
ids_and_ports_cannot_be_guessed(void **state)
{
	static uint16_t ids[2][QUESTIONS], ports[2][QUESTIONS];
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		run_jailed(ids[i], ports[i]);
		print_message("# %u ids, %u ports, at most %u for one port\n",
		    count_different(ids[i]), count_different(ports[i]),
		    most_of_one(ports[i]));
		assert_true(count_different(ids[i]) >= 950);
		/* A port may come again by chance after a while. */
		assert_true(count_different(ports[i]) >= 30);
		assert_true(most_of_one(ports[i]) <= 64);
	}
	assert_true(count_shared(ids[0], ids[1]) <= 1);
}

static void
a_port_carries_32_questions(void **state)
{
	static struct outcome outcomes[200];
	unsigned i, run = 0;

	(void)state;
	for (i = 0; i < 200; i++)
		ask(&outcomes[i], NXDOMAIN, i, false, LATE);
	for (i = 0; i < 200; i++)
		wait_for(&outcomes[i]);
	assert_int_equal(fixture.server.questions, 200);
	for (i = 1; i < 200; i++) {
		run = fixture.server.ports[i] == fixture.server.ports[i - 1]
		    ? run + 1
		    : 0;
		assert_true(run < 32);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(ordinary_answers),
		TEST(answers_that_need_tcp),
		TEST(hostile_answers),
		TEST(no_answer_ends_with_the_deadline),
		TEST(names_are_confirmed),
		TEST(the_same_question_is_asked_once),
		TEST(answers_are_kept),
		TEST(the_cache_is_bounded),
		TEST(a_lost_question_is_asked_again),
		TEST(what_nobody_waits_for_is_not_waited_for),
		TEST(nobody_there_is_known_at_once),
		TEST(silence_about_one_address_is_not_told),
		TEST(silence_is_told),
		TEST(a_slow_answer_is_an_answer),
		TEST(a_bad_answer_harms_no_other),
		TEST(without_servers_nothing_is_known),
		TEST(another_server_takes_over),
		TEST(a_silent_server_costs_two_seconds),
		TEST(forgotten_questions_are_not_answered),
		TEST(too_many_questions_are_refused),
		TEST(freed_with_the_last_answer),
		TEST(an_answer_may_do_anything),
		TEST(a_thousand_dead_names_delay_nobody),
		TEST(a_port_carries_32_questions),
		cmocka_unit_test(ids_and_ports_cannot_be_guessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
