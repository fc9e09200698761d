/*
 * A bounded store of secrets.  Runs in the cache.
 *
 * Three orders over the same entries: by key in buckets, by last use, and
 * by age, which is also that of expiry, as all live equally long.  The
 * buckets are chosen by a hash with a random secret, so that nobody who
 * chooses keys can choose buckets; a compare of keys stops at the first
 * difference, which tells nothing, as only the hash leads there.
 */
#include "serve/lru.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define KEY_WORDS (LRU_KEY_MAX / sizeof(uint32_t))
#define BUCKETS_MIN 64

/* A place in a ring; an object of its own is the ring's head. */
struct link {
	struct link *prev, *next;
};

struct entry {
	struct link by_use; /* first, see entry_by_use */
	struct link by_age;
	struct entry *next; /* in its bucket */
	size_t bucket;
	int64_t expires;
	size_t key_len, len;
	unsigned char bytes[]; /* key, contents */
};

struct lru {
	struct link by_use, by_age; /* the first goes first */
	struct entry **buckets;
	size_t bucket_mask;
	uint64_t secrets[KEY_WORDS + 1];
	size_t max_count, max_bytes, count, bytes;
	int64_t lifetime_ms;
};

static void
link_init(struct link *ring)
{
	ring->prev = ring->next = ring;
}

static void
link_append(struct link *ring, struct link *link)
{
	link->prev = ring->prev;
	link->next = ring;
	ring->prev->next = link;
	ring->prev = link;
}

static void
link_remove(struct link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
}

static struct entry *
entry_by_use(struct link *link)
{
	return (struct entry *)((char *)link - offsetof(struct entry, by_use));
}

static struct entry *
entry_by_age(struct link *link)
{
	return (struct entry *)((char *)link - offsetof(struct entry, by_age));
}

/*
 * Multiply-shift over pairs of words: for keys of one length any two
 * collide with no more probability than two random numbers, whoever chose
 * them, as long as the secrets are not known.
 */
static size_t
bucket_of(const struct lru *lru, const void *key, size_t len)
{
	uint32_t words[KEY_WORDS] = { 0 };
	uint64_t sum = lru->secrets[KEY_WORDS] * (len + 1);
	size_t i;

	memcpy(words, key, len);
	for (i = 0; i < KEY_WORDS; i += 2)
		sum += (lru->secrets[i] + words[i + 1]) *
		    (lru->secrets[i + 1] + words[i]);
	return (size_t)(sum >> 32) & lru->bucket_mask;
}

struct lru *
lru_new(size_t max_count, size_t max_bytes, int64_t lifetime_ms)
{
	struct lru *lru = calloc(1, sizeof(*lru));
	size_t buckets = BUCKETS_MIN;

	if (lru == NULL)
		return NULL;
	while (buckets < max_count && buckets <= UINT32_MAX / 2)
		buckets *= 2;
	lru->bucket_mask = buckets - 1;
	lru->buckets = calloc(buckets, sizeof(struct entry *));
	if (lru->buckets == NULL ||
	    getentropy(lru->secrets, sizeof(lru->secrets)) == -1) {
		free(lru->buckets);
		free(lru);
		return NULL;
	}
	link_init(&lru->by_use);
	link_init(&lru->by_age);
	lru->max_count = max_count;
	lru->max_bytes = max_bytes;
	lru->lifetime_ms = lifetime_ms;
	return lru;
}

static size_t
size_of(size_t key_len, size_t len)
{
	return sizeof(struct entry) + key_len + len;
}

static void
drop(struct lru *lru, struct entry *entry)
{
	size_t size = size_of(entry->key_len, entry->len);
	struct entry **at = &lru->buckets[entry->bucket];

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	link_remove(&entry->by_use);
	link_remove(&entry->by_age);
	lru->count--;
	lru->bytes -= size;
	explicit_bzero(entry, size);
	free(entry);
}

static bool
is_empty(const struct lru *lru)
{
	return lru->count == 0;
}

static void
drop_least_used(struct lru *lru)
{
	drop(lru, entry_by_use(lru->by_use.next));
}

static struct entry *
find(const struct lru *lru, const void *key, size_t key_len)
{
	struct entry *entry = lru->buckets[bucket_of(lru, key, key_len)];

	while (entry != NULL &&
	    (entry->key_len != key_len ||
		memcmp(entry->bytes, key, key_len) != 0))
		entry = entry->next;
	return entry;
}

/* NULL only when there is nothing left that could make room. */
static struct entry *
make_entry(struct lru *lru, size_t size)
{
	struct entry *entry;

	while (!is_empty(lru) &&
	    (lru->count >= lru->max_count ||
		lru->bytes > lru->max_bytes - size))
		drop_least_used(lru);
	while ((entry = malloc(size)) == NULL && !is_empty(lru))
		drop_least_used(lru);
	return entry;
}

int
lru_put(struct lru *lru, const void *key, size_t key_len, const void *bytes,
    size_t len, int64_t now)
{
	struct entry *entry;

	lru_expire(lru, now);
	if (key_len > LRU_KEY_MAX || len > lru->max_bytes ||
	    size_of(key_len, len) > lru->max_bytes || lru->max_count == 0 ||
	    find(lru, key, key_len) != NULL)
		return -1;
	entry = make_entry(lru, size_of(key_len, len));
	if (entry == NULL)
		return -1;
	entry->bucket = bucket_of(lru, key, key_len);
	entry->next = lru->buckets[entry->bucket];
	lru->buckets[entry->bucket] = entry;
	link_append(&lru->by_use, &entry->by_use);
	link_append(&lru->by_age, &entry->by_age);
	entry->expires = clock_after(now, lru->lifetime_ms);
	entry->key_len = key_len;
	entry->len = len;
	memcpy(entry->bytes, key, key_len);
	if (len > 0)
		memcpy(entry->bytes + key_len, bytes, len);
	lru->count++;
	lru->bytes += size_of(key_len, len);
	return 0;
}

const void *
lru_get(
    struct lru *lru, const void *key, size_t key_len, int64_t now, size_t *len)
{
	struct entry *entry;

	*len = 0;
	lru_expire(lru, now);
	if (key_len > LRU_KEY_MAX)
		return NULL;
	entry = find(lru, key, key_len);
	if (entry == NULL)
		return NULL;
	link_remove(&entry->by_use);
	link_append(&lru->by_use, &entry->by_use);
	*len = entry->len;
	return entry->bytes + key_len;
}

int64_t
lru_expire(struct lru *lru, int64_t now)
{
	struct entry *oldest;

	while (!is_empty(lru)) {
		oldest = entry_by_age(lru->by_age.next);
		if (now < oldest->expires)
			return oldest->expires;
		drop(lru, oldest);
	}
	return CLOCK_NEVER;
}

size_t
lru_count(const struct lru *lru)
{
	return lru->count;
}

size_t
lru_bytes(const struct lru *lru)
{
	return lru->bytes;
}

void
lru_free(struct lru *lru)
{
	if (lru == NULL)
		return;
	while (!is_empty(lru))
		drop_least_used(lru);
	free(lru->buckets);
	explicit_bzero(lru, sizeof(*lru));
	free(lru);
}
