/*
 * fuzz_http: what a web server answers.
 *
 * The first byte says how the rest is cut into pieces.  The outcome and the
 * body are those of the same bytes one by one; the body lies within what was
 * taken; a failure has a reason.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "client/http.h"

#define BODY_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	struct http http;
	size_t taken, body_len;
	unsigned char body[BODY_MAX];
};

static void
play(struct result *r, const uint8_t *data, size_t size, size_t piece)
{
	const void *body;
	size_t len, taken;

	r->taken = r->body_len = 0;
	http_begin(&r->http);
	while (r->taken < size && r->http.state != HTTP_WHOLE &&
	    r->http.state != HTTP_BAD) {
		len = size - r->taken < piece ? size - r->taken : piece;
		taken = http_take(&r->http, data + r->taken, len, &body, &len);
		assert(taken > 0 && taken <= piece && len <= taken);
		r->taken += taken;
		assert(r->taken <= size);
		if (len == 0)
			continue;
		assert(body == data + r->taken - len);
		assert(len <= BODY_MAX - r->body_len);
		memcpy(r->body + r->body_len, body, len);
		r->body_len += len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, single;

	if (size < 1 || size > BODY_MAX)
		return 0;
	play(&whole, data + 1, size - 1, data[0] == 255 ? size : data[0] + 1U);
	play(&single, data + 1, size - 1, 1);
	assert(whole.taken == single.taken);
	assert(whole.http.state == single.http.state);
	assert(whole.http.why == single.http.why);
	assert((whole.http.why != NULL) == (whole.http.state == HTTP_BAD));
	assert(whole.body_len == single.body_len);
	assert(memcmp(whole.body, single.body, whole.body_len) == 0);
	assert(whole.http.state != HTTP_BODY ||
	    (whole.http.status >= 200 && whole.http.status <= 999));
	return 0;
}
