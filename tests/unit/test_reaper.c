/*
 * test_reaper: each child that has ended is found, once, whatever became of
 * its signal: with few children at once, with many at the deadline.
 */
#include "serve/reaper.h"

#include "support.h"

#include <poll.h>
#include <signal.h>

#include "base/clock.h"
#include "base/sig.h"

#define IDLE 300 /* more than few */

static struct reaper reaper;
static pid_t idle[IDLE];

/* One that stays, until it is killed or the test has long been over. */
static pid_t
make_idle(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		sig_forget();
		alarm(600);
		pause();
		_exit(1);
	}
	assert_true(pid > 0);
	return pid;
}

static pid_t
make_ending(int code)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(code);
	assert_true(pid > 0);
	reaper_started(&reaper, pid);
	return pid;
}

/* It is a zombie now; its signal has come or waits. */
static void
await_end(pid_t pid)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

/* As a loop does: wait for signal or deadline, then take what there is. */
static size_t
take_some(size_t count)
{
	struct pollfd polled = { sig_pipe(), POLLIN, 0 };
	int64_t deadline = reaper_deadline(&reaper);
	size_t taken = 0;
	int status;

	if (poll(&polled, 1, clock_poll_timeout(clock_now(), deadline)) == -1)
		return 0;
	while (sig_next() != 0)
		reaper_signalled(&reaper, count);
	while (reaper_next(&reaper, count, &status) > 0)
		taken++;
	return taken;
}

/* All of them, although the signals of all but one are lost. */
static void
lose_signals(size_t idle_count, size_t ending_count)
{
	size_t i, taken = 0;
	pid_t pid;

	assert_int_equal(sig_block(SIGCHLD), 0);
	for (i = 0; i < ending_count; i++) {
		pid = make_ending(0);
		await_end(pid);
	}
	assert_int_equal(sig_unblock(SIGCHLD), 0);
	while (taken < ending_count)
		taken += take_some(idle_count + ending_count - taken);
	assert_int_equal(taken, ending_count);
}

static int
begin(void **state)
{
	(void)state;
	assert_true(sig_pipe() >= 0);
	assert_int_equal(sig_catch(SIGCHLD), 0);
	return 0;
}

static void
end_idle(size_t count)
{
	size_t i, taken = 0;

	for (i = 0; i < count; i++)
		assert_int_equal(kill(idle[i], SIGKILL), 0);
	while (taken < count)
		taken += take_some(count - taken);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
few_are_found_at_once(void **state)
{
	pid_t a, b, pid, other;
	int status = -1;

	(void)state;
	reaper_init(&reaper);
	assert_int_equal(reaper_next(&reaper, 0, &status), 0);
	assert_int_equal(sig_block(SIGCHLD), 0);
	a = make_ending(3);
	b = make_ending(3);
	await_end(a);
	await_end(b);
	assert_int_equal(sig_unblock(SIGCHLD), 0);
	assert_int_equal(sig_next(), SIGCHLD);
	reaper_signalled(&reaper, 2);
	pid = reaper_next(&reaper, 2, &status);
	assert_true(pid == a || pid == b);
	assert_int_equal(WEXITSTATUS(status), 3);
	other = reaper_next(&reaper, 1, &status);
	assert_int_equal(other, a + b - pid);
	assert_int_equal(reaper_next(&reaper, 0, &status), 0);
	assert_true(reaper_deadline(&reaper) == CLOCK_NEVER);
}

static void
of_many_the_named_one_is_found_at_once(void **state)
{
	int status = -1;
	size_t i;
	pid_t pid;

	(void)state;
	reaper_init(&reaper);
	for (i = 0; i < IDLE; i++)
		idle[i] = make_idle();
	pid = make_ending(4);
	await_end(pid);
	assert_int_equal(sig_next(), SIGCHLD);
	reaper_signalled(&reaper, IDLE + 1);
	assert_int_equal(reaper_next(&reaper, IDLE + 1, &status), pid);
	assert_int_equal(WEXITSTATUS(status), 4);
	end_idle(IDLE);
}

static void
lost_signals_lose_nobody(void **state)
{
	size_t i;

	(void)state;
	reaper_init(&reaper);
	lose_signals(0, 10);
	for (i = 0; i < IDLE; i++)
		idle[i] = make_idle();
	lose_signals(IDLE, 10);
	/* More than are known as young. */
	lose_signals(IDLE, REAPER_YOUNG + 50);
	end_idle(IDLE);
}

/* A role of master's is one: it has not been told of. */
static void
who_is_not_known_is_found(void **state)
{
	size_t i;

	(void)state;
	reaper_init(&reaper);
	for (i = 0; i < IDLE; i++)
		idle[i] = make_idle();
	assert_int_equal(sig_block(SIGCHLD), 0);
	assert_int_equal(kill(idle[1], SIGKILL), 0);
	await_end(idle[1]);
	assert_int_equal(kill(idle[0], SIGKILL), 0);
	await_end(idle[0]);
	assert_int_equal(sig_unblock(SIGCHLD), 0);
	for (i = 0; i < 2;)
		i += take_some(IDLE - i);
	assert_int_equal(i, 2);
	/* Nothing stays due for nobody. */
	while (reaper_deadline(&reaper) != CLOCK_NEVER)
		assert_int_equal(take_some(IDLE - 2), 0);
	idle[0] = make_idle();
	idle[1] = make_idle();
	end_idle(IDLE);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_found_at_once),
		cmocka_unit_test(of_many_the_named_one_is_found_at_once),
		cmocka_unit_test(lost_signals_lose_nobody),
		cmocka_unit_test(who_is_not_known_is_found),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
