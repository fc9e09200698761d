/*
 * test_conn: the whole state table, held against DESIGN.md written anew:
 * a table that is wrong the same way twice needs two mistakes.
 */
#include "serve/conn.h"

#include "support.h"

/* P permitted, L late, V violation; in the order of enum conn_event. */
static const char *const first[CONN_STATES] = {
	/*
	 * SIGN FACTS INPUT_ENDED TRUNCATED DONE;
	 * STARTED EXECED EXECFAILED EXITED
	 */
	[CONN_LOOKUP] = "VVVVV"
			"LLLL",
	[CONN_HANDSHAKE] = "PPVVP"
			   "LLLL",
	[CONN_STARTING] = "VVVPP"
			  "PPPP",
	[CONN_RUNNING] = "VVPPP"
			 "LLLP",
	[CONN_CLOSING] = "LLLLL"
			 "PPPP",
};

/* What has happened before: a session may not, master cannot. */
static const char *const again[CONN_STATES] = {
	[CONN_LOOKUP] = "VVVVV"
			"LLLL",
	[CONN_HANDSHAKE] = "VVVVV"
			   "LLLL",
	[CONN_STARTING] = "VVVVV"
			  "LLLL",
	[CONN_RUNNING] = "VVVVV"
			 "LLLL",
	[CONN_CLOSING] = "LLLLL"
			 "LLLL",
};

/* Where a permitted event leads: H S R C; from L only admission leads. */
static const char *const leads[CONN_STATES] = {
	[CONN_LOOKUP] = "-----"
			"----",
	[CONN_HANDSHAKE] = "HS--C"
			   "----",
	[CONN_STARTING] = "---SC"
			  "SRCC",
	[CONN_RUNNING] = "--RRC"
			 "---R",
	[CONN_CLOSING] = "-----"
			 "CCCC",
};

static const char state_letters[] = "LHSRC", verdict_letters[] = "PLV";

/* Every state, every history, every event. */
static void
the_whole_table(void **unused)
{
	enum conn_verdict is;
	enum conn_state now;
	unsigned s, e, before, seen;
	char expected;

	(void)unused;
	for (s = 0; s < CONN_STATES; s++) {
		for (before = 0; before < 1u << CONN_EVENTS; before++) {
			for (e = 0; e < CONN_EVENTS; e++) {
				now = (enum conn_state)s;
				seen = before;
				expected = before & 1u << e ? again[s][e]
							    : first[s][e];
				/* No facts of a handshake nobody signed. */
				if (s == CONN_HANDSHAKE && e == CONN_FACTS &&
				    !(before & 1u << CONN_SIGN))
					expected = 'V';
				is = conn_next(&now, &seen, (enum conn_event)e);
				if (verdict_letters[is] != expected)
					fail_msg("state %u event %u after %x: "
						 "%c, not %c",
					    s, e, before, verdict_letters[is],
					    expected);
				if (is != CONN_PERMITTED) {
					assert_true(now == s && seen == before);
					continue;
				}
				assert_int_equal(seen, before | 1u << e);
				assert_int_equal(
				    state_letters[now], leads[s][e]);
			}
		}
	}
}

/* What holds wherever a connection can get to, whatever happens to it. */
static void
explore(enum conn_state now, unsigned seen, unsigned *visited)
{
	unsigned e;

	if (visited[now * (1u << CONN_EVENTS) + seen]++ > 0)
		return;
	if (now == CONN_STARTING || now == CONN_RUNNING ||
	    seen & (1u << CONN_TRUNCATED))
		assert_true(seen & 1u << CONN_FACTS);
	if (now == CONN_RUNNING || seen & 1u << CONN_INPUT_ENDED)
		assert_true(seen & 1u << CONN_EXECED);
	if (seen & 1u << CONN_DONE)
		assert_int_equal(now, CONN_CLOSING);
	for (e = 0; e < CONN_EVENTS; e++) {
		enum conn_state next = now;
		unsigned after = seen;

		if (conn_next(&next, &after, (enum conn_event)e) !=
		    CONN_PERMITTED)
			continue;
		assert_false(now == CONN_CLOSING && next != CONN_CLOSING);
		explore(next, after, visited);
	}
}

static void
no_program_before_the_facts(void **unused)
{
	static unsigned visited[CONN_STATES << CONN_EVENTS];

	(void)unused;
	explore(CONN_HANDSHAKE, 0, visited);
}

static void
a_whole_connection(void **unused)
{
	static const enum conn_event events[] = { CONN_SIGN, CONN_FACTS,
		CONN_STARTED, CONN_EXECED, CONN_TRUNCATED, CONN_EXITED,
		CONN_DONE };
	enum conn_state now = CONN_HANDSHAKE;
	unsigned seen = 0;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(events); i++) {
		assert_int_equal(
		    conn_next(&now, &seen, events[i]), CONN_PERMITTED);
		/* Its output may be on the way when the program ends. */
		assert_int_equal(state_letters[now], "HSSRRRC"[i]);
	}
}

static void
numbers_outside_are_violations(void **unused)
{
	static const int outside[] = { CONN_EVENTS, CONN_EVENTS + 1, 31, 32,
		INT32_MAX, -1 };
	enum conn_state now;
	unsigned seen = 0, s;
	size_t i;

	(void)unused;
	for (s = 0; s < CONN_STATES; s++) {
		for (i = 0; i < COUNT(outside); i++) {
			now = (enum conn_state)s;
			assert_int_equal(
			    conn_next(&now, &seen, (enum conn_event)outside[i]),
			    CONN_VIOLATION);
			assert_true(now == s && seen == 0);
		}
	}
	now = CONN_STATES;
	assert_int_equal(conn_next(&now, &seen, CONN_DONE), CONN_VIOLATION);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_table),
		cmocka_unit_test(no_program_before_the_facts),
		cmocka_unit_test(a_whole_connection),
		cmocka_unit_test(numbers_outside_are_violations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
