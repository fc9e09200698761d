/*
 * Sessions that wait for a process.  Runs in the nursery.
 *
 * They wait in order, and the first is tried twenty times a second: what
 * ends elsewhere on the machine tells nobody here.  The time is that of the
 * shortage, not of each: in one that lasts nobody waits behind others who
 * wait in vain, as the monitor's own deadline is near by then.
 */
#include "serve/births.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define RETRY_MS 50

void
births_init(struct births *births)
{
	memset(births, 0, sizeof(*births));
	births->since = births->again = CLOCK_NEVER;
}

bool
births_may_wait_for(int error)
{
	return error == EAGAIN || error == ENOMEM;
}

bool
births_are_full(const struct births *births)
{
	return births->count == BIRTHS_MAX;
}

/* Is it a shortage that may end soon?  Then it is looked at again soon. */
static bool
wait_on(struct births *births, int64_t now)
{
	if (births->since == CLOCK_NEVER ||
	    now - births->last > BIRTHS_PATIENCE_MS)
		births->since = now;
	births->last = now;
	if (now - births->since > BIRTHS_PATIENCE_MS)
		return false;
	births->again = clock_after(now, RETRY_MS);
	return true;
}

bool
births_put_off(struct births *births, const struct msg *start, int64_t now)
{
	size_t i = births->count;

	if (births_are_full(births) || start->len > START_SIZE ||
	    !wait_on(births, now))
		return false;
	births->late[i].msg = *start;
	if (start->len > 0)
		memcpy(births->late[i].body, start->body, start->len);
	births->count++;
	return true;
}

bool
births_try_again(struct births *births, int64_t now)
{
	return wait_on(births, now);
}

struct msg *
births_first(struct births *births)
{
	if (births->count == 0)
		return NULL;
	births->late[0].msg.body = births->late[0].body;
	return &births->late[0].msg;
}

void
births_drop_first(struct births *births)
{
	msg_close_fds(&births->late[0].msg);
	births->count--;
	memmove(births->late, births->late + 1,
	    births->count * sizeof(births->late[0]));
	/* A name and an address: not for those that are made later. */
	explicit_bzero(&births->late[births->count], sizeof(births->late[0]));
	if (births->count == 0)
		births->again = CLOCK_NEVER;
}

void
births_succeed(struct births *births)
{
	births->since = CLOCK_NEVER;
}
