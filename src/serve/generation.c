/*
 * Generations of keepers and nurseries.  Runs in master.
 *
 * What happens when stands in succession.c; here is what follows from it.
 * Master still reads none of the files: each keeper opens them itself, so
 * what is wrong with one is said in the sentence of a start, by the first
 * keeper, before others or a nursery are made.
 */
#include "serve/generation.h"

#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fd.h"
#include "serve/master_state.h"
#include "serve/roles.h"
#include "serve/ruletables.h"

#define RETRY_MS 1000
#define RETRY_MAX_MS 64000
/* From the end of -T to that of keepers that nobody can ask any more. */
#define HANDSHAKE_SLACK_MS 2000
/* Sessions whose monitor is gone have a second to leave, see nursery.c. */
#define ORPHANED_MS 2000
/* For a role that does not leave when it is told to. */
#define LEAVE_MS 5000

size_t
generation_children(size_t keepers)
{
	return GENERATIONS_MAX * (keepers + 1);
}

/* Life lines, what the keepers read, and what rules say of TLS. */
size_t
generation_descriptors(size_t keepers)
{
	return keepers + 2 + PROFILES_LISTS;
}

void
generation_prepare(struct master *master, struct child *children)
{
	size_t keepers = master->settings->keepers, i, k;
	struct generation *generation;

	master->generation_at = CLOCK_NEVER;
	for (i = 0; i < GENERATIONS_MAX; i++) {
		generation = &master->generations[i];
		generation->public_fd = -1;
		generation->list_fds[PROFILES_EARLY] = -1;
		generation->list_fds[PROFILES_LATE] = -1;
		generation->nursery = children++;
		generation->nursery->kind = ROLE_NURSERY;
		generation->nursery->generation = generation;
		generation->keepers = children;
		for (k = 0; k < keepers; k++, children++) {
			children->kind = ROLE_KEEPER;
			children->generation = generation;
			children->number = k;
		}
	}
}

/* Its roles: the nursery, then the keepers.  NULL: no more. */
static struct child *
role(const struct master *master, const struct generation *generation, size_t i)
{
	if (i == 0)
		return generation->nursery;
	return i <= master->settings->keepers ? &generation->keepers[i - 1]
					      : NULL;
}

static bool
is_empty(const struct master *master, const struct generation *generation)
{
	const struct child *child;
	size_t i;

	for (i = 0; (child = role(master, generation, i)) != NULL; i++)
		if (child->pid > 0)
			return false;
	return true;
}

static bool
is_ready(const struct master *master, const struct generation *generation)
{
	const struct child *child;
	size_t i;

	for (i = 0; (child = role(master, generation, i)) != NULL; i++)
		if (child->state != ROLE_READY)
			return false;
	return true;
}

static struct generation *
find(struct master *master, enum succession_state state)
{
	struct generation *found = NULL, *generation;
	size_t i;

	for (i = 0; i < GENERATIONS_MAX; i++) {
		generation = &master->generations[i];
		if (generation->state == state &&
		    (found == NULL || generation->number < found->number))
			found = generation;
	}
	return found;
}

/* How many there are. */
static size_t
count(const struct master *master)
{
	size_t i, n = 0;

	for (i = 0; i < GENERATIONS_MAX; i++)
		if (master->generations[i].state != SUCCESSION_FREE)
			n++;
	return n;
}

/* Leaving. */

/* It ends with its life line. */
static void
dismiss(struct child *child)
{
	child->is_dismissed = true;
	fd_close(&child->life_fd);
}

/* Nobody of it will be started again. */
static void
close_files(struct generation *generation)
{
	fd_close(&generation->public_fd);
	fd_close(&generation->list_fds[PROFILES_EARLY]);
	fd_close(&generation->list_fds[PROFILES_LATE]);
}

static void
free_if_empty(struct master *master, struct generation *generation)
{
	if (!is_empty(master, generation) ||
	    !succession_next(&generation->state, SUCCESSION_GONE))
		return;
	close_files(generation);
	if (generation->was_newest)
		chan_send_bytes(&master->monitor, MSG_LEFT, 0,
		    &generation->number, sizeof(generation->number));
}

static void
leave(struct master *master, struct generation *generation)
{
	struct child *child;
	size_t i;

	for (i = 0; (child = role(master, generation, i)) != NULL; i++)
		dismiss(child);
	generation->until = clock_after(clock_now(), LEAVE_MS);
	free_if_empty(master, generation);
}

