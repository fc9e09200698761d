/*
 * tableutil: a rule table in memory, made of text as tcprules makes it.
 */
#ifndef UNIT_TABLEUTIL_H
#define UNIT_TABLEUTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cdb.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "rules/ruletext.h"
#include "rules/shadow.h"

struct table {
	unsigned char *bytes; /* malloc, so that a read past it is seen */
	size_t len;
};

/* What is in the file. */
static inline struct table
table_read(int fd)
{
	struct table t;
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	t.len = (size_t)status.st_size;
	t.bytes = malloc(t.len);
	assert_non_null(t.bytes);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, t.bytes, t.len), t.len);
	return t;
}

static inline void
table_add_line(struct cdb_make *make, struct shadow *shadow,
    struct ruletext *text, const char *line, size_t len, uint32_t number)
{
	struct ruletext_record r;
	const char *error;
	int result = ruletext_read(text, line, len, &error);

	assert_int_not_equal(result, -1);
	if (result == 0)
		return;
	while ((result = ruletext_next(text, &r, &error)) == 1) {
		assert_int_equal(cdb_make_add(make, r.key, (unsigned)r.key_len,
				     r.data, (unsigned)r.data_len),
		    0);
		if (shadow != NULL)
			assert_int_equal(shadow_add(shadow, &r, number), 0);
	}
	assert_int_equal(result, 0);
	if (shadow != NULL)
		assert_int_equal(shadow_end_line(shadow, number), 0);
}

/* The table of these lines; shadow may be NULL.  The caller frees bytes. */
static inline struct table
table_make(const char *lines, struct shadow *shadow)
{
	struct cdb_make make;
	struct ruletext text;
	struct table t;
	uint32_t number = 0;
	int fd = memfd_create("table", MFD_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(cdb_make_start(&make, fd), 0);
	ruletext_init(&text);
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");

		table_add_line(&make, shadow, &text, lines, len, ++number);
		lines += len + (lines[len] == '\n');
	}
	ruletext_free(&text);
	assert_int_equal(cdb_make_finish(&make), 0);
	t = table_read(fd);
	fd_close(&fd);
	return t;
}

#endif
