/*
 * test_conn: the whole state table, held against DESIGN.md written anew:
 * a table that is wrong the same way twice needs two mistakes.
 */
#include "serve/conn.h"

#include "support.h"

/* P permitted, L late, V violation; in the order of enum conn_event. */
static const char *const first[2][CONN_STATES] = {
	/*
	 * FETCH SIGN TICKETS STORE FACTS INPUT_ENDED TRUNCATED DONE
	 * VACANT; SIGNED HIT;
	 * STARTED EXECED EXECFAILED EXITED; ASKED MISASKED UNASKED
	 */
	{
	    [CONN_LOOKUP] = "VVVVVVVVV LL LLLL LLL",
	    [CONN_HANDSHAKE] = "PPPPPVVPV PP LLLL LLL",
	    [CONN_STARTING] = "VVVVVVPPV LL PPPP LLL",
	    [CONN_PLAIN] = "VVVVVVVVV LL LLLL LLL",
	    [CONN_DECLINED] = "VVVVVVVVV LL LLLL LLL",
	    [CONN_RUNNING] = "VVVVVPPPV LL LLLP LLL",
	    [CONN_CLOSING] = "LLLLLLLLP LL PPPP LLL",
	},
	/* delayed */
	{
	    [CONN_LOOKUP] = "VVVVVVVVV LL LLLL LLL",
	    [CONN_HANDSHAKE] = "PPPPPVVPV PP LLLP LLL",
	    [CONN_STARTING] = "VVVVVVVVV LL PPPP LLL",
	    [CONN_PLAIN] = "VVVVVVVVV LL LLLP PPP",
	    [CONN_DECLINED] = "VVVVVVVVV LL LLLP LLL",
	    [CONN_RUNNING] = "VVVVVPPPV LL LLLP LLL",
	    [CONN_CLOSING] = "LLLLLLLLV LL PPPP LLL",
	},
};

/* What has happened before: a session may not, nobody else can. */
static const char *const again[CONN_STATES] = {
	[CONN_LOOKUP] = "VVVVVVVVV LL LLLL LLL",
	[CONN_HANDSHAKE] = "VVVVVVVVV LL LLLL LLL",
	[CONN_STARTING] = "VVVVVVVVV LL LLLL LLL",
	[CONN_PLAIN] = "VVVVVVVVV LL LLLL LLL",
	[CONN_DECLINED] = "VVVVVVVVV LL LLLL LLL",
	[CONN_RUNNING] = "VVVVVVVVV LL LLLL LLL",
	[CONN_CLOSING] = "LLLLLLLLV LL LLLL LLL",
};

/* Where a permitted event leads: H S P D R C; from L only admission. */
static const char *const leads[2][CONN_STATES] = {
	{
	    [CONN_LOOKUP] = "--------- -- ---- ---",
	    [CONN_HANDSHAKE] = "HHHHS--C- HH ---- ---",
	    [CONN_STARTING] = "------SC- -- SRCC ---",
	    [CONN_PLAIN] = "--------- -- ---- ---",
	    [CONN_DECLINED] = "--------- -- ---- ---",
	    [CONN_RUNNING] = "-----RRC- -- ---R ---",
	    [CONN_CLOSING] = "--------C -- CCCC ---",
	},
	{
	    [CONN_LOOKUP] = "--------- -- ---- ---",
	    [CONN_HANDSHAKE] = "HHHHR--C- HH ---C ---",
	    [CONN_STARTING] = "--------- -- SPCC ---",
	    [CONN_PLAIN] = "--------- -- ---C HCD",
	    [CONN_DECLINED] = "--------- -- ---C ---",
	    [CONN_RUNNING] = "-----RRC- -- ---R ---",
	    [CONN_CLOSING] = "--------- -- CCCC ---",
	},
};

static const char state_letters[] = "LHSPDRC", verdict_letters[] = "PLV";

/* The events of a row above stand in four groups. */
static char
cell(const char *row, unsigned event)
{
	return row[event + (event > CONN_VACANT) + (event > CONN_HIT) +
	    (event > CONN_EXITED)];
}

static bool
is_of_its_end(unsigned event)
{
	return event == CONN_TICKETS || event == CONN_STORE ||
	    event == CONN_FACTS;
}

