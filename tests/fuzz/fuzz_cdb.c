/*
 * fuzz_cdb: the bytes of a rule table, which a damaged disk or somebody with
 * access to the file may have made.
 *
 * Whatever they are, the look-up stays inside; what rules_check calls sound
 * is looked up without an error.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rulekey.h"
#include "rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_verdict(const struct rules_verdict *v, const uint8_t *data, size_t size)
{
	const char *variable;
	size_t at = 0;

	if (!v->is_found) {
		assert(rules_variable(v, &at) == NULL);
		return;
	}
	assert(v->key >= data && v->key + v->key_len <= data + size);
	assert(v->data >= data && v->data + v->data_len <= data + size);
	while ((variable = rules_variable(v, &at)) != NULL)
		assert(strchr(variable, '=') > variable);
}

static void
decide(const uint8_t *data, size_t size, bool is_sound,
    const struct rules_client *client)
{
	struct rules_verdict v;

	if (rules_decide(&v, data, size, client) == -1)
		assert(!is_sound && v.denies && !v.is_found);
	else
		check_verdict(&v, data, size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char v4[16] = { [10] = 0xff, 0xff, 1, 2, 3, 4 };
	static const unsigned char v6[16] = { 0x20, 0x01, 0x0d, 0xb8 };
	const struct rules_client clients[] = {
		{ .ip = v4 },
		{ .ip = v6, .info = "joe" },
		{ .ip = v4, .host = "mail.example.com", .info = "joe" },
		{ .host = "a" },
	};
	bool is_sound = rules_check(data, size) == 0;
	char text[RULEKEY_TEXT_SIZE];
	const unsigned char *key;
	size_t i, len;

	for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		decide(data, size, is_sound, &clients[i]);
	assert(rules_kinds(data, size) < RULES_KINDS);
	for (i = 0; i < size; i++)
		if ((key = rules_key_at(data, size, i, &len)) != NULL &&
		    rulekey_spell(text, key, len) == 0)
			assert(strlen(text) < sizeof(text));
	return 0;
}
