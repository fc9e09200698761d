/*
 * clock: deadlines are absolute monotonic milliseconds, computed once.
 *
 * Used by every process that waits.  The monotonic clock, because setting
 * the time of day must neither end connections nor keep them for ever.
 * Whoever waits passes "now" in, so that all decisions of one turn of a
 * loop agree, and tests need not sleep.
 */
#include "base/clock.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "compat/compat.h"

int64_t
clock_now(void)
{
	struct timespec now;

	/* Without a clock no deadline holds: better no service. */
	if (clock_gettime(CLOCK_MONOTONIC, &now) == -1)
		abort();
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
clock_after(int64_t now, int64_t ms)
{
	if (ms > 0 && now > CLOCK_NEVER - ms)
		return CLOCK_NEVER;
	return now + ms;
}

int
clock_poll_timeout(int64_t now, int64_t deadline)
{
	uint64_t left;

	if (deadline == CLOCK_NEVER)
		return -1;
	if (deadline <= now)
		return 0;
	/* Unsigned, because the signed difference of the two may overflow. */
	left = (uint64_t)deadline - (uint64_t)now;
	return left > INT_MAX ? INT_MAX : (int)left;
}

double
clock_since_boot(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_BOOTTIME, &now) == -1)
		abort();
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
