/*
 * Names and secrets of tickets.  Runs in the cache, and ticketkeys_read in
 * the child of master that looks whether a file is sound.
 *
 * A name is six random bytes, four of time under a mask, and six of a
 * digest of these and the binding, so that one that somebody has made up,
 * or shows under another policy, is none; 48 bits are enough, as each guess
 * is a connection and a good one gains nothing but a secret that fits no
 * ticket.  What is computed with a key is told apart by its first byte.
 */
#include "serve/ticketkeys.h"

#include <string.h>

#include "base/hmac.h"
#include "base/text.h"

#define RANDOM_SIZE 6
#define TIME_SIZE 4
#define TAG_AT (RANDOM_SIZE + TIME_SIZE)
#define TAG_SIZE (TLSRESUME_NAME_SIZE - TAG_AT)

_Static_assert(TLSRESUME_SECRET_SIZE == 2 * HMAC_SIZE, "two digests");

/* What a digest is for. */
enum use { MASK = 1, TAG, CIPHER_KEY, MAC_KEY };

struct text {
	unsigned char bytes[1 + CACHE_BINDING_SIZE + TLSRESUME_NAME_SIZE];
	size_t len;
};

static void
add(struct text *text, const void *bytes, size_t len)
{
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static void
digest(const unsigned char *key, enum use use, const unsigned char *binding,
    const unsigned char *name, size_t len, unsigned char mac[HMAC_SIZE])
{
	unsigned char first = (unsigned char)use;
	struct text text = { .len = 0 };

	add(&text, &first, 1);
	if (binding != NULL)
		add(&text, binding, CACHE_BINDING_SIZE);
	add(&text, name, len);
	hmac_sha256(key, TICKETKEYS_KEY_SIZE, text.bytes, text.len, mac);
}

/* On the time of a name, and off again. */
static void
mask_time(const unsigned char *key, unsigned char *name)
{
	unsigned char mac[HMAC_SIZE];
	size_t i;

	digest(key, MASK, NULL, name, RANDOM_SIZE, mac);
	for (i = 0; i < TIME_SIZE; i++)
		name[RANDOM_SIZE + i] ^= mac[i];
}

static void
put_time(unsigned char *name, uint32_t now)
{
	size_t i;

	for (i = 0; i < TIME_SIZE; i++)
		name[RANDOM_SIZE + i] = (unsigned char)(now >> 8 * i);
}

static uint32_t
get_time(const unsigned char *key, const unsigned char *name)
{
	unsigned char plain[TLSRESUME_NAME_SIZE];
	uint32_t time = 0;
	size_t i;

	memcpy(plain, name, sizeof(plain));
	mask_time(key, plain);
	for (i = 0; i < TIME_SIZE; i++)
		time |= (uint32_t)plain[RANDOM_SIZE + i] << 8 * i;
	return time;
}

static void
make_secret(const unsigned char *key, const unsigned char *binding,
    struct tlsresume_ticket *ticket)
{
	digest(key, CIPHER_KEY, binding, ticket->name, sizeof(ticket->name),
	    ticket->secret);
	digest(key, MAC_KEY, binding, ticket->name, sizeof(ticket->name),
	    ticket->secret + HMAC_SIZE);
}

void
ticketkeys_make(const struct ticketkeys *keys,
    const unsigned char binding[CACHE_BINDING_SIZE],
    const unsigned char random[TLSRESUME_NAME_SIZE], uint32_t now,
    struct tlsresume_ticket *ticket)
{
	const unsigned char *key = keys->keys[0];
	unsigned char mac[HMAC_SIZE];

	memcpy(ticket->name, random, RANDOM_SIZE);
	put_time(ticket->name, now);
	mask_time(key, ticket->name);
	digest(key, TAG, binding, ticket->name, TAG_AT, mac);
	memcpy(ticket->name + TAG_AT, mac, TAG_SIZE);
	make_secret(key, binding, ticket);
}

/* In the same time, wherever they differ. */
static bool
has_tag(const unsigned char *key, const unsigned char *binding,
    const unsigned char *name)
{
	unsigned char mac[HMAC_SIZE], difference = 0;
	size_t i;

	digest(key, TAG, binding, name, TAG_AT, mac);
	for (i = 0; i < TAG_SIZE; i++)
		difference |= mac[i] ^ name[TAG_AT + i];
	return difference == 0;
}

/* Seconds may have been counted through 2^32 meanwhile. */
static bool
is_in_time(uint32_t made, uint32_t now, uint32_t lifetime_s)
{
	uint32_t age = now - made;

	return age < lifetime_s || made - now <= TICKETKEYS_SKEW;
}

bool
ticketkeys_find(const struct ticketkeys *keys,
    const unsigned char binding[CACHE_BINDING_SIZE], uint32_t now,
    uint32_t lifetime_s, struct tlsresume_ticket *ticket, bool *is_old)
{
	const unsigned char *key;
	size_t i;

	for (i = 0; i < keys->count; i++) {
		key = keys->keys[i];
		if (!has_tag(key, binding, ticket->name))
			continue;
		*is_old = i > 0;
		if (!is_in_time(get_time(key, ticket->name), now, lifetime_s))
			return false;
		make_secret(key, binding, ticket);
		return true;
	}
	return false;
}

/*
 * The file
 */

/* 0, or -1: it is none. */
static int
read_key(unsigned char key[TICKETKEYS_KEY_SIZE], const char *digits, size_t len)
{
	int high, low;
	size_t i;

	if (len != 2 * TICKETKEYS_KEY_SIZE)
		return -1;
	for (i = 0; i < TICKETKEYS_KEY_SIZE; i++) {
		high = text_hex_digit(digits[2 * i]);
		low = text_hex_digit(digits[2 * i + 1]);
		if (high == -1 || low == -1)
			return -1;
		key[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void
trim(const char **line, size_t *len)
{
	while (*len > 0 && is_blank((*line)[0])) {
		(*line)++;
		(*len)--;
	}
	while (*len > 0 && is_blank((*line)[*len - 1]))
		(*len)--;
}

static int
read_lines(
    struct ticketkeys *keys, const char *text, size_t size, unsigned *number)
{
	const char *end = text + size, *next;
	size_t len;

	for (*number = 1; text < end; text = next, (*number)++) {
		next = memchr(text, '\n', (size_t)(end - text));
		len = (size_t)((next == NULL ? end : next) - text);
		next = next == NULL ? end : next + 1;
		trim(&text, &len);
		if (len == 0 || text[0] == '#')
			continue;
		if (keys->count == TICKETKEYS_MAX) {
			*number = 0;
			return -1;
		}
		if (read_key(keys->keys[keys->count], text, len) == -1)
			return -1;
		keys->count++;
	}
	*number = 0;
	return keys->count == 0 ? -1 : 0;
}

int
ticketkeys_read(
    struct ticketkeys *keys, const char *text, size_t len, unsigned *line)
{
	struct ticketkeys found = { .count = 0 };
	int r = read_lines(&found, text, len, line);

	if (r == 0 && keys != NULL)
		*keys = found;
	explicit_bzero(&found, sizeof(found));
	return r;
}
