/*
 * rulefile: a rule file that may change at any time, as sealed copies.
 *
 * Master looks at the file several times a second.  A file that has
 * changed and then stayed the same for one look is copied once, by a child
 * (a disk may be slow), into memory that nobody can change afterwards;
 * that copy goes to whoever uses it.  So a file that is cut short or
 * written over in place can hurt nobody, and a half-written one is not
 * taken.
 */
#ifndef SERVE_RULEFILE_H
#define SERVE_RULEFILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include <stdbool.h>

struct settings_identity;

/* How often master looks, in milliseconds. */
#define RULEFILE_LOOK_MS 200

enum rulefile_news {
	RULEFILE_SAME,	     /* nothing to tell */
	RULEFILE_NEW,	     /* a copy, in *fd, which is the caller's */
	RULEFILE_MISSING,    /* there is no such file (any more) */
	RULEFILE_UNREADABLE, /* errno says why */
	RULEFILE_DAMAGED     /* it is there, but no sound table */
};

struct rulefile {
	const char *path; /* NULL: none is wanted */
	/* Who the copier becomes once the file is open; NULL: stays. */
	const struct settings_identity *identity;
	struct stat candidate; /* as it was at the last look */
	struct stat copied;    /* as it was when it was copied */
	bool has_candidate, has_copied;
	enum rulefile_news told; /* the last news but SAME */
	pid_t copier;		 /* 0: none under way */
	int copy_fd;
};

/* Make *file watch path (NULL: nothing). */
void rulefile_init(struct rulefile *file, const char *path);

/*
 * Look.  Starts a child when there is something to copy; RULEFILE_NEW
 * comes from rulefile_reaped.  Never waits for the child.
 */
enum rulefile_news rulefile_look(struct rulefile *file);

/*
 * Is pid the copier, reaped with this wait status?  If so true and *news
 * (with *fd, or errno); a copy that failed because the file changed
 * meanwhile is RULEFILE_SAME, and the next look tries again.
 */
bool rulefile_reaped(struct rulefile *file, pid_t pid, int status,
    enum rulefile_news *news, int *fd);

#endif
