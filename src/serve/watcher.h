/*
 * watcher: a child of master that looks at one file whenever it is asked.
 *
 * stat(2) of a file on a network that does not answer may take for ever,
 * and master has no time.  One question is under way at most; a child that
 * does not answer is killed and replaced, and never is there a second one
 * beside it.
 */
#ifndef SERVE_WATCHER_H
#define SERVE_WATCHER_H

#include <sys/stat.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

/* How long an answer may take, in milliseconds. */
#define WATCHER_PATIENCE_MS 10000

struct watcher {
	const char *path;
	pid_t pid;	  /* 0: none */
	int fd;		  /* the way to it, to be polled; -1 */
	int64_t asked_at; /* CLOCK_NEVER: no answer is due */
	int64_t start_at; /* a new child not before */
	bool has_sent;	  /* the child knows that it is asked */
	bool is_stuck;	  /* no answer since it was found to be */
};

/* What stat(2) says. */
struct watcher_sight {
	int error; /* 0, or its errno: then there is no status */
	struct stat status;
};

/* Make *w look at path, which stays the caller's; no child yet. */
void watcher_init(struct watcher *w, const char *path);

/*
 * Ask, unless an answer is due already, and start the child if there is
 * none.  Never blocks; what fails is tried again with the next call.
 */
void watcher_ask(struct watcher *w, int64_t now);

/* The answer, when fd is readable: true and *sight.  Never blocks. */
bool watcher_answer(struct watcher *w, struct watcher_sight *sight);

/*
 * Kill a child whose answer is too long in coming.  True when that is news:
 * once, until there is an answer again.
 */
bool watcher_gives_up(struct watcher *w, int64_t now);

/* Is pid the child, now reaped? */
bool watcher_reaped(struct watcher *w, pid_t pid, int64_t now);

#endif
