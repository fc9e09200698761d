/*
 * test_orphan: only the process that is meant is killed: of that uid, and
 * not one that began later and got the number by chance.
 */
#include "serve/orphan.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static pid_t
make_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	return pid;
}

static void
the_right_one_dies(void **state)
{
	pid_t pid = make_child();
	int status;

	(void)state;
	assert_int_equal(
	    orphan_kill(pid, geteuid(), clock_since_boot() + 1), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
others_live(void **state)
{
	double before = clock_since_boot() - 5;
	pid_t pid = make_child();
	int status;

	(void)state;
	assert_int_equal(
	    orphan_kill(pid, geteuid() + 1, clock_since_boot() + 1), -1);
	assert_int_equal(orphan_kill(pid, geteuid(), before), -1);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Gone altogether. */
	assert_int_equal(
	    orphan_kill(pid, geteuid(), clock_since_boot() + 1), -1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_one_dies),
		cmocka_unit_test(others_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
