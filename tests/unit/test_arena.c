/*
 * test_arena: blocks do not overlap, keep what is in them, and a child has
 * memory of its own; what was damaged is noticed.
 *
 * This program has its malloc(3) from arena.c, cmocka included.
 */
#include "base/arena.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/wait.h>

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rehearsal.h"

#define BLOCKS 400

/* Called by way of these, so that the compiler assumes nothing. */
static void *(*volatile take)(size_t) = malloc;
static void *(*volatile take_zero)(size_t, size_t) = calloc;
static void *(*volatile take_aligned)(size_t, size_t) = aligned_alloc;
static void *(*volatile resize)(void *, size_t) = realloc;
static void (*volatile give)(void *) = free;
static void *(*volatile fill)(void *, int, size_t) = memset;

struct block {
	unsigned char *bytes;
	size_t len;
	unsigned char mark;
};

static uint32_t seed = 7;

static size_t
any_size(void)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % ((size_t)1 << (4 + (seed >> 4) % 18));
}

static void
check(const struct block *block)
{
	size_t i;

	for (i = 0; i < block->len; i++)
		if (block->bytes[i] != block->mark)
			fail_msg("byte %zu of %zu has changed", i, block->len);
}

static void
make(struct block *block, unsigned number)
{
	block->len = any_size();
	block->mark = (unsigned char)number;
	block->bytes =
	    number % 3 == 0 ? take_zero(1, block->len) : take(block->len);
	assert_non_null(block->bytes);
	assert_int_equal((uintptr_t)block->bytes % 16, 0);
	assert_true(malloc_usable_size(block->bytes) >= block->len);
	if (number % 3 == 0) {
		unsigned char mark = block->mark;

		block->mark = 0;
		check(block);
		block->mark = mark;
	}
	memset(block->bytes, block->mark, block->len);
}

static void
change(struct block *block)
{
	size_t len = any_size(), kept = len < block->len ? len : block->len;

	block->bytes = resize(block->bytes, len == 0 ? 1 : len);
	assert_non_null(block->bytes);
	block->len = kept;
	check(block);
	block->len = len;
	memset(block->bytes, block->mark, len);
}

static void
blocks_keep_what_is_in_them(void **state)
{
	static struct block blocks[BLOCKS];
	unsigned i, at;

	(void)state;
	for (i = 0; i < 50 * BLOCKS; i++) {
		at = (unsigned)any_size() % BLOCKS;
		if (blocks[at].bytes == NULL) {
			make(&blocks[at], i);
			continue;
		}
		check(&blocks[at]);
		if (i % 2 == 0) {
			change(&blocks[at]);
			continue;
		}
		give(blocks[at].bytes);
		blocks[at].bytes = NULL;
	}
	for (at = 0; at < BLOCKS; at++) {
		if (blocks[at].bytes != NULL)
			check(&blocks[at]);
		give(blocks[at].bytes);
	}
}

static void
freed_blocks_are_used_again(void **state)
{
	void *first = take(1000), *again;

	(void)state;
	give(first);
	again = take(1000);
	assert_ptr_equal(again, first);
	give(again);
}

static void
blocks_can_be_aligned(void **state)
{
	size_t alignment;
	void *block;

	(void)state;
	for (alignment = 8; alignment <= 8192; alignment *= 2) {
		assert_int_equal(posix_memalign(&block, alignment, 100), 0);
		assert_int_equal((uintptr_t)block % alignment, 0);
		assert_true(malloc_usable_size(block) >= 100);
		memset(block, 1, 100);
		block = resize(block, 5000);
		assert_int_equal(((unsigned char *)block)[99], 1);
		give(block);
	}
}

static void
too_much_is_refused(void **state)
{
	(void)state;
	errno = 0;
	assert_null(take(SIZE_MAX - 100));
	assert_int_equal(errno, ENOMEM);
	assert_null(take_zero(SIZE_MAX / 2, 3));
	assert_null(take(SIZE_MAX / 4));
	/* Both together are nothing. */
	errno = 0;
	assert_null(take_aligned(SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1));
	assert_int_equal(errno, ENOMEM);
	assert_null(take_aligned(4096, SIZE_MAX - 100));
	give(NULL);
}

