/*
 * The table of generations.
 *
 * A pure function of its arguments, for master, which does what follows
 * from it (generation.c).  What does not stand here does not happen: there
 * is no way back to NEWEST, and from a generation that is broken there is
 * none to it, so that a reload that fails changes nothing.
 */
#include "serve/succession.h"

struct step {
	bool is_permitted;
	enum succession_state next;
};

/* clang-format off */
#define TO(state) { true, SUCCESSION_##state }

static const struct step table[SUCCESSION_STATES][SUCCESSION_EVENTS] = {
	[SUCCESSION_FREE] = {
		[SUCCESSION_BEGUN] =    TO(COMING),
	},
	[SUCCESSION_COMING] = {
		[SUCCESSION_READY] =    TO(NEWEST),
		[SUCCESSION_FAILED] =   TO(LEAVING),
	},
	[SUCCESSION_NEWEST] = {
		[SUCCESSION_FOLLOWED] = TO(OLD),
	},
	[SUCCESSION_OLD] = {
		[SUCCESSION_SPENT] =    TO(LEAVING),
	},
	[SUCCESSION_LEAVING] = {
		[SUCCESSION_GONE] =     TO(FREE),
	},
};
/* clang-format on */

bool
succession_next(enum succession_state *state, enum succession_event event)
{
	const struct step *step;

	if ((unsigned)*state >= SUCCESSION_STATES ||
	    (unsigned)event >= SUCCESSION_EVENTS)
		return false;
	step = &table[*state][event];
	if (step->is_permitted)
		*state = step->next;
	return step->is_permitted;
}

bool
succession_is_wanted(enum succession_state state)
{
	return state == SUCCESSION_COMING || state == SUCCESSION_NEWEST;
}
