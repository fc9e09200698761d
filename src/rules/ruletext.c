/*
 * ruletext: a line of rule text, read strictly, and the records it makes.
 *
 * Used by tcprules with the rights of whoever calls it, on text that may be
 * anything.  What cannot be understood is refused.  What is understood but
 * fits no client ("1.2.3", "=host.") was always written to the table and
 * still is, so that old files go on to work; the record says why it is of
 * no use, and tcprules warns.
 */
#include "rules/ruletext.h"

#include <string.h>

#include <arpa/inet.h>

#define NUMBER_MAX 255

/* Bytes of the line; not terminated. */
struct span {
	const char *at;
	size_t len;
};

void
ruletext_init(struct ruletext *text)
{
	memset(text, 0, sizeof(*text));
	/* An instruction is no longer than its text but for "D" and NUL. */
	buf_init(&text->data, RULETEXT_LINE_MAX);
	buf_init(&text->key, RULETEXT_LINE_MAX);
}

void
ruletext_free(struct ruletext *text)
{
	buf_free(&text->data);
	buf_free(&text->key);
}

static const char *
find_byte(const char *at, size_t len, char wanted)
{
	return len == 0 ? NULL : memchr(at, wanted, len);
}

static const char *
find_last(const char *at, size_t len, char wanted)
{
	while (len > 0)
		if (at[--len] == wanted)
			return at + len;
	return NULL;
}

static bool
has_byte(struct span s, char wanted)
{
	return find_byte(s.at, s.len, wanted) != NULL;
}

static void
skip(struct span *s, size_t n)
{
	s->at += n;
	s->len -= n;
}

static bool
skip_word(struct span *s, const char *word)
{
	size_t len = strlen(word);

	if (s->len < len || memcmp(s->at, word, len) != 0)
		return false;
	skip(s, len);
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_name(const char *at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)at[i] <= ' ' || at[i] == 0x7f ||
		    at[i] == ',')
			return false;
	return len > 0;
}

/* Digits alone, as the number or as something above limit; else -1. */
static int
read_number(struct span s, unsigned limit, unsigned *number)
{
	size_t i;

	*number = 0;
	for (i = 0; i < s.len; i++) {
		if (!is_digit(s.at[i]))
			return -1;
		if (*number <= limit)
			*number = *number * 10 + (unsigned)(s.at[i] - '0');
	}
	return s.len > 0 ? 0 : -1;
}

/* ----- the instruction ----- */

/* Append "+NAME=VALUE" and NUL of ",NAME=qVALUEq" and skip that.  0 or -1. */
static int
read_variable(struct buf *data, struct span *rest, const char **error)
{
	const char *equals, *value, *end;
	size_t name_len;

	skip(rest, 1);
	equals = find_byte(rest->at, rest->len, '=');
	*error = "a variable without '='";
	if (equals == NULL)
		return -1;
	name_len = (size_t)(equals - rest->at);
	*error = "what is before '=' is no name of a variable";
	if (!is_name(rest->at, name_len))
		return -1;
	*error = "the value of a variable is not quoted";
	if (rest->len - name_len < 2)
		return -1;
	value = equals + 2;
	end = find_byte(value, rest->len - name_len - 2, equals[1]);
	*error = "the value of a variable has no second quote";
	if (end == NULL)
		return -1;
	*error = NULL;
	if (buf_append(data, "+", 1) == -1 ||
	    buf_append(data, rest->at, name_len + 1) == -1 ||
	    buf_append(data, value, (size_t)(end - value)) == -1 ||
	    buf_append(data, "", 1) == -1)
		return -1;
	skip(rest, (size_t)(end + 1 - rest->at));
	return 0;
}

/* What follows the colon, into data.  0 or -1. */
static int
read_instruction(struct buf *data, struct span rest, const char **error)
{
	if (skip_word(&rest, "deny")) {
		if (buf_append(data, "D", 2) == -1)
			return -1;
	} else if (!skip_word(&rest, "allow")) {
		*error = "neither allow nor deny behind the colon";
		return -1;
	}
	if (has_byte(rest, '\0')) {
		*error = "a NUL byte";
		return -1;
	}
	while (rest.len > 0) {
		if (rest.at[0] != ',') {
			*error = "a comma is missing before the rest";
			return -1;
		}
		if (read_variable(data, &rest, error) == -1)
			return -1;
	}
	return 0;
}

/* ----- the address, classified ----- */

/* What the bytes of an address tell of its form. */
enum {
	HAS_AT = 1,
	HAS_EQUALS = 2,
	HAS_COLON = 4,
	HAS_SLASH = 8,
	HAS_DASH = 16,
	HAS_NUL = 32,
	/* With one of these, the others have no meaning. */
	IS_NAMED = HAS_AT | HAS_EQUALS
};

