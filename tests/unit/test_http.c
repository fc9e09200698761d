/*
 * test_http: requests, and answers of honest, odd and hostile servers; each
 * answer is taken in whole pieces and byte by byte.
 */
#include "client/http.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "config.h"
#include "support.h"

#define REST \
	"\r\nUser-Agent: ucspi-ssl/" VERSION "\r\nAccept: */*\r\n" \
	"Accept-Encoding: identity\r\nConnection: close\r\n\r\n"

static void
requests(void **state)
{
	static const struct {
		const char *host, *page, *expected;
		unsigned port;
	} cases[] = {
		{ "www.example", "", "GET / HTTP/1.1\r\nHost: www.example",
		    443 },
		{ "www.example", "a/b?c=d#e",
		    "GET /a/b?c=d#e HTTP/1.1\r\nHost: www.example:8443", 8443 },
		{ "www.example", "/a", "GET /a HTTP/1.1\r\nHost: www.example",
		    0 },
		{ "192.0.2.1", "//a", "GET //a HTTP/1.1\r\nHost: 192.0.2.1",
		    443 },
		{ "2001:db8::1", "a",
		    "GET /a HTTP/1.1\r\nHost: [2001:db8::1]:44", 44 },
		{ "fe80::1%eth0", "a", "GET /a HTTP/1.1\r\nHost: [fe80::1]",
		    443 },
		{ "x_y", "a b\r\nX: y\t\x7f\xc3\xa4%20",
		    "GET /a%20b%0D%0AX:%20y%09%7F%C3%A4%20 HTTP/1.1\r\n"
		    "Host: x_y",
		    443 },
	};
	struct buf request;
	size_t i, len;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		buf_init(&request, HTTP_REQUEST_MAX);
		assert_int_equal(http_request(&request, cases[i].host,
				     cases[i].port, cases[i].page),
		    0);
		assert_int_equal(buf_append_string(&request, ""), 0);
		len = strlen(cases[i].expected);
		if (strncmp((char *)request.data, cases[i].expected, len) != 0)
			fail_msg("%s", (char *)request.data);
		assert_string_equal((char *)request.data + len, REST);
		buf_free(&request);
	}
}

static void
hosts_that_are_none(void **state)
{
	static const char *const hosts[] = { "", "a b", "a\r\nX: y", "a/b",
		"a%b", "%eth0", "[::1]", "a@b", "\xc3\xa4" };
	struct buf request;
	size_t i;

	(void)state;
	buf_init(&request, HTTP_REQUEST_MAX);
	for (i = 0; i < COUNT(hosts); i++) {
		errno = 0;
		if (http_request(&request, hosts[i], 443, "") != -1)
			fail_msg("%s", hosts[i]);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(request.len, 0);
	}
	buf_init(&request, 10);
	assert_int_equal(http_request(&request, "www.example", 443, ""), -1);
	assert_int_equal(errno, EMSGSIZE);
	buf_free(&request);
}

/* How an answer ended, for somebody who sees the connection's end. */
enum outcome { WHOLE, OPEN, CUT, NONE, BAD };

static enum outcome
outcome_of(const struct http *h)
{
	if (h->state == HTTP_BAD)
		return BAD;
	if (h->state == HTTP_HEAD)
		return NONE;
	if (http_is_whole(h, false))
		return WHOLE;
	return http_is_whole(h, true) ? OPEN : CUT;
}

/* Take it all in pieces of that size; body gets the body. */
static size_t
take_pieces(struct http *h, const char *bytes, size_t len, size_t piece,
    char *body, size_t size)
{
	size_t at = 0, n, body_len = 0;
	const void *found;

	http_begin(h);
	while (at < len && h->state != HTTP_WHOLE && h->state != HTTP_BAD) {
		n = len - at < piece ? len - at : piece;
		at += http_take(h, bytes + at, n, &found, &n);
		assert_true(body_len + n < size);
		if (n > 0)
			memcpy(body + body_len, found, n);
		body_len += n;
	}
	body[body_len] = '\0';
	return at;
}

struct answer {
	const char *bytes;
	enum outcome outcome;
	const char *body; /* NULL: empty */
	const char *rest; /* of bytes, not taken; or of why, when BAD */
};

static void
check_answer(const struct answer *answer)
{
	static const size_t pieces[] = { 100000, 1, 5 };
	static struct http h;
	size_t i, taken;
	char body[1024];

	for (i = 0; i < COUNT(pieces); i++) {
		taken = take_pieces(&h, answer->bytes, strlen(answer->bytes),
		    pieces[i], body, sizeof(body));
		if (outcome_of(&h) != answer->outcome)
			fail_msg("\"%s\" ends as %d: %s", answer->bytes,
			    outcome_of(&h), h.why != NULL ? h.why : "");
		assert_string_equal(
		    body, answer->body != NULL ? answer->body : "");
		if (answer->outcome == BAD)
			assert_non_null(strstr(h.why, answer->rest));
		else
			assert_string_equal(answer->bytes + taken,
			    answer->rest != NULL ? answer->rest : "");
	}
}

