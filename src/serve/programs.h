/*
 * programs: what the monitor has master do with programs.
 */
#ifndef SERVE_PROGRAMS_H
#define SERVE_PROGRAMS_H

#include <sys/types.h>

#include <stdint.h>

struct master;
struct msg;
struct starting;

/*
 * EXEC: make the program, or answer EXECFAILED.  Takes the
 * descriptor that -n or --strict-close adds to the message: it keeps the
 * program's input open.
 */
void programs_exec(struct master *master, struct msg *msg);

/* It is known whether it runs: EXECED, or STARTED if need be and EXECFAILED. */
void programs_tell_outcome(struct master *master, struct starting *starting);

/* STARTED, for those of whom that is not known after a moment. */
void programs_keep_deadlines(struct master *master, int64_t now);

/* SIGNAL; answers SIGNALLED. */
void programs_signal(struct master *master, const struct msg *msg);

/* CLOSE_INPUT: the program may see its end of file. */
void programs_close_input(struct master *master, const struct msg *msg);

/* KILL_SESSION: a session whose nursery is gone. */
void programs_kill_orphan(const struct master *master, const struct msg *msg);

/* A program has been reaped: EXITED. */
void programs_died(struct master *master, pid_t pid, uint64_t conn, int status);

/*
 * The monitor is dead: SIGTERM for all, and SIGKILL after a while.  With -n
 * a program sees no end of file before it is reaped.
 */
void programs_end(struct master *master);

#endif