/* One state, history and event. */
static void
check_cell(bool is_delayed, enum conn_state s, unsigned before, unsigned e)
{
	enum conn_state now = s;
	unsigned seen = before;
	enum conn_verdict is;
	char expected;

	expected = cell(before & 1u << e ? again[s] : first[is_delayed][s], e);
	/*
	 * Nothing of a handshake nobody signed and none goes on; asked for is
	 * neither.
	 */
	if (s == CONN_HANDSHAKE && is_of_its_end(e) &&
	    !(before & (1u << CONN_SIGNED | 1u << CONN_HIT)))
		expected = 'V';
	/* No signature of what was not asked for. */
	if (s == CONN_HANDSHAKE && e == CONN_SIGNED &&
	    !(before & 1u << CONN_SIGN))
		expected = 'V';
	/* No session of a question nobody asked. */
	if (s == CONN_HANDSHAKE && e == CONN_HIT &&
	    !(before & 1u << CONN_FETCH))
		expected = 'V';
	/* Nobody is through with a client without having said so. */
	if (s == CONN_CLOSING && e == CONN_VACANT &&
	    !(before & 1u << CONN_DONE))
		expected = 'V';
	is = conn_next(&now, &seen, is_delayed, (enum conn_event)e);
	if (verdict_letters[is] != expected)
		fail_msg("delayed %d state %u event %u after %x: %c, not %c",
		    is_delayed, s, e, before, verdict_letters[is], expected);
	if (is != CONN_PERMITTED) {
		assert_true(now == s && seen == before);
		return;
	}
	assert_int_equal(seen, before | 1u << e);
	assert_int_equal(state_letters[now], cell(leads[is_delayed][s], e));
}

/* Every state, every history, every event. */
static void
the_whole_table(void **unused)
{
	unsigned s, e, before, delayed;

	(void)unused;
	for (delayed = 0; delayed < 2; delayed++)
		for (s = 0; s < CONN_STATES; s++)
			for (before = 0; before < 1u << CONN_EVENTS; before++)
				for (e = 0; e < CONN_EVENTS; e++)
					check_cell(delayed == 1,
					    (enum conn_state)s, before, e);
}

static bool
has(unsigned seen, enum conn_event event)
{
	return (seen & 1u << event) != 0;
}

static bool
has_both(unsigned seen, enum conn_event a, enum conn_event b)
{
	return has(seen, a) && has(seen, b);
}

/* Its end is signed, or goes on with what was asked for. */
static void
check_handshake(unsigned seen)
{
	if (has(seen, CONN_FACTS) || has(seen, CONN_STORE) ||
	    has(seen, CONN_TICKETS))
		assert_true(has_both(seen, CONN_SIGN, CONN_SIGNED) ||
		    has_both(seen, CONN_FETCH, CONN_HIT));
}

/* What holds wherever a connection can get to, whatever happens to it. */
static void
check_at_once(enum conn_state now, unsigned seen)
{
	if (now == CONN_STARTING || now == CONN_RUNNING ||
	    has(seen, CONN_TRUNCATED))
		assert_true(has(seen, CONN_FACTS));
	if (now == CONN_RUNNING || has(seen, CONN_INPUT_ENDED))
		assert_true(has(seen, CONN_EXECED));
	check_handshake(seen);
	assert_true(now != CONN_PLAIN && now != CONN_DECLINED);
}

static void
check_delayed(enum conn_state now, unsigned seen)
{
	/* No session before it was asked for, and none that was declined. */
	if (now == CONN_HANDSHAKE || now == CONN_RUNNING ||
	    has(seen, CONN_SIGN) || has(seen, CONN_FETCH) ||
	    has(seen, CONN_DONE))
		assert_true(has(seen, CONN_ASKED) && has(seen, CONN_EXECED));
	if (now == CONN_RUNNING || has(seen, CONN_TRUNCATED) ||
	    has(seen, CONN_INPUT_ENDED))
		assert_true(has(seen, CONN_FACTS));
	check_handshake(seen);
	/* One word at most. */
	assert_true(has(seen, CONN_ASKED) + has(seen, CONN_MISASKED) +
		has(seen, CONN_UNASKED) <=
	    1);
	if (now == CONN_DECLINED)
		assert_true(has(seen, CONN_UNASKED));
}

