/*
 * Dances of messages with a length: LDAP, PostgreSQL and MySQL.
 *
 * Pure functions on one message of an untrusted server, see dance.c.  Each
 * message says how long it is; one that is longer than a unit may be fails
 * when the unit is full, so no length is believed before its bytes are there.
 */
#include "client/dance.h"

#include <string.h>

#include "base/text.h"
#include "client/dance_internal.h"

struct span {
	const unsigned char *at;
	size_t len;
};

static void
say(struct dance *d, const void *bytes, size_t len)
{
	memcpy(d->out, bytes, len);
	d->out_len = len;
}

/* LDAP (RFC 4511): BER with definite lengths (5.1). */

#define BER_SEQUENCE 0x30
#define BER_INTEGER 0x02
#define BER_ENUMERATED 0x0a
#define BER_STRING 0x04
#define LDAP_EXTENDED_RESPONSE 0x78
#define LDAP_MESSAGE_ID 1

void
dance_ask_ldap(struct dance *d, const struct dance_step *step)
{
	/* Message 1, ExtendedRequest, requestName. */
	static const char request[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16"
				      "1.3.6.1.4.1.1466.20037";

	(void)step;
	say(d, request, sizeof(request) - 1);
}

/*
 * Take tag and length from the front of *in.  0 and the length, or -1: not
 * this tag, a length of more than four bytes, or the header is not whole.
 */
static int
take_header(struct span *in, unsigned char tag, size_t *len)
{
	size_t bytes, i;

	if (in->len < 2 || in->at[0] != tag)
		return -1;
	bytes = in->at[1] < 0x80 ? 0 : in->at[1] & 0x7fU;
	if (in->at[1] == 0x80 || bytes > 4 || in->len < 2 + bytes)
		return -1;
	*len = bytes == 0 ? in->at[1] : 0;
	for (i = 0; i < bytes; i++)
		*len = *len << 8 | in->at[2 + i];
	in->at += 2 + bytes;
	in->len -= 2 + bytes;
	return 0;
}

/* Take one value of that tag from the front of *in.  0 or -1. */
static int
take_value(struct span *in, unsigned char tag, struct span *value)
{
	size_t len;

	if (take_header(in, tag, &len) == -1 || len > in->len)
		return -1;
	value->at = in->at;
	value->len = len;
	in->at += len;
	in->len -= len;
	return 0;
}

/* Take a small number, as codes and our message's id are.  0 or -1. */
static int
take_number(struct span *in, unsigned char tag, unsigned *number)
{
	struct span value;

	if (take_value(in, tag, &value) == -1 || value.len != 1)
		return -1;
	*number = value.at[0];
	return 0;
}

/* At what cannot be a header, too: then it is judged. */
bool
dance_is_ldap(struct dance *d)
{
	struct span in = { d->unit, d->unit_len };
	size_t len, header;

	if (d->unit[0] != BER_SEQUENCE)
		return true;
	if (d->unit_len < 2)
		return false;
	header = d->unit[1] < 0x80 ? 2 : 2 + (d->unit[1] & 0x7fU);
	if (d->unit[1] == 0x80 || header > 6)
		return true;
	return take_header(&in, BER_SEQUENCE, &len) == 0 && in.len >= len;
}

enum dance_verdict
dance_judge_ldap(struct dance *d, const struct dance_step *step)
{
	struct span in = { d->unit, d->unit_len }, message, response, name,
		    text;
	char shown[TEXT_PRINTABLE_SIZE];
	unsigned id, code;

	(void)step;
	if (take_value(&in, BER_SEQUENCE, &message) == -1 ||
	    take_number(&message, BER_INTEGER, &id) == -1 ||
	    take_value(&message, LDAP_EXTENDED_RESPONSE, &response) == -1 ||
	    take_number(&response, BER_ENUMERATED, &code) == -1 ||
	    take_value(&response, BER_STRING, &name) == -1 ||
	    take_value(&response, BER_STRING, &text) == -1)
		return DANCE_STRANGE;
	if (id == LDAP_MESSAGE_ID && code == 0)
		return DANCE_GOOD;
	/* Id 0 is a notice of disconnection (4.4.1). */
	if (id != LDAP_MESSAGE_ID && id != 0)
		return DANCE_STRANGE;
	(void)text_format(d->said, sizeof(d->said), "result %u: %s", code,
	    text_printable(shown, text.at, text.len));
	return DANCE_REFUSED;
}

/* PostgreSQL: one byte, S or N. */

void
dance_ask_postgres(struct dance *d, const struct dance_step *step)
{
	/* A length of 8, and 1234 and 5679 in the place of a version. */
	static const char request[] = "\0\0\0\x08\x04\xd2\x16\x2f";

	(void)step;
	say(d, request, sizeof(request) - 1);
}

bool
dance_is_postgres(struct dance *d)
{
	return d->unit_len == 1;
}

/* E begins an error, whose text libpq does not show either: anyone's. */
enum dance_verdict
dance_judge_postgres(struct dance *d, const struct dance_step *step)
{
	(void)step;
	switch (d->unit[0]) {
	case 'S':
		return DANCE_GOOD;
	case 'N':
	case 'E':
		return DANCE_REFUSED;
	default:
		return DANCE_STRANGE;
	}
}

/* MySQL: packets of three bytes of length, a number, and what they hold. */

#define MYSQL_HEADER 4
#define MYSQL_VERSION 10
#define MYSQL_ERROR 0xff
#define MYSQL_BEFORE_FLAGS 13 /* thread id, half of the salt, a zero */
#define MYSQL_CAN_TLS 0x0800U

void
dance_ask_mysql(struct dance *d, const struct dance_step *step)
{
	/*
	 * 32 bytes, packet 1: protocol 4.1, TLS, secure connection, plugins;
	 * packets of 16 MiB; UTF-8; zeros.
	 */
	static const char request[MYSQL_HEADER + 32] = "\x20\0\0\x01"
						       "\x00\x8a\x08\x00"
						       "\xff\xff\xff\x00"
						       "\x21";

	(void)step;
	say(d, request, sizeof(request));
}

static size_t
mysql_size(const struct dance *d)
{
	return d->unit[0] | (size_t)d->unit[1] << 8 | (size_t)d->unit[2] << 16;
}

bool
dance_is_mysql(struct dance *d)
{
	return d->unit_len >= MYSQL_HEADER &&
	    d->unit_len - MYSQL_HEADER >= mysql_size(d);
}

/* What a server says that lets nobody in: a code and a text. */
static enum dance_verdict
refuse_mysql(struct dance *d, struct span packet)
{
	if (packet.len < 3)
		return DANCE_STRANGE;
	(void)text_printable(d->said, packet.at + 3, packet.len - 3);
	return DANCE_REFUSED;
}

enum dance_verdict
dance_judge_mysql(struct dance *d, const struct dance_step *step)
{
	struct span packet = { d->unit + MYSQL_HEADER,
		d->unit_len - MYSQL_HEADER };
	const unsigned char *flags;
	size_t rest;

	(void)step;
	if (packet.len > 0 && packet.at[0] == MYSQL_ERROR)
		return refuse_mysql(d, packet);
	if (packet.len == 0 || packet.at[0] != MYSQL_VERSION)
		return DANCE_STRANGE;
	flags = memchr(packet.at, '\0', packet.len);
	if (flags == NULL)
		return DANCE_STRANGE;
	rest = packet.len - (size_t)(flags + 1 - packet.at);
	if (rest < MYSQL_BEFORE_FLAGS + 2)
		return DANCE_STRANGE;
	flags += 1 + MYSQL_BEFORE_FLAGS;
	d->is_offered =
	    ((flags[0] | (unsigned)flags[1] << 8) & MYSQL_CAN_TLS) != 0;
	return DANCE_GOOD;
}
