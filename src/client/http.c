/*
 * One HTTP request, and its answer.
 *
 * Runs in the program behind https@, on what a server says that has shown
 * its certificate and is trusted no further.  What matters of an answer is
 * its status and where its body ends: by chunks, by length, or by the end of
 * the connection, in this order (RFC 9112, 6.3).  An answer that says this in
 * two ways that differ is refused, never guessed at.  Lines may end with a
 * bare LF (2.2).
 */
#include "client/http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/text.h"
#include "config.h"

#define DEFAULT_PORT 443

enum phase {
	STATUS_LINE,
	FIELDS,
	LENGTH_BODY, /* left bytes */
	OPEN_BODY,   /* to the end of the connection */
	CHUNK_SIZE,
	CHUNK_DATA, /* left bytes */
	CHUNK_END,
	TRAILERS
};

/* The request. */

static bool
is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
	    c == ':';
}

/* The length of host without its zone, or 0: it cannot be one. */
static size_t
host_length(const char *host)
{
	size_t len = 0;

	while (is_host_byte(host[len]))
		len++;
	return host[len] == '\0' || (host[len] == '%' && strchr(host, ':'))
	    ? len
	    : 0;
}

static int
append_text(struct buf *request, const char *text)
{
	return buf_append(request, text, strlen(text));
}

static int
append_host(struct buf *request, const char *host, size_t len, unsigned port)
{
	bool is_v6 = memchr(host, ':', len) != NULL;
	char text[8] = "";

	if (port != 0 && port != DEFAULT_PORT)
		(void)text_format(text, sizeof(text), ":%u", port);
	if (append_text(request, is_v6 ? "[" : "") == -1 ||
	    buf_append(request, host, len) == -1 ||
	    append_text(request, is_v6 ? "]" : "") == -1)
		return -1;
	return append_text(request, text);
}

/* A blank or a line end here would be one of the request. */
static int
append_page(struct buf *request, const char *page)
{
	char escaped[4];

	if (*page != '/' && append_text(request, "/") == -1)
		return -1;
	for (; *page != '\0'; page++) {
		if (*page > ' ' && *page < 0x7f) {
			if (buf_append(request, page, 1) == -1)
				return -1;
			continue;
		}
		(void)text_format(escaped, sizeof(escaped), "%%%02X",
		    (unsigned)(unsigned char)*page);
		if (append_text(request, escaped) == -1)
			return -1;
	}
	return 0;
}

int
http_request(
    struct buf *request, const char *host, unsigned port, const char *page)
{
	size_t len = host_length(host);

	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	if (append_text(request, "GET ") == -1 ||
	    append_page(request, page) == -1 ||
	    append_text(request, " HTTP/1.1\r\nHost: ") == -1 ||
	    append_host(request, host, len, port) == -1)
		return -1;
	return append_text(request,
	    "\r\nUser-Agent: ucspi-ssl/" VERSION "\r\nAccept: */*\r\n"
	    "Accept-Encoding: identity\r\nConnection: close\r\n\r\n");
}

/* Pieces of a line. */

