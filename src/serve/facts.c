/*
 * The TLS variables.
 *
 * The first half runs in a session, the second in the monitor, which takes
 * nothing for granted: a session may have been taken over.  Both share
 * tlsvars, names and the check of values, so that an honest session sends
 * nothing that the monitor refuses.  Facts have one order, so that one that
 * comes twice is found without remembering any.
 */
#include "serve/facts.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "serve/msg.h"

/*
 * One number for party, kind and index; their order is that of the numbers.
 */

static uint64_t
key_of(const struct tlsinfo_fact *fact)
{
	return (uint64_t)fact->party << 40 | (uint64_t)fact->kind << 32 |
	    fact->index;
}

/* 0, or -1: no party, kind or index has this number. */
static int
read_key(struct tlsinfo_fact *fact, uint64_t key)
{
	uint64_t party = key >> 40, kind = key >> 32 & 0xff;
	uint32_t index = (uint32_t)key;

	if (!tlsvars_exists(party, kind, index))
		return -1;
	fact->party = (enum tlsinfo_party)party;
	fact->kind = (enum tlsinfo_kind)kind;
	fact->index = index;
	return 0;
}

/*
 * In the session
 */

static int
append_number(struct buf *body, uint64_t number)
{
	return buf_append(body, &number, sizeof(number));
}

int
facts_encode(struct tlsvars *vars, struct buf *body)
{
	const struct tlsinfo_fact *fact;
	size_t i, count = tlsvars_fit(vars);

	for (i = 0; i < count; i++) {
		fact = tlsvars_get(vars, i);
		if (append_number(body, key_of(fact)) == -1 ||
		    append_number(body, fact->len) == -1 ||
		    buf_append(body, fact->bytes, fact->len) == -1)
			return -1;
	}
	return 0;
}

/*
 * In the monitor
 */

/* The next fact.  1, 0 at the end, or -1: there is none where one must be. */
static int
next_fact(struct msg_reader *r, struct tlsinfo_fact *fact)
{
	uint64_t key;

	if (r->left == 0)
		return 0;
	key = msg_get_number(r);
	fact->bytes = msg_get_bytes(r, &fact->len);
	return r->failed ? -1 : read_key(fact, key) == -1 ? -1 : 1;
}

/*
 * Nothing comes twice or out of its order, and the chain has no gap.  next
 * is one above the number of the fact before, or 0.
 */
static bool
is_in_order(const struct tlsinfo_fact *fact, uint64_t next)
{
	uint64_t key = key_of(fact);

	return key == next ||
	    (key > next &&
		(fact->kind != TLSINFO_CERT_CHAIN || fact->index == 0));
}

int
facts_check(const unsigned char *bytes, size_t len)
{
	const struct msg msg = { .body = bytes, .len = len };
	size_t texts = strlen(tlsvars_interface()) + 1;
	struct tlsinfo_fact fact;
	struct msg_reader reader;
	uint64_t next = 0;
	int r;

	msg_read_from(&reader, &msg);
	while ((r = next_fact(&reader, &fact)) == 1) {
		if (!is_in_order(&fact, next) || !tlsvars_is_permitted(&fact))
			return -1;
		next = key_of(&fact) + 1;
		texts += tlsvars_text_len(&fact) + 1;
		if (texts > FACTS_TEXTS_MAX)
			return -1;
	}
	return r;
}

static bool
is_value(const struct tlsinfo_fact *fact, const char *value)
{
	return fact->len == strlen(value) &&
	    memcmp(fact->bytes, value, fact->len) == 0;
}

/* What facts say of the client's certificate. */
struct claims {
	bool is_good, is_absent; /* the outcome, if there is one */
	bool has_outcome, has_digest, has_fact;
};

static void
note_claim(struct claims *claims, const struct tlsinfo_fact *fact)
{
	if (fact->party == TLSINFO_CLIENT)
		claims->has_fact = true;
	else if (fact->kind == TLSINFO_CLIENT_CERT_SHA256)
		claims->has_digest = true;
	else if (fact->kind == TLSINFO_CLIENT_VERIFY) {
		claims->has_outcome = true;
		claims->is_good = is_value(fact, "SUCCESS");
		claims->is_absent = is_value(fact, "NONE");
	}
}

bool
facts_agree(const unsigned char *bytes, size_t len, bool demands_cert)
{
	const struct msg msg = { .body = bytes, .len = len };
	struct claims claims = { .is_good = false };
	struct tlsinfo_fact fact;
	struct msg_reader reader;

	msg_read_from(&reader, &msg);
	while (next_fact(&reader, &fact) == 1)
		note_claim(&claims, &fact);
	if (demands_cert)
		return claims.is_good && claims.has_digest && claims.has_fact;
	return (claims.is_absent || !claims.has_outcome) &&
	    !claims.has_digest && !claims.has_fact;
}

int
facts_put_texts(const unsigned char *bytes, size_t len, struct msg_writer *w)
{
	const struct msg msg = { .body = bytes, .len = len };
	struct tlsinfo_fact fact;
	struct msg_reader reader;
	char name[TLSVARS_NAME_SIZE];
	size_t written;
	int r;

	if (len > 0)
		msg_put_text(w, tlsvars_interface());
	msg_read_from(&reader, &msg);
	while ((r = next_fact(&reader, &fact)) == 1) {
		tlsvars_name(name, &fact);
		msg_put_variable(w, name, fact.bytes, fact.len);
	}
	return r == -1 ? -1 : msg_written(w, &written);
}

int
facts_put_block(const unsigned char *bytes, size_t len, struct buf *block)
{
	const struct msg msg = { .body = bytes, .len = len };
	struct tlsinfo_fact fact;
	struct msg_reader reader;
	int r;

	if (buf_append_string(block, len > 0 ? tlsvars_interface() : "") == -1)
		return -1;
	msg_read_from(&reader, &msg);
	while ((r = next_fact(&reader, &fact)) == 1)
		if (tlsvars_append(block, &fact) == -1)
			return -1;
	return r == -1 ? -1 : buf_append(block, "", 1);
}
