/*
 * phrase: the pass phrase of -3, as long as a keeper lives.
 *
 * It lies on memory of its own, which is not swapped out where that may be
 * forbidden, and in no core.  Nothing but keepers ever has it.
 */
#ifndef SERVE_PHRASE_H
#define SERVE_PHRASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest phrase, in bytes. */
#define PHRASE_MAX 1023

struct phrase {
	char *bytes; /* PHRASE_MAX and a NUL behind the last */
	size_t len;
};

enum phrase_news {
	PHRASE_WHOLE,
	PHRASE_LONG,	   /* more than PHRASE_MAX bytes */
	PHRASE_LATE,	   /* the deadline has passed */
	PHRASE_CUT,	   /* the end came, where a NUL must */
	PHRASE_UNREADABLE, /* errno says why */
	PHRASE_LIFE	   /* something came through the life line */
};

/* An empty phrase.  0, or -1: no memory. */
int phrase_init(struct phrase *phrase);

/*
 * Read it from fd, up to a NUL or, unless needs_nul, the end; what is
 * behind the NUL may be lost.  Waits, but not beyond the deadline, and not
 * when life_fd has something to read.  With anything but PHRASE_WHOLE no
 * byte of it stays.
 */
enum phrase_news phrase_read(struct phrase *phrase, int fd, bool needs_nul,
    int life_fd, int64_t deadline);

/*
 * Write it, with a NUL behind it, to a fresh message socket.  Never waits:
 * a reader that does not read gets nothing.  0, or -1 with errno.
 */
int phrase_give(const struct phrase *phrase, int fd);

/* No byte of it stays; the phrase is empty. */
void phrase_wipe(struct phrase *phrase);

#endif
