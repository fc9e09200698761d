/*
 * front: the process that was started.
 */
#ifndef SERVE_FRONT_H
#define SERVE_FRONT_H

struct ip_endpoint;
struct settings;

/*
 * Wait for signals (the caller has blocked HUP, and one that came since then
 * counts) and for master, whose message socket is master_fd; for
 * -1 print bound.  Returns the exit code: 0 after SIGTERM or SIGINT, or a
 * finished --check; 111 when master could not start, has died, or stops by
 * itself, which is else as after SIGTERM.
 */
int front_run(const struct settings *settings, const struct ip_endpoint *bound,
    int master_fd);

#endif
