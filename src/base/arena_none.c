/*
 * arena_none: the C library's allocator, for those who do not fork often.
 */
#include "base/arena.h"

#include <string.h>
#include <unistd.h>

/* As deep as the TLS library goes, with the certificates that clients send. */
#define STACK_USED (96 * 1024)

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

__attribute__((noinline)) void
arena_wipe_stack(void)
{
	unsigned char used[STACK_USED];

	explicit_bzero(used, sizeof(used));
}

bool
arena_wipe_freed(void)
{
	return false;
}
