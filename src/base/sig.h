/*
 * sig: signals as events.  A handler writes one byte to the self-pipe and
 * restores errno; all work happens in the loop that reads the pipe.
 */
#ifndef BASE_SIG_H
#define BASE_SIG_H

#include <sys/types.h>

#include <signal.h>
#include <stdbool.h>

/* What the process had at start, for the programs it will run. */
struct sig_state {
	sigset_t mask;
};

/* Remember the signal mask in *state and set an empty one.  0 or -1. */
int sig_save(struct sig_state *state);

/*
 * Before exec of a program: default disposition for every signal that has
 * been caught or ignored by us (HUP INT QUIT TERM PIPE CHLD and all given
 * to sig_catch), alarm off, the remembered mask.  Changes no memory.  0 or
 * -1.
 */
int sig_restore(const struct sig_state *state);

/* Does sig_restore give this one its default action? */
bool sig_is_changed(int signo);

/*
 * Have a signal wait from now on, and let it come.  What waits is not
 * inherited by a fork, that it shall wait is.  0 or -1.
 */
int sig_block(int signo);
int sig_unblock(int signo);

/* Ignore INT, TERM, HUP, QUIT and PIPE, as every role does.  0 or -1. */
int sig_ignore_terminal(void);

/*
 * Make the self-pipe, close-on-exec and non-blocking, and return its read
 * end, or -1; in the process that has one already, just return it.  A
 * process that was forked calls it again and gets a pipe of its own, the
 * signals caught before staying caught; until then they are dropped there,
 * so block them around a fork if none may be lost.  The parent's pipe is
 * left to fd_close_except, which must not close the own one.
 */
int sig_pipe(void);

/*
 * Catch a signal: from now on it is reported by sig_next.  Slow system
 * calls other than poll(2) are restarted.  Needs the own self-pipe.  0, or
 * -1 with errno.
 */
int sig_catch(int signo);

/*
 * The next caught signal, or 0 when there is none; never blocks.  Several
 * of one kind may be reported as one.  Call it when the self-pipe is
 * readable, until it returns 0.
 */
int sig_next(void);

/*
 * A process that a caught SIGCHLD was about, or 0.  A hint: of several that
 * wait the kernel keeps one, we remember so many, and anybody may send one.
 * After a fork not before the child has a self-pipe of its own.
 */
pid_t sig_next_child(void);

/*
 * In a forked child that will never catch a signal: close the parent's
 * self-pipe, and let what the parent caught have its default action.
 */
void sig_release(void);

/* As sig_release, for a child that closes what is not its own itself. */
void sig_forget(void);

#endif
