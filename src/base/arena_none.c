/*
 * arena_none: the C library's allocator, for those who do not fork often.
 */
#include "base/arena.h"

void
arena_begin_child(void)
{
}

bool
arena_wipe_freed(void)
{
	return false;
}
