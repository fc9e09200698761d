/*
 * test_sig: no signal is lost, none reaches the wrong process, and programs
 * get back what was there at start.
 *
 * The module has state per process, so each test runs in a child of its
 * own, which reports by its exit status: 0, or the line that failed.
 */
#include "base/sig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <sys/wait.h>

#include <cmocka.h>

/* Of a status only 8 bits arrive; fail_msg below is told them. */
#define CHECK(condition) \
	do { \
		if (!(condition)) \
			return __LINE__ % 255 + 1; \
	} while (0)

static int
status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return 1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static void
in_child(int (*run)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid != -1);
	if (pid == 0)
		_exit(run());
	status = status_of(pid);
	if (status != 0)
		fail_msg("failed in line %d modulo 255, or killed", status - 1);
}

static int
is_readable(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	return poll(&polled, 1, 0) == 1;
}

static int
reports(void)
{
	int fd = sig_pipe();

	CHECK(fd >= 0);
	CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	CHECK(sig_pipe() == fd);
	CHECK(sig_catch(SIGTERM) == 0 && sig_catch(SIGCHLD) == 0);
	CHECK(!is_readable(fd) && sig_next() == 0);
	CHECK(raise(SIGTERM) == 0);
	CHECK(is_readable(fd));
	CHECK(sig_next() == SIGTERM);
	CHECK(sig_next() == 0 && !is_readable(fd));
	CHECK(raise(SIGTERM) == 0 && raise(SIGCHLD) == 0);
	CHECK(raise(SIGTERM) == 0);
	CHECK(sig_next() + sig_next() == SIGTERM + SIGCHLD);
	CHECK(sig_next() == 0 && !is_readable(fd));
	return 0;
}

static void
caught_signals_are_reported(void **state)
{
	(void)state;
	in_child(reports);
}

/* More signals than the pipe has room for, then the one that matters. */
static int
overflow(void)
{
	int fd = sig_pipe();
	int i;

	CHECK(sig_catch(SIGTERM) == 0 && sig_catch(SIGCHLD) == 0);
	for (i = 0; i < 70000; i++) {
		errno = 77;
		CHECK(raise(SIGCHLD) == 0 && errno == 77);
	}
	CHECK(raise(SIGTERM) == 0 && errno == 77);
	CHECK(is_readable(fd));
	CHECK(sig_next() + sig_next() == SIGTERM + SIGCHLD);
	CHECK(sig_next() == 0 && !is_readable(fd));
	return 0;
}

static void
full_pipe_loses_nothing(void **state)
{
	(void)state;
	in_child(overflow);
}

/* It ends with 0; SIGCHLD has come when this returns, or waits. */
static pid_t
end_child(void)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 ? pid
								       : -1;
}

static int
names_children(void)
{
	pid_t pid;
	int i, count = 0;

	CHECK(sig_next_child() == 0);
	CHECK(sig_pipe() >= 0 && sig_catch(SIGCHLD) == 0);
	CHECK(sig_next_child() == 0);
	pid = end_child();
	CHECK(pid > 0 && sig_next() == SIGCHLD);
	CHECK(sig_next_child() == pid && sig_next_child() == 0);
	/* Too many: some are named, and the signal is not lost. */
	for (i = 0; i < 1000; i++)
		CHECK(raise(SIGCHLD) == 0);
	while (sig_next_child() == getpid())
		count++;
	CHECK(count > 0 && count < 1000 && sig_next_child() == 0);
	CHECK(sig_next() == SIGCHLD && sig_next() == 0);
	/* And then others again. */
	for (i = 0; i < 200; i++) {
		CHECK(raise(SIGCHLD) == 0);
		CHECK(sig_next_child() == getpid() && sig_next_child() == 0);
	}
	return 0;
}

static void
children_that_ended_are_named(void **state)
{
	(void)state;
	in_child(names_children);
}

static int
wrong_use(void)
{
	CHECK(sig_catch(SIGTERM) == -1 && errno == EINVAL);
	CHECK(sig_next() == 0);
	CHECK(sig_pipe() >= 0);
	CHECK(sig_catch(0) == -1 && errno == EINVAL);
	CHECK(sig_catch(-1) == -1 && errno == EINVAL);
	CHECK(sig_catch(NSIG) == -1 && errno == EINVAL);
	CHECK(sig_catch(SIGKILL) == -1 && errno == EINVAL);
	return 0;
}

static void
wrong_use_is_refused(void **state)
{
	(void)state;
	in_child(wrong_use);
}

static int
forked_child(void)
{
	int fd;

	CHECK(raise(SIGTERM) == 0);
	CHECK(sig_next() == 0);
	CHECK(sig_catch(SIGHUP) == -1 && errno == EINVAL);
	fd = sig_pipe();
	CHECK(fd >= 0 && !is_readable(fd));
	CHECK(sig_next() == 0);
	CHECK(raise(SIGTERM) == 0);
	CHECK(is_readable(fd) && sig_next() == SIGTERM);
	return 0;
}

static int
forking(void)
{
	int fd = sig_pipe();
	pid_t pid;

	CHECK(fd >= 0 && sig_catch(SIGTERM) == 0);
	/* Pending in the parent is not pending in the child. */
	CHECK(raise(SIGTERM) == 0);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0)
		_exit(forked_child());
	CHECK(status_of(pid) == 0);
	CHECK(sig_next() == SIGTERM);
	CHECK(sig_next() == 0 && !is_readable(fd));
	/* And what the child gets does not wake the parent. */
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0)
		_exit(forked_child());
	CHECK(status_of(pid) == 0);
	CHECK(!is_readable(fd) && sig_next() == 0);
	return 0;
}

