/*
 * test_conn: the whole state table, held against DESIGN.md written anew:
 * a table that is wrong the same way twice needs two mistakes.
 */
#include "serve/conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* P permitted, L late, V violation; in the order of enum conn_event. */
static const char *const expected[CONN_STATES] = {
	/* SIGN FACTS TRUNCATED DONE STARTED EXECED EXECFAILED EXITED */
	[CONN_HANDSHAKE] = "PPVPLLLL",
	[CONN_STARTING] = "VVPPPPPP",
	[CONN_RUNNING] = "VVPPLLLP",
	[CONN_CLOSING] = "LLLLPPPP",
};

static char
letter(enum conn_verdict verdict)
{
	return verdict == CONN_PERMITTED ? 'P'
	    : verdict == CONN_LATE	 ? 'L'
					 : 'V';
}

static void
every_first_event_in_every_state(void **state)
{
	int s, e;

	(void)state;
	for (s = 0; s < CONN_STATES; s++) {
		for (e = 0; e < CONN_EVENTS; e++) {
			enum conn_state now = (enum conn_state)s;
			unsigned seen = 0;
			char is =
			    letter(conn_next(&now, &seen, (enum conn_event)e));

			if (is != expected[s][e])
				fail_msg("state %d event %d: %c", s, e, is);
			if (is != 'P')
				assert_true(
				    now == (enum conn_state)s && seen == 0);
		}
	}
}

/* Let the events happen; all must be permitted.  The state reached. */
static enum conn_state
after(const enum conn_event *events, size_t count, unsigned *seen)
{
	enum conn_state now = CONN_HANDSHAKE;
	size_t i;

	*seen = 0;
	for (i = 0; i < count; i++)
		assert_int_equal(
		    conn_next(&now, seen, events[i]), CONN_PERMITTED);
	return now;
}

static void
a_whole_connection(void **state)
{
	static const enum conn_event events[] = { CONN_SIGN, CONN_FACTS,
		CONN_STARTED, CONN_EXECED, CONN_TRUNCATED, CONN_DONE,
		CONN_EXITED };
	static const enum conn_state path[] = { CONN_HANDSHAKE, CONN_STARTING,
		CONN_STARTING, CONN_RUNNING, CONN_RUNNING, CONN_CLOSING,
		CONN_CLOSING };
	unsigned seen;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(path) / sizeof(path[0]); i++)
		assert_int_equal(after(events, i + 1, &seen), path[i]);
}

static void
program_ends_before_the_client(void **state)
{
	static const enum conn_event events[] = { CONN_SIGN, CONN_FACTS,
		CONN_STARTED, CONN_EXECED, CONN_EXITED };
	unsigned seen;

	(void)state;
	/* Its output may still be on the way: the session says DONE. */
	assert_int_equal(after(events, 5, &seen), CONN_RUNNING);
}

static void
one_handshake_one_signature(void **state)
{
	static const enum conn_event signed_once[] = { CONN_SIGN };
	static const enum conn_event ready[] = { CONN_SIGN, CONN_FACTS };
	enum conn_state now;
	unsigned seen;

	(void)state;
	now = after(signed_once, 1, &seen);
	assert_int_equal(conn_next(&now, &seen, CONN_SIGN), CONN_VIOLATION);
	assert_int_equal(now, CONN_HANDSHAKE);
	now = after(ready, 2, &seen);
	assert_int_equal(conn_next(&now, &seen, CONN_SIGN), CONN_VIOLATION);
}

static void
truncation_is_said_once(void **state)
{
	static const enum conn_event events[] = { CONN_SIGN, CONN_FACTS,
		CONN_TRUNCATED, CONN_STARTED, CONN_EXECED };
	enum conn_state now;
	unsigned seen;

	(void)state;
	now = after(events, 5, &seen);
	assert_int_equal(
	    conn_next(&now, &seen, CONN_TRUNCATED), CONN_VIOLATION);
}

static void
what_master_repeats_is_late(void **state)
{
	static const enum conn_event events[] = { CONN_FACTS, CONN_STARTED };
	enum conn_state now;
	unsigned seen;

	(void)state;
	now = after(events, 2, &seen);
	assert_int_equal(conn_next(&now, &seen, CONN_STARTED), CONN_LATE);
	assert_int_equal(now, CONN_STARTING);
}

static void
numbers_outside_are_violations(void **state)
{
	enum conn_state now = CONN_RUNNING;
	unsigned seen = 0;

	(void)state;
	assert_int_equal(conn_next(&now, &seen, CONN_EVENTS), CONN_VIOLATION);
	assert_int_equal(
	    conn_next(&now, &seen, (enum conn_event) - 1), CONN_VIOLATION);
	now = CONN_STATES;
	assert_int_equal(conn_next(&now, &seen, CONN_DONE), CONN_VIOLATION);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_first_event_in_every_state),
		cmocka_unit_test(a_whole_connection),
		cmocka_unit_test(program_ends_before_the_client),
		cmocka_unit_test(one_handshake_one_signature),
		cmocka_unit_test(truncation_is_said_once),
		cmocka_unit_test(what_master_repeats_is_late),
		cmocka_unit_test(numbers_outside_are_violations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