static unsigned
find_marks(struct span s)
{
	unsigned marks = 0;
	size_t i;

	for (i = 0; i < s.len; i++) {
		switch (s.at[i]) {
		case '=':
			marks |= HAS_EQUALS;
			break;
		case ':':
			marks |= HAS_COLON;
			break;
		case '/':
			marks |= HAS_SLASH;
			break;
		case '-':
			marks |= HAS_DASH;
			break;
		case '@':
			marks |= HAS_AT;
			break;
		case '\0':
			marks |= HAS_NUL;
			break;
		default:
			break;
		}
	}
	return marks;
}

/* inet_pton(3) with a length.  0 or -1. */
static int
read_ip(struct span s, int family, unsigned char *out)
{
	char text[INET6_ADDRSTRLEN];

	if (s.len >= sizeof(text) || has_byte(s, '\0'))
		return -1;
	memcpy(text, s.at, s.len);
	text[s.len] = '\0';
	return inet_pton(family, text, out) == 1 ? 0 : -1;
}

static int
read_any_ip(struct span s, unsigned char ip[16])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (has_byte(s, ':'))
		return read_ip(s, AF_INET6, ip);
	memcpy(ip, mapped, sizeof(mapped));
	return read_ip(s, AF_INET, ip + sizeof(mapped));
}

static void
never(struct ruletext_record *r, const char *reason)
{
	r->kind = RULETEXT_OTHER;
	r->never = reason;
}

/* IPv4 written as IPv6 ("::ffff:1.2.3.4") is no client's address. */
static void
refuse_mapped(struct ruletext_record *r)
{
	if (rulekey_is_v4(r->ip))
		never(r, "clients of IPv4 are looked up as IPv4");
}

/*
 * One number of an IPv4 address as clients' addresses are written.  NULL,
 * or why none is written so.
 */
static const char *
check_number(struct span s, unsigned char *byte)
{
	unsigned number;

	if (read_number(s, NUMBER_MAX, &number) == -1)
		return "it is no address (a host name begins with '=')";
	if (number > NUMBER_MAX)
		return "a number of an address is at most 255";
	if (s.len > 1 && s.at[0] == '0')
		return "no number of an address begins with 0";
	*byte = (unsigned char)number;
	return NULL;
}

/*
 * An IPv4 address, or its first numbers with a dot behind each, down to the
 * empty one.  r->ip is zero.
 */
static void
classify_dotted(struct ruletext_record *r, struct span s)
{
	const char *reason = NULL;
	unsigned numbers = 0;
	bool has_dot = false;

	if (s.len == 0) {
		r->kind = RULETEXT_DEFAULT;
		return;
	}
	r->ip[10] = r->ip[11] = 0xff;
	while (s.len > 0 && reason == NULL) {
		struct span part = { s.at, 0 };

		/* Not memchr(3), whose call takes longer for so few bytes. */
		while (part.len < s.len && s.at[part.len] != '.')
			part.len++;
		has_dot = part.len < s.len;
		if (numbers == 4)
			reason = "an address has four numbers";
		else
			reason = check_number(part, &r->ip[12 + numbers]);
		numbers++;
		skip(&s, part.len + has_dot);
	}
	if (reason == NULL && numbers == 4 && has_dot)
		reason = "a whole address does not end with a dot";
	if (reason == NULL && numbers < 4 && !has_dot)
		reason = "a part of an address ends with a dot";
	r->kind = numbers == 4 ? RULETEXT_ADDRESS : RULETEXT_DOTTED;
	r->bits = 8 * numbers;
	if (reason != NULL)
		never(r, reason);
}

/* NULL, or why no host has that name in lower case. */
static const char *
check_host(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (c == '.' && (i == 0 || s.at[i - 1] == '.'))
			return "no host name has an empty part";
		if (c >= 'A' && c <= 'Z')
			return "host names are looked up in lower case";
		if (c != '.' && c != '-' && c != '_' && !is_digit(c) &&
		    !(c >= 'a' && c <= 'z'))
			return "no host name has such a character";
	}
	if (s.len == 0 || s.at[s.len - 1] == '.')
		return "no host name looked up ends with a dot";
	return NULL;
}

/* "=host", "=.suffix", "="; s is what follows '='. */
static void
classify_host(struct ruletext_record *r, struct span s)
{
	const char *reason;

	r->kind = RULETEXT_HOST;
	if (s.len == 0 || s.at[0] == '.') {
		r->kind = RULETEXT_SUFFIX;
		if (s.len == 0)
			return;
		skip(&s, 1);
	}
	reason = check_host(s);
	if (reason != NULL)
		never(r, reason);
}

