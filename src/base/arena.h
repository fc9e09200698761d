/*
 * arena: memory of a process that forks often, kept apart from its children's.
 *
 * The C library's allocator writes beside every block it hands out and
 * takes back, and gives a child the holes its parent left: each such page
 * is copied, for each child.  This one gives a child fresh pages of its
 * own, the first of its stack with them, which are there in one call, and
 * leaves what its parent had alone.
 *
 * A program that links arena.c has malloc(3) and its kin from there; with
 * arena_none.c it has the C library's, and arena_fork is fork(2).
 * For one thread.  A block that was written past its end, or given back
 * twice, is noticed when it is given back: the process aborts.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <sys/types.h>

#include <stdbool.h>

#define ARENA_WIPED_MAX (96 * 1024)

/*
 * As fork(2): returns the child's pid, or -1 with errno.  The child calls
 * `child`, with a stack of its own, and exits with 0 if that returns; what
 * it allocates is fresh memory, and blocks of the parent stay as they are,
 * also when they are freed, which costs their memory until the child ends.
 * Handlers of pthread_atfork(3) are not called.  ENOMEM in a child, whose
 * children would have no memory of their own.
 */
pid_t arena_fork(void (*child)(void *arg), void *arg);

/*
 * What this process has allocated it is hardly going to write to any more;
 * what it allocates from now on is its own, and no child's: children have no
 * such memory.  Blocks from before are not used again when they are freed.
 * For one that has done what its children need, before the first of them.
 */
void arena_freeze(void);

/*
 * Give the system the pages of a child that nothing lies in now: what is
 * free, was not used yet, or is below the caller's frame in the stack.  For
 * one that is going to wait; it is a few calls.
 */
void arena_rest(void);

/*
 * Wipe what was given back and not handed out again.  Blocks of more than
 * ARENA_WIPED_MAX bytes are left to whoever has used them, who knows how
 * far.  false: this allocator cannot.
 */
bool arena_wipe_freed(void);

/*
 * Wipe what functions have left on the stack below their caller: of a child
 * all of it, otherwise as deep as libraries go.
 */
void arena_wipe_stack(void);

#endif
