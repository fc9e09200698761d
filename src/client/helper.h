/*
 * helper: a process beside the program, which is not the program's child.
 */
#ifndef CLIENT_HELPER_H
#define CLIENT_HELPER_H

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

#endif
