/*
 * succession: how generations follow each other, as one table.
 *
 * A generation is what one load of certificates, keys and lists has made: a
 * set of keepers and one nursery.  COMING until all of them are ready, then
 * NEWEST, to which new connections go; OLD once there is a newer one, for
 * the sessions that it has; LEAVING until its last process has gone.
 */
#ifndef SERVE_SUCCESSION_H
#define SERVE_SUCCESSION_H

#include <stdbool.h>

/* So many are there at once, the one that is coming included. */
#define GENERATIONS_MAX 8
/* With fewer open files than for these, but always for so many. */
#define GENERATIONS_MIN 2

enum succession_state {
	SUCCESSION_FREE, /* there is none */
	SUCCESSION_COMING,
	SUCCESSION_NEWEST,
	SUCCESSION_OLD,
	SUCCESSION_LEAVING,
	SUCCESSION_STATES
};

enum succession_event {
	SUCCESSION_BEGUN,    /* it is to be made */
	SUCCESSION_READY,    /* each of its processes is */
	SUCCESSION_FAILED,   /* one of them is not, and never will be */
	SUCCESSION_FOLLOWED, /* another one has become the newest */
	SUCCESSION_SPENT,    /* nobody needs it any more, or its time is over */
	SUCCESSION_GONE,     /* its last process has been reaped */
	SUCCESSION_EVENTS
};

/*
 * May event happen in *state?  If so true, and *state moves on; else false
 * and nothing has changed.
 */
bool succession_next(enum succession_state *state, enum succession_event event);

/* Are its processes to be started, and again when they die? */
bool succession_is_wanted(enum succession_state state);

#endif
