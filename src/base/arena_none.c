/*
 * arena_none: the C library's allocator, for those who do not fork often.
 */
#include "base/arena.h"

#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

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
arena_freeze(void)
{
}

void
arena_rest(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

bool
arena_wipe_freed(void)
{
	return false;
}
