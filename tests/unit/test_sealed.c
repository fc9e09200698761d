/*
 * test_sealed: what has been sealed stays as it is, and nothing else is
 * taken for it.
 */
#include "serve/sealed.h"

#include "support.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <string.h>

#include "base/fd.h"

#define TEXT "certificates"

static int
make_with(const char *text)
{
	int fd = sealed_make();

	assert_true(fd != -1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	return fd;
}

static void
assert_refused(int fd, size_t max, int error)
{
	size_t len = 77;

	errno = 0;
	assert_int_equal(sealed_check(fd, max, &len), -1);
	assert_int_equal(errno, error);
	assert_int_equal(len, 77);
}

static void
what_was_sealed_is_read_as_it_is(void **state)
{
	int fd = make_with(TEXT);
	const void *bytes;
	size_t len;

	(void)state;
	assert_int_equal(sealed_seal(fd), 0);
	assert_int_equal(sealed_check(fd, sizeof(TEXT) - 1, &len), 0);
	assert_int_equal(len, sizeof(TEXT) - 1);
	assert_int_equal(sealed_check(fd, SIZE_MAX, NULL), 0);
	bytes = sealed_map(fd, len);
	assert_non_null(bytes);
	close(fd);
	assert_memory_equal(bytes, TEXT, len);
	assert_int_equal(munmap((void *)(uintptr_t)bytes, len), 0);
}

static void
nobody_can_change_it(void **state)
{
	int fd = make_with(TEXT);

	(void)state;
#ifndef F_GET_SEALS
	close(fd);
	SKIP("no seals on this system");
#endif
	assert_int_equal(sealed_seal(fd), 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(pwrite(fd, "x", 1, 100), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(ftruncate(fd, 100), -1);
	assert_true(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
	    MAP_FAILED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), -1);
	close(fd);
}

static void
other_descriptors_are_refused(void **state)
{
	int fd = make_with(TEXT), ends[2];

	(void)state;
#ifndef F_GET_SEALS
	close(fd);
	SKIP("no seals on this system");
#endif
	assert_refused(fd, 100, EPERM);
	/* Each seal counts. */
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_refused(fd, 100, EPERM);
	close(fd);
	fd = make_with(TEXT);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_refused(fd, 100, EPERM);
	close(fd);
	assert_int_equal(pipe(ends), 0);
	assert_refused(ends[0], 100, EPERM);
	close(ends[0]);
	close(ends[1]);
	fd = open("/etc/passwd", O_RDONLY);
	assert_true(fd != -1);
	assert_refused(fd, SIZE_MAX, EPERM);
	close(fd);
	assert_refused(-1, 100, EPERM);
}

static void
sizes_are_held_to(void **state)
{
	int fd = make_with("");

	(void)state;
	assert_int_equal(sealed_seal(fd), 0);
	assert_refused(fd, 100, ENODATA);
	close(fd);
	fd = make_with(TEXT);
	assert_int_equal(sealed_seal(fd), 0);
	assert_refused(fd, sizeof(TEXT) - 2, EFBIG);
	assert_refused(fd, 0, EFBIG);
	close(fd);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_is_read_as_it_is),
		cmocka_unit_test(nobody_can_change_it),
		cmocka_unit_test(other_descriptors_are_refused),
		cmocka_unit_test(sizes_are_held_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
