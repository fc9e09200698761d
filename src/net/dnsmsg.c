/*
 * DNS messages: our questions, and the answers of servers we do not trust.
 *
 * Runs in the resolver.  Written here and not taken from a library, because
 * the cache needs the time to live of every record used, which c-ares gives
 * for addresses alone, and because what reads hostile bytes shall have its
 * bounds in sight: a name costs at most 255 bytes of work however it is
 * compressed, an answer at most 128 records, eight times over for aliases.
 */
#include "net/dnsmsg.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define HEADER_SIZE 12
#define RECORD_SIZE 10 /* type, class, time to live, length of the data */
#define WIRE_NAME_MAX 255
#define TEXT_NAME_MAX 253 /* the same name with dots */
#define LABEL_MAX 63
#define POINTERS_MAX 128 /* in one name; it has no more labels */
#define ALIASES_MAX 8
#define CLASS_IN 1
#define TYPE_CNAME 5
#define RCODE_NXDOMAIN 3

/* Where we are in a message. */
struct cursor {
	const unsigned char *bytes;
	size_t len, at;
};

struct record {
	char owner[DNSMSG_NAME_SIZE];
	unsigned type, class;
	uint32_t ttl;
	size_t data, data_len; /* where in the message */
};

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

char *
dnsmsg_reverse(char name[DNSMSG_NAME_SIZE], const struct ip *ip)
{
	const unsigned char *b = ip->bytes;
	size_t i, at = 0;

	if (ip_is_v4(ip)) {
		text_format(name, DNSMSG_NAME_SIZE, "%u.%u.%u.%u.in-addr.arpa",
		    b[15], b[14], b[13], b[12]);
		return name;
	}
	for (i = 16; i-- > 0; at += 4)
		text_format(name + at, DNSMSG_NAME_SIZE - at, "%x.%x.",
		    b[i] & 15U, b[i] >> 4U);
	text_copy(name + at, DNSMSG_NAME_SIZE - at, "ip6.arpa");
	return name;
}

static void
put_16(unsigned char *at, unsigned n)
{
	at[0] = (unsigned char)(n >> 8);
	at[1] = (unsigned char)n;
}

/* Write name as labels.  The number of bytes, or 0. */
static size_t
put_name(unsigned char wire[WIRE_NAME_MAX], const char *name)
{
	const char *label;
	size_t len, at = 0;

	while ((label = text_piece(&name, '.', &len)) != NULL) {
		if (len == 0 || len > LABEL_MAX ||
		    at + 1 + len + 1 > WIRE_NAME_MAX)
			return 0;
		wire[at++] = (unsigned char)len;
		memcpy(wire + at, label, len);
		at += len;
	}
	wire[at++] = 0;
	return at;
}

size_t
dnsmsg_query(unsigned char bytes[DNSMSG_QUERY_SIZE], uint16_t id,
    const char *name, enum dnsmsg_type type)
{
	size_t len;

	memset(bytes, 0, HEADER_SIZE);
	put_16(bytes, id);
	bytes[2] = 1; /* recursion desired */
	put_16(bytes + 4, 1);
	len = put_name(bytes + HEADER_SIZE, name);
	if (len == 0)
		return 0;
	len += HEADER_SIZE;
	put_16(bytes + len, type);
	put_16(bytes + len + 2, CLASS_IN);
	return len + 4;
}

