/*
 * What arena.c and those who decide where its blocks lie have in common.
 */
#ifndef BASE_ARENA_INTERNAL_H
#define BASE_ARENA_INTERNAL_H

#include <stddef.h>

/*
 * Where a new block of this process shall lie, in size bytes of zeros, or
 * NULL for anywhere.  It is the number-th of its class that is cut, counted
 * from 0, and so the same one in each process that does the same.
 */
typedef void *arena_placer(unsigned class, unsigned number, size_t size);

/* Never use again what is free now, so that new blocks are cut. */
void arena_drop_free(void);

/* Ask this one from now on; NULL: nobody. */
void arena_set_placer(arena_placer *placer);

/*
 * Room among blocks that children write to: their pages are copied in the
 * call that gives a child its own.  NULL: there is none left.
 */
void *arena_take_hot(size_t size);

/*
 * From now on this process allocates as a child of arena_fork does.  At most
 * once, and not in such a child.
 */
void arena_settle(void);

#endif
