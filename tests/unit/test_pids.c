/*
 * test_pids: an entry lives from add to remove, the limit is exact, and
 * pids that share a bucket or are used again do not disturb each other.
 */
#include "serve/pids.h"

#include "support.h"

#include <signal.h>

static void
entries_come_and_go(void **state)
{
	struct pids pids;
	uint64_t conn = 0;

	(void)state;
	assert_int_equal(pids_init(&pids, 10), 0);
	assert_int_equal(pids_add(&pids, 100, UINT64_MAX, -1), 0);
	assert_true(pids_has(&pids, 100, UINT64_MAX));
	assert_false(pids_has(&pids, 100, 2));
	assert_false(pids_has(&pids, 101, UINT64_MAX));
	assert_false(pids_has(&pids, 116, UINT64_MAX));
	assert_int_equal(pids_remove(&pids, 101, &conn), -1);
	assert_int_equal(pids_remove(&pids, 116, &conn), -1);
	assert_int_equal(pids_remove(&pids, 100, &conn), 0);
	assert_true(conn == UINT64_MAX);
	assert_false(pids_has(&pids, 100, UINT64_MAX));
	assert_int_equal(pids_remove(&pids, 100, &conn), -1);
	pids_free(&pids);
	pids_free(&pids);
}

static void
numbers_that_are_nobody(void **state)
{
	static const pid_t nobody[] = { 0, -1, -2, INT32_MIN };
	struct pids pids;
	uint64_t conn;
	size_t i;

	(void)state;
	assert_int_equal(pids_init(&pids, 10), 0);
	assert_int_equal(pids_add(&pids, 100, 0, -1), 0);
	for (i = 0; i < COUNT(nobody); i++) {
		assert_false(pids_has(&pids, nobody[i], 0));
		assert_int_equal(pids_remove(&pids, nobody[i], &conn), -1);
	}
	pids_free(&pids);
}

static void
a_pid_used_again_is_somebody_else(void **state)
{
	struct pids pids;
	uint64_t conn, now;

	(void)state;
	assert_int_equal(pids_init(&pids, 2), 0);
	assert_int_equal(pids_add(&pids, 7, 1000, -1), 0);
	for (now = 1; now < 100; now++) {
		assert_int_equal(pids_add(&pids, 100, now, -1), 0);
		assert_true(pids_has(&pids, 100, now));
		assert_false(pids_has(&pids, 100, now - 1));
		assert_int_equal(pids_remove(&pids, 100, &conn), 0);
		assert_true(conn == now);
	}
	assert_true(pids_has(&pids, 7, 1000));
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
			    pids_add(&pids, pid * 128, (uint64_t)pid, -1), 0);
		assert_int_equal(pids.count, 100);
		assert_int_equal(pids_add(&pids, 7, 7, -1), -1);
		assert_false(pids_has(&pids, 7, 7));
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
disowned_children_are_nobodys(void **state)
{
	struct pids pids;
	uint64_t conn = 7;
	pid_t pid;

	(void)state;
	assert_int_equal(pids_init(&pids, 40), 0);
	for (pid = 1; pid <= 40; pid++)
		assert_int_equal(pids_add(&pids, pid, (uint64_t)pid, -1), 0);
	pids_disown(&pids);
	for (pid = 1; pid <= 40; pid++) {
		assert_false(pids_has(&pids, pid, (uint64_t)pid));
		assert_true(pids_has(&pids, pid, 0));
		assert_int_equal(pids_remove(&pids, pid, &conn), 0);
		assert_true(conn == 0);
	}
	pids_free(&pids);
}

static pid_t
make_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* Nobody kills it when the test fails. */
		alarm(20);
		pause();
		_exit(1);
	}
	assert_true(pid > 0);
	return pid;
}

static void
a_signal_reaches_those_in_the_table(void **state)
{
	struct pids pids;
	pid_t children[4];
	uint64_t conn;
	int i, status;

	(void)state;
	assert_int_equal(pids_init(&pids, 4), 0);
	for (i = 0; i < 4; i++) {
		children[i] = make_child();
		assert_int_equal(pids_add(&pids, children[i], 1, -1), 0);
	}
	assert_int_equal(pids_remove(&pids, children[3], &conn), 0);
	pids_signal_all(&pids, SIGKILL);
	for (i = 0; i < 3; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
	}
	assert_int_equal(waitpid(children[3], &status, WNOHANG), 0);
	kill(children[3], SIGTERM);
	assert_int_equal(waitpid(children[3], &status, 0), children[3]);
	assert_int_equal(WTERMSIG(status), SIGTERM);
	pids_free(&pids);
}

static void
a_signal_for_the_disowned_reaches_no_other(void **state)
{
	struct pids pids;
	pid_t old, other;
	int status;

	(void)state;
	assert_int_equal(pids_init(&pids, 4), 0);
	old = make_child();
	assert_int_equal(pids_add(&pids, old, 1, -1), 0);
	pids_disown(&pids);
	other = make_child();
	assert_int_equal(pids_add(&pids, other, 2, -1), 0);
	pids_signal_disowned(&pids, SIGKILL);
	assert_int_equal(waitpid(old, &status, 0), old);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(waitpid(other, &status, WNOHANG), 0);
	kill(other, SIGTERM);
	assert_int_equal(waitpid(other, &status, 0), other);
	pids_free(&pids);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_and_go),
		cmocka_unit_test(numbers_that_are_nobody),
		cmocka_unit_test(a_pid_used_again_is_somebody_else),
		cmocka_unit_test(the_limit_is_exact_and_entries_return),
		cmocka_unit_test(disowned_children_are_nobodys),
		cmocka_unit_test(a_signal_for_the_disowned_reaches_no_other),
		cmocka_unit_test(a_signal_reaches_those_in_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
