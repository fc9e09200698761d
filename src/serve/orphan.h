/*
 * orphan: ending a session whose nursery is gone.
 */
#ifndef SERVE_ORPHAN_H
#define SERVE_ORPHAN_H

#include <sys/types.h>

/*
 * Send SIGKILL to pid, if it is a process of uid that began no later than
 * latest_start (seconds since boot): a pid used again for somebody else
 * began later.  The check is made after the process has been pinned, so
 * nothing changes in between.  0, or -1: not done.
 */
int orphan_kill(pid_t pid, uid_t uid, double latest_start);

#endif
