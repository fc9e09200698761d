/*
 * privs: giving up rights, for good.
 *
 * Every role but front and master goes through privs_drop once, before it
 * reads a byte that came from outside.
 */
#ifndef SERVE_PRIVS_H
#define SERVE_PRIVS_H

#include <sys/types.h>

#include <stddef.h>

struct settings_identity;

#define PRIVS_ERROR_SIZE 256

/* What a role may use.  PRIVS_KEEP leaves the limit as it is. */
#define PRIVS_KEEP ((size_t)-1)

struct privs {
	const struct settings_identity *identity;
	int root_fd;	    /* directory to be the root; -1: as it is */
	size_t descriptors; /* RLIMIT_NOFILE, within the hard limit */
	size_t processes;   /* RLIMIT_NPROC */
};

/*
 * In this order: resource limits (no core either), root directory, groups,
 * gid, uid, the check that none can be regained, no_new_privs,
 * non-dumpable.  root_fd is closed.  0, or -1 and a sentence; the caller
 * must then exit.
 */
int privs_drop(const struct privs *privs, char error[PRIVS_ERROR_SIZE]);

/* Nobody of the same uid may look into this process or trace it. */
void privs_hide(void);

/* They may again, as into a program; nothing secret is in it. */
void privs_show(void);

/*
 * What a session may still get from a kernel it was forked into: no
 * process, and no descriptor beyond those it has.  0 or -1.
 */
int privs_limit_session(size_t descriptors);

/*
 * Become uid and gid (-1: stay) with that gid as only group, and check it;
 * nothing changes when both stay.  For programs, which keep every other
 * right.  0, or -1 with errno.
 */
int privs_become(uid_t uid, gid_t gid);

#endif
