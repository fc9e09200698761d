/*
 * The state table of a connection.
 *
 * Runs in the monitor.  Everything a session says goes through this table
 * first; a session that has been taken over can do what stands here, once,
 * and nothing else.  Messages of master cannot violate it: what comes from
 * there out of turn is only late.
 */
#include "serve/conn.h"

#include <stdbool.h>

struct rule {
	enum conn_verdict verdict;
	enum conn_state next;
	bool is_once;
	unsigned needs; /* these events must have happened */
};

/* clang-format off */
#define NO { CONN_VIOLATION, CONN_CLOSING, false, 0 }
#define LATE { CONN_LATE, CONN_CLOSING, false, 0 }
#define ONCE(state) { CONN_PERMITTED, CONN_##state, true, 0 }
#define ONCE_AFTER(event, state) \
	{ CONN_PERMITTED, CONN_##state, true, 1u << CONN_##event }
/* clang-format on */

static const struct rule table[CONN_STATES][CONN_EVENTS] = {
	/* Nobody is there who could say anything. */
	[CONN_LOOKUP] = {
		[CONN_SIGN] = NO,
		[CONN_FACTS] = NO,
		[CONN_INPUT_ENDED] = NO,
		[CONN_TRUNCATED] = NO,
		[CONN_DONE] = NO,
		[CONN_STARTED] = LATE,
		[CONN_EXECED] = LATE,
		[CONN_EXECFAILED] = LATE,
		[CONN_EXITED] = LATE,
	},
	[CONN_HANDSHAKE] = {
		[CONN_SIGN] = ONCE(HANDSHAKE),
		[CONN_FACTS] = ONCE_AFTER(SIGN, STARTING),
		[CONN_INPUT_ENDED] = NO,
		[CONN_TRUNCATED] = NO,
		[CONN_DONE] = ONCE(CLOSING),
		[CONN_STARTED] = LATE,
		[CONN_EXECED] = LATE,
		[CONN_EXECFAILED] = LATE,
		[CONN_EXITED] = LATE,
	},
	[CONN_STARTING] = {
		[CONN_SIGN] = NO,
		[CONN_FACTS] = NO,
		[CONN_INPUT_ENDED] = NO,
		[CONN_TRUNCATED] = ONCE(STARTING),
		[CONN_DONE] = ONCE(CLOSING),
		[CONN_STARTED] = ONCE(STARTING),
		[CONN_EXECED] = ONCE(RUNNING),
		[CONN_EXECFAILED] = ONCE(CLOSING),
		[CONN_EXITED] = ONCE(CLOSING),
	},
	[CONN_RUNNING] = {
		[CONN_SIGN] = NO,
		[CONN_FACTS] = NO,
		[CONN_INPUT_ENDED] = ONCE(RUNNING),
		[CONN_TRUNCATED] = ONCE(RUNNING),
		[CONN_DONE] = ONCE(CLOSING),
		[CONN_STARTED] = LATE,
		[CONN_EXECED] = LATE,
		[CONN_EXECFAILED] = LATE,
		[CONN_EXITED] = ONCE(RUNNING),
	},
	[CONN_CLOSING] = {
		[CONN_SIGN] = LATE,
		[CONN_FACTS] = LATE,
		[CONN_INPUT_ENDED] = LATE,
		[CONN_TRUNCATED] = LATE,
		[CONN_DONE] = LATE,
		[CONN_STARTED] = ONCE(CLOSING),
		[CONN_EXECED] = ONCE(CLOSING),
		[CONN_EXECFAILED] = ONCE(CLOSING),
		[CONN_EXITED] = ONCE(CLOSING),
	},
};

/* A repeated message of a session is a violation, one of master is late. */
static enum conn_verdict
verdict_on_repetition(enum conn_event event)
{
	return event <= CONN_DONE ? CONN_VIOLATION : CONN_LATE;
}

enum conn_verdict
conn_next(enum conn_state *state, unsigned *seen, enum conn_event event)
{
	const struct rule *rule;

	if ((unsigned)event >= CONN_EVENTS || (unsigned)*state >= CONN_STATES)
		return CONN_VIOLATION;
	rule = &table[*state][event];
	if (rule->verdict != CONN_PERMITTED)
		return rule->verdict;
	if ((*seen & rule->needs) != rule->needs)
		return CONN_VIOLATION;
	if (rule->is_once && *seen & 1u << event)
		return verdict_on_repetition(event);
	*seen |= 1u << event;
	*state = rule->next;
	return CONN_PERMITTED;
}