static void
dismiss_keepers(const struct master *master, struct generation *generation)
{
	size_t i;

	for (i = 0; i < master->settings->keepers; i++)
		dismiss(&generation->keepers[i]);
	generation->keepers_until = CLOCK_NEVER;
}

static void
kill_all(const struct master *master, const struct generation *generation)
{
	const struct child *child;
	size_t i;

	for (i = 0; (child = role(master, generation, i)) != NULL; i++)
		if (child->pid > 0)
			kill(child->pid, SIGKILL);
}

void
generation_is_spent(struct master *master, uint64_t number)
{
	size_t i;

	for (i = 0; i < GENERATIONS_MAX; i++)
		if (master->generations[i].number == number &&
		    succession_next(
			&master->generations[i].state, SUCCESSION_SPENT))
			leave(master, &master->generations[i]);
}

void
generation_lost_monitor(struct master *master)
{
	size_t i;

	for (i = 0; i < GENERATIONS_MAX; i++)
		if (master->generations[i].state == SUCCESSION_OLD)
			master->generations[i].until =
			    clock_after(clock_now(), ORPHANED_MS);
}

void
generation_role_died(struct master *master, const struct child *child)
{
	free_if_empty(master, child->generation);
}

/* Coming. */

/* Without one of them it would have other profiles than its rules say. */
static void
fail_lists(struct master *master, struct generation *generation)
{
	static const char sentence[] =
	    "unable to load rules' TLS settings: too many open files";

	if (!master->is_serving)
		roles_give_up(master, sentence);
	generation_fail(master, generation->nursery, sentence, true);
}

static void
begin(struct master *master, struct generation *generation)
{
	struct child *child;
	size_t i;

	succession_next(&generation->state, SUCCESSION_BEGUN);
	generation->number = ++master->generation_serial;
	generation->was_newest = generation->is_outdated = false;
	generation->keepers_until = generation->until = CLOCK_NEVER;
	for (i = 0; (child = role(master, generation, i)) != NULL; i++) {
		child->state = ROLE_DOWN;
		child->retry_at = child->retry_ms = 0;
		child->is_dismissed = false;
	}
	master->wants_generation = master->has_told_wait = false;
	master->generation_at = CLOCK_NEVER;
	if (ruletables_give_lists(master, generation) == -1)
		fail_lists(master, generation);
}

/*
 * All slots are taken: the oldest generation without handshakes has to go.
 * Its sessions go on without a nursery.
 */
static void
make_room(struct master *master)
{
	struct generation *oldest = find(master, SUCCESSION_OLD);

	if (find(master, SUCCESSION_LEAVING) != NULL)
		return;
	if (oldest != NULL && oldest->keepers_until == CLOCK_NEVER) {
		succession_next(&oldest->state, SUCCESSION_SPENT);
		leave(master, oldest);
	} else if (oldest != NULL && !master->has_told_wait) {
		events_warning(&master->events,
		    "loading anew waits until handshakes of earlier "
		    "settings are over");
		master->has_told_wait = true;
	}
}

static void
begin_if_possible(struct master *master)
{
	struct generation *generation = NULL;

	if (!master->wants_generation || master->is_stopping ||
	    !ruletables_are_settled(master) ||
	    (master->newest != NULL && !master->is_serving) ||
	    find(master, SUCCESSION_COMING) != NULL)
		return;
	if (count(master) < master->generation_limit)
		generation = find(master, SUCCESSION_FREE);
	if (generation == NULL)
		make_room(master);
	else
		begin(master, generation);
}

void
generation_start(struct master *master)
{
	master->wants_generation = true;
}

void
generation_stop(struct master *master)
{
	struct generation *coming = find(master, SUCCESSION_COMING);

	master->generation_at = CLOCK_NEVER;
	if (coming != NULL &&
	    succession_next(&coming->state, SUCCESSION_FAILED))
		leave(master, coming);
}

bool
generation_is_coming(const struct master *master, const struct child *child)
{
	return master->is_serving && child->generation != NULL &&
	    child->generation->state == SUCCESSION_COMING;
}

bool
generation_serves(const struct child *child)
{
	return child->generation == NULL ||
	    child->generation->state == SUCCESSION_NEWEST;
}

