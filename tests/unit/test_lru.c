/*
 * test_lru: bounds, order and expiry, by hand and against a model.
 */
#include "serve/lru.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support.h"

#define LIFETIME 1000
#define ROOM 100000

static struct lru *lru;

static int
put(const char *key, const char *bytes, int64_t now)
{
	return lru_put(lru, key, strlen(key), bytes, strlen(bytes), now);
}

static void
expect(const char *key, const char *bytes, int64_t now)
{
	size_t len;
	const void *found = lru_get(lru, key, strlen(key), now, &len);

	if (bytes == NULL) {
		assert_null(found);
		assert_int_equal(len, 0);
		return;
	}
	assert_non_null(found);
	assert_int_equal(len, strlen(bytes));
	assert_memory_equal(found, bytes, len);
}

static void
begin(size_t count, size_t bytes)
{
	lru = lru_new(count, bytes, LIFETIME);
	assert_non_null(lru);
}

static void
end(void)
{
	lru_free(lru);
	lru = NULL;
}

static void
entries_are_found_by_their_whole_key(void **state)
{
	(void)state;
	begin(10, ROOM);
	assert_int_equal(put("ab", "first", 0), 0);
	assert_int_equal(put("ac", "second", 0), 0);
	assert_int_equal(put("a", "third", 0), 0);
	assert_int_equal(put("", "fourth", 0), 0);
	assert_int_equal(lru_put(lru, "a\0", 2, "fifth", 5, 0), 0);
	assert_int_equal(put("empty", "", 0), 0);
	expect("ab", "first", 0);
	expect("ac", "second", 0);
	expect("a", "third", 0);
	expect("", "fourth", 0);
	expect("empty", "", 0);
	expect("b", NULL, 0);
	expect("abc", NULL, 0);
	assert_int_equal(lru_count(lru), 6);
	end();
}

static void
what_is_there_is_not_replaced(void **state)
{
	(void)state;
	begin(10, ROOM);
	assert_int_equal(put("a", "first", 0), 0);
	assert_int_equal(put("a", "second", 1), -1);
	expect("a", "first", 1);
	expect("a", NULL, LIFETIME);
	assert_int_equal(put("a", "second", LIFETIME), 0);
	expect("a", "second", LIFETIME);
	end();
}

static void
least_recently_used_goes_first(void **state)
{
	(void)state;
	begin(3, ROOM);
	assert_int_equal(put("a", "1", 0), 0);
	assert_int_equal(put("b", "2", 1), 0);
	assert_int_equal(put("c", "3", 2), 0);
	expect("a", "1", 3);
	assert_int_equal(put("d", "4", 4), 0);
	expect("b", NULL, 5);
	expect("a", "1", 5);
	expect("c", "3", 5);
	expect("d", "4", 5);
	assert_int_equal(lru_count(lru), 3);
	end();
}

static void
entries_expire_by_age_however_used(void **state)
{
	(void)state;
	begin(10, ROOM);
	assert_int_equal(lru_expire(lru, 0) == CLOCK_NEVER, 1);
	assert_int_equal(put("a", "1", 10), 0);
	assert_int_equal(put("b", "2", 20), 0);
	expect("a", "1", LIFETIME + 9);
	assert_int_equal(lru_expire(lru, LIFETIME + 9), LIFETIME + 10);
	expect("a", NULL, LIFETIME + 10);
	expect("b", "2", LIFETIME + 10);
	assert_int_equal(lru_count(lru), 1);
	assert_int_equal(lru_expire(lru, LIFETIME + 10), LIFETIME + 20);
	assert_int_equal(lru_expire(lru, LIFETIME + 20) == CLOCK_NEVER, 1);
	assert_int_equal(lru_count(lru), 0);
	assert_int_equal(lru_bytes(lru), 0);
	end();
}

static void
bytes_are_bounded_too(void **state)
{
	char large[4000];
	size_t one;

	(void)state;
	memset(large, 'x', sizeof(large));
	begin(1000, 10000);
	assert_int_equal(lru_put(lru, "a", 1, large, 10001, 0), -1);
	assert_int_equal(lru_put(lru, "a", 1, large, SIZE_MAX, 0), -1);
	assert_int_equal(lru_put(lru, "a", 1, large, sizeof(large), 0), 0);
	one = lru_bytes(lru);
	assert_true(one > sizeof(large));
	assert_int_equal(lru_put(lru, "b", 1, large, sizeof(large), 0), 0);
	assert_int_equal(lru_put(lru, "c", 1, large, sizeof(large), 0), 0);
	assert_int_equal(lru_count(lru), 2);
	assert_int_equal(lru_bytes(lru), 2 * one);
	expect("a", NULL, 0);
	end();
}

static void
keys_too_long_and_no_room_at_all(void **state)
{
	char key[LRU_KEY_MAX + 1];
	size_t len;

	(void)state;
	memset(key, 'k', sizeof(key));
	begin(10, ROOM);
	assert_int_equal(lru_put(lru, key, sizeof(key), "x", 1, 0), -1);
	assert_null(lru_get(lru, key, sizeof(key), 0, &len));
	assert_int_equal(lru_put(lru, key, LRU_KEY_MAX, "x", 1, 0), 0);
	assert_non_null(lru_get(lru, key, LRU_KEY_MAX, 0, &len));
	end();
	begin(0, ROOM);
	assert_int_equal(put("a", "1", 0), -1);
	end();
	begin(10, 0);
	assert_int_equal(put("a", "1", 0), -1);
	end();
}

