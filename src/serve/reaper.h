/*
 * reaper: which child has ended, of thousands, without a look at each.
 *
 * waitpid(-1) goes through all children of a process, and the oldest ones,
 * which are the idle ones, come first: with ten thousand connections that
 * is half a millisecond for each that ends.
 */
#ifndef SERVE_REAPER_H
#define SERVE_REAPER_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many were started last, and are looked at one by one. */
#define REAPER_YOUNG 64

struct reaper {
	bool is_direct; /* waitpid(pid) goes through no list */
	pid_t young[REAPER_YOUNG];
	size_t youngest;	  /* where the next one comes */
	size_t at;		  /* of young: looked at already */
	int64_t young_at, all_at; /* who has to be looked at, and when */
};

/* No children yet. */
void reaper_init(struct reaper *reaper);

/* A child has been made.  Others need not be told of. */
void reaper_started(struct reaper *reaper, pid_t pid);

/*
 * SIGCHLD has come (sig_next), and there are about count children.  Before
 * reaper_next.
 */
void reaper_signalled(struct reaper *reaper, size_t count);

/*
 * The next child that has ended, reaped, and its status; 0: none for now.
 * Never blocks.  With few children (count) none that has ended is left.
 * With many, one whose SIGCHLD was lost comes later: call it again at
 * reaper_deadline, or CLOCK_NEVER.
 */
pid_t reaper_next(struct reaper *reaper, size_t count, int *status);
int64_t reaper_deadline(const struct reaper *reaper);

#endif
