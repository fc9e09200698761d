/*
 * profiles: every profile that a connection can have.
 *
 * Profile 0 is the start environment.  Each other one is what the allowing
 * rules of a client say of TLS, laid over it: so keepers, nursery and
 * monitor must find the same ones in the same order, each for itself, from
 * the same lists.  The copier of a rule file makes its list.
 */
#ifndef SERVE_PROFILES_H
#define SERVE_PROFILES_H

#include <stdbool.h>
#include <stddef.h>

#include "serve/profile.h"

/* Profiles of a server, and sets in the list of one rule file. */
#define PROFILES_MAX 256

/* A list in bytes. */
#define PROFILES_LIST_MAX ((size_t)1024 * 1024)

/* Rule files: that of -y, then that of -x. */
enum { PROFILES_EARLY, PROFILES_LATE, PROFILES_LISTS };

/*
 * Write the sets of TLS variables that rules of this table set, each once,
 * into fd, from sealed_make, and seal it.  path is the rule file's name, for
 * sentences.  0, or -1 with errno: E2BIG (too many sets, or too long ones)
 * or another reason.
 */
int profiles_list(const void *table, size_t len, const char *path, int fd);

/* Is it a list without sets, or none (-1)?  Reads nothing of it. */
bool profiles_is_empty(int fd);

/*
 * Is each set of one list in the other one, so that nothing new is asked
 * for?  -1: a list without sets.  What cannot be read has new ones.
 */
bool profiles_covers(int other_fd, int list_fd);

struct profiles_entry {
	struct profile profile;
	const char *rule; /* "rule file F, rule R"; NULL: no rule's */
};

struct profiles {
	struct profiles_entry *all;
	size_t count;
	struct profiles_list {
		void *bytes; /* mapped; NULL: none */
		size_t len;
	} lists[PROFILES_LISTS];
};

/*
 * Make the profiles of start and the lists of both rule files, sealed (-1:
 * none).  What they say is not copied: start's strings must stay, and the
 * lists stay mapped.  The descriptors stay the caller's.  0, or -1 with
 * errno: E2BIG (more than PROFILES_MAX), EPROTO (a malformed list) or
 * another reason; there are none then.
 */
int profiles_make(struct profiles *profiles, const struct profile *start,
    const int lists[PROFILES_LISTS]);

/* Accepts zeros, and leaves them. */
void profiles_free(struct profiles *profiles);

/*
 * Which profile has a client whose rules set these variables (NAME=value,
 * NUL and so on, len bytes; the later one wins)?  Its number, or -1: none
 * of these.
 */
int profiles_find(
    const struct profiles *profiles, const char *variables, size_t len);

#endif
