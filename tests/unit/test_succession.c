/*
 * test_succession: the whole table of generations, held against DESIGN.md
 * written anew.
 */
#include "serve/succession.h"

#include "support.h"

/*
 * Where each event leads, in the order of enum succession_event: BEGUN READY
 * FAILED FOLLOWED SPENT GONE; -: nowhere, as it cannot be.
 */
static const char *const leads[SUCCESSION_STATES] = {
	[SUCCESSION_FREE] = "C-----",
	[SUCCESSION_COMING] = "-NL---",
	[SUCCESSION_NEWEST] = "---O--",
	[SUCCESSION_OLD] = "----L-",
	[SUCCESSION_LEAVING] = "-----F",
};

static const char letters[SUCCESSION_STATES + 1] = "FCNOL";

static void
the_table_is_as_designed(void **state)
{
	enum succession_state from, to;
	int event;
	bool was;

	(void)state;
	for (from = 0; from < SUCCESSION_STATES; from++)
		for (event = 0; event < SUCCESSION_EVENTS; event++) {
			to = from;
			was =
			    succession_next(&to, (enum succession_event)event);
			assert_int_equal(was, leads[from][event] != '-');
			assert_int_equal(letters[to],
			    was ? leads[from][event] : letters[from]);
		}
}

static void
what_is_no_state_or_event_changes_nothing(void **state)
{
	enum succession_state at = SUCCESSION_STATES;

	(void)state;
	assert_false(succession_next(&at, SUCCESSION_BEGUN));
	assert_int_equal(at, SUCCESSION_STATES);
	at = SUCCESSION_FREE;
	assert_false(succession_next(&at, SUCCESSION_EVENTS));
	assert_int_equal(at, SUCCESSION_FREE);
}

/* A life as most are, and one that fails. */
static void
a_generation_comes_and_goes(void **state)
{
	static const enum succession_event life[] = { SUCCESSION_BEGUN,
		SUCCESSION_READY, SUCCESSION_FOLLOWED, SUCCESSION_SPENT,
		SUCCESSION_GONE, SUCCESSION_BEGUN, SUCCESSION_FAILED,
		SUCCESSION_GONE };
	enum succession_state at = SUCCESSION_FREE;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(life); i++)
		assert_true(succession_next(&at, life[i]));
	assert_int_equal(at, SUCCESSION_FREE);
}

static void
only_the_newest_and_the_next_are_wanted(void **state)
{
	(void)state;
	assert_false(succession_is_wanted(SUCCESSION_FREE));
	assert_true(succession_is_wanted(SUCCESSION_COMING));
	assert_true(succession_is_wanted(SUCCESSION_NEWEST));
	assert_false(succession_is_wanted(SUCCESSION_OLD));
	assert_false(succession_is_wanted(SUCCESSION_LEAVING));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_as_designed),
		cmocka_unit_test(what_is_no_state_or_event_changes_nothing),
		cmocka_unit_test(a_generation_comes_and_goes),
		cmocka_unit_test(only_the_newest_and_the_next_are_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
