/*
 * fuzz_ruletext: rule text, which an administrator's script may make of
 * anything.
 *
 * The asserts are the contract of rules/ruletext.h: what is read makes data
 * that ends each instruction, keys that a table can hold, and addresses in
 * range; what is refused has a sentence.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/ruletext.h"
#include "rules/shadow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_record(const struct ruletext_record *r)
{
	assert(r->key_len <= RULETEXT_LINE_MAX + RULEKEY_SIZE);
	assert(r->data_len == 0 || r->data[r->data_len - 1] == '\0');
	assert(r->key_len == 0 || r->key != NULL);
	assert((r->kind == RULETEXT_OTHER) == (r->never != NULL));
	if (r->kind == RULETEXT_ADDRESS || r->kind == RULETEXT_DOTTED ||
	    r->kind == RULETEXT_PREFIX)
		assert(r->bits >= 1 &&
		    r->bits <= (rulekey_is_v4(r->ip) ? 32 : 128));
}

static void
check_line(struct ruletext *text, struct shadow *shadow, const char *line,
    size_t len, uint32_t number)
{
	struct ruletext_record r;
	const char *error;
	unsigned count = 0;
	int result = ruletext_read(text, line, len, &error);

	if (result == 1) {
		while ((result = ruletext_next(text, &r, &error)) == 1) {
			check_record(&r);
			assert(shadow_add(shadow, &r, number) == 0);
			count++;
		}
		assert(count <= 256);
		assert(shadow_end_line(shadow, number) == 0);
	}
	assert(result == 0 || (error != NULL && error[0] != '\0'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data;
	struct shadow *shadow = shadow_new();
	struct ruletext text;
	uint32_t number = 0;

	if (shadow == NULL)
		return 0;
	ruletext_init(&text);
	while (size > 0) {
		const char *end = memchr(line, '\n', size);
		size_t len = end != NULL ? (size_t)(end - line) : size;

		check_line(&text, shadow, line, len, ++number);
		len += end != NULL;
		line += len;
		size -= len;
	}
	ruletext_free(&text);
	shadow_free(shadow);
	return 0;
}
