/*
 * launch: a child that shares our memory until it executes a program.
 *
 * fork copies page tables and then, one fault each, the pages that either
 * side writes to, all for a child that throws them away: half of what a
 * small program costs.  A child that shares its parent's memory has nothing
 * to copy.  Unlike vfork the parent does not wait for it: programs of the
 * child's new uid may stop it, and must not stop the parent with it.
 */
#ifndef SERVE_LAUNCH_H
#define SERVE_LAUNCH_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

struct sig_state;

struct launch; /* what parent and child share */

/* Where the child failed; NONE: it has executed its program, or was killed. */
enum launch_step {
	LAUNCH_NONE,
	LAUNCH_EXEC,
	LAUNCH_DESCRIPTORS,
	LAUNCH_IDENTITY
};

struct launch_plan {
	int in, out;	 /* its 0 and 1; it has 2 as well, and nothing else */
	int report;	 /* open for writing, close-on-exec, not below 3 */
	bool sets_id;	 /* uid, gid: what privs_become is to be given */
	bool gives_ends; /* 0 and 1 to owner and group, as fchown(2) */
	uid_t uid, owner;
	gid_t gid, group;
	const struct sig_state *signals;
	char *const *argv, *const *environment;
	/* Laid over the environment; copied, like all of the plan. */
	char *const *over;
	size_t over_count;
};

/* Does this system have what it takes?  Then launch_start is to be used. */
bool launch_is_possible(void);

/*
 * Make the child, which does what the plan says and executes argv[0], looked
 * for in PATH of its own environment.  argv and environment must stay as they
 * are until launch_end.  Returns its pid, and *launch, the caller's; or -1
 * with errno.  Does not wait.
 */
pid_t launch_start(const struct launch_plan *plan, struct launch **launch);

/*
 * Free launch; the step that failed, and why in *error.  Only when the
 * child's `report' has been closed: it uses our memory until then.  NULL:
 * NONE.
 */
enum launch_step launch_end(struct launch *launch, int *error);

#endif
