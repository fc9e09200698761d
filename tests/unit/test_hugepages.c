/*
 * test_hugepages: what is mapped is aligned, zero, and stays what it is when
 * huge pages are made of it, or cannot be.
 */
#include "compat/hugepages.h"

#include <sys/mman.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SIZE (2 * HUGEPAGES_SIZE)

static void
what_is_there_stays(void **state)
{
	unsigned char *area = hugepages_map(SIZE);
	size_t i;

	(void)state;
	assert_non_null(area);
	assert_int_equal((uintptr_t)area % HUGEPAGES_SIZE, 0);
	for (i = 0; i < SIZE; i += 4096) {
		assert_int_equal(area[i], 0);
		area[i] = (unsigned char)(i / 4096);
	}
	if (!hugepages_make(area, SIZE))
		printf("this system makes no huge pages\n");
	for (i = 0; i < SIZE; i++)
		assert_int_equal(
		    area[i], i % 4096 == 0 ? (unsigned char)(i / 4096) : 0);
	memset(area, 1, SIZE);
	assert_int_equal(munmap(area, SIZE), 0);
}

static void
too_much_is_refused(void **state)
{
	(void)state;
	assert_null(hugepages_map(SIZE_MAX - SIZE + 1));
	assert_null(hugepages_map((size_t)1 << 62));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_stays),
		cmocka_unit_test(too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
