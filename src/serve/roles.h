/*
 * roles: master's role processes, from start to restart.
 */
#ifndef SERVE_ROLES_H
#define SERVE_ROLES_H

#include <stdbool.h>
#include <stdint.h>

struct child;
struct master;

/* Nobody listens any more when this returns, in whatever process. */
void roles_close_listener(struct master *master);

/* Say why sslserver cannot start, and exit 111; every role follows. */
__attribute__((noreturn)) void roles_give_up(
    struct master *master, const char *sentence);

/* A role has failed: fatal while starting, else logged and tried again. */
void roles_fail(
    struct master *master, struct child *child, const char *sentence);

/*
 * Make a work socket between a role and the monitor, if both can have one.
 * For a role of a generation only when that serves.
 */
void roles_connect(struct master *master, struct child *child);

/* Start every role whose turn it is. */
void roles_start_due(struct master *master);

/* All is up: tell front, once.  With --check: exit 0. */
void roles_begin_serving(struct master *master);

/*
 * Take one piece from a role's life line; never waits for the next.
 * Returns whether there was one.
 */
bool roles_hear(struct master *master, struct child *child);

/* A role has been reaped. */
void roles_died(struct master *master, struct child *child, int status);

/* A role that is not ready in time is killed. */
void roles_keep_deadlines(struct master *master, int64_t now);

#endif
