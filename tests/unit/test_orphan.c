/*
 * test_orphan: only the process that is meant is killed: of that uid, and
 * not one that began later and got the number by chance.
 */
#include "serve/orphan.h"

#include "support.h"

#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/clock.h"

/* Begins after a while; uid 0: as we are.  Has done so when this returns. */
static pid_t
make_child(uid_t uid)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
#ifdef __linux__
		/* A name that a careless reader of stat(5) stumbles over. */
		prctl(PR_SET_NAME, ") S 1 (1 1 1 1", 0, 0, 0);
		if (uid != 0 && setuid(uid) == -1)
			_exit(1);
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		/* Nobody kills it when the test fails. */
		alarm(20);
		pause();
		_exit(1);
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void
expect_killed(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
the_right_one_dies(void **state)
{
	int open_before = open_descriptors();
	pid_t pid = make_child(0);

	(void)state;
	assert_int_equal(orphan_kill(pid, geteuid(), clock_since_boot()), 0);
	expect_killed(pid);
	assert_int_equal(open_descriptors(), open_before);
}

static void
one_of_another_user_dies_for_root(void **state)
{
	pid_t pid;

	(void)state;
	need_root();
	pid = make_child(SOME_UID);
	/* /proc calls one that hides root's: its uid is another. */
	assert_int_equal(orphan_kill(pid, 0, clock_since_boot()), -1);
	assert_int_equal(orphan_kill(pid, SOME_UID, clock_since_boot()), 0);
	expect_killed(pid);
}

static void
others_live(void **state)
{
	double before = clock_since_boot();
	int status, open_before = open_descriptors();
	pid_t pid;

	(void)state;
	/* A number used again belongs to one that began later. */
	usleep(300000);
	pid = make_child(0);
	assert_int_equal(
	    orphan_kill(pid, geteuid() + 1, clock_since_boot()), -1);
	assert_int_equal(orphan_kill(pid, geteuid(), before), -1);
	assert_int_equal(orphan_kill(pid, geteuid(), 0), -1);
	assert_int_equal(orphan_kill(pid, geteuid(), -1), -1);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Gone altogether. */
	assert_int_equal(orphan_kill(pid, geteuid(), clock_since_boot()), -1);
	assert_int_equal(open_descriptors(), open_before);
}

/* Never a group, never everybody: this test would be among them. */
static void
numbers_that_are_nobody(void **state)
{
	static const pid_t nobody[] = { 0, -1, -2, INT32_MIN, INT32_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(nobody); i++)
		assert_int_equal(orphan_kill(nobody[i], geteuid(), 1e9), -1);
	assert_int_equal(orphan_kill(-getpid(), geteuid(), 1e9), -1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_one_dies),
		cmocka_unit_test(one_of_another_user_dies_for_root),
		cmocka_unit_test(others_live),
		cmocka_unit_test(numbers_that_are_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
