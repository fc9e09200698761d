/*
 * The TLS variables.
 *
 * The first half runs in a session, the second in the monitor, which takes
 * nothing for granted: a session may have been taken over.  Both share the
 * table of kinds and the check of values, so that an honest session sends
 * nothing that the monitor refuses.  Facts have one order, so that one that
 * comes twice is found without remembering any.
 */
#include "serve/facts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "config.h"
#include "serve/msg.h"

/* What we are to programs; no session has a say in it. */
#define INTERFACE "SSL_VERSION_INTERFACE=ucspi-ssl/" VERSION

#define NAME_SIZE 48

/* Which values a kind may have. */
enum charset { ASCII, UTF8, PEM };

/* Which parties have it. */
#define CONNECTION (1u << TLSINFO_CONNECTION)
#define CLIENT (1u << TLSINFO_CLIENT)
#define BOTH (1u << TLSINFO_SERVER | CLIENT)

struct kind {
	const char *name; /* behind that of the party */
	unsigned parties;
	enum charset charset;
	unsigned count; /* indexes are less than this; 0: has none */
};

static const char *const parties[TLSINFO_PARTIES] = { "SSL_", "SSL_SERVER_",
	"SSL_CLIENT_" };

static const char *const attributes[TLSINFO_ATTRIBUTES] = { "C", "ST", "L", "O",
	"OU", "CN", "T", "I", "G", "S", "D", "UID", "Email" };

static const struct kind kinds[TLSINFO_KINDS] = {
	[TLSINFO_PROTOCOL] = { "PROTOCOL", CONNECTION, ASCII, 0 },
	[TLSINFO_SESSION_ID] = { "SESSION_ID", CONNECTION, ASCII, 0 },
	[TLSINFO_CIPHER] = { "CIPHER", CONNECTION, ASCII, 0 },
	[TLSINFO_CIPHER_EXPORT] = { "CIPHER_EXPORT", CONNECTION, ASCII, 0 },
	[TLSINFO_CIPHER_USEKEYSIZE] = { "CIPHER_USEKEYSIZE", CONNECTION, ASCII,
	    0 },
	[TLSINFO_CIPHER_ALGKEYSIZE] = { "CIPHER_ALGKEYSIZE", CONNECTION, ASCII,
	    0 },
	[TLSINFO_VERSION_LIBRARY] = { "VERSION_LIBRARY", CONNECTION, ASCII, 0 },
	[TLSINFO_TLS_SNI] = { "TLS_SNI", CONNECTION, ASCII, 0 },
	[TLSINFO_ALPN] = { "ALPN", CONNECTION, ASCII, 0 },
	[TLSINFO_KEX_GROUP] = { "KEX_GROUP", CONNECTION, ASCII, 0 },
	[TLSINFO_SESSION_RESUMED] = { "SESSION_RESUMED", CONNECTION, ASCII, 0 },
	[TLSINFO_EXPORTER] = { "EXPORTER", CONNECTION, ASCII, 0 },
	[TLSINFO_SERVER_END_POINT] = { "SERVER_END_POINT", CONNECTION, ASCII,
	    0 },
	[TLSINFO_CLIENT_VERIFY] = { "CLIENT_VERIFY", CONNECTION, ASCII, 0 },
	[TLSINFO_CLIENT_CERT_SHA256] = { "CLIENT_CERT_SHA256", CONNECTION,
	    ASCII, 0 },
	[TLSINFO_M_VERSION] = { "M_VERSION", BOTH, ASCII, 0 },
	[TLSINFO_M_SERIAL] = { "M_SERIAL", BOTH, ASCII, 0 },
	[TLSINFO_M_SERIAL_HEX] = { "M_SERIAL_HEX", BOTH, ASCII, 0 },
	[TLSINFO_S_DN] = { "S_DN", BOTH, ASCII, 0 },
	[TLSINFO_S_DN_RFC2253] = { "S_DN_RFC2253", BOTH, ASCII, 0 },
	[TLSINFO_S_DN_PART] = { "S_DN_", BOTH, UTF8, TLSINFO_ATTRIBUTES },
	[TLSINFO_I_DN] = { "I_DN", BOTH, ASCII, 0 },
	[TLSINFO_I_DN_PART] = { "I_DN_", BOTH, UTF8, TLSINFO_ATTRIBUTES },
	[TLSINFO_V_START] = { "V_START", BOTH, ASCII, 0 },
	[TLSINFO_V_END] = { "V_END", BOTH, ASCII, 0 },
	[TLSINFO_A_SIG] = { "A_SIG", BOTH, ASCII, 0 },
	[TLSINFO_A_KEY] = { "A_KEY", BOTH, ASCII, 0 },
	[TLSINFO_CERT] = { "CERT", BOTH, PEM, 0 },
	[TLSINFO_CERT_CHAIN] = { "CERT_CHAIN_", CLIENT, PEM, FACTS_CHAIN_MAX },
};

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

	if (party >= TLSINFO_PARTIES || kind >= TLSINFO_KINDS ||
	    (kinds[kind].parties & 1u << party) == 0)
		return -1;
	if (index > 0 && index >= kinds[kind].count)
		return -1;
	fact->party = (enum tlsinfo_party)party;
	fact->kind = (enum tlsinfo_kind)kind;
	fact->index = index;
	return 0;
}

