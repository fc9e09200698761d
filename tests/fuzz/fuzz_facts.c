/*
 * fuzz_facts: the facts of a session that was taken over, as the monitor
 * gets them, and facts of certificates, as an honest session gets them.
 *
 * The first byte chooses.  Whatever the monitor believes must be names that
 * only the server may set and values without NUL; and it must believe all
 * that an honest session makes of any bytes.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "serve/environment.h"
#include "serve/facts.h"
#include "serve/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each text of the message, and the same in the block. */
static void
compare(const struct msg *msg, const struct buf *block)
{
	struct msg_reader r;
	const char *text;
	size_t at = 0, len;

	msg_read_from(&r, msg);
	while (r.left > 0) {
		text = msg_get_text(&r);
		assert(text != NULL);
		len = strlen(text);
		assert(len <= TLSVARS_TEXT_MAX && strchr(text, '=') != NULL);
		assert(strncmp(text, "SSL_", 4) == 0);
		assert(environment_is_ours(text));
		assert(at + len + 1 < block->len);
		assert(memcmp(block->data + at, text, len + 1) == 0);
		at += len + 1;
	}
	assert(msg_read_all(&r) == 0);
	assert(at + 1 == block->len || (at == 0 && block->len == 2));
	assert(block->data[block->len - 1] == '\0');
}

static void
believe(const unsigned char *bytes, size_t len)
{
	static unsigned char body[FACTS_BODY_MAX];
	struct msg msg = { .body = body };
	struct msg_writer w;
	struct buf block;

	msg_write_to(&w, body, sizeof(body));
	buf_init(&block, FACTS_TEXTS_MAX + 1);
	assert(facts_put_texts(bytes, len, &w) == 0);
	assert(msg_written(&w, &msg.len) == 0);
	assert(facts_put_block(bytes, len, &block) == 0);
	compare(&msg, &block);
	buf_free(&block);
}

/*
 * Each byte is the length of a value, and its bytes follow; one of 255 is
 * made longer.  They become the kinds' values in their order.
 */
static int
add_next(struct tlsvars *facts, struct tlsinfo_fact *fact, const uint8_t **data,
    size_t *size)
{
	static char longer[200000];
	size_t len = **data;

	if (len > *size - 1)
		len = *size - 1;
	fact->bytes = *data + 1;
	fact->len = len;
	if (**data == 255) {
		if (longer[0] == '\0')
			memset(longer, 'x', sizeof(longer));
		fact->bytes = longer;
		fact->len = 40000 + 1000 * ((size_t)*size & 127);
	}
	*data += 1 + len;
	*size -= 1 + len;
	return tlsvars_add(facts, fact);
}

static void
be_honest(const uint8_t *data, size_t size)
{
	struct tlsvars *facts = tlsvars_new();
	struct tlsinfo_fact fact = { .party = TLSINFO_CONNECTION };
	struct buf body;
	unsigned kind = 0;

	buf_init(&body, FACTS_BODY_MAX);
	assert(facts != NULL);
	while (size > 0) {
		fact.kind = (enum tlsinfo_kind)kind;
		assert(add_next(facts, &fact, &data, &size) == 0);
		if (kind == TLSINFO_CERT_CHAIN)
			fact.index++;
		else
			kind++;
		if (kind >= TLSINFO_M_VERSION)
			fact.party = TLSINFO_CLIENT;
	}
	assert(facts_encode(facts, &body) == 0);
	assert(facts_check(body.data, body.len) == 0);
	believe(body.data, body.len);
	tlsvars_free(facts);
	buf_free(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		be_honest(data + 1, size - 1);
	else if (facts_check(data + 1, size - 1) == 0)
		believe(data + 1, size - 1);
	return 0;
}
