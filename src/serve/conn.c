/*
 * The state table of a connection.
 *
 * Runs in the monitor.  Everything a session says goes through this table
 * first; a session that has been taken over can do what stands here, once,
 * and nothing else.  Messages of master and words of the program cannot
 * violate it: what comes from there out of turn is only late.
 */
#include "serve/conn.h"

struct rule {
	enum conn_verdict verdict;
	enum conn_state next;
	bool is_once;
	unsigned needs; /* one of these events must have happened; 0: none */
};

/* Columns of the table. */
enum { AT_ONCE, DELAYED, COLUMNS };

/* clang-format off */
#define NO { CONN_VIOLATION, CONN_CLOSING, false, 0 }
#define LATE { CONN_LATE, CONN_CLOSING, false, 0 }
#define ONCE(state) { CONN_PERMITTED, CONN_##state, true, 0 }
#define ONCE_AFTER(event, state) \
	{ CONN_PERMITTED, CONN_##state, true, 1u << CONN_##event }
/* Of a handshake that was signed for, or that goes on with a session. */
#define ONCE_DONE(state) \
	{ CONN_PERMITTED, CONN_##state, true, \
		1u << CONN_SIGNED | 1u << CONN_HIT }
#define BOTH(rule) { rule, rule }

/* Nobody waits for a signature, or for a session to go on with. */
#define NO_ANSWER [CONN_SIGNED] = BOTH(LATE), [CONN_HIT] = BOTH(LATE)
/* It is over, or has not begun. */
#define NO_HANDSHAKE \
	NO_ANSWER, [CONN_VACANT] = BOTH(NO), [CONN_FETCH] = BOTH(NO), [CONN_SIGN] = BOTH(NO), \
	[CONN_TICKETS] = BOTH(NO), [CONN_STORE] = BOTH(NO), \
	[CONN_FACTS] = BOTH(NO)
/* Nobody is there who could say anything. */
#define NO_SESSION \
	NO_HANDSHAKE, [CONN_INPUT_ENDED] = BOTH(NO), \
	[CONN_TRUNCATED] = BOTH(NO), [CONN_DONE] = BOTH(NO)
/* Its program has no process yet, or has told all of that. */
#define NO_START \
	[CONN_STARTED] = BOTH(LATE), [CONN_EXECED] = BOTH(LATE), \
	[CONN_EXECFAILED] = BOTH(LATE)
#define NO_QUESTION \
	[CONN_ASKED] = BOTH(LATE), [CONN_MISASKED] = BOTH(LATE), \
	[CONN_UNASKED] = BOTH(LATE)

static const struct rule table[CONN_STATES][CONN_EVENTS][COLUMNS] = {
	[CONN_LOOKUP] = {
		NO_SESSION, NO_START, NO_QUESTION,
		[CONN_EXITED] = BOTH(LATE),
	},
	[CONN_HANDSHAKE] = {
		/*                       at once, delayed */
		[CONN_FETCH] =       BOTH(ONCE(HANDSHAKE)),
		[CONN_HIT] =         BOTH(ONCE_AFTER(FETCH, HANDSHAKE)),
		[CONN_SIGN] =        BOTH(ONCE(HANDSHAKE)),
		[CONN_SIGNED] =      BOTH(ONCE_AFTER(SIGN, HANDSHAKE)),
		[CONN_TICKETS] =     BOTH(ONCE_DONE(HANDSHAKE)),
		[CONN_STORE] =       BOTH(ONCE_DONE(HANDSHAKE)),
		[CONN_FACTS] =       { ONCE_DONE(STARTING),
				       ONCE_DONE(RUNNING) },
		[CONN_INPUT_ENDED] = BOTH(NO),
		[CONN_TRUNCATED] =   BOTH(NO),
		[CONN_DONE] =        BOTH(ONCE(CLOSING)),
		[CONN_VACANT] =      BOTH(NO),
		[CONN_EXITED] =      { LATE, ONCE(CLOSING) },
		NO_START, NO_QUESTION,
	},
	[CONN_STARTING] = {
		[CONN_INPUT_ENDED] = BOTH(NO),
		[CONN_TRUNCATED] =   { ONCE(STARTING), NO },
		[CONN_DONE] =        { ONCE(CLOSING), NO },
		[CONN_STARTED] =     BOTH(ONCE(STARTING)),
		[CONN_EXECED] =      { ONCE(RUNNING), ONCE(PLAIN) },
		[CONN_EXECFAILED] =  BOTH(ONCE(CLOSING)),
		[CONN_EXITED] =      BOTH(ONCE(CLOSING)),
		NO_HANDSHAKE, NO_QUESTION,
	},
	[CONN_PLAIN] = {
		[CONN_EXITED] =      { LATE, ONCE(CLOSING) },
		[CONN_ASKED] =       { LATE, ONCE(HANDSHAKE) },
		[CONN_MISASKED] =    { LATE, ONCE(CLOSING) },
		[CONN_UNASKED] =     { LATE, ONCE(DECLINED) },
		NO_SESSION, NO_START,
	},
	[CONN_DECLINED] = {
		[CONN_EXITED] =      { LATE, ONCE(CLOSING) },
		NO_SESSION, NO_START, NO_QUESTION,
	},
	[CONN_RUNNING] = {
		[CONN_INPUT_ENDED] = BOTH(ONCE(RUNNING)),
		[CONN_TRUNCATED] =   BOTH(ONCE(RUNNING)),
		[CONN_DONE] =        BOTH(ONCE(CLOSING)),
		[CONN_EXITED] =      BOTH(ONCE(RUNNING)),
		NO_HANDSHAKE, NO_START, NO_QUESTION,
	},
	[CONN_CLOSING] = {
		[CONN_FETCH] =       BOTH(LATE),
		[CONN_SIGN] =        BOTH(LATE),
		[CONN_TICKETS] =     BOTH(LATE),
		[CONN_STORE] =       BOTH(LATE),
		[CONN_FACTS] =       BOTH(LATE),
		[CONN_INPUT_ENDED] = BOTH(LATE),
		[CONN_TRUNCATED] =   BOTH(LATE),
		[CONN_DONE] =        BOTH(LATE),
		[CONN_VACANT] =      { ONCE_AFTER(DONE, CLOSING), NO },
		[CONN_STARTED] =     BOTH(ONCE(CLOSING)),
		[CONN_EXECED] =      BOTH(ONCE(CLOSING)),
		[CONN_EXECFAILED] =  BOTH(ONCE(CLOSING)),
		[CONN_EXITED] =      BOTH(ONCE(CLOSING)),
		NO_ANSWER, NO_QUESTION,
	},
};
/* clang-format on */

/* A repeated message of a session is a violation, any other is late. */
static enum conn_verdict
verdict_on_repetition(enum conn_event event)
{
	return event <= CONN_VACANT ? CONN_VIOLATION : CONN_LATE;
}

enum conn_verdict
conn_next(enum conn_state *state, unsigned *seen, bool is_delayed,
    enum conn_event event)
{
	const struct rule *rule;

	if ((unsigned)event >= CONN_EVENTS || (unsigned)*state >= CONN_STATES)
		return CONN_VIOLATION;
	rule = &table[*state][event][is_delayed ? DELAYED : AT_ONCE];
	if (rule->verdict != CONN_PERMITTED)
		return rule->verdict;
	if (rule->needs != 0 && (*seen & rule->needs) == 0)
		return CONN_VIOLATION;
	if (rule->is_once && *seen & 1u << event)
		return verdict_on_repetition(event);
	*seen |= 1u << event;
	*state = rule->next;
	return CONN_PERMITTED;
}
