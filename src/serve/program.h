/*
 * program: a connection's program, from fork to exec.
 */
#ifndef SERVE_PROGRAM_H
#define SERVE_PROGRAM_H

#include <sys/types.h>

#include <stddef.h>

#include "base/sig.h"

struct launch;
struct settings;

/* What every program gets, collected when sslserver starts. */
struct program {
	const struct settings *settings;
	char **environment; /* without what only we may set; NULL-ended */
	struct sig_state signals;
};

/* What execlp and other UCSPI tools use when PATH is unset. */
#define PROGRAM_DEFAULT_PATH "/bin:/usr/bin"

/* Room for why a program could not be executed. */
#define PROGRAM_REASON_SIZE 160

/*
 * The environment of this process without the names only we may set.
 * Points into environ.  NULL when memory is short.
 */
char **program_environment(void);

/*
 * Execute argv with this environment, in whose PATH it is looked for unless
 * its name has a slash.  Returns when that fails, with errno.
 */
void program_execute(char *const *argv, char *const *environment);

/*
 * What the program gets of its connection, the caller's, each above 2 and
 * none of them one of --keep-fd.  With -n in and out are the client's
 * socket, and the other three are there, which are -1 without.
 */
struct program_ends {
	int in, out;		  /* its 0 and 1 */
	int control, read, write; /* SSLCTLFD, SSLREADFD, SSLWRITEFD */
};

/*
 * Steps of a program's start, for a process that is one without exec.  Enter
 * --root; become -u and -g; 0, or -1 with errno.
 */
int program_enter_root(const struct settings *settings);
int program_take_identity(const struct settings *settings);

/*
 * An end of one of its pipes, which opens again through /dev/stdout, but only
 * for its owner: give it to the program's user.  0, or -1 with errno.
 */
int program_give_end(const struct settings *settings, int fd);

/*
 * One that is being started.  When exec_fd is readable, or the process has
 * been reaped, program_outcome has something to say.
 */
struct program_start {
	int exec_fd;
	struct launch *launch; /* NULL: it was forked */
};

/*
 * Make a process with these ends, and have it execute the program with over
 * (count `NAME=value', or NAME to remove) laid over the environment.  Does
 * not wait for it.  Returns the pid, and *start, the caller's, for
 * program_outcome; or -1 with errno.
 */
pid_t program_spawn(const struct program *program,
    const struct program_ends *ends, char *const *over, size_t count,
    struct program_start *start);

/*
 * How it began.  0: the program runs.  -1, and why it does not in reason.
 * Releases what start holds.
 */
int program_outcome(
    struct program_start *start, char reason[PROGRAM_REASON_SIZE]);

#endif
