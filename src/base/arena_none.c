/*
 * arena_none: the C library's allocator, for those who do not fork often.
 */
#include "base/arena.h"
#include "base/rehearsal.h"

#include <unistd.h>

pid_t
arena_fork(void (*child)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		child(arg);
		_exit(0);
	}
	return pid;
}

void
rehearsal_run(void (*prepare)(void *arg), void (*work)(void *arg), void *arg)
{
	(void)prepare;
	(void)work;
	(void)arg;
}

void
rehearsal_watch(bool counts)
{
	(void)counts;
}

bool
arena_wipe_freed(void)
{
	return false;
}