static int
await(pid_t pid)
{
	int status;

	assert_true(pid != -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* What a child that calls work ends with. */
static int
status_of(void (*work)(void *), void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		work(arg);
		_exit(0);
	}
	return await(pid);
}

static void
be_a_child(void *arg)
{
	unsigned char *old = arg, *block, copy[100];
	size_t i;

	memcpy(copy, old - 16, sizeof(copy));
	give(old);
	if (memcmp(copy, old - 16, sizeof(copy)) != 0)
		_exit(1); /* the parent's block was written to */
	for (i = 0; i < 1000; i++) {
		block = take(200);
		if (block == NULL || (block < old + 200 && old < block + 200))
			_exit(2); /* it was handed out again */
		memset(block, 3, 200);
		if (i % 2 == 0)
			give(block);
	}
	old = resize(old, 3000);
	if (old == NULL || old[0] != 5 || old[199] != 5)
		_exit(3);
	give(take((size_t)8 << 20));
	if (arena_fork(be_a_child, arg) != -1 || errno != ENOMEM)
		_exit(4);
}

static void
a_child_has_memory_of_its_own(void **state)
{
	unsigned char *block = take(200);

	(void)state;
	memset(block, 5, 200);
	assert_int_equal(await(arena_fork(be_a_child, block)), 0);
	assert_int_equal(block[0], 5);
	give(block);
}

static void
touch(void *arg)
{
	signal(SIGSEGV, SIG_DFL);
	((volatile unsigned char *)arg)[0]++;
}

/* In a process of its own, as there is no way back. */
static void
freeze(void *arg)
{
	unsigned char *old = arg, *freed = take(200), *later;
	int status;

	give(freed);
	arena_freeze();
	later = take(200);
	if (later == freed)
		_exit(1); /* what was before is used again */
	if (await(arena_fork(be_a_child, old)) != 0)
		_exit(2);
	status = await(arena_fork(touch, later));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
		_exit(3); /* a child has what is the parent's own */
	give(old);
	if (take(200) == old)
		_exit(4);
	give(later);
	if (take(200) != later)
		_exit(5);
	give(take((size_t)8 << 20));
}

static void
what_is_frozen_stays(void **state)
{
	unsigned char *block = take(200);

	(void)state;
	memset(block, 5, 200);
	assert_int_equal(status_of(freeze, block), 0);
	give(block);
}

/* What is left of a stack of 512 KiB, and what is not. */
static void
use_stack(void *arg)
{
	unsigned char bytes[400000], *at = bytes;

	fill(at, *(int *)arg, sizeof(bytes));
	_exit(at[0] + at[sizeof(bytes) - 1]);
}

static void
overrun_stack(void *arg)
{
	unsigned char bytes[550000], *at = bytes;

	signal(SIGSEGV, SIG_DFL);
	fill(at, *(int *)arg, sizeof(bytes));
	_exit(at[0] + at[sizeof(bytes) - 1]);
}

static void
a_child_has_a_stack_of_its_own(void **state)
{
	int mark = 20, status;

	(void)state;
	status = await(arena_fork(use_stack, &mark));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 40);
	status = await(arena_fork(overrun_stack, &mark));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static size_t
private_kib(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	size_t kib, sum = 0;
	char line[200];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Private_Dirty: %zu", &kib) == 1)
			sum += kib;
	if (file != NULL)
		fclose(file);
	return sum;
}

static void
rest(void *arg)
{
	unsigned char *kept = take(50000), *freed[20], *at;
	volatile unsigned char deep[300000];
	size_t i, before;

	(void)arg;
	fill(kept, 7, 50000);
	for (i = 0; i < 20; i++)
		fill(freed[i] = take(40000), 8, 40000);
	for (i = 0; i < 20; i++)
		give(freed[i]);
	for (i = 0; i < sizeof(deep); i++)
		deep[i] = 9;
	before = private_kib();
	arena_rest();
	if (before != 0 && private_kib() + 500 > before)
		_exit(1);
	for (i = 0; i < 50000; i++)
		if (kept[i] != 7)
			_exit(2);
	for (i = 0; i < sizeof(deep); i++)
		if (deep[i] != 9)
			_exit(3);
	for (i = 0; i < 20; i++) {
		at = take(40000);
		if (at != freed[19 - i])
			_exit(4);
		fill(at, 6, 40000);
	}
	_exit(0);
}

static void
who_rests_gives_up_what_is_free(void **state)
{
	(void)state;
	assert_int_equal(await(arena_fork(rest, NULL)), 0);
	arena_rest(); /* a parent does not */
}

/* Blocks of different sizes, of which a session writes to a few. */
#define ROWS 3000

static unsigned char *rows[ROWS];

static void
make_rows(void *arg)
{
	size_t i;

	(void)arg;
	for (i = 0; i < ROWS; i++)
		rows[i] = take(300 + 100 * (i % 3));
}

static void
write_some(void *arg)
{
	(void)arg;
	rows[7][0]++;
	rehearsal_watch(true);
	rows[100][299]++;
	rows[100][299]--;
	rows[1500][0]++;
	rehearsal_watch(false);
	rows[8][0]++;
	rehearsal_watch(true);
	rows[2999][0]++;
	rehearsal_watch(false);
}

static bool
are_near(const unsigned char *a, const unsigned char *b)
{
	return (a < b ? b - a : a - b) < 4096;
}

static void
what_children_write_to_lies_together(void **state)
{
	(void)state;
	memset(rows, 0, sizeof(rows));
	rehearsal_run(make_rows, write_some, NULL);
	assert_null(rows[0]); /* another process did that */
	make_rows(NULL);
	assert_true(are_near(rows[100], rows[1500]));
	assert_true(are_near(rows[100], rows[2999]));
	assert_false(are_near(rows[100], rows[7]));
	assert_false(are_near(rows[100], rows[8]));
	assert_false(are_near(rows[100], rows[101]));
}

/* Orphans would come to us, and be zombies where nobody reaps them. */
static void
rehearse_as_reaper(void *arg)
{
	(void)arg;
#ifdef PR_SET_CHILD_SUBREAPER
	prctl(PR_SET_CHILD_SUBREAPER, 1);
#endif
	rehearsal_run(make_rows, write_some, NULL);
	_exit(waitpid(-1, NULL, 0) == -1 && errno == ECHILD ? 0 : 1);
}

static void
a_rehearsal_leaves_nobody_behind(void **state)
{
	(void)state;
	assert_int_equal(status_of(rehearse_as_reaper, NULL), 0);
}

static void
leave(void *arg)
{
	(void)arg;
	_exit(1);
}

static void
nothing_is_learned_of_one_that_leaves(void **state)
{
	(void)state;
	rehearsal_run(leave, write_some, NULL);
	rehearsal_run(make_rows, leave, NULL);
	make_rows(NULL);
	assert_false(are_near(rows[100], rows[1500]));
}

/* As others of its uid can. */
static void
be_stopped(void *arg)
{
	(void)arg;
	raise(SIGSTOP);
}

/* Neither is waited for without end, nor left behind. */
static void
one_that_is_stopped_is_killed(void **state)
{
	int ends[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	rehearsal_run(make_rows, be_stopped, NULL);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	make_rows(NULL);
	assert_false(are_near(rows[100], rows[1500]));
}

static void
free_twice(void *arg)
{
	void *block = take(50);

	(void)arg;
	give(block);
	give(block);
}

static void
write_past_the_end(void *arg)
{
	unsigned char *block, *next = take(64);

	(void)arg;
	/* The blocks that earlier tests freed are used up first. */
	do {
		block = next;
		next = take(64);
	} while (next != block + 64 + 16);
	memset(block, 1, 64 + 12);
	give(next);
}

static void
write_after_free(void *arg)
{
	unsigned char *block = take(64);

	(void)arg;
	give(block);
	memset(block - 16, 1, 16);
	take(64);
}

static void
assert_aborted(int status)
{
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* And it ends the one that did it. */
static void
damage_is_noticed(void **state)
{
	static void (*const damages[])(
	    void *) = { free_twice, write_past_the_end, write_after_free };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		assert_aborted(status_of(damages[i], NULL));
		assert_aborted(await(arena_fork(damages[i], NULL)));
	}
}

/* Free blocks lose what was in them; others keep it. */
static void
what_is_free_is_wiped(void **state)
{
	/* All that a block has room for may have been used: realloc(3). */
	static const size_t sizes[] = { 0, 1, 24, 100, 4096, 20000, 80000 };
	unsigned char *used, *blocks[7], *again;
	size_t i, n;

	(void)state;
	used = take(100);
	memset(used, 0xaa, 100);
	for (i = 0; i < 7; i++) {
		blocks[i] = take(sizes[i]);
		memset(blocks[i], 0x55, malloc_usable_size(blocks[i]));
	}
	for (i = 0; i < 7; i++)
		give(blocks[i]);
	assert_true(arena_wipe_freed());
	for (i = 0; i < 7; i++) {
		again = take(sizes[i]);
		assert_ptr_equal(again, blocks[i]);
		/* Where it lies in a list, an address is kept. */
		for (n = sizeof(void *); n < malloc_usable_size(again); n++)
			assert_int_equal(again[n], 0);
		give(again);
	}
	for (n = 0; n < 100; n++)
		assert_int_equal(used[n], 0xaa);
	give(used);
}

/* Is there no trace of what was filled with mark? */
static bool
is_clean(const unsigned char *bytes, size_t size, unsigned char mark)
{
	size_t i, run = 0;

	/* By chance an address has one or two such bytes. */
	for (i = 0; i < size; i++) {
		run = bytes[i] == mark ? run + 1 : 0;
		if (run == 8)
			return false;
	}
	return true;
}

static void
wipe_in_child(void *arg)
{
	static const size_t sizes[] = { 20000, 33000, 48000, 64000, 96000 };
	unsigned char *blocks[5];
	size_t i;

	for (i = 0; i < 5; i++) {
		blocks[i] = take(sizes[i]);
		memset(blocks[i], *(int *)arg, malloc_usable_size(blocks[i]));
	}
	for (i = 0; i < 5; i++)
		give(blocks[i]);
	if (!arena_wipe_freed())
		_exit(1);
	for (i = 0; i < 5; i++) {
		blocks[i] = take(sizes[i]);
		if (!is_clean(blocks[i], malloc_usable_size(blocks[i]),
			*(unsigned char *)arg))
			_exit(2);
	}
}

static void
a_child_wipes_what_is_large(void **state)
{
	int mark = 0x55;

	(void)state;
	assert_int_equal(await(arena_fork(wipe_in_child, &mark)), 0);
}

#define MARKED 300000

__attribute__((noinline)) static void
mark_stack(unsigned char mark, uintptr_t *lowest)
{
	unsigned char bytes[MARKED];

	fill(bytes, mark, sizeof(bytes));
	*lowest = (uintptr_t)bytes;
}

/* Without is_clean, whose frame would lie over what is looked at. */
static void
wipe_marked_stack(void *arg)
{
	unsigned char mark = *(unsigned char *)arg;
	uintptr_t lowest;
	volatile unsigned char *at;
	size_t i, run = 0, longest = 0;

	mark_stack(mark, &lowest);
	if (((unsigned char *)arg)[1] != 0)
		arena_wipe_stack();
	at = (volatile unsigned char *)lowest;
	for (i = 0; i < MARKED; i++) {
		run = at[i] == mark ? run + 1 : 0;
		if (run > longest)
			longest = run;
	}
	_exit(longest < 8 ? 0 : 1);
}

static void
a_stack_is_wiped(void **state)
{
	unsigned char mark_only[2] = { 0xa7, 0 }, wipes[2] = { 0xa7, 1 };

	(void)state;
	/* That it can be seen is what the other result rests on. */
	assert_int_not_equal(
	    await(arena_fork(wipe_marked_stack, mark_only)), 0);
	assert_int_equal(await(arena_fork(wipe_marked_stack, wipes)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_keep_what_is_in_them),
		cmocka_unit_test(freed_blocks_are_used_again),
		cmocka_unit_test(blocks_can_be_aligned),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test(a_child_has_memory_of_its_own),
		cmocka_unit_test(what_is_frozen_stays),
		cmocka_unit_test(a_child_has_a_stack_of_its_own),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(nothing_is_learned_of_one_that_leaves),
		cmocka_unit_test(a_rehearsal_leaves_nobody_behind),
		cmocka_unit_test(one_that_is_stopped_is_killed),
		cmocka_unit_test(who_rests_gives_up_what_is_free),
		cmocka_unit_test(what_children_write_to_lies_together),
		cmocka_unit_test(what_is_free_is_wiped),
		cmocka_unit_test(a_child_wipes_what_is_large),
		cmocka_unit_test(a_stack_is_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
