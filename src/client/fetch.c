/*
 * An answer of HTTP from a connection to a person's output.
 *
 * Runs in the program behind https@, as whoever started it.  Only the
 * machine (http.c) looks into what the server says; here are its bytes moved.
 * A body that ends with the connection is believed to be whole only if TLS
 * says so: who can cut a connection could else cut a page.
 */
#include "client/fetch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "client/http.h"

#define PIECE_SIZE 16384

/* Longer than what a report says. */
#define REPORT_SIZE 16

bool
report_is_end(int report_fd)
{
	char word[REPORT_SIZE];
	ssize_t len = fd_read_all(report_fd, word, sizeof(word));

	return len == 4 && memcmp(word, "end\n", 4) == 0;
}

/* 0, or -1: output cannot be written to. */
static int
write_body(
    struct http *http, const unsigned char *bytes, size_t len, int output)
{
	const void *body;
	size_t at = 0, body_len;

	while (
	    at < len && http->state != HTTP_WHOLE && http->state != HTTP_BAD) {
		at += http_take(http, bytes + at, len - at, &body, &body_len);
		if (body_len > 0 && fd_write_all(output, body, body_len) == -1)
			return -1;
	}
	return 0;
}

static enum fetch_end
judge(const struct http *http, struct fetch_server *server)
{
	if (http->state == HTTP_BAD)
		return FETCH_BAD;
	if (http->state == HTTP_HEAD)
		return FETCH_NO_ANSWER;
	if (http_is_whole(http, false))
		return FETCH_WHOLE;
	if (!http_is_whole(http, true))
		return FETCH_CUT;
	fd_close(&server->out);
	return report_is_end(server->report_fd) ? FETCH_WHOLE : FETCH_CUT;
}

enum fetch_end
fetch(struct http *http, struct fetch_server *server, int output)
{
	unsigned char bytes[PIECE_SIZE];
	ssize_t n = 1;

	http_begin(http);
	while (n != 0 && http->state != HTTP_WHOLE && http->state != HTTP_BAD) {
		n = read(server->in, bytes, sizeof(bytes));
		if (n == -1 && errno != EINTR)
			return FETCH_READ_FAILED;
		if (n > 0 && write_body(http, bytes, (size_t)n, output) == -1)
			return FETCH_WRITE_FAILED;
	}
	return judge(http, server);
}
