/*
 * rehearsal_none: blocks lie where they come to lie.
 */
#include "base/rehearsal.h"

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