#define CHECK(answers) \
	do { \
		size_t answer_; \
		(void)state; \
		for (answer_ = 0; answer_ < COUNT(answers); answer_++) \
			check_answer(&(answers)[answer_]); \
	} while (0)

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static void
bodies_by_length(void **state)
{
	static const struct answer answers[] = {
		{ OK "Content-Length: 5\r\n\r\nhello", WHOLE, "hello", NULL },
		{ OK "Content-Length: 5\r\n\r\nhello you", WHOLE, "hello",
		    " you" },
		{ OK "CONTENT-LENGTH:5\n\nhell", CUT, "hell", NULL },
		{ OK "Content-Length: 0\r\n\r\nx", WHOLE, NULL, "x" },
		{ OK "content-length:\t005 \r\nA: b\r\n\r\nhello", WHOLE,
		    "hello", NULL },
		{ OK "Content-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello",
		    WHOLE, "hello", NULL },
		{ OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", BAD,
		    NULL, "two Content-Lengths" },
		{ OK "Content-Length: 5,6\r\n\r\nhello", BAD, NULL,
		    "two Content-Lengths" },
		{ OK "Content-Length: -1\r\n\r\n", BAD, NULL, "no number" },
		{ OK "Content-Length: +1\r\n\r\n", BAD, NULL, "no number" },
		{ OK "Content-Length: 0x5\r\n\r\n", BAD, NULL, "no number" },
		{ OK "Content-Length:\r\n\r\n", BAD, NULL, "no number" },
		{ OK "Content-Length: 5 5\r\n\r\n", BAD, NULL, "no number" },
		{ OK "Content-Length: 99999999999999999999\r\n\r\n", BAD, NULL,
		    "no number" },
		{ OK "Content-Length: 9223372036854775807\r\n\r\nx", CUT, "x",
		    NULL },
		{ OK "Content-Length: 9223372036854775808\r\n\r\nx", BAD, NULL,
		    "no number" },
		{ OK "Content-Length: 1\r\n 2\r\n\r\nhello", BAD, NULL,
		    "folded" },
		{ OK "A: b\r\n c\r\n\td\r\nContent-Length: 1\r\n\r\nh", WHOLE,
		    "h", NULL },
		{ OK "X-Content-Length: 1\r\n\r\nhello", OPEN, "hello", NULL },
	};

	CHECK(answers);
}

static void
bodies_in_chunks(void **state)
{
	static const struct answer answers[] = {
		{ CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", WHOLE, "hello!",
		    NULL },
		{ CHUNKED "005 ;a=\"b\"\nhello\n0;x\nA: b\nC: d\n\nmore", WHOLE,
		    "hello", "more" },
		{ CHUNKED "A\r\n0123456789\r\nb\r\n01234567890\r\n0\r\n\r\n",
		    WHOLE, "012345678901234567890", NULL },
		{ OK "transfer-encoding: CHUNKED \r\nContent-Length: 3\r\n\r\n"
		     "1\r\nx\r\n0\r\n\r\n",
		    WHOLE, "x", NULL },
		{ CHUNKED "5\r\nhello\r\n", CUT, "hello", NULL },
		{ CHUNKED "5\r\nhello\r\n0\r\n", CUT, "hello", NULL },
		{ CHUNKED "5\r\nhello\r\n0\r\nA: b\r\n", CUT, "hello", NULL },
		{ CHUNKED "5\r\nhel", CUT, "hel", NULL },
		{ CHUNKED "", CUT, NULL, NULL },
		{ CHUNKED "5\r\nhellox\r\n", BAD, "hello", "longer" },
		{ CHUNKED "\r\n", BAD, NULL, "no number" },
		{ CHUNKED "g\r\n", BAD, NULL, "no number" },
		{ CHUNKED "-1\r\n", BAD, NULL, "no number" },
		{ CHUNKED " 1\r\n", BAD, NULL, "no number" },
		{ CHUNKED "1 2\r\n", BAD, NULL, "no number" },
		{ CHUNKED "0x1\r\n", BAD, NULL, "no number" },
		{ CHUNKED "8000000000000000\r\n", BAD, NULL, "too long" },
		{ CHUNKED "7fffffffffffffff\r\nx", CUT, "x", NULL },
		{ CHUNKED "10000000000000005\r\nhello\r\n", BAD, NULL,
		    "too long" },
		{ OK "Transfer-Encoding: gzip, chunked\r\n\r\n", BAD, NULL,
		    "not chunked alone" },
		{ OK "Transfer-Encoding: identity\r\n\r\n", BAD, NULL,
		    "not chunked alone" },
		{ OK "Transfer-Encoding: chunked\r\n"
		     "Transfer-Encoding: chunked\r\n\r\n",
		    BAD, NULL, "not chunked alone" },
		{ OK "Transfer-Encoding:\r\n chunked\r\n\r\n", BAD, NULL,
		    "not chunked alone" },
	};

	CHECK(answers);
}

