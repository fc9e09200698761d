/*
 * tlsvars: the TLS variables of a program, from facts.
 *
 * Runs wherever facts become an environment: in a session, in the monitor,
 * in programs that use the library.  Does not use the TLS library, so that
 * the monitor, which has none, can link it.  Whoever made the certificates
 * chose the values: what an environment or a terminal could take for
 * something else is left out, never mended.
 */
#include "tls/tlsvars.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "config.h"

/* What we are to programs. */
#define INTERFACE "SSL_VERSION_INTERFACE=ucspi-ssl/" VERSION

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
	[TLSINFO_CERT_CHAIN] = { "CERT_CHAIN_", CLIENT, PEM,
	    TLSVARS_CHAIN_MAX },
};

bool
tlsvars_exists(uint64_t party, uint64_t kind, uint64_t index)
{
	if (party >= TLSINFO_PARTIES || kind >= TLSINFO_KINDS ||
	    (kinds[kind].parties & 1u << party) == 0)
		return false;
	return index == 0 || index < kinds[kind].count;
}

const char *
tlsvars_interface(void)
{
	return INTERFACE;
}

char *
tlsvars_name(char name[TLSVARS_NAME_SIZE], const struct tlsinfo_fact *fact)
{
	const struct kind *kind = &kinds[fact->kind];

	if (kind->count == TLSINFO_ATTRIBUTES)
		text_format(name, TLSVARS_NAME_SIZE, "%s%s%s",
		    parties[fact->party], kind->name, attributes[fact->index]);
	else if (kind->count > 0)
		text_format(name, TLSVARS_NAME_SIZE, "%s%s%u",
		    parties[fact->party], kind->name, fact->index);
	else
		text_format(name, TLSVARS_NAME_SIZE, "%s%s",
		    parties[fact->party], kind->name);
	return name;
}

int
tlsvars_append(struct buf *block, const struct tlsinfo_fact *fact)
{
	char name[TLSVARS_NAME_SIZE];

	tlsvars_name(name, fact);
	if (buf_append(block, name, strlen(name)) == -1 ||
	    buf_append(block, "=", 1) == -1 ||
	    buf_append(block, fact->bytes, fact->len) == -1)
		return -1;
	return buf_append(block, "", 1);
}

size_t
tlsvars_text_len(const struct tlsinfo_fact *fact)
{
	char name[TLSVARS_NAME_SIZE];

	tlsvars_name(name, fact);
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

bool
tlsvars_is_permitted(const struct tlsinfo_fact *fact)
{
	enum charset charset = kinds[fact->kind].charset;
	const unsigned char *bytes = fact->bytes;
	size_t i;

	if (fact->len > TLSVARS_TEXT_MAX ||
	    tlsvars_text_len(fact) > TLSVARS_TEXT_MAX)
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
 * Collecting
 */

struct tlsvars {
	struct tlsinfo_fact all[TLSVARS_COUNT_MAX]; /* bytes are owned */
	size_t count;
	size_t texts;	     /* length of the texts of all */
	bool chain_is_ended; /* one of it had to be left out */
};

struct tlsvars *
tlsvars_new(void)
{
	struct tlsvars *vars = calloc(1, sizeof(*vars));

	if (vars != NULL)
		vars->texts = sizeof(INTERFACE);
	return vars;
}

void
tlsvars_free(struct tlsvars *vars)
{
	size_t i;

	if (vars == NULL)
		return;
	for (i = 0; i < vars->count; i++)
		free((void *)(uintptr_t)vars->all[i].bytes);
	free(vars);
}

/* The program would count to the gap and no further. */
static bool
is_behind_gap(struct tlsvars *vars, const struct tlsinfo_fact *fact)
{
	if (fact->kind != TLSINFO_CERT_CHAIN)
		return false;
	if (fact->index >= TLSVARS_CHAIN_MAX || !tlsvars_is_permitted(fact))
		vars->chain_is_ended = true;
	return vars->chain_is_ended;
}

int
tlsvars_add(void *arg, const struct tlsinfo_fact *fact)
{
	struct tlsvars *vars = arg;
	unsigned char *bytes;

	if (is_behind_gap(vars, fact) || !tlsvars_is_permitted(fact) ||
	    vars->count == TLSVARS_COUNT_MAX)
		return 0;
	bytes = malloc(fact->len + 1);
	if (bytes == NULL)
		return -1;
	if (fact->len > 0)
		memcpy(bytes, fact->bytes, fact->len);
	vars->all[vars->count] = *fact;
	vars->all[vars->count++].bytes = bytes;
	vars->texts += tlsvars_text_len(fact) + 1;
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
leave_one_out(struct tlsvars *vars)
{
	struct tlsinfo_fact *out = &vars->all[0];
	size_t i;

	for (i = 1; i < vars->count; i++)
		if (goes_before(&vars->all[i], out))
			out = &vars->all[i];
	vars->texts -= tlsvars_text_len(out) + 1;
	free((void *)(uintptr_t)out->bytes);
	vars->count--;
	memmove(out, out + 1,
	    (size_t)(&vars->all[vars->count] - out) * sizeof(*out));
}

size_t
tlsvars_fit(struct tlsvars *vars)
{
	while (vars->texts > TLSVARS_TEXTS_MAX)
		leave_one_out(vars);
	return vars->count;
}

const struct tlsinfo_fact *
tlsvars_get(const struct tlsvars *vars, size_t n)
{
	return n < vars->count ? &vars->all[n] : NULL;
}