static void
explore(enum conn_state now, unsigned seen, bool is_delayed, char *visited)
{
	unsigned e;

	if (visited[now * (1u << CONN_EVENTS) + seen])
		return;
	visited[now * (1u << CONN_EVENTS) + seen] = 1;
	(is_delayed ? check_delayed : check_at_once)(now, seen);
	if (has(seen, CONN_DONE))
		assert_int_equal(now, CONN_CLOSING);
	if (has(seen, CONN_VACANT))
		assert_true(has(seen, CONN_DONE) && !is_delayed);
	for (e = 0; e < CONN_EVENTS; e++) {
		enum conn_state next = now;
		unsigned after = seen;

		if (conn_next(&next, &after, is_delayed, (enum conn_event)e) !=
		    CONN_PERMITTED)
			continue;
		assert_false(now == CONN_CLOSING && next != CONN_CLOSING);
		explore(next, after, is_delayed, visited);
	}
}

static void
no_program_before_the_facts(void **unused)
{
	static char visited[CONN_STATES << CONN_EVENTS];

	(void)unused;
	explore(CONN_HANDSHAKE, 0, false, visited);
}

static void
no_session_before_the_question(void **unused)
{
	static char visited[CONN_STATES << CONN_EVENTS];

	(void)unused;
	explore(CONN_STARTING, 0, true, visited);
}

static void
walk(enum conn_state now, bool is_delayed, const enum conn_event *events,
    size_t count, const char *states)
{
	unsigned seen = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		assert_int_equal(conn_next(&now, &seen, is_delayed, events[i]),
		    CONN_PERMITTED);
		assert_int_equal(state_letters[now], states[i]);
	}
}

static void
a_whole_connection(void **unused)
{
	static const enum conn_event events[] = { CONN_SIGN, CONN_SIGNED,
		CONN_FACTS, CONN_STARTED, CONN_EXECED, CONN_TRUNCATED,
		CONN_EXITED, CONN_DONE };

	(void)unused;
	/* Its output may be on the way when the program ends. */
	walk(CONN_HANDSHAKE, false, events, COUNT(events), "HHSSRRRC");
}

static void
a_resumed_connection(void **unused)
{
	static const enum conn_event hit[] = { CONN_FETCH, CONN_HIT, CONN_STORE,
		CONN_FACTS, CONN_STARTED, CONN_EXECED, CONN_DONE };
	static const enum conn_event miss[] = { CONN_FETCH, CONN_SIGN,
		CONN_SIGNED, CONN_TICKETS, CONN_STORE, CONN_FACTS, CONN_STARTED,
		CONN_EXECED, CONN_DONE };

	(void)unused;
	walk(CONN_HANDSHAKE, false, hit, COUNT(hit), "HHHSSRC");
	walk(CONN_HANDSHAKE, false, miss, COUNT(miss), "HHHHHSSRC");
}

static void
a_whole_delayed_connection(void **unused)
{
	static const enum conn_event tls[] = { CONN_STARTED, CONN_EXECED,
		CONN_ASKED, CONN_SIGN, CONN_SIGNED, CONN_FACTS, CONN_EXITED,
		CONN_DONE };
	static const enum conn_event plain[] = { CONN_STARTED, CONN_EXECED,
		CONN_UNASKED, CONN_EXITED };

	(void)unused;
	walk(CONN_STARTING, true, tls, COUNT(tls), "SPHHHRRC");
	walk(CONN_STARTING, true, plain, COUNT(plain), "SPDC");
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
			assert_int_equal(conn_next(&now, &seen, i % 2 == 0,
					     (enum conn_event)outside[i]),
			    CONN_VIOLATION);
			assert_true(now == s && seen == 0);
		}
	}
	now = CONN_STATES;
	assert_int_equal(
	    conn_next(&now, &seen, false, CONN_DONE), CONN_VIOLATION);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_table),
		cmocka_unit_test(no_program_before_the_facts),
		cmocka_unit_test(no_session_before_the_question),
		cmocka_unit_test(a_whole_connection),
		cmocka_unit_test(a_resumed_connection),
		cmocka_unit_test(a_whole_delayed_connection),
		cmocka_unit_test(numbers_outside_are_violations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
