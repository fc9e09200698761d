/*
 * The way of the pass phrase.  Runs in master.
 *
 * Master holds descriptors and never reads from them: the administrator's
 * descriptor 3 until the first keeper has it, and for an instant both ends
 * of the socket between two keepers.  The phrase cannot be asked for
 * again, so when the last keeper is gone a new one would be no use.
 */
#include "serve/handover.h"

#include <errno.h>

#include "base/fd.h"
#include "serve/master_state.h"

/* Could this one give it to another?  One that is to leave may not. */
static bool
can_give(const struct child *child)
{
	return child->kind == ROLE_KEEPER && child->state == ROLE_READY &&
	    child->life_fd != -1;
}

bool
handover_is_possible(const struct master *master)
{
	size_t i;

	if (!master->settings->reads_phrase || master->phrase_fd != -1)
		return true;
	for (i = GENERATIONS; i < master->child_count; i++)
		if (can_give(&master->children[i]))
			return true;
	return false;
}

/* The next keeper that can be asked takes this end; 0 or -1. */
static int
ask_keeper(struct master *master, int end)
{
	const struct msg ask = {
		.type = MSG_PHRASE, .fds = { end }, .fd_count = 1
	};
	size_t count = master->child_count - GENERATIONS, i;
	const struct child *child;

	for (i = 0; i < count; i++) {
		/* In turn: one that hangs is not asked again and again. */
		master->last_giver = (master->last_giver + 1) % count;
		child = &master->children[GENERATIONS + master->last_giver];
		if (can_give(child) &&
		    msg_send(child->life_fd, &ask, true) == 0)
			return 0;
	}
	return -1;
}

int
handover_begin(struct master *master, enum role_phrase *how, int *fd)
{
	int ends[2], r;

	*how = ROLE_PHRASE_NONE;
	*fd = -1;
	if (!master->settings->reads_phrase)
		return 0;
	if (master->phrase_fd != -1) {
		*how = ROLE_PHRASE_READ;
		*fd = master->phrase_fd;
		master->phrase_fd = -1;
		return 0;
	}
	if (fd_message_pair(ends) == -1)
		return -1;
	r = ask_keeper(master, ends[0]);
	fd_close(&ends[0]);
	if (r == -1)
		fd_close(&ends[1]);
	*how = ROLE_PHRASE_TAKE;
	*fd = ends[1];
	return r;
}

void
handover_check(struct master *master)
{
	size_t i;

	if (!master->settings->reads_phrase || !master->is_serving ||
	    master->is_stopping || master->must_stop)
		return;
	/* One that is starting may have it already. */
	for (i = GENERATIONS; i < master->child_count; i++)
		if (master->children[i].kind == ROLE_KEEPER &&
		    master->children[i].state != ROLE_DOWN)
			return;
	events_fatal(&master->events,
	    "all keepers are lost and the pass phrase with them; "
	    "the server ends and must be started again");
	master->must_stop = true;
}
