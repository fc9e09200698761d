/*
 * test_buf: growth, the maximum, and that a refusal changes nothing.
 */
#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
grows_and_keeps_its_bytes(void **state)
{
	struct buf b;
	unsigned char byte;
	size_t i;

	(void)state;
	buf_init(&b, 5000);
	assert_null(b.data);
	for (i = 0; i < 5000; i++) {
		byte = (unsigned char)(i * 7);
		assert_int_equal(buf_append(&b, &byte, 1), 0);
		assert_int_equal(b.len, i + 1);
		assert_true(b.size >= b.len && b.size <= b.max);
	}
	for (i = 0; i < 5000; i++)
		assert_int_equal(b.data[i], (unsigned char)(i * 7));
	buf_free(&b);
}

static void
maximum_is_exact_and_refusal_changes_nothing(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_append(&b, "0123456", 7), 0);
	errno = 0;
	assert_int_equal(buf_append(&b, "abcd", 4), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(b.len, 7);
	assert_memory_equal(b.data, "0123456", 7);
	assert_int_equal(buf_append(&b, "abc", 3), 0);
	assert_memory_equal(b.data, "0123456abc", 10);
	assert_int_equal(buf_append(&b, "", 0), 0);
	assert_int_equal(buf_append(&b, "x", 1), -1);
	buf_free(&b);
}

static void
huge_sizes_do_not_overflow(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	assert_int_equal(buf_append(&b, "xyz", 3), 0);
	errno = 0;
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "xyz", 3);
	buf_free(&b);
	buf_init(&b, 0);
	assert_null(buf_reserve(&b, 1));
	assert_non_null(buf_reserve(&b, 0));
	buf_free(&b);
}

static void
string_takes_its_nul_along(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	assert_int_equal(buf_append_string(&b, "ab"), 0);
	assert_int_equal(buf_append_string(&b, ""), 0);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "ab\0\0", 4);
	assert_int_equal(buf_append_string(&b, "cdef"), -1);
	assert_int_equal(buf_append_string(&b, "cde"), 0);
	buf_free(&b);
}

static void
reserved_room_can_be_written(void **state)
{
	struct buf b;
	unsigned char *room;

	(void)state;
	buf_init(&b, 300);
	assert_int_equal(buf_append(&b, "a", 1), 0);
	room = buf_reserve(&b, 299);
	assert_non_null(room);
	assert_ptr_equal(room, b.data + 1);
	memset(room, 'z', 299);
	assert_int_equal(b.len, 1);
	b.len += 299;
	assert_int_equal(b.data[0], 'a');
	assert_int_equal(b.data[299], 'z');
	assert_null(buf_reserve(&b, 1));
	buf_free(&b);
}

static void
consume_drops_the_front(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 16);
	buf_consume(&b, 0);
	assert_int_equal(buf_append(&b, "hello world", 11), 0);
	buf_consume(&b, 6);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "world", 5);
	buf_consume(&b, 5);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_append(&b, "0123456789abcdef", 16), 0);
	buf_free(&b);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.size, 0);
	assert_int_equal(b.max, 16);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_keeps_its_bytes),
		cmocka_unit_test(maximum_is_exact_and_refusal_changes_nothing),
		cmocka_unit_test(huge_sizes_do_not_overflow),
		cmocka_unit_test(string_takes_its_nul_along),
		cmocka_unit_test(reserved_room_can_be_written),
		cmocka_unit_test(consume_drops_the_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