/* s is what follows '@'. */
static void
classify_ident(struct ruletext_record *r, struct span s)
{
	const char *reason = NULL;

	r->kind = RULETEXT_IDENT;
	if (s.len > 0 && s.at[0] == '=') {
		skip(&s, 1);
		reason = check_host(s);
	} else if (read_any_ip(s, r->ip) == -1) {
		reason = "'@' takes a whole address or '=' and a host name";
	}
	if (reason != NULL)
		never(r, reason);
}

static struct span
key_of(const struct ruletext_record *r)
{
	struct span s = { r->key, r->key_len };

	return s;
}

/* ----- the address to keys ----- */

/* Find "FIRST-LAST" in one dotted part of the address.  0 or -1. */
static int
read_range(struct ruletext *t, struct span s, const char **error)
{
	const char *dash = find_byte(s.at, s.len, '-');
	struct span first = { dash, 0 }, last = { dash + 1, 0 };
	unsigned top;

	while (first.at > s.at && first.at[-1] != '.') {
		first.at--;
		first.len++;
	}
	while (last.at + last.len < s.at + s.len && last.at[last.len] != '.')
		last.len++;
	*error = "'-' stands between two numbers of an IPv4 address";
	if (read_number(first, NUMBER_MAX, &t->next) == -1 ||
	    read_number(last, NUMBER_MAX, &top) == -1)
		return -1;
	*error = "only one range is possible";
	if (find_byte(last.at, (size_t)(s.at + s.len - last.at), '-') != NULL)
		return -1;
	*error = NULL;
	t->is_range = true;
	t->range_at = (size_t)(first.at - s.at);
	t->range_end = (size_t)(last.at + last.len - s.at);
	t->last = top > NUMBER_MAX ? NUMBER_MAX : top;
	return 0;
}

/* Check what is no name: a range, a prefix, IPv6.  0 or -1. */
static int
read_address(struct ruletext *t, struct span s, const char **error)
{
	t->is_range = false;
	t->next = t->last = 0;
	t->marks = find_marks(s);
	if ((t->marks & HAS_NUL) != 0) {
		*error = "a NUL byte";
		return -1;
	}
	if ((t->marks & IS_NAMED) != 0 || (t->marks & HAS_DASH) == 0)
		return 0;
	if ((t->marks & (HAS_COLON | HAS_SLASH)) != 0) {
		*error = "a range is possible in IPv4 addresses alone";
		return -1;
	}
	return read_range(t, s, error);
}

/* The text of the address with the next number of the range.  0 or -1. */
static int
make_range_key(struct ruletext *t, struct ruletext_record *r)
{
	const char *address = t->address;
	char digits[4];
	size_t len = 0;

	if (t->next >= 100)
		digits[len++] = (char)('0' + t->next / 100);
	if (t->next >= 10)
		digits[len++] = (char)('0' + t->next / 10 % 10);
	digits[len++] = (char)('0' + t->next % 10);
	t->key.len = 0;
	if (buf_append(&t->key, address, t->range_at) == -1 ||
	    buf_append(&t->key, digits, len) == -1 ||
	    buf_append(&t->key, address + t->range_end,
		t->address_len - t->range_end) == -1)
		return -1;
	r->key = (const char *)t->key.data;
	r->key_len = t->key.len;
	return 0;
}

/* Keep the first bits of 128. */
static void
mask(unsigned char ip[16], unsigned bits)
{
	unsigned i;

	for (i = bits; i < 128; i++)
		ip[i / 8] &= (unsigned char)~(0x80 >> i % 8);
}

/* "ADDRESS/BITS".  0 or -1. */
static int
make_prefix_key(struct ruletext *t, struct ruletext_record *r, struct span s,
    const char **error)
{
	const char *slash = find_byte(s.at, s.len, '/');
	struct span ip = { s.at, (size_t)(slash - s.at) };
	struct span bits = { slash + 1, s.len - ip.len - 1 };
	unsigned max = has_byte(ip, ':') ? 128 : 32;

	*error = "no whole address before '/'";
	if (read_any_ip(ip, r->ip) == -1)
		return -1;
	*error = max == 32 ? "the number behind '/' is not 1 to 32"
			   : "the number behind '/' is not 1 to 128";
	if (read_number(bits, max, &r->bits) == -1 || r->bits < 1 ||
	    r->bits > max)
		return -1;
	mask(r->ip, max == 32 ? 96 + r->bits : r->bits);
	r->kind = RULETEXT_PREFIX;
	r->key = t->prefix;
	r->key_len = rulekey_prefix(t->prefix, r->ip, max == 32, r->bits);
	if (max == 128)
		refuse_mapped(r);
	return 0;
}

/* An IPv6 address.  0 or -1. */
static int
make_v6_key(struct ruletext *t, struct ruletext_record *r, struct span s,
    const char **error)
{
	*error = "no IPv6 address (one of a link goes without interface)";
	if (read_any_ip(s, r->ip) == -1)
		return -1;
	r->kind = RULETEXT_ADDRESS;
	r->bits = 128;
	r->key = t->prefix;
	r->key_len = rulekey_address(t->prefix, r->ip, false);
	refuse_mapped(r);
	return 0;
}

