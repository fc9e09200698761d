/*
 * test_clock: sums and differences at the borders, and that time advances.
 */
#include "base/clock.h"

#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
time_advances(void **state)
{
	int64_t before = clock_now();
	double boot = clock_since_boot();
	int64_t passed;

	(void)state;
	assert_true(before >= 0);
	assert_int_equal(poll(NULL, 0, 30), 0);
	passed = clock_now() - before;
	assert_true(passed >= 29 && passed < 10000);
	assert_true(clock_since_boot() - boot >= 0.029);
	/* Time of suspension only adds to it. */
	assert_true(clock_since_boot() * 1000 + 1 >= (double)before);
}

static void
deadlines_do_not_overflow(void **state)
{
	(void)state;
	assert_int_equal(clock_after(1000, 26000), 27000);
	assert_int_equal(clock_after(1000, 0), 1000);
	assert_int_equal(clock_after(0, INT64_MAX), CLOCK_NEVER);
	assert_int_equal(clock_after(5, INT64_MAX - 4), CLOCK_NEVER);
	assert_int_equal(clock_after(5, INT64_MAX - 6), INT64_MAX - 1);
	assert_int_equal(clock_after(CLOCK_NEVER, 1), CLOCK_NEVER);
	assert_int_equal(clock_after(CLOCK_NEVER, CLOCK_NEVER), CLOCK_NEVER);
}

static void
timeouts_fit_poll(void **state)
{
	(void)state;
	assert_int_equal(clock_poll_timeout(1000, 1500), 500);
	assert_int_equal(clock_poll_timeout(1000, 1000), 0);
	assert_int_equal(clock_poll_timeout(1000, 999), 0);
	assert_int_equal(clock_poll_timeout(1000, CLOCK_NEVER), -1);
	assert_int_equal(clock_poll_timeout(CLOCK_NEVER, CLOCK_NEVER), -1);
	assert_int_equal(clock_poll_timeout(5, (int64_t)INT_MAX + 5), INT_MAX);
	assert_int_equal(clock_poll_timeout(5, (int64_t)INT_MAX + 6), INT_MAX);
	assert_int_equal(clock_poll_timeout(0, CLOCK_NEVER - 1), INT_MAX);
	assert_int_equal(clock_poll_timeout(-5, CLOCK_NEVER - 1), INT_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_advances),
		cmocka_unit_test(deadlines_do_not_overflow),
		cmocka_unit_test(timeouts_fit_poll),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
