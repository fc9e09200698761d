/*
 * rulefile: a rule file that may change at any time, as sealed copies; or
 * another file that is used so.
 *
 * A child looks at the file several times a second.  A file that has
 * changed and then stayed the same for one look is copied once, by another
 * child, into memory that nobody can change afterwards; that copy goes to
 * whoever uses it.  So a file that is cut short or written over in place
 * can hurt nobody, and a half-written one is not taken.  A file that never
 * rests is copied as it is, and taken if it was sound and did not change
 * meanwhile.
 *
 * The caller, master, never waits: neither for a disk nor for a network.
 */
#ifndef SERVE_RULEFILE_H
#define SERVE_RULEFILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include "serve/watcher.h"

struct settings_identity;

/* How often to look, in milliseconds. */
#define RULEFILE_LOOK_MS 200
/* So many looks in a row that saw it change: there is no more waiting. */
#define RULEFILE_RESTLESS_LOOKS 3
/*
 * So many looks in a row that find no file: it is missing.  Whoever replaces
 * a file by removing it first (install(1)) leaves a gap, and in the gap
 * nobody shall be let in without rules, or refused.
 */
#define RULEFILE_MISSING_LOOKS 3
/* After that time without a copy of what is there, one line says so. */
#define RULEFILE_LATE_MS 5000
/* A copy may take so long, and a second more for each 8 MiB. */
#define RULEFILE_COPY_MS 10000
/* Until the next one, when it took longer or failed for a while. */
#define RULEFILE_AGAIN_MS 5000

enum rulefile_news {
	RULEFILE_SAME,	     /* nothing to tell */
	RULEFILE_NEW,	     /* a copy, in *fd, which is the caller's */
	RULEFILE_MISSING,    /* there is no such file (any more) */
	RULEFILE_UNREADABLE, /* errno says why */
	RULEFILE_IRREGULAR,  /* it is no regular file */
	RULEFILE_ABORTED,    /* the copier died: of signal ended_by */
	RULEFILE_DAMAGED,    /* it is there, but no sound table */
	RULEFILE_CROWDED,    /* sound, but see profiles_list: E2BIG */
	RULEFILE_LATE,	     /* it changes all the time; or errno says why */
	RULEFILE_STUCK	     /* to look at it or to copy it takes too long */
};

/* What a file must be. */
struct rulefile_form {
	uint64_t max; /* bytes */
	/* Worth a copy?  Reads from its beginning.  NULL: any is. */
	bool (*begins_well)(int fd, uint64_t len);
	/*
	 * In the copier, of all of it: what kinds of rules it has, 0 where
	 * there are none to have; or -1, and the line to blame (0: none).
	 */
	int (*check)(const void *bytes, size_t len, unsigned *line);
	bool has_sets; /* of TLS variables, see profiles.h */
};

struct rulefile {
	const char *path; /* NULL: none is wanted */
	const struct rulefile_form *form;
	/* Who the copier becomes once the file is open; NULL: stays. */
	const struct settings_identity *identity;
	int in_force;		/* the copy in force, the caller's; -1: none */
	int sets_in_force;	/* the list that profiles are made of; so too */
	int sets_fd;		/* the list of the last good copy; -1: none */
	unsigned sets_serial;	/* of that list: counts copies */
	bool has_new_sets;	/* some that are not in the one in force */
	struct watcher watcher; /* its fd is to be polled */
	struct stat candidate;	/* as it was at the last look */
	struct stat copied;	/* as it was when it was copied */
	bool has_candidate, has_copied;
	bool is_asked;		 /* to be copied at the next look */
	unsigned restless;	 /* looks in a row that saw it change */
	unsigned missing;	 /* looks in a row that found none */
	int64_t changed_at;	 /* since then it is not what was copied */
	bool is_late;		 /* that has been told */
	enum rulefile_news told; /* the last news but SAME */
	unsigned kinds;		 /* of the last copy; enum rules_kind */
	unsigned line;		 /* DAMAGED: which one; 0: it has none */

	pid_t copier;	      /* 0: none under way */
	int copy_fd, list_fd; /* what it fills */
	int64_t copy_by;      /* when it is killed; CLOCK_NEVER: it has been */
	int64_t copy_not_before;
	int copy_error;	      /* why there is no copier: errno, or 0 */
	int ended_by;	      /* what signal the last copier died of */
	bool has_failed;      /* it may come right by itself: try again */
	bool is_hasty;	      /* the file had not been seen to rest */
	bool copier_is_stuck; /* told, and none has ended by itself since */
};

/* Make *file watch path (NULL: nothing), a table of rules. */
void rulefile_init(struct rulefile *file, const char *path);

/*
 * Copy it at the next look, changed or not, and tell again what cannot be
 * used.  A file that is missing is looked for as ever.
 */
void rulefile_reload(struct rulefile *file);

/*
 * Every RULEFILE_LOOK_MS: ask for a look, and keep deadlines.  Returns SAME
 * or STUCK.
 */
enum rulefile_news rulefile_turn(struct rulefile *file, int64_t now);

/*
 * The watcher's fd is readable: take what was seen.  Returns SAME, MISSING
 * (at the first look at all, else after RULEFILE_MISSING_LOOKS),
 * UNREADABLE, IRREGULAR, or LATE (with errno, 0: it changes); may start a
 * copier, whose news come from rulefile_reaped.
 */
enum rulefile_news rulefile_hear(struct rulefile *file, int64_t now);

/* The same of a sight that came in another way. */
enum rulefile_news rulefile_saw(
    struct rulefile *file, const struct watcher_sight *sight, int64_t now);

/*
 * Is pid a child of this file, reaped with this wait status?  If so true
 * and *news (with *fd, sets_fd and has_new_sets, or errno).  SAME is a copy that failed because the
 * file changed meanwhile, so that a later look tries again, or that has the
 * very bytes of the one in force.  Where a copy failed for lack of memory,
 * of files, of rights and the like, which is told once, or the copier died,
 * a look after RULEFILE_AGAIN_MS, or one that sees a change, tries again.
 */
bool rulefile_reaped(struct rulefile *file, pid_t pid, int status, int64_t now,
    enum rulefile_news *news, int *fd);

#endif
