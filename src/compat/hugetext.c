/*
 * hugetext: code and constants of this program in huge pages.
 *
 * Runs in the nursery as its first act, when it has read nothing from
 * anybody.  Each segment is copied into a fresh area, made one of huge
 * pages by MADV_COLLAPSE, which alone says whether it worked, given the
 * segment's own rights, and then moved in one call to where the segment was:
 * at no time is there memory that can be written and executed.  The code
 * that asks for the move is itself moved, and goes on in its copy.
 */
#include "compat/hugetext.h"

#include "config.h"

#if defined(HUGE_TEXT) && defined(__linux__)

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

/* Linux 6.1; others refuse it. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE_PAGE ((uintptr_t)2 << 20)

/* Less than this is not worth a huge page. */
#define LEAST ((size_t)64 << 10)

static uintptr_t
round_up(uintptr_t value)
{
	return (value + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

/* Do the pages up to the next huge one belong to nobody else? */
static bool
has_room(
    const ElfW(Phdr) * headers, size_t count, uintptr_t start, uintptr_t end)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (headers[i].p_type == PT_LOAD &&
		    headers[i].p_vaddr > start && headers[i].p_vaddr < end)
			return false;
	return true;
}

/* A copy in huge pages at an aligned address, or NULL. */
static void *
make_copy(const void *bytes, size_t len, size_t size)
{
	size_t room = size + HUGE_PAGE;
	unsigned char *area = mmap(NULL, room, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (area == MAP_FAILED)
		return NULL;
	before = (size_t)(round_up((uintptr_t)area) - (uintptr_t)area);
	if (before > 0)
		munmap(area, before);
	munmap(area + before + size, HUGE_PAGE - before);
	memcpy(area + before, bytes, len);
	if (madvise(area + before, size, MADV_COLLAPSE) == 0)
		return area + before;
	munmap(area + before, size);
	return NULL;
}

static size_t
move_segment(const ElfW(Phdr) * segment, uintptr_t start, size_t size)
{
	int rights =
	    PROT_READ | ((segment->p_flags & PF_X) != 0 ? PROT_EXEC : 0);
	void *place = (void *)start;
	void *copy = make_copy(place, segment->p_memsz, size);

	if (copy == NULL)
		return 0;
	if (mprotect(copy, size, rights) == 0 &&
	    mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, place) ==
		place)
		return size;
	munmap(copy, size);
	return 0;
}

/* A program that is not at the addresses it was linked for is not ours. */
static bool
is_in_place(const ElfW(Phdr) * headers, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0)
			return headers[i].p_vaddr + sizeof(ElfW(Ehdr)) ==
			    (uintptr_t)headers;
	return false;
}

size_t
hugetext_move(void)
{
	const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	size_t i, count = getauxval(AT_PHNUM), moved = 0;

	if (headers == NULL || !is_in_place(headers, count))
		return 0;
	for (i = 0; i < count; i++) {
		uintptr_t start = headers[i].p_vaddr;
		uintptr_t end = round_up(start + headers[i].p_memsz);

		if (headers[i].p_type == PT_LOAD &&
		    (headers[i].p_flags & PF_W) == 0 &&
		    headers[i].p_memsz >= LEAST && start % HUGE_PAGE == 0 &&
		    has_room(headers, count, start, end))
			moved += move_segment(
			    &headers[i], start, (size_t)(end - start));
	}
	return moved;
}

#else

size_t
hugetext_move(void)
{
	return 0;
}

#endif
