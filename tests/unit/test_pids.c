/*
 * test_pids: an entry lives from add to remove, the limit is exact, and
 * pids that share a bucket do not disturb each other.
 */
#include "serve/pids.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void
entries_come_and_go(void **state)
{
	struct pids pids;
	uint64_t conn = 0;

	(void)state;
	assert_int_equal(pids_init(&pids, 10), 0);
	assert_int_equal(pids_add(&pids, 100, 1), 0);
	assert_true(pids_has(&pids, 100, 1));
	assert_false(pids_has(&pids, 100, 2));
	assert_false(pids_has(&pids, 101, 1));
	assert_int_equal(pids_remove(&pids, 101, &conn), -1);
	assert_int_equal(pids_remove(&pids, 100, &conn), 0);
	assert_true(conn == 1);
	assert_false(pids_has(&pids, 100, 1));
	assert_int_equal(pids_remove(&pids, 100, &conn), -1);
	pids_free(&pids);
}

static void
the_limit_is_exact_and_entries_return(void **state)
{
	struct pids pids;
	uint64_t conn;
	pid_t pid;
	int round;

	(void)state;
	assert_int_equal(pids_init(&pids, 100), 0);
	for (round = 0; round < 3; round++) {
		for (pid = 1; pid <= 100; pid++)
			assert_int_equal(
			    pids_add(&pids, pid * 128, (uint64_t)pid), 0);
		assert_int_equal(pids.count, 100);
		assert_int_equal(pids_add(&pids, 7, 7), -1);
		/* All share a bucket; out of the middle first. */
		for (pid = 50; pid <= 100; pid++)
			assert_int_equal(
			    pids_remove(&pids, pid * 128, &conn), 0);
		for (pid = 1; pid < 50; pid++) {
			assert_int_equal(
			    pids_remove(&pids, pid * 128, &conn), 0);
			assert_true(conn == (uint64_t)pid);
		}
		assert_int_equal(pids.count, 0);
	}
	pids_free(&pids);
}

static void
a_signal_reaches_all(void **state)
{
	struct pids pids;
	pid_t children[3];
	int i, status;

	(void)state;
	assert_int_equal(pids_init(&pids, 3), 0);
	for (i = 0; i < 3; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			for (;;)
				pause();
		}
		assert_true(children[i] > 0);
		assert_int_equal(pids_add(&pids, children[i], 1), 0);
	}
	pids_signal_all(&pids, SIGKILL);
	for (i = 0; i < 3; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
	}
	pids_free(&pids);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_and_go),
		cmocka_unit_test(the_limit_is_exact_and_entries_return),
		cmocka_unit_test(a_signal_reaches_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
