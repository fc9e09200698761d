/*
 * sig: signals as events.
 *
 * Used by every process of ours, root ones included.  Its static state is
 * unavoidable, because a handler gets no argument.  The handler marks the
 * signal in a table and writes a byte to the self-pipe: the byte wakes the
 * loop, the table says which.  With the number in the byte, a pipe filled
 * by thousands of SIGCHLD would lose the one SIGTERM.  Between fork and its
 * own sig_pipe a child still has the handler; the owner's pid keeps it from
 * waking its parent with signals that are not the parent's.  Which child a
 * SIGCHLD was about is kept in a ring, as far as there is room.
 */
#include "base/sig.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"

/* More of them wait for a process that does not run: they are found. */
#define DEAD_MAX 64

static volatile sig_atomic_t is_pending[NSIG];
static volatile sig_atomic_t is_caught[NSIG];
static volatile sig_atomic_t is_woken; /* since the pipe was emptied */
static int wake_pipe[2] = { -1, -1 };
static pid_t owner; /* who made wake_pipe */
/* Of children: the handler puts, sig_next_child gets. */
static volatile sig_atomic_t dead[DEAD_MAX];
static volatile sig_atomic_t dead_put, dead_got;

static void
note_child(const siginfo_t *info)
{
	int put = dead_put;

	if (info == NULL || (put + 1) % DEAD_MAX == dead_got)
		return;
	dead[put] = info->si_pid;
	dead_put = (put + 1) % DEAD_MAX;
}

static void
note(int signo, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	if (getpid() == owner) {
		if (signo == SIGCHLD)
			note_child(info);
		is_pending[signo] = 1;
		is_woken = 1;
		/* A full pipe wakes as well, so failing is of no matter. */
		if (write(wake_pipe[1], "", 1) == -1)
			errno = saved;
	}
}

static int
set_action(int signo, struct sigaction *action)
{
	action->sa_flags |= SA_RESTART | SA_NOCLDSTOP;
	if (sigfillset(&action->sa_mask) == -1)
		return -1;
	return sigaction(signo, action, NULL);
}

static int
set_handler(int signo, void (*handler)(int))
{
	struct sigaction action = { 0 };

	action.sa_handler = handler;
	return set_action(signo, &action);
}

int
sig_save(struct sig_state *state)
{
	sigset_t empty;

	if (sigemptyset(&empty) == -1)
		return -1;
	return sigprocmask(SIG_SETMASK, &empty, &state->mask);
}

bool
sig_is_changed(int signo)
{
	static const int ours[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE,
		SIGCHLD };
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (signo == ours[i])
			return true;
	return signo > 0 && signo < NSIG && is_caught[signo];
}

int
sig_restore(const struct sig_state *state)
{
	int signo;

	for (signo = 1; signo < NSIG; signo++) {
		if (sig_is_changed(signo) && set_handler(signo, SIG_DFL) == -1)
			return -1;
	}
	(void)alarm(0);
	/* The mask last: what waits behind it finds the default action. */
	return sigprocmask(SIG_SETMASK, &state->mask, NULL);
}

static int
change_mask(int how, int signo)
{
	sigset_t set;

	if (sigemptyset(&set) == -1 || sigaddset(&set, signo) == -1)
		return -1;
	return sigprocmask(how, &set, NULL);
}

int
sig_block(int signo)
{
	return change_mask(SIG_BLOCK, signo);
}

int
sig_unblock(int signo)
{
	return change_mask(SIG_UNBLOCK, signo);
}

int
sig_ignore_terminal(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
		SIGPIPE };
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		if (set_handler(ignored[i], SIG_IGN) == -1)
			return -1;
	}
	return 0;
}

int
sig_pipe(void)
{
	int ends[2];
	int signo;

	if (owner == getpid())
		return wake_pipe[0];
	if (fd_pipe(ends) == -1)
		return -1;
	if (fd_set_nonblocking(ends[0], 1) == -1 ||
	    fd_set_nonblocking(ends[1], 1) == -1) {
		fd_close(&ends[0]);
		fd_close(&ends[1]);
		return -1;
	}
	/*
	 * The parent's numbers are forgotten, not closed: this process may
	 * have closed them already and be using them for something else.
	 */
	wake_pipe[0] = ends[0];
	wake_pipe[1] = ends[1];
	is_woken = 0;
	for (signo = 0; signo < NSIG; signo++)
		is_pending[signo] = 0;
	dead_put = dead_got = 0;
	owner = getpid();
	return wake_pipe[0];
}

int
sig_catch(int signo)
{
	struct sigaction action = { 0 };

	if (signo <= 0 || signo >= NSIG || owner != getpid()) {
		errno = EINVAL;
		return -1;
	}
	action.sa_sigaction = note;
	action.sa_flags = SA_SIGINFO;
	if (set_action(signo, &action) == -1)
		return -1;
	is_caught[signo] = 1;
	return 0;
}

static bool
has_some(void)
{
	int signo;

	for (signo = 1; signo < NSIG; signo++)
		if (is_pending[signo])
			return true;
	return is_woken != 0;
}

int
sig_next(void)
{
	char bytes[64];
	int signo;

	/* What is there may be the parent's. */
	if (!has_some() || owner != getpid())
		return 0;
	/*
	 * First the mark, then the pipe, then the table: a signal that comes
	 * in between is found now and wakes once for nothing; another order
	 * would lose its wake-up.  A short read has emptied the pipe.
	 */
	if (is_woken) {
		is_woken = 0;
		while (read(wake_pipe[0], bytes, sizeof(bytes)) ==
		    (ssize_t)sizeof(bytes))
			continue;
	}
	for (signo = 1; signo < NSIG; signo++) {
		if (is_pending[signo]) {
			is_pending[signo] = 0;
			return signo;
		}
	}
	return 0;
}

pid_t
sig_next_child(void)
{
	int got = dead_got;
	pid_t pid;

	if (got == dead_put)
		return 0;
	pid = (pid_t)dead[got];
	dead_got = (got + 1) % DEAD_MAX;
	return pid;
}

static void
uncatch_all(void)
{
	int signo;

	for (signo = 1; signo < NSIG; signo++) {
		if (is_caught[signo]) {
			(void)set_handler(signo, SIG_DFL);
			is_caught[signo] = 0;
		}
	}
}

void
sig_release(void)
{
	uncatch_all();
	fd_close(&wake_pipe[0]);
	fd_close(&wake_pipe[1]);
}

void
sig_forget(void)
{
	uncatch_all();
	wake_pipe[0] = wake_pipe[1] = -1;
}
