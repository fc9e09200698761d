/*
 * pids: which connection a child process belongs to.
 *
 * A table sized at start.  An entry lives from fork until the child has
 * been reaped, so that a signal can never reach a stranger with a pid used
 * again.
 */
#ifndef SERVE_PIDS_H
#define SERVE_PIDS_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

struct pids_entry {
	pid_t pid; /* 0: unused */
	uint64_t conn;
	int fd; /* kept open for it, or -1 */
	struct pids_entry *next;
};

struct pids {
	struct pids_entry *entries;  /* limit of them */
	size_t limit, fresh;	     /* from there on nobody has used them */
	struct pids_entry **buckets; /* a power of two of them */
	struct pids_entry *unused;   /* of those that somebody has */
	size_t bucket_count;
	size_t count;
};

/* A table for limit children.  0 or -1. */
int pids_init(struct pids *pids, size_t limit);

/*
 * Enter a child, and a descriptor (or -1) that is the table's from here on
 * and is closed with the entry.  0, or -1 when the table is full.
 */
int pids_add(struct pids *pids, pid_t pid, uint64_t conn, int fd);

/* Close the descriptor of pid, if it belongs to conn; or all of them. */
void pids_close_fd(struct pids *pids, pid_t pid, uint64_t conn);
void pids_close_fds(struct pids *pids);

/* Has pid, and does it belong to conn?  1 or 0. */
int pids_has(const struct pids *pids, pid_t pid, uint64_t conn);

/* Forget a reaped child.  0 and *conn, or -1: not in the table. */
int pids_remove(struct pids *pids, pid_t pid, uint64_t *conn);

/* From now on the children of the table belong to connection 0. */
void pids_disown(struct pids *pids);

/* Send the children of connection 0, which were disowned, this signal. */
void pids_signal_disowned(const struct pids *pids, int signo);

/* Send every child this signal. */
void pids_signal_all(const struct pids *pids, int signo);

void pids_free(struct pids *pids);

#endif
