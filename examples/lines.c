/*
 * Lines in, replies out: what SMTP and POP3 have in common.  A line has a
 * stated maximum and a silent client a deadline, for in the plain phase of a
 * connection nobody else sets one: sslserver's -w begins with TLS.
 *
 * Replies are sent when input is needed, so that a client that sends several
 * commands at once gets its answers in one piece.
 */
#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
lines_init(struct lines *lines, unsigned timeout_s)
{
	lines->timeout_s = timeout_s;
	lines->has_failed = false;
	lines->in_start = lines->in_end = lines->out_size = 0;
}

void
lines_drop_input(struct lines *lines)
{
	lines->in_start = lines->in_end = 0;
}

/* Descriptor 0 has something to read (1), or the time is over (0). */
static int
wait_for_input(const struct lines *lines)
{
	struct pollfd poll_fd = { .fd = 0, .events = POLLIN };
	int ready;

	do
		ready = poll(&poll_fd, 1, (int)lines->timeout_s * 1000);
	while (ready == -1 && errno == EINTR);
	if (ready == 0)
		errno = ETIMEDOUT;
	return ready == 1;
}

/* Reads more into the empty buffer. */
static int
fill(struct lines *lines)
{
	ssize_t size;

	if (lines_flush(lines) == -1 || !wait_for_input(lines))
		return 0;
	do
		size = read(0, lines->in, sizeof(lines->in));
	while (size == -1 && errno == EINTR);
	if (size == 0)
		errno = 0;
	if (size <= 0)
		return 0;
	lines->in_start = 0;
	lines->in_end = (size_t)size;
	return 1;
}

static void
add_byte(struct line *line, char byte)
{
	if (line->length < LINES_MAX)
		line->text[line->length++] = byte;
	else
		line->is_cut = true;
}

int
lines_read(struct lines *lines, struct line *line)
{
	bool has_cr = false;
	char byte;

	line->length = 0;
	line->is_cut = false;
	for (;;) {
		if (lines->in_start == lines->in_end && !fill(lines))
			return 0;
		byte = lines->in[lines->in_start++];
		if (byte == '\n')
			break;
		/* A CR belongs to the line unless a LF follows. */
		if (has_cr)
			add_byte(line, '\r');
		has_cr = byte == '\r';
		if (!has_cr)
			add_byte(line, byte);
	}
	line->ends_in_crlf = has_cr;
	line->text[line->length] = '\0';
	return 1;
}

void
lines_put(struct lines *lines, const char *format, ...)
{
	char text[1001];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(text))
		lines->has_failed = true;
	else
		lines_write(lines, text, (size_t)length);
}

void
lines_write(struct lines *lines, const char *bytes, size_t size)
{
	size_t piece;

	while (size > 0) {
		if (lines->out_size == sizeof(lines->out) &&
		    lines_flush(lines) == -1)
			return;
		piece = sizeof(lines->out) - lines->out_size;
		if (piece > size)
			piece = size;
		memcpy(lines->out + lines->out_size, bytes, piece);
		lines->out_size += piece;
		bytes += piece;
		size -= piece;
	}
}

int
lines_flush(struct lines *lines)
{
	size_t sent = 0;
	ssize_t size;

	while (sent < lines->out_size && !lines->has_failed) {
		alarm(lines->timeout_s);
		size = write(1, lines->out + sent, lines->out_size - sent);
		if (size > 0)
			sent += (size_t)size;
		else if (errno != EINTR)
			lines->has_failed = true;
	}
	alarm(0);
	lines->out_size = 0;
	return lines->has_failed ? -1 : 0;
}