static void
child_does_not_wake_its_parent(void **state)
{
	(void)state;
	in_child(forking);
}

/* A descriptor that took the number of the parent's pipe stays as it is. */
static int
own_pipe_spares_others(void)
{
	int fd = sig_pipe();
	int other;
	pid_t pid;

	CHECK(fd >= 0);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		(void)close(fd);
		other = dup(2);
		CHECK(other == fd);
		CHECK(sig_pipe() != fd);
		CHECK(fcntl(other, F_GETFD) != -1);
		return 0;
	}
	CHECK(status_of(pid) == 0);
	return 0;
}

/* What a child forgets or releases has its default action; 0, or the line. */
static int
forgets(void)
{
	void (*const ways[])(void) = { sig_release, sig_forget };
	int fd = sig_pipe(), i, status;
	pid_t pid;

	CHECK(fd >= 0 && sig_catch(SIGTERM) == 0);
	for (i = 0; i < 2; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			ways[i]();
			/* Released: closed.  Forgotten: as it was. */
			if ((fcntl(fd, F_GETFD) == -1) == (i == 0))
				raise(SIGTERM);
			_exit(1);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	}
	CHECK(!is_readable(fd) && sig_next() == 0);
	return 0;
}

static void
a_child_can_leave_signals_behind(void **state)
{
	(void)state;
	in_child(forgets);
}

static void
new_pipe_closes_nothing(void **state)
{
	(void)state;
	in_child(own_pipe_spares_others);
}

static int
ignores(void)
{
	CHECK(sig_ignore_terminal() == 0);
	CHECK(raise(SIGINT) == 0 && raise(SIGTERM) == 0);
	CHECK(raise(SIGHUP) == 0 && raise(SIGQUIT) == 0);
	CHECK(raise(SIGPIPE) == 0);
	return 0;
}

static void
roles_ignore_the_terminal(void **state)
{
	(void)state;
	in_child(ignores);
}

static int
waits(void)
{
	CHECK(sig_pipe() >= 0 && sig_block(SIGHUP) == 0);
	CHECK(raise(SIGHUP) == 0 && sig_catch(SIGHUP) == 0);
	CHECK(sig_next() == 0);
	CHECK(sig_unblock(SIGHUP) == 0);
	CHECK(sig_next() == SIGHUP && sig_next() == 0);
	CHECK(sig_block(-1) == -1 && sig_unblock(NSIG) == -1);
	return 0;
}

static void
what_is_blocked_waits_for_who_catches_it(void **state)
{
	(void)state;
	in_child(waits);
}

static int
has_default(int signo)
{
	struct sigaction action;

	return sigaction(signo, NULL, &action) == 0 &&
	    action.sa_handler == SIG_DFL;
}

static int
restores(void)
{
	struct sig_state start;
	sigset_t mask;

	CHECK(sigemptyset(&mask) == 0 && sigaddset(&mask, SIGUSR1) == 0);
	CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
	CHECK(sig_save(&start) == 0);
	CHECK(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
	CHECK(sigismember(&mask, SIGUSR1) == 0);
	CHECK(sig_ignore_terminal() == 0 && sig_pipe() >= 0);
	CHECK(sig_catch(SIGCHLD) == 0 && sig_catch(SIGUSR2) == 0);
	CHECK(sig_catch(SIGTERM) == 0);
	CHECK(alarm(1000) == 0);
	CHECK(sig_restore(&start) == 0);
	CHECK(alarm(0) == 0);
	CHECK(has_default(SIGHUP) && has_default(SIGINT));
	CHECK(has_default(SIGQUIT) && has_default(SIGTERM));
	CHECK(has_default(SIGPIPE) && has_default(SIGCHLD));
	CHECK(has_default(SIGUSR2));
	CHECK(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
	CHECK(sigismember(&mask, SIGUSR1) == 1);
	CHECK(sigismember(&mask, SIGTERM) == 0);
	return 0;
}

static void
programs_get_the_start_state(void **state)
{
	(void)state;
	in_child(restores);
}

/* Blocked around the fork, a signal finds the default action after exec. */
static int
kills_at_restore(void)
{
	struct sig_state start;
	sigset_t all;
	int status;
	pid_t pid;

	CHECK(sig_save(&start) == 0 && sig_pipe() >= 0);
	CHECK(sig_catch(SIGTERM) == 0);
	CHECK(sigfillset(&all) == 0);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
		CHECK(raise(SIGTERM) == 0);
		(void)sig_restore(&start);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	return 0;
}

static void
blocked_signals_meet_the_default(void **state)
{
	(void)state;
	in_child(kills_at_restore);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caught_signals_are_reported),
		cmocka_unit_test(full_pipe_loses_nothing),
		cmocka_unit_test(children_that_ended_are_named),
		cmocka_unit_test(wrong_use_is_refused),
		cmocka_unit_test(child_does_not_wake_its_parent),
		cmocka_unit_test(new_pipe_closes_nothing),
		cmocka_unit_test(a_child_can_leave_signals_behind),
		cmocka_unit_test(roles_ignore_the_terminal),
		cmocka_unit_test(what_is_blocked_waits_for_who_catches_it),
		cmocka_unit_test(programs_get_the_start_state),
		cmocka_unit_test(blocked_signals_meet_the_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
