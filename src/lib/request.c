/*
 * UCSPI-TLS, the program's side.
 *
 * Runs in programs of others, which sslserver -n or an offer of ours has
 * started: the numbers in the environment come from there, and are believed
 * only as far as they are numbers of three different descriptors.  What
 * came in plain text and waits in a buffer must not surface inside TLS
 * (the flaw of CVE-2011-0411 and its kind); what waits in the socket
 * reaches the TLS parser, which refuses it.
 */
#include "lib/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/text.h"
#include "compat/compat.h"

/* More than any block of facts. */
#define FACTS_MAX (512 * 1024)
#define PIECE 4096

static const char *const names[] = { "SSLCTLFD", "SSLREADFD", "SSLWRITEFD" };

enum { CONTROL, READ, WRITE, ENDS };

/* 0, or -1: TLS is not offered. */
static int
find_ends(int ends[ENDS])
{
	unsigned long number;
	const char *value;
	int i;

	for (i = 0; i < ENDS; i++) {
		value = getenv(names[i]);
		if (value == NULL ||
		    text_number(value, 3, 65535, &number) == -1)
			return -1;
		ends[i] = (int)number;
	}
	return ends[CONTROL] != ends[READ] && ends[READ] != ends[WRITE] &&
		ends[CONTROL] != ends[WRITE]
	    ? 0
	    : -1;
}

int
ucspissl_request_possible(void)
{
	int ends[ENDS];

	return find_ends(ends) == 0;
}

/* Does a block end here: two NULs? */
static int
is_whole(const struct buf *block)
{
	return block->len >= 2 && block->data[block->len - 1] == '\0' &&
	    block->data[block->len - 2] == '\0';
}

/* The whole block.  0, or -1 with errno. */
static int
read_block(int control_fd, struct buf *block)
{
	unsigned char *room;
	ssize_t n;

	while (!is_whole(block)) {
		room = buf_reserve(block, PIECE);
		if (room == NULL)
			return -1;
		do
			n = read(control_fd, room, PIECE);
		while (n == -1 && errno == EINTR);
		if (n == 0)
			errno = ECONNABORTED;
		if (n <= 0)
			return -1;
		block->len += (size_t)n;
	}
	return 0;
}

static int
read_facts(int control_fd, char **facts, size_t *facts_len)
{
	struct buf block;
	int saved;

	buf_init(&block, FACTS_MAX);
	if (read_block(control_fd, &block) == 0) {
		*facts = (char *)block.data;
		*facts_len = block.len;
		return 0;
	}
	saved = errno;
	buf_free(&block);
	errno = saved;
	return -1;
}

/* Whatever happens: nobody else may find them, and an end must be seen. */
static void
close_ends(const int ends[ENDS])
{
	int i, saved = errno;

	for (i = 0; i < ENDS; i++) {
		close(ends[i]);
		unsetenv(names[i]);
	}
	errno = saved;
}

int
ucspissl_request(size_t *buffered, char **facts, size_t *facts_len)
{
	int ends[ENDS], r;

	if (find_ends(ends) == -1) {
		errno = ENOTCONN;
		return -1;
	}
	if (buffered != NULL)
		*buffered = 0;
	fpurge(stdin);
	r = fd_write_all(ends[CONTROL], facts == NULL ? "y" : "Y", 1);
	if (r == 0 && facts != NULL)
		r = read_facts(ends[CONTROL], facts, facts_len);
	if (r == 0 && (dup2(ends[READ], 0) == -1 || dup2(ends[WRITE], 1) == -1))
		r = -1;
	close_ends(ends);
	return r;
}