bool
generation_wants(const struct master *master, const struct child *child)
{
	const struct generation *generation = child->generation;
	size_t i;

	if (!succession_is_wanted(generation->state))
		return false;
	/* A keeper would only find the new files again. */
	if (generation->is_outdated && child->kind == ROLE_KEEPER)
		for (i = 0; i < GENERATIONS_MAX; i++)
			if (master->generations[i].state == SUCCESSION_COMING)
				return false;
	return generation->public_fd != -1 || child == generation->keepers;
}

/* Failing, and taking over. */

static void
plan_retry(struct master *master, int64_t now)
{
	if (master->generation_retry_ms < RETRY_MS)
		master->generation_retry_ms = RETRY_MS;
	master->generation_at = clock_after(now, master->generation_retry_ms);
	if (master->generation_retry_ms < RETRY_MAX_MS)
		master->generation_retry_ms *= 2;
}

void
generation_fail(struct master *master, const struct child *child,
    const char *sentence, bool may_pass)
{
	struct generation *generation = child->generation;

	if (!succession_next(&generation->state, SUCCESSION_FAILED))
		return;
	events_error(&master->events, "%s; the old settings stay in force%s",
	    sentence, may_pass ? ", until this is tried again" : "");
	if (may_pass)
		plan_retry(master, clock_now());
	leave(master, generation);
}

void
generation_is_outdated(struct master *master, struct child *keeper)
{
	keeper->generation->is_outdated = true;
	dismiss(keeper);
	events_warning(&master->events,
	    "certificate or parameter files have changed since they were "
	    "loaded; all are loaded anew");
	if (find(master, SUCCESSION_COMING) == NULL)
		generation_start(master);
}

static void
become_old(struct master *master, struct generation *generation)
{
	struct child *child;
	int64_t now = clock_now();
	size_t i;

	succession_next(&generation->state, SUCCESSION_FOLLOWED);
	generation->keepers_until = clock_after(now,
	    (int64_t)master->settings->handshake_s * 1000 + HANDSHAKE_SLACK_MS);
	if (master->monitor.fd == -1)
		generation->until = clock_after(now, ORPHANED_MS);
	close_files(generation);
	/* Nobody has been told of it yet, so nobody will miss it. */
	for (i = 0; (child = role(master, generation, i)) != NULL; i++)
		if (child->state == ROLE_STARTING)
			dismiss(child);
}

static void
take_over(struct master *master, struct generation *generation)
{
	struct generation *before = master->newest;
	size_t i;

	master->newest = generation;
	generation->was_newest = true;
	/* Rules may have changed again while it came. */
	if (!ruletables_lists_are_in_force(master, generation))
		generation_start(master);
	master->generation_retry_ms = 0;
	/* The nursery last: sessions that it makes find their keepers. */
	for (i = 0; i < master->settings->keepers; i++)
		roles_connect(master, &generation->keepers[i]);
	roles_connect(master, generation->nursery);
	if (before == NULL)
		return;
	events_reloaded(&master->events, generation->number);
	become_old(master, before);
}

void
generation_role_is_ready(struct master *master, struct child *child)
{
	struct generation *generation = child->generation;

	if (generation->state == SUCCESSION_NEWEST)
		roles_connect(master, child);
	else if (is_ready(master, generation) &&
	    succession_next(&generation->state, SUCCESSION_READY))
		take_over(master, generation);
}

/* Time. */

static void
keep_deadline(struct master *master, struct generation *generation, int64_t now)
{
	if (now >= generation->keepers_until)
		dismiss_keepers(master, generation);
	if (now < generation->until)
		return;
	generation->until = CLOCK_NEVER;
	if (generation->state == SUCCESSION_LEAVING)
		kill_all(master, generation);
	else if (succession_next(&generation->state, SUCCESSION_SPENT))
		leave(master, generation);
}

void
generation_turn(struct master *master, int64_t now)
{
	size_t i;

	for (i = 0; i < GENERATIONS_MAX; i++)
		if (master->generations[i].state != SUCCESSION_FREE)
			keep_deadline(master, &master->generations[i], now);
	if (now >= master->generation_at) {
		master->generation_at = CLOCK_NEVER;
		generation_start(master);
	}
	begin_if_possible(master);
}

int64_t
generation_deadline(const struct master *master)
{
	int64_t next = master->generation_at;
	const struct generation *generation;
	size_t i;

	for (i = 0; i < GENERATIONS_MAX; i++) {
		generation = &master->generations[i];
		if (generation->state == SUCCESSION_FREE)
			continue;
		if (generation->keepers_until < next)
			next = generation->keepers_until;
		if (generation->until < next)
			next = generation->until;
	}
	return next;
}