static unsigned
get_16(const unsigned char *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

/* A byte of a label as text; what text cannot hold becomes '?'. */
static char
label_byte(unsigned char c)
{
	return c <= ' ' || c >= 0x7f || c == '.' ? '?' : lower((char)c);
}

/*
 * Follow a compression pointer.  It must lead before the piece of the name
 * that it ends, so that every name ends.
 */
static int
follow(const struct cursor *c, size_t *at, size_t *piece)
{
	size_t target;

	if (*at + 2 > c->len)
		return -1;
	target = get_16(c->bytes + *at) & 0x3fff;
	if (target >= *piece)
		return -1;
	*at = *piece = target;
	return 0;
}

/* Read a name, and step over it.  0, or -1 when malformed. */
static int
get_name(struct cursor *c, char name[DNSMSG_NAME_SIZE])
{
	size_t at = c->at, piece = c->at, out = 0, end = 0, len;
	unsigned pointers = 0;

	for (;;) {
		if (at >= c->len)
			return -1;
		len = c->bytes[at];
		if (len > LABEL_MAX) {
			if (len < 0xc0 || pointers++ == POINTERS_MAX)
				return -1;
			if (end == 0)
				end = at + 2;
			if (follow(c, &at, &piece) == -1)
				return -1;
			continue;
		}
		at++;
		if (len == 0)
			break;
		if (len > c->len - at || out + (out > 0) + len > TEXT_NAME_MAX)
			return -1;
		if (out > 0)
			name[out++] = '.';
		for (; len > 0; len--)
			name[out++] = label_byte(c->bytes[at++]);
	}
	name[out] = '\0';
	c->at = end == 0 ? at : end;
	return 0;
}

static int
get_record(struct cursor *c, struct record *record)
{
	const unsigned char *fixed;

	if (get_name(c, record->owner) == -1 || c->len - c->at < RECORD_SIZE)
		return -1;
	fixed = c->bytes + c->at;
	record->type = get_16(fixed);
	record->class = get_16(fixed + 2);
	record->ttl = (uint32_t)get_16(fixed + 4) << 16 | get_16(fixed + 6);
	/* RFC 2181 section 8: a set top bit means zero. */
	if (record->ttl > INT32_MAX)
		record->ttl = 0;
	record->data_len = get_16(fixed + 8);
	record->data = c->at + RECORD_SIZE;
	if (record->data_len > c->len - record->data)
		return -1;
	c->at = record->data + record->data_len;
	return 0;
}

/* The name a record's data is.  It may point before, but not go beyond. */
static int
get_data_name(const struct cursor *c, const struct record *record,
    char name[DNSMSG_NAME_SIZE])
{
	struct cursor data = *c;

	data.at = record->data;
	if (get_name(&data, name) == -1)
		return -1;
	return data.at == record->data + record->data_len ? 0 : -1;
}

static int
get_address(const struct cursor *c, const struct record *record, struct ip *ip)
{
	static const struct ip mapped = { { [10] = 0xff, [11] = 0xff } };
	const unsigned char *data = c->bytes + record->data;

	*ip = mapped;
	if (record->type == DNSMSG_A && record->data_len == 4)
		memcpy(ip->bytes + 12, data, 4);
	else if (record->type == DNSMSG_AAAA && record->data_len == 16)
		memcpy(ip->bytes, data, 16);
	else
		return -1;
	return 0;
}

/* Keep what the record says, if there is room. */
static int
keep(struct dnsmsg_answer *answer, const struct cursor *c,
    const struct record *record)
{
	if (record->ttl < answer->ttl)
		answer->ttl = record->ttl;
	if (record->type == DNSMSG_PTR) {
		if (answer->count == DNSMSG_NAMES_MAX)
			return 0;
		if (get_data_name(c, record, answer->names[answer->count]) ==
		    -1)
			return -1;
	} else {
		if (answer->count == DNSMSG_ADDRESSES_MAX)
			return 0;
		if (get_address(c, record, &answer->addresses[answer->count]) ==
		    -1)
			return -1;
	}
	answer->count++;
	return 0;
}

/*
 * One pass over the answers for what belongs to owner.  An alias found
 * instead is left in alias ("": none).  0, or -1 when malformed.
 */
static int
collect(struct dnsmsg_answer *answer, struct cursor c, unsigned records,
    const char *owner, enum dnsmsg_type type, char alias[DNSMSG_NAME_SIZE])
{
	struct record record;

	alias[0] = '\0';
	for (; records > 0; records--) {
		if (get_record(&c, &record) == -1)
			return -1;
		if (record.class != CLASS_IN ||
		    strcmp(record.owner, owner) != 0)
			continue;
		if (record.type == (unsigned)type) {
			if (keep(answer, &c, &record) == -1)
				return -1;
		} else if (record.type == TYPE_CNAME) {
			if (get_data_name(&c, &record, alias) == -1)
				return -1;
			if (record.ttl < answer->ttl)
				answer->ttl = record.ttl;
		}
	}
	return 0;
}

/* Step over header and question.  The number of answers, or -1. */
static int
open_answer(struct cursor *c, bool *is_none)
{
	char question[DNSMSG_NAME_SIZE];
	unsigned rcode, records;

	if (c->len < HEADER_SIZE || !(c->bytes[2] & 0x80))
		return -1;
	/* Still cut after the transport tried TCP. */
	if (c->bytes[2] & 0x02 || get_16(c->bytes + 4) != 1)
		return -1;
	rcode = c->bytes[3] & 15U;
	*is_none = rcode == RCODE_NXDOMAIN;
	if (rcode != 0 && !*is_none)
		return -1;
	records = get_16(c->bytes + 6);
	c->at = HEADER_SIZE;
	if (records > DNSMSG_RECORDS_MAX || get_name(c, question) == -1 ||
	    c->len - c->at < 4)
		return -1;
	c->at += 4;
	return (int)records;
}

enum dnsmsg_kind
dnsmsg_read(struct dnsmsg_answer *answer, const unsigned char *bytes,
    size_t len, const char *name, enum dnsmsg_type type)
{
	struct cursor c = { bytes, len, 0 };
	char owner[DNSMSG_NAME_SIZE], alias[DNSMSG_NAME_SIZE];
	bool is_none;
	int records, hops;

	records = open_answer(&c, &is_none);
	if (records == -1 || text_copy(owner, sizeof(owner), name) == -1)
		return DNSMSG_FAILED;
	if (is_none)
		return DNSMSG_NONE;
	answer->count = 0;
	answer->ttl = UINT32_MAX;
	for (hops = 0; hops <= ALIASES_MAX; hops++) {
		if (collect(answer, c, (unsigned)records, owner, type, alias) ==
		    -1)
			return DNSMSG_FAILED;
		if (answer->count > 0)
			return DNSMSG_FOUND;
		if (alias[0] == '\0')
			return DNSMSG_NONE;
		memcpy(owner, alias, sizeof(owner));
	}
	return DNSMSG_FAILED; /* a loop */
}

static bool
is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '_';
}

static bool
is_number(const char *s, size_t len)
{
	return strspn(s, "0123456789") >= len;
}

/* Is it a label of a host name in lower case? */
static bool
is_label(const char *label, size_t len)
{
	size_t i;

	if (len == 0 || len > LABEL_MAX || label[0] == '-' ||
	    label[len - 1] == '-')
		return false;
	for (i = 0; i < len; i++)
		if (!is_host_byte(label[i]))
			return false;
	return true;
}

int
dnsmsg_host_name(char host[DNSMSG_NAME_SIZE], const char *name)
{
	size_t i, len = strlen(name), piece_len;
	const char *rest = host, *piece, *last = host;

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len > TEXT_NAME_MAX)
		return -1;
	for (i = 0; i < len; i++)
		host[i] = lower(name[i]);
	host[len] = '\0';
	while ((piece = text_piece(&rest, '.', &piece_len)) != NULL) {
		if (!is_label(piece, piece_len))
			return -1;
		last = piece;
	}
	return is_number(last, strlen(last)) ? -1 : 0;
}
