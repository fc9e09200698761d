/*
 * lru: secrets under a key, for a time, in a bounded room.
 *
 * Whatever is put in: there are never more entries, nor more bytes, than
 * was said at the start; who has not been asked for longest goes first.
 * Keys may be chosen by somebody hostile.  Entries are wiped when they go.
 */
#ifndef SERVE_LRU_H
#define SERVE_LRU_H

#include <stddef.h>
#include <stdint.h>

#define LRU_KEY_MAX 72

struct lru;

/*
 * Room for max_count entries and max_bytes, what an entry costs besides its
 * contents included; each is forgotten lifetime_ms after it was put in.
 * NULL: memory or randomness is short.
 */
struct lru *lru_new(size_t max_count, size_t max_bytes, int64_t lifetime_ms);

/*
 * Copy len bytes under a key of at most LRU_KEY_MAX bytes.  now is that of
 * clock_now, here and below.  0; or -1: the key has an entry, which stays
 * as it is, the room is too small even when it is empty, or memory is.
 */
int lru_put(struct lru *lru, const void *key, size_t key_len, const void *bytes,
    size_t len, int64_t now);

/*
 * The bytes under a key, until the next call, and their number in *len;
 * NULL: none.
 */
const void *lru_get(
    struct lru *lru, const void *key, size_t key_len, int64_t now, size_t *len);

/*
 * Forget what is too old.  Returns when the next entry will be, or
 * CLOCK_NEVER.
 */
int64_t lru_expire(struct lru *lru, int64_t now);

size_t lru_count(const struct lru *lru);
size_t lru_bytes(const struct lru *lru);

void lru_free(struct lru *lru);

#endif
