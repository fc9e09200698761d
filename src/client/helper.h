/*
 * helper: a process beside the program, which is not the program's child.
 */
#ifndef CLIENT_HELPER_H
#define CLIENT_HELPER_H

#include <stddef.h>

struct client_settings;

/* The life of a helper, from just after fork; control_fd is its own. */
typedef void helper_fn(const struct client_settings *settings, int control_fd);

/*
 * Fork a process that runs run, with the rights we have.  It is nobody's
 * child, in a session of its own, and deaf to the terminal's signals; its
 * descriptors are copies of ours until it closes them.  0 and in *control_fd
 * a message socket to it, the caller's; or -1 with errno.
 */
int helper_start(
    const struct client_settings *settings, helper_fn *run, int *control_fd);

/* Where a helper has its control socket, so that no lower number is free. */
#define HELPER_CONTROL_FD 3

/* In a helper: no number that is given a meaning is as high. */
#define HELPER_ABOVE 10

/*
 * First step of a helper: bring control_fd to HELPER_CONTROL_FD and close
 * all else but those of keep, whose numbers are from HELPER_ABOVE on, and 2,
 * which is /dev/null with -q; so are 0 and 1.  Exits when that fails.
 */
void helper_arrange(const struct client_settings *settings, int control_fd,
    const int *keep, size_t count);

/*
 * In a process that may be taken over: wipe the words of the program and the
 * environment, which are full of passwords, but for the variables that
 * settings point to.  What is wanted of the others must have been read.
 */
void helper_forget(const struct client_settings *settings);

/*
 * The directory that is to be its root, of privs_drop: an empty one under
 * root; else -1, and / is the working directory, so that no file system is
 * held.  Exits when that fails.
 */
int helper_root(void);

#endif
