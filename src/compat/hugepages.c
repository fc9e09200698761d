/*
 * hugepages: memory in pages of two MiB.
 *
 * Runs in the nursery.  MADV_COLLAPSE is asked for rather than hinted at:
 * it alone says whether it worked, and does not depend on what the machine
 * prefers to do unasked.
 */
#include "compat/hugepages.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

/* Linux 6.1; others refuse it. */
#if defined(__linux__) && !defined(MADV_COLLAPSE)
#define MADV_COLLAPSE 25
#endif

void *
hugepages_map(size_t size)
{
	unsigned char *area;
	size_t before;

	if (size > SIZE_MAX - HUGEPAGES_SIZE) {
		errno = ENOMEM;
		return NULL;
	}
	area = mmap(NULL, size + HUGEPAGES_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		return NULL;
	before = (size_t)(-(uintptr_t)area & (HUGEPAGES_SIZE - 1));
	if (before > 0)
		munmap(area, before);
	munmap(area + before + size, HUGEPAGES_SIZE - before);
	return area + before;
}

bool
hugepages_make(void *area, size_t size)
{
#ifdef MADV_COLLAPSE
	return madvise(area, size, MADV_COLLAPSE) == 0;
#else
	(void)area;
	(void)size;
	return false;
#endif
}
