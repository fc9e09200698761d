/*
 * http: one request, and the answer to it taken apart while it comes in
 * (RFC 9110, RFC 9112).
 *
 * A machine without input and output: bytes go in, in pieces of any size;
 * those that belong to the body are shown.
 */
#ifndef CLIENT_HTTP_H
#define CLIENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* A line of a head; servers take 8 to 16 kB, some send more. */
#define HTTP_LINE_MAX 32768

/* All lines of an answer before its body; and those behind a chunk. */
#define HTTP_HEAD_MAX 262144

/* A status code as text with its reason phrase, printable. */
#define HTTP_STATUS_SIZE 112

/* The longest request; a page takes three bytes a byte at most. */
#define HTTP_REQUEST_MAX 1048576

enum http_state {
	HTTP_HEAD,  /* the answer has not said what its body is */
	HTTP_BODY,  /* or what frames it */
	HTTP_WHOLE, /* the end is known, and was seen */
	HTTP_BAD    /* why says what is wrong with it */
};

struct http {
	enum http_state state;
	unsigned status; /* 200 to 999 once the state is not HTTP_HEAD */
	char status_text[HTTP_STATUS_SIZE];
	const char *why; /* static text */
	/* Nobody else's business. */
	int phase;
	bool has_length, is_chunked, matters;
	uint64_t left;
	size_t head_len, line_len;
	char line[HTTP_LINE_MAX];
};

/*
 * Append to *request (made with HTTP_REQUEST_MAX) a GET of page from host:
 * as the user named it, with brackets around an IPv6 address and without its
 * zone; port is left out where it is 443 or 0 (unknown).  A page begins with
 * one slash, given or not, and what a request line cannot hold goes as %XX.
 * 0; -1 with errno EINVAL when host can be no name or address, else as
 * buf_append.
 */
int http_request(
    struct buf *request, const char *host, unsigned port, const char *page);

void http_begin(struct http *h);

/*
 * Take from the len bytes, at least one unless the state is HTTP_WHOLE or
 * HTTP_BAD, which take none.  Returns how many; if *body_len is then not 0,
 * *body, within bytes, is body.  Call it again for the rest.
 */
size_t http_take(struct http *h, const void *bytes, size_t len,
    const void **body, size_t *body_len);

/*
 * No more bytes will come.  is_sure: the server said so itself (TLS
 * close_notify), which ends a body that nothing else frames.  Is the body
 * whole?  Not to be asked in HTTP_BAD.  In HTTP_HEAD there is none: false.
 */
bool http_is_whole(const struct http *h, bool is_sure);

#endif