/* What it should do, done slowly. */
#define KEYS 40
#define MODEL_COUNT 12
#define MODEL_BYTES 4000

struct model {
	bool is_there[KEYS];
	size_t len[KEYS];
	int fill[KEYS];
	int64_t put_at[KEYS];
	unsigned used_at[KEYS], turn;
	size_t overhead;
};

static void
model_expire(struct model *m, int64_t now)
{
	int i;

	for (i = 0; i < KEYS; i++)
		if (m->is_there[i] && now - m->put_at[i] >= LIFETIME)
			m->is_there[i] = false;
}

static size_t
model_sum(const struct model *m, size_t *bytes)
{
	size_t count = 0;
	int i;

	*bytes = 0;
	for (i = 0; i < KEYS; i++)
		if (m->is_there[i]) {
			count++;
			*bytes += m->overhead + 1 + m->len[i];
		}
	return count;
}

static void
model_make_room(struct model *m, size_t size)
{
	size_t bytes;
	int i, least;

	while (
	    model_sum(m, &bytes) >= MODEL_COUNT || bytes + size > MODEL_BYTES) {
		for (i = 0, least = -1; i < KEYS; i++)
			if (m->is_there[i] &&
			    (least == -1 || m->used_at[i] < m->used_at[least]))
				least = i;
		m->is_there[least] = false;
	}
}

static int
model_put(struct model *m, int i, size_t len, int fill, int64_t now)
{
	model_expire(m, now);
	if (m->is_there[i] || m->overhead + 1 + len > MODEL_BYTES)
		return -1;
	model_make_room(m, m->overhead + 1 + len);
	m->is_there[i] = true;
	m->len[i] = len;
	m->fill[i] = fill;
	m->put_at[i] = now;
	m->used_at[i] = ++m->turn;
	return 0;
}

static void
check_get(struct model *m, int i, int64_t now)
{
	unsigned char key = (unsigned char)i;
	const unsigned char *found;
	size_t len, at;

	model_expire(m, now);
	found = lru_get(lru, &key, 1, now, &len);
	assert_int_equal(found != NULL, m->is_there[i]);
	if (found == NULL)
		return;
	m->used_at[i] = ++m->turn;
	assert_int_equal(len, m->len[i]);
	for (at = 0; at < len; at++)
		assert_int_equal(found[at], m->fill[i]);
}

static void
one_step(struct model *m, int64_t now)
{
	static unsigned char bytes[5000];
	int i = rand() % KEYS, fill = rand() % 256;
	size_t sum, len = (size_t)(rand() % (rand() % 20 == 0 ? 5000 : 500));
	unsigned char key = (unsigned char)i;

	if (rand() % 2 == 0)
		check_get(m, i, now);
	else {
		memset(bytes, fill, len);
		assert_int_equal(lru_put(lru, &key, 1, bytes, len, now),
		    model_put(m, i, len, fill, now));
	}
	assert_int_equal(lru_count(lru), model_sum(m, &sum));
	assert_int_equal(lru_bytes(lru), sum);
	assert_true(lru_count(lru) <= MODEL_COUNT);
	assert_true(lru_bytes(lru) <= MODEL_BYTES);
}

static void
it_does_what_a_slow_one_would(void **state)
{
	struct model m;
	int64_t now;
	int seed, step;

	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		srand((unsigned)seed);
		memset(&m, 0, sizeof(m));
		now = 0;
		begin(MODEL_COUNT, MODEL_BYTES);
		assert_int_equal(lru_put(lru, "", 0, "", 0, -LIFETIME), 0);
		m.overhead = lru_bytes(lru);
		assert_int_equal(lru_expire(lru, 0) == CLOCK_NEVER, 1);
		for (step = 0; step < 5000; step++) {
			now += rand() % 50;
			one_step(&m, now);
		}
		end();
	}
}

/* 20000 keys that differ in one byte each must not share few buckets. */
static void
many_keys_are_found_again(void **state)
{
	unsigned char key[LRU_KEY_MAX] = { 0 };
	size_t len;
	int i;

	(void)state;
	begin(20000, 100 * 1000 * 1000);
	for (i = 0; i < 20000; i++) {
		memcpy(key + 36, &i, sizeof(i));
		assert_int_equal(
		    lru_put(lru, key, sizeof(key), &i, sizeof(i), 0), 0);
	}
	for (i = 0; i < 20000; i++) {
		const void *found;

		memcpy(key + 36, &i, sizeof(i));
		found = lru_get(lru, key, sizeof(key), 0, &len);
		assert_non_null(found);
		assert_memory_equal(found, &i, sizeof(i));
	}
	assert_int_equal(lru_count(lru), 20000);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_found_by_their_whole_key),
		cmocka_unit_test(what_is_there_is_not_replaced),
		cmocka_unit_test(least_recently_used_goes_first),
		cmocka_unit_test(entries_expire_by_age_however_used),
		cmocka_unit_test(bytes_are_bounded_too),
		cmocka_unit_test(keys_too_long_and_no_room_at_all),
		cmocka_unit_test(it_does_what_a_slow_one_would),
		cmocka_unit_test(many_keys_are_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
