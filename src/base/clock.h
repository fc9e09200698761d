/*
 * clock: deadlines are absolute monotonic milliseconds, computed once.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* No deadline. */
#define CLOCK_NEVER INT64_MAX

/* Milliseconds of the monotonic clock; aborts where there is none. */
int64_t clock_now(void);

/* now + ms (not negative), or CLOCK_NEVER if that would overflow. */
int64_t clock_after(int64_t now, int64_t ms);

/*
 * Milliseconds from now until deadline as poll(2) wants them: 0 when it
 * has passed, -1 for CLOCK_NEVER, at most INT_MAX.
 */
int clock_poll_timeout(int64_t now, int64_t deadline);

/* Seconds since boot, suspended time included where the system tells it. */
double clock_since_boot(void);

#endif
