/*
 * buf: a growing byte string with a stated maximum.
 *
 * For anything whose size comes from outside.  The maximum is part of the
 * object, so a peer can never make us allocate more than its owner said.
 * Not for secrets: growing copies and frees without wiping.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

struct buf {
	unsigned char *data; /* owned; NULL while size is 0 */
	size_t len;	     /* bytes in use */
	size_t size;	     /* bytes allocated */
	size_t max;	     /* len never exceeds this */
};

/* Make *b an empty string that may hold max bytes.  Allocates nothing. */
void buf_init(struct buf *b, size_t max);

/*
 * Append len bytes, which may not lie in *b.  0, or -1 with errno ENOMEM,
 * or EMSGSIZE when the maximum would be exceeded; *b is then as it was.
 */
int buf_append(struct buf *b, const void *bytes, size_t len);

/* Append a C string together with its NUL.  Returns as buf_append. */
int buf_append_string(struct buf *b, const char *s);

/*
 * Room for len more bytes after data + len, or NULL as buf_append fails.
 * The caller writes there and adds to b->len what it wrote.  The address is
 * good until the next call for *b.
 */
unsigned char *buf_reserve(struct buf *b, size_t len);

/* Drop the first n bytes; aborts if n exceeds len. */
void buf_consume(struct buf *b, size_t n);

/* Free the memory and make *b empty with the same maximum. */
void buf_free(struct buf *b);

/*
 * Of bytes from malloc(3), which are no struct buf: wipe the first *used of
 * them, which nobody may find, and free them.  *bytes is NULL then, as it
 * may have been before, and *used 0.
 */
void buf_forget(unsigned char **bytes, size_t *used);

#endif