static void
fail(struct http *h, const char *why)
{
	h->state = HTTP_BAD;
	h->why = why;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The value of a field without blanks around it. */
struct value {
	const char *at;
	size_t len;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct value
trim(const char *at, size_t len)
{
	struct value value = { at, len };

	while (value.len > 0 && is_blank(*value.at)) {
		value.at++;
		value.len--;
	}
	while (value.len > 0 && is_blank(value.at[value.len - 1]))
		value.len--;
	return value;
}

/* Take the next member of a comma-separated list from the front. */
static struct value
take_member(struct value *list)
{
	const char *comma = memchr(list->at, ',', list->len);
	size_t len = comma == NULL ? list->len : (size_t)(comma - list->at);
	struct value member = trim(list->at, len);

	len += comma != NULL;
	list->at += len;
	list->len -= len;
	return member;
}

static bool
is_word(struct value value, const char *word)
{
	return value.len == strlen(word) &&
	    strncasecmp(value.at, word, value.len) == 0;
}

/* *n times base, plus digit.  0, or -1: too large. */
static int
add_digit(uint64_t *n, unsigned base, unsigned digit)
{
	if (*n > ((uint64_t)INT64_MAX - digit) / base)
		return -1;
	*n = *n * base + digit;
	return 0;
}

/* The head. */

/* "HTTP/1.1 200 OK"; the phrase may be missing with its blank. */
static void
take_status_line(struct http *h)
{
	const char *l = h->line;

	/* Before the answer, an empty line is none (RFC 9112, 2.2). */
	if (h->line_len == 0)
		return;
	if (h->line_len < 12 || memcmp(l, "HTTP/1.", 7) != 0 ||
	    !is_digit(l[7]) || l[8] != ' ' || !is_digit(l[9]) ||
	    !is_digit(l[10]) || !is_digit(l[11]) || l[9] == '0' ||
	    (h->line_len > 12 && l[12] != ' ')) {
		fail(h, "it does not begin as HTTP/1 does");
		return;
	}
	h->status = (unsigned)(l[9] - '0') * 100 +
	    (unsigned)(l[10] - '0') * 10 + (unsigned)(l[11] - '0');
	(void)text_printable(h->status_text, l + 9, h->line_len - 9);
	h->has_length = h->is_chunked = h->matters = false;
	h->phase = FIELDS;
	if (h->status == 101)
		fail(h, "it changes the protocol, which nobody asked for");
}

/* One number, or the same several times (RFC 9110, 8.6). */
static void
take_length(struct http *h, struct value list)
{
	do {
		struct value member = take_member(&list);
		uint64_t n = 0;
		size_t i;

		for (i = 0; i < member.len && is_digit(member.at[i]); i++)
			if (add_digit(&n, 10, (unsigned)(member.at[i] - '0')) ==
			    -1)
				break;
		if (i < member.len || i == 0) {
			fail(h, "its Content-Length is no number");
			return;
		}
		if (h->has_length && h->left != n) {
			fail(h, "it has two Content-Lengths that differ");
			return;
		}
		h->has_length = true;
		h->left = n;
	} while (list.len > 0);
}

/* We have offered none (no TE), so chunked alone can be meant. */
static void
take_coding(struct http *h, struct value list)
{
	if (h->is_chunked || !is_word(list, "chunked"))
		fail(h, "its Transfer-Encoding is not chunked alone");
	h->is_chunked = true;
}

static void
take_field(struct http *h)
{
	const char *colon = memchr(h->line, ':', h->line_len);
	struct value name, value;

	if (h->line_len > 0 && is_blank(h->line[0])) {
		/* A line that goes on; of what does not matter to us. */
		if (h->matters)
			fail(h, "a field that frames its body is folded");
		return;
	}
	if (colon == NULL || colon == h->line) {
		fail(h, "a line of its head is no field");
		return;
	}
	name.at = h->line;
	name.len = (size_t)(colon - h->line);
	value = trim(colon + 1, h->line_len - name.len - 1);
	h->matters = true;
	if (is_word(name, "Content-Length"))
		take_length(h, value);
	else if (is_word(name, "Transfer-Encoding"))
		take_coding(h, value);
	else
		h->matters = false;
}

/* The head is whole: what does it say about the body? */
static void
end_head(struct http *h)
{
	if (h->status < 200) {
		h->phase = STATUS_LINE; /* the answer is still to come */
		return;
	}
	h->head_len = 0;
	h->state = HTTP_BODY;
	if (h->status == 204 || h->status == 304) {
		h->state = HTTP_WHOLE;
	} else if (h->is_chunked) {
		h->phase = CHUNK_SIZE;
	} else if (h->has_length) {
		h->phase = LENGTH_BODY;
		if (h->left == 0)
			h->state = HTTP_WHOLE;
	} else {
		h->phase = OPEN_BODY;
	}
}

/* Chunks (RFC 9112, 7.1). */

/* A number in hex, perhaps blanks, perhaps an extension behind `;'. */
static void
take_chunk_size(struct http *h)
{
	size_t at = 0;

	h->left = 0;
	for (; at < h->line_len && text_hex_digit(h->line[at]) != -1; at++) {
		if (add_digit(&h->left, 16,
			(unsigned)text_hex_digit(h->line[at])) == -1) {
			fail(h, "a chunk of it is too long");
			return;
		}
	}
	if (at == 0) {
		fail(h, "the size of a chunk is no number");
		return;
	}
	while (at < h->line_len && is_blank(h->line[at]))
		at++;
	if (at < h->line_len && h->line[at] != ';')
		fail(h, "the size of a chunk is no number");
	h->phase = h->left == 0 ? TRAILERS : CHUNK_DATA;
	h->head_len = 0;
}

static void
take_line(struct http *h)
{
	switch (h->phase) {
	case STATUS_LINE:
		take_status_line(h);
		break;
	case FIELDS:
		if (h->line_len == 0)
			end_head(h);
		else
			take_field(h);
		break;
	case CHUNK_SIZE:
		take_chunk_size(h);
		break;
	case CHUNK_END:
		if (h->line_len > 0)
			fail(h, "a chunk of it is longer than its size");
		h->phase = CHUNK_SIZE;
		break;
	default: /* TRAILERS, which say nothing that we use */
		if (h->line_len == 0)
			h->state = HTTP_WHOLE;
		break;
	}
}

/* The machine. */

void
http_begin(struct http *h)
{
	h->state = HTTP_HEAD;
	h->phase = STATUS_LINE;
	h->status = 0;
	h->status_text[0] = '\0';
	h->why = NULL;
	h->has_length = h->is_chunked = h->matters = false;
	h->left = 0;
	h->head_len = h->line_len = 0;
}

/* One byte of a line. */
static void
take_line_byte(struct http *h, char byte)
{
	if (++h->head_len > HTTP_HEAD_MAX) {
		fail(h, "its head is too long");
	} else if (byte == '\n') {
		if (h->line_len > 0 && h->line[h->line_len - 1] == '\r')
			h->line_len--;
		take_line(h);
		h->line_len = 0;
	} else if (h->line_len == sizeof(h->line)) {
		fail(h, "a line of it is too long");
	} else {
		h->line[h->line_len++] = byte;
	}
}

static bool
is_in_lines(const struct http *h)
{
	return (h->state == HTTP_HEAD || h->state == HTTP_BODY) &&
	    h->phase != LENGTH_BODY && h->phase != OPEN_BODY &&
	    h->phase != CHUNK_DATA;
}

/* Of len bytes of body, how many are of this one, or of this chunk? */
static size_t
take_body(struct http *h, size_t len)
{
	if (h->phase == OPEN_BODY)
		return len;
	if (len > h->left)
		len = (size_t)h->left;
	h->left -= len;
	if (h->left > 0)
		return len;
	if (h->phase == CHUNK_DATA)
		h->phase = CHUNK_END;
	else
		h->state = HTTP_WHOLE;
	return len;
}

size_t
http_take(struct http *h, const void *bytes, size_t len, const void **body,
    size_t *body_len)
{
	const char *at = bytes;
	size_t i = 0;

	*body_len = 0;
	while (i < len && is_in_lines(h))
		take_line_byte(h, at[i++]);
	if (i == len || h->state != HTTP_BODY)
		return i;
	*body = at + i;
	*body_len = take_body(h, len - i);
	return i + *body_len;
}

bool
http_is_whole(const struct http *h, bool is_sure)
{
	if (h->state == HTTP_BODY && h->phase == OPEN_BODY)
		return is_sure;
	return h->state == HTTP_WHOLE;
}