static void
make_name(char name[NAME_SIZE], const struct tlsinfo_fact *fact)
{
	const struct kind *kind = &kinds[fact->kind];

	if (kind->count == TLSINFO_ATTRIBUTES)
		text_format(name, NAME_SIZE, "%s%s%s", parties[fact->party],
		    kind->name, attributes[fact->index]);
	else if (kind->count > 0)
		text_format(name, NAME_SIZE, "%s%s%u", parties[fact->party],
		    kind->name, fact->index);
	else
		text_format(
		    name, NAME_SIZE, "%s%s", parties[fact->party], kind->name);
}

/* The length of NAME=value without its NUL. */
static size_t
text_len(const struct tlsinfo_fact *fact)
{
	char name[NAME_SIZE];

	make_name(name, fact);
	return strlen(name) + 1 + fact->len;
}

/*
 * Values
 */

static bool
is_printable(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x7f;
}

static bool
is_continuation(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/*
 * The length of the character that these bytes begin with, RFC 3629; 0
 * when there is none or it is a control character.
 */
static size_t
character_len(const unsigned char *bytes, size_t left)
{
	static const uint32_t first[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code = bytes[0];
	size_t len = code < 0x80 ? 1 : code < 0xe0 ? 2 : code < 0xf0 ? 3 : 4, i;

	if (len == 1)
		return is_printable(bytes[0]) ? 1 : 0;
	if (code < 0xc0 || code > 0xf7 || len > left)
		return 0;
	code &= 0x7fu >> len;
	for (i = 1; i < len; i++) {
		if (!is_continuation(bytes[i]))
			return 0;
		code = code << 6 | (bytes[i] & 0x3fu);
	}
	if (code < first[len] || code > 0x10ffff)
		return 0;
	/* U+0080 to U+009F are control characters; surrogates are none. */
	return code < 0xa0 || (code >= 0xd800 && code < 0xe000) ? 0 : len;
}

static bool
is_utf8(const unsigned char *bytes, size_t len)
{
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = character_len(bytes + at, len - at);
		if (n == 0)
			return false;
	}
	return true;
}

static bool
is_permitted(const struct tlsinfo_fact *fact)
{
	enum charset charset = kinds[fact->kind].charset;
	const unsigned char *bytes = fact->bytes;
	size_t i;

	if (fact->len > FACTS_TEXT_MAX || text_len(fact) > FACTS_TEXT_MAX)
		return false;
	if (charset == UTF8)
		return is_utf8(bytes, fact->len);
	for (i = 0; i < fact->len; i++)
		if (!is_printable(bytes[i]) &&
		    (charset != PEM || bytes[i] != '\n'))
			return false;
	return true;
}

/*
 * In the session
 */

struct facts {
	struct tlsinfo_fact all[FACTS_COUNT_MAX]; /* bytes are owned */
	size_t count;
	size_t texts;	     /* length of the texts of all */
	bool chain_is_ended; /* one of it had to be left out */
};

struct facts *
facts_new(void)
{
	struct facts *facts = calloc(1, sizeof(*facts));

	if (facts != NULL)
		facts->texts = sizeof(INTERFACE);
	return facts;
}

void
facts_free(struct facts *facts)
{
	size_t i;

	if (facts == NULL)
		return;
	for (i = 0; i < facts->count; i++)
		free((void *)(uintptr_t)facts->all[i].bytes);
	free(facts);
}

/* The program would count to the gap and no further. */
static bool
is_behind_gap(struct facts *facts, const struct tlsinfo_fact *fact)
{
	if (fact->kind != TLSINFO_CERT_CHAIN)
		return false;
	if (fact->index >= FACTS_CHAIN_MAX || !is_permitted(fact))
		facts->chain_is_ended = true;
	return facts->chain_is_ended;
}

int
facts_add(void *arg, const struct tlsinfo_fact *fact)
{
	struct facts *facts = arg;
	unsigned char *bytes;

	if (is_behind_gap(facts, fact) || !is_permitted(fact) ||
	    facts->count == FACTS_COUNT_MAX)
		return 0;
	bytes = malloc(fact->len + 1);
	if (bytes == NULL)
		return -1;
	if (fact->len > 0)
		memcpy(bytes, fact->bytes, fact->len);
	facts->all[facts->count] = *fact;
	facts->all[facts->count++].bytes = bytes;
	facts->texts += text_len(fact) + 1;
	return 0;
}

/* In which order kinds are given up. */
static int
rank(const struct tlsinfo_fact *fact)
{
	return fact->kind == TLSINFO_CERT_CHAIN ? 0
	    : fact->kind == TLSINFO_CERT	? 1
						: 2;
}

/* Is a to be given up before b, which stands before it? */
static bool
goes_before(const struct tlsinfo_fact *a, const struct tlsinfo_fact *b)
{
	if (rank(a) != rank(b))
		return rank(a) < rank(b);
	return rank(a) == 0 || a->len > b->len;
}

static void
leave_one_out(struct facts *facts)
{
	struct tlsinfo_fact *out = &facts->all[0];
	size_t i;

	for (i = 1; i < facts->count; i++)
		if (goes_before(&facts->all[i], out))
			out = &facts->all[i];
	facts->texts -= text_len(out) + 1;
	free((void *)(uintptr_t)out->bytes);
	facts->count--;
	memmove(out, out + 1,
	    (size_t)(&facts->all[facts->count] - out) * sizeof(*out));
}

static int
append_number(struct buf *body, uint64_t number)
{
	return buf_append(body, &number, sizeof(number));
}

int
facts_encode(struct facts *facts, struct buf *body)
{
	const struct tlsinfo_fact *fact;
	size_t i;

	while (facts->texts > FACTS_TEXTS_MAX)
		leave_one_out(facts);
	for (i = 0; i < facts->count; i++) {
		fact = &facts->all[i];
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
	size_t texts = sizeof(INTERFACE);
	struct tlsinfo_fact fact;
	struct msg_reader reader;
	uint64_t next = 0;
	int r;

	msg_read_from(&reader, &msg);
	while ((r = next_fact(&reader, &fact)) == 1) {
		if (!is_in_order(&fact, next) || !is_permitted(&fact))
			return -1;
		next = key_of(&fact) + 1;
		texts += text_len(&fact) + 1;
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
	char name[NAME_SIZE];
	size_t written;
	int r;

	if (len > 0)
		msg_put_text(w, INTERFACE);
	msg_read_from(&reader, &msg);
	while ((r = next_fact(&reader, &fact)) == 1) {
		make_name(name, &fact);
		msg_put_variable(w, name, fact.bytes, fact.len);
	}
	return r == -1 ? -1 : msg_written(w, &written);
}

static int
append_text(struct buf *block, const struct tlsinfo_fact *fact)
{
	char name[NAME_SIZE];

	make_name(name, fact);
	if (buf_append(block, name, strlen(name)) == -1 ||
	    buf_append(block, "=", 1) == -1 ||
	    buf_append(block, fact->bytes, fact->len) == -1)
		return -1;
	return buf_append(block, "", 1);
}

int
facts_put_block(const unsigned char *bytes, size_t len, struct buf *block)
{
	const struct msg msg = { .body = bytes, .len = len };
	struct tlsinfo_fact fact;
	struct msg_reader reader;
	int r;

	if (buf_append_string(block, len > 0 ? INTERFACE : "") == -1)
		return -1;
	msg_read_from(&reader, &msg);
	while ((r = next_fact(&reader, &fact)) == 1)
		if (append_text(block, &fact) == -1)
			return -1;
	return r == -1 ? -1 : buf_append(block, "", 1);
}
