/*
 * arena: memory of a process that forks often, kept apart from its children's.
 *
 * The C library's allocator writes beside every block it hands out and
 * takes back, and gives a child the holes its parent left: each such page
 * is copied, for each child.  This one gives a child fresh pages of its
 * own, which are there in one call, and leaves what its parent had alone.
 *
 * A program that links arena.c has malloc(3) and its kin from there; with
 * arena_none.c it has the C library's, and the call below does nothing.
 * For one thread.  A block that was written past its end, or given back
 * twice, is noticed when it is given back: the process aborts.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>

#define ARENA_WIPED_MAX (96 * 1024)

/*
 * In a child, right after fork: whatever is allocated from now on is fresh
 * memory; blocks of the parent stay as they are, also when they are freed,
 * which costs their memory until the child ends.  At most once in a line of
 * descent: a child's child has no memory of its own.
 */
void arena_begin_child(void);

/*
 * Wipe what was given back and not handed out again.  Blocks of more than
 * ARENA_WIPED_MAX bytes are left to whoever has used them: most of their
 * pages were never touched.  false: this allocator cannot.
 */
bool arena_wipe_freed(void);

#endif