/* "info@IPv6": the address is written out.  0 or -1. */
static int
make_ident_v6_key(struct ruletext *t, struct ruletext_record *r, struct span ip,
    const char **error)
{
	struct span s = key_of(r);
	size_t len;

	*error = "no IPv6 address behind '@'";
	if (read_any_ip(ip, r->ip) == -1)
		return -1;
	*error = NULL;
	len = rulekey_address(t->prefix, r->ip, false);
	t->key.len = 0;
	if (buf_append(&t->key, s.at, s.len - ip.len) == -1 ||
	    buf_append(&t->key, t->prefix, len) == -1)
		return -1;
	r->kind = RULETEXT_IDENT;
	r->key = (const char *)t->key.data;
	r->key_len = t->key.len;
	refuse_mapped(r);
	return 0;
}

static int
lower_case(struct ruletext *t, struct ruletext_record *r)
{
	size_t i;

	t->key.len = 0;
	if (buf_append(&t->key, r->key, r->key_len) == -1)
		return -1;
	for (i = 0; i < t->key.len; i++)
		if (t->key.data[i] >= 'A' && t->key.data[i] <= 'Z')
			t->key.data[i] += 'a' - 'A';
	r->key = (const char *)t->key.data;
	return 0;
}

/* Key and kind of an address that is no range.  0 or -1. */
static int
make_key(struct ruletext *t, struct ruletext_record *r, const char **error)
{
	struct span s = key_of(r), rest = s;

	if ((t->marks & HAS_AT) != 0) {
		rest.at = find_last(s.at, s.len, '@') + 1;
		rest.len = (size_t)(s.at + s.len - rest.at);
		if (rest.len > 0 && rest.at[0] != '=' && has_byte(rest, ':'))
			return make_ident_v6_key(t, r, rest, error);
		classify_ident(r, rest);
	} else if ((t->marks & HAS_EQUALS) != 0 && s.at[0] == '=') {
		if (lower_case(t, r) == -1)
			return -1;
		rest = key_of(r);
		skip(&rest, 1);
		classify_host(r, rest);
	} else if ((t->marks & (HAS_SLASH | HAS_EQUALS)) == HAS_SLASH) {
		return make_prefix_key(t, r, s, error);
	} else if ((t->marks & (HAS_COLON | HAS_EQUALS)) == HAS_COLON) {
		return make_v6_key(t, r, s, error);
	} else {
		classify_dotted(r, s);
	}
	return 0;
}

/* ----- lines ----- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* The last colon before the first comma splits.  NULL: there is none. */
static const char *
find_colon(struct span s)
{
	const char *colon = NULL;
	size_t i;

	for (i = 0; i < s.len && s.at[i] != ','; i++)
		if (s.at[i] == ':')
			colon = s.at + i;
	return colon;
}

/* A rule, blanks behind it cut.  As ruletext_read, but never 0. */
static int
read_rule(struct ruletext *text, struct span rest, const char **error)
{
	const char *colon = find_colon(rest);
	struct span address = rest;

	*error = "no colon";
	if (colon == NULL)
		return -1;
	*error = NULL;
	address.len = (size_t)(colon - rest.at);
	skip(&rest, address.len + 1);
	text->data.len = 0;
	text->address = address.at;
	text->address_len = address.len;
	if (read_instruction(&text->data, rest, error) == -1 ||
	    read_address(text, address, error) == -1)
		return -1;
	return 1;
}

int
ruletext_read(
    struct ruletext *text, const char *line, size_t len, const char **error)
{
	struct span rest = { line, len };
	int result;

	*error = NULL;
	while (rest.len > 0 && is_blank(line[rest.len - 1]))
		rest.len--;
	if (rest.len == 0 || line[0] == '#')
		return 0;
	result = read_rule(text, rest, error);
	/* Not before: a carriage return may be the quote of a value. */
	if (result == -1 && *error != NULL && line[rest.len - 1] == '\r')
		*error = "the line ends in a carriage return; use LF alone";
	return result;
}

int
ruletext_next(
    struct ruletext *text, struct ruletext_record *record, const char **error)
{
	*error = NULL;
	if (text->next > text->last)
		return 0;
	memset(record, 0, sizeof(*record));
	record->data = text->data.data;
	record->data_len = text->data.len;
	record->key = text->address;
	record->key_len = text->address_len;
	if (text->is_range) {
		if (make_range_key(text, record) == -1)
			return -1;
		classify_dotted(record, key_of(record));
	} else if (make_key(text, record, error) == -1) {
		return -1;
	}
	text->next++;
	return 1;
}
