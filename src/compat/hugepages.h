/*
 * hugepages: memory in pages of two MiB.
 *
 * fork(2) copies the page tables of anonymous memory entry by entry, and
 * exit(2) visits each again: a huge page is one entry, not 512.
 */
#ifndef COMPAT_HUGEPAGES_H
#define COMPAT_HUGEPAGES_H

#include <stdbool.h>
#include <stddef.h>

#define HUGEPAGES_SIZE ((size_t)2 << 20)

/*
 * size bytes of zeros, a multiple of HUGEPAGES_SIZE at such an address, to
 * read and write; in ordinary pages.  For munmap(2).  NULL with errno.
 */
void *hugepages_map(size_t size);

/*
 * Make huge pages of ordinary ones that hugepages_map gave, each piece of
 * which has been written to; what is in them stays.  false: the system has
 * none for us (Linux before 6.1, no memory in such pieces); then they are as
 * they were.
 */
bool hugepages_make(void *area, size_t size);

#endif