static void
bodies_by_the_end(void **state)
{
	static const struct answer answers[] = {
		{ "HTTP/1.0 200\n\nhello", OPEN, "hello", NULL },
		{ "HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n", OPEN, NULL, NULL },
		{ "\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", OPEN, "x", NULL },
		{ "HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nhello", WHOLE,
		    NULL, "hello" },
		{ "HTTP/1.1 304 Same\r\n\r\n", WHOLE, NULL, NULL },
		{ "HTTP/1.1 100 Go\r\nContent-Length: 5\r\n\r\n"
		  "HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n" OK
		  "Content-Length: 1\r\n\r\nx",
		    WHOLE, "x", NULL },
		{ "HTTP/1.1 100 Go\r\n\r\n", NONE, NULL, NULL },
		{ OK "A: b\r\n", NONE, NULL, NULL },
		{ "", NONE, NULL, NULL },
		{ "HTTP/1.1 101 Else\r\n\r\n", BAD, NULL, "protocol" },
		{ "HTTP/2 200\r\n\r\n", BAD, NULL, "HTTP/1" },
		{ "HTTP/1.1 20\r\n\r\n", BAD, NULL, "HTTP/1" },
		{ "HTTP/1.1 2000\r\n\r\n", BAD, NULL, "HTTP/1" },
		{ "HTTP/1.1 099\r\n\r\n", BAD, NULL, "HTTP/1" },
		{ "HTTP/1.1  200\r\n\r\n", BAD, NULL, "HTTP/1" },
		{ "http/1.1 200\r\n\r\n", BAD, NULL, "HTTP/1" },
		{ "<html>\n", BAD, NULL, "HTTP/1" },
		{ "220 mx ESMTP\r\n", BAD, NULL, "HTTP/1" },
		{ OK "no field\r\n\r\n", BAD, NULL, "no field" },
		{ OK ": b\r\n\r\n", BAD, NULL, "no field" },
	};

	CHECK(answers);
}

static void
the_status_is_told(void **state)
{
	static struct http h;
	char body[64];

	(void)state;
	take_pieces(&h, "HTTP/1.1 404 Not\033 %Found\r\n\r\nx", 29, 100, body,
	    sizeof(body));
	assert_int_equal(h.status, 404);
	assert_string_equal(h.status_text, "404 Not? ?Found");
	take_pieces(&h, "HTTP/1.1 999\r\n\r\n", 16, 100, body, sizeof(body));
	assert_int_equal(h.status, 999);
	assert_string_equal(h.status_text, "999");
}

/* Feed the same text until the machine has enough. */
static size_t
feed_until_bad(struct http *h, const char *text)
{
	size_t len = strlen(text), fed = 0, body_len;
	const void *body;

	while (h->state != HTTP_BAD && fed < 10 * (size_t)HTTP_HEAD_MAX)
		fed += http_take(h, text, len, &body, &body_len);
	assert_int_equal(h->state, HTTP_BAD);
	return fed;
}

static void
heads_without_end(void **state)
{
	static struct http h;
	const void *body;
	size_t body_len;

	(void)state;
	http_begin(&h);
	assert_int_equal(feed_until_bad(&h, "x"), HTTP_LINE_MAX + 1);
	http_begin(&h);
	assert_int_equal(feed_until_bad(&h, "\r\n"), HTTP_HEAD_MAX + 1);
	http_begin(&h);
	http_take(&h, OK, strlen(OK), &body, &body_len);
	feed_until_bad(&h, "A: b\r\n");
	assert_string_equal(h.why, "its head is too long");
	http_begin(&h);
	feed_until_bad(&h, "HTTP/1.1 100 Go\r\n\r\n");
	assert_string_equal(h.why, "its head is too long");
	http_begin(&h);
	http_take(&h, CHUNKED "0\r\n", strlen(CHUNKED) + 3, &body, &body_len);
	feed_until_bad(&h, "A: b\r\n");
	assert_string_equal(h.why, "its head is too long");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(hosts_that_are_none),
		cmocka_unit_test(bodies_by_length),
		cmocka_unit_test(bodies_in_chunks),
		cmocka_unit_test(bodies_by_the_end),
		cmocka_unit_test(the_status_is_told),
		cmocka_unit_test(heads_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
