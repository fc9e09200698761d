/*
 * buf: a growing byte string with a stated maximum.
 *
 * Used by every process, with whatever privileges it has, for data whose
 * size somebody outside decides.  It trusts its owner only: all sizes are
 * compared by subtraction from the maximum, so no sum can overflow, and a
 * request that does not fit changes nothing.  Growth doubles, so that many
 * small additions cost linear time.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compat/compat.h"

/* Most strings are small; the first allocation holds them. */
#define FIRST_SIZE 64

/* The size to allocate for need bytes; need does not exceed max. */
static size_t
grown_size(const struct buf *b, size_t need)
{
	size_t size = b->size > 0 ? b->size : FIRST_SIZE;

	while (size < need && size <= b->max / 2)
		size *= 2;
	if (size < need || size > b->max)
		size = b->max;
	/* At least one byte, so that an empty string has an address too. */
	return size > 0 ? size : 1;
}

void
buf_init(struct buf *b, size_t max)
{
	b->data = NULL;
	b->len = 0;
	b->size = 0;
	b->max = max;
}

/*
 * To size bytes.  What is left behind is wiped, as its owner, who may wipe
 * all that the string says, no longer can.  0, or -1 with errno.
 */
static int
grow(struct buf *b, size_t size)
{
	unsigned char *data = malloc(size);

	if (data == NULL) {
		errno = ENOMEM;
		return -1;
	}
	if (b->len > 0)
		memcpy(data, b->data, b->len);
	if (b->data != NULL)
		explicit_bzero(b->data, b->size);
	free(b->data);
	b->data = data;
	b->size = size;
	return 0;
}

unsigned char *
buf_reserve(struct buf *b, size_t len)
{
	if (len > b->max - b->len) {
		errno = EMSGSIZE;
		return NULL;
	}
	if ((b->data == NULL || len > b->size - b->len) &&
	    grow(b, grown_size(b, b->len + len)) == -1)
		return NULL;
	return b->data + b->len;
}

int
buf_append(struct buf *b, const void *bytes, size_t len)
{
	unsigned char *room;

	if (len == 0)
		return 0;
	room = buf_reserve(b, len);
	if (room == NULL)
		return -1;
	memcpy(room, bytes, len);
	b->len += len;
	return 0;
}

int
buf_append_string(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s) + 1);
}

void
buf_consume(struct buf *b, size_t n)
{
	/* A wrong count is our own mistake; going on would corrupt memory. */
	if (n > b->len)
		abort();
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	buf_init(b, b->max);
}

void
buf_forget(unsigned char **bytes, size_t *used)
{
	if (*bytes != NULL)
		explicit_bzero(*bytes, *used);
	free(*bytes);
	*bytes = NULL;
	*used = 0;
}
