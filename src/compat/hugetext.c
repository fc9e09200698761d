/*
 * hugetext: code and constants of this program in huge pages.
 *
 * Runs in the nursery as its first act, when it has read nothing from
 * anybody.  Each segment is copied into a fresh area, made one of huge
 * pages, given the segment's own rights, and then moved in one call to where
 * the segment was: at no time is there memory that can be written and
 * executed.  The code that asks for the move is itself moved, and goes on in
 * its copy.
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

#include "compat/hugepages.h"

/* Less than this is not worth a huge page. */
#define LEAST ((size_t)64 << 10)

/* Of the program: what is there, and the whole huge pages around it. */
struct piece {
	uintptr_t from, to;
	uintptr_t start, end;
	int rights;
};

/* Whatever lies in its huge pages is its own. */
static bool
is_alone(const ElfW(Phdr) * headers, size_t count, const struct piece *piece)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (headers[i].p_type == PT_LOAD &&
		    headers[i].p_vaddr != piece->from &&
		    headers[i].p_vaddr < piece->end &&
		    headers[i].p_vaddr + headers[i].p_memsz > piece->start)
			return false;
	return true;
}

/*
 * A segment that begins where a huge page does; or, of the one that can be
 * written, what is read-only since the program started and ends so.
 */
static bool
find_piece(const ElfW(Phdr) * header, struct piece *piece)
{
	bool is_code = (header->p_flags & PF_X) != 0;

	piece->from = header->p_vaddr;
	piece->to = header->p_vaddr + header->p_memsz;
	piece->start = piece->from & ~(HUGEPAGES_SIZE - 1);
	piece->end = (piece->to + HUGEPAGES_SIZE - 1) & ~(HUGEPAGES_SIZE - 1);
	piece->rights = PROT_READ | (is_code ? PROT_EXEC : 0);
	if (header->p_memsz < LEAST)
		return false;
	if (header->p_type == PT_GNU_RELRO)
		return piece->to == piece->end;
	return header->p_type == PT_LOAD && (header->p_flags & PF_W) == 0 &&
	    piece->from == piece->start;
}

static size_t
move_piece(const struct piece *piece)
{
	size_t size = piece->end - piece->start;
	void *place = (void *)piece->start;
	unsigned char *copy = hugepages_map(size);

	if (copy == NULL)
		return 0;
	memcpy(copy + (piece->from - piece->start), (void *)piece->from,
	    piece->to - piece->from);
	if (hugepages_make(copy, size) &&
	    mprotect(copy, size, piece->rights) == 0 &&
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
	struct piece piece;

	if (headers == NULL || !is_in_place(headers, count))
		return 0;
	for (i = 0; i < count; i++)
		if (find_piece(&headers[i], &piece) &&
		    is_alone(headers, count, &piece))
			moved += move_piece(&piece);
	return moved;
}

#else

size_t
hugetext_move(void)
{
	return 0;
}

#endif
