#ifndef LINES_H
#define LINES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Lines in on descriptor 0, replies out on descriptor 1, both buffered.
 */

enum {
	/* A line of a message, without its CR LF: RFC 5321, 4.5.3.1.6. */
	LINES_MAX = 998
};

struct line {
	/* Ends in a NUL, which is not counted; may hold others. */
	char text[LINES_MAX + 1];
	size_t length;
	/* False: a LF alone ended it. */
	bool ends_in_crlf;
	/* The line was longer than LINES_MAX, and the rest is lost. */
	bool is_cut;
};

struct lines {
	/* How long the peer may be silent, or leave replies unread. */
	unsigned timeout_s;
	bool has_failed;
	size_t in_start, in_end, out_size;
	char in[4096], out[4096];
};

/*
 * An empty one.
 */
void lines_init(struct lines *lines, unsigned timeout_s);

/*
 * Reads a line; sends what was put before it waits for more input.
 * Returns 1, or 0 when there is no more: end of file (what stands behind the
 * last LF is no line), an error, or, with errno ETIMEDOUT, a silent peer.
 */
int lines_read(struct lines *lines, struct line *line);

/*
 * Throws away what was read from descriptor 0 and not used.
 */
void lines_drop_input(struct lines *lines);

/*
 * Adds to the replies: a formatted text of at most 1,000 bytes, or bytes.
 * Errors show up at the next lines_read or lines_flush.
 */
__attribute__((format(printf, 2, 3))) void lines_put(
    struct lines *lines, const char *format, ...);
void lines_write(struct lines *lines, const char *bytes, size_t size);

/*
 * Sends the replies.  Returns 0, or -1 when they or earlier ones could not
 * be written.  A peer that takes nothing for the whole timeout ends the
 * process with SIGALRM, one that is gone with SIGPIPE.
 */
int lines_flush(struct lines *lines);

#endif
