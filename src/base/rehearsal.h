/*
 * rehearsal: which blocks of a process that forks often its children write to.
 */
#ifndef BASE_REHEARSAL_H
#define BASE_REHEARSAL_H

#include <stdbool.h>

/*
 * Find out which blocks children are going to write to, and have them lie
 * together, so that few pages are copied.  `prepare` is what the caller
 * does next, `work` what its children do then; both are called with arg in
 * children that exit afterwards, and so may fail, by _exit, and leave no
 * trace; it gets a page for each block, 64 MiB at most.  Waits for it, but
 * for some seconds at most, and then kills it.  If nothing could be learned,
 * or the caller then does something else, blocks lie as they would have.
 * Once, before there are children, and before SIGCHLD is caught.  With
 * rehearsal_none.c it does nothing.
 */
void rehearsal_run(
    void (*prepare)(void *arg), void (*work)(void *arg), void *arg);

/*
 * In `work`: what is written to from now on counts, or does not.  It does
 * not at first.
 */
void rehearsal_watch(bool counts);

#endif
