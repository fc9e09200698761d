/*
 * children: master's role processes, how each is started.
 */
#ifndef SERVE_CHILDREN_H
#define SERVE_CHILDREN_H

#include <sys/types.h>

#include <stddef.h>

#include "serve/roleconfig.h"
#include "serve/settings.h"

struct resolvconf;

/* What starting a role needs; made once, while master is what it is. */
struct children {
	const struct settings *settings;
	int jail_fd;   /* an empty, removed directory; -1: no root */
	int keeper_fd; /* the executables, opened at start */
	int nursery_fd;
};

#define CHILDREN_ERROR_SIZE 512

/*
 * Open the executables (beside this one, else in the libexec directory)
 * and, as root, make the empty directory, open and remove it.  0, or -1
 * and a sentence.
 */
int children_prepare(struct children *children, const struct settings *settings,
    char error[CHILDREN_ERROR_SIZE]);

enum children_kind { CHILD_KEEPER, CHILD_NURSERY };

/*
 * Start an executable role.  Returns its pid and its life line in
 * *life_fd, or -1 with errno.
 */
pid_t children_exec(
    const struct children *children, enum children_kind kind, int *life_fd);

/*
 * Send a started role its CONFIG: a keeper with the way to the pass phrase
 * (phrase_fd -1: none), a nursery with what a keeper sealed for it, both
 * with what the rules say of TLS (-1: none).  The
 * descriptors stay the caller's.  0, or -1 with errno (EMSGSIZE: too large;
 * EPIPE: it is gone).
 */
int children_configure_keeper(const struct children *children, int life_fd,
    const int lists[PROFILES_LISTS], enum role_phrase phrase, int phrase_fd);
int children_configure_nursery(const struct children *children, int life_fd,
    const int lists[PROFILES_LISTS], int public_fd);

/*
 * Fork the monitor: it has its life line, and descriptors by message.
 * Returns its pid and master's end in *life_fd, or -1 with errno.
 */
pid_t children_fork_monitor(const struct children *children, int *life_fd);

/*
 * Fork the resolver, which asks these servers.  As children_fork_monitor.
 */
pid_t children_fork_resolver(const struct children *children,
    const struct resolvconf *names, int *life_fd);

/* Fork the cache.  As children_fork_monitor. */
pid_t children_fork_cache(const struct children *children, int *life_fd);

/* Fork the logger with the reading end of its socket. */
pid_t children_fork_logger(const struct children *children, int work_fd);

/*
 * Have an executable print its version on descriptor 1, and wait for it.
 * 0, or -1 and a sentence.
 */
int children_print_version(
    enum children_kind kind, char error[CHILDREN_ERROR_SIZE]);

#endif
