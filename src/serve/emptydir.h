/*
 * emptydir: a root directory for a process that needs no file.
 */
#ifndef SERVE_EMPTYDIR_H
#define SERVE_EMPTYDIR_H

#include <stddef.h>

/*
 * A directory that is removed at once: empty, for ever, and reachable
 * through the descriptor alone, which is close-on-exec and the caller's.
 * -1 and one sentence in error where none can be made.
 */
int emptydir_make(char *error, size_t size);

#endif
