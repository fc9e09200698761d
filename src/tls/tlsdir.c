/*
 * tlsdir: what is in a directory, and what is in a file.
 *
 * Runs in the keeper, with the rights that sslserver was started with, as
 * root alone may be able to read.  What it reads may be keys.
 */
#include "tls/tlsdir.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "tls/tlsfile.h"
#include "tls/tlspem.h"

#define READ_SIZE ((size_t)64 * 1024)

int
tlsdir_open(char *taken, const char *path, const char *chroot)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, fd, reason;

	text_copy(taken, TLSFILE_PATH_SIZE, path);
	fd = open(path, flags);
	if (fd != -1 || chroot == NULL || *chroot == '\0')
		return fd;
	reason = errno;
	if (text_format(taken, TLSFILE_PATH_SIZE, "%s%s%s", chroot,
		*path == '/' ? "" : "/", path) == 0)
		fd = open(taken, flags);
	if (fd == -1) {
		text_copy(taken, TLSFILE_PATH_SIZE, path);
		errno = reason;
	}
	return fd;
}

void
tlsdir_free(struct tlsdir_entries *entries)
{
	while (entries->count > 0)
		free(entries->names[--entries->count]);
	free(entries->names);
	entries->names = NULL;
}

static int
compare_entries(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
take_entry(struct tlsdir_entries *entries, const char *name)
{
	if (entries->count == TLSDIR_ENTRIES_MAX) {
		errno = E2BIG;
		return -1;
	}
	entries->names[entries->count] = strdup(name);
	return entries->names[entries->count++] == NULL ? -1 : 0;
}

static int
take_entries(struct tlsdir_entries *entries, DIR *dir)
{
	const struct dirent *entry;

	while (errno = 0, (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' &&
		    take_entry(entries, entry->d_name) == -1)
			return -1;
	return errno == 0 ? 0 : -1;
}

int
tlsdir_list(struct tlsdir_entries *entries, int fd)
{
	int list_fd = fd_dup_above(fd, 3), r = -1, error;
	DIR *dir = list_fd == -1 ? NULL : fdopendir(list_fd);

	entries->count = 0;
	entries->names = calloc(TLSDIR_ENTRIES_MAX, sizeof(char *));
	if (dir != NULL && entries->names != NULL)
		r = take_entries(entries, dir);
	error = errno;
	if (r == 0)
		qsort(entries->names, entries->count, sizeof(char *),
		    compare_entries);
	if (dir != NULL)
		closedir(dir);
	else
		fd_close(&list_fd);
	errno = error;
	return r;
}

void
tlsdir_wipe(unsigned char *bytes, size_t len)
{
	if (bytes != NULL)
		explicit_bzero(bytes, len);
	free(bytes);
}

/* Twice the room, and no copy left behind.  NULL: as it was. */
static unsigned char *
grow(unsigned char *bytes, size_t len, size_t *size)
{
	unsigned char *grown = malloc(2 * *size);

	if (grown == NULL)
		return NULL;
	memcpy(grown, bytes, len);
	tlsdir_wipe(bytes, len);
	*size *= 2;
	return grown;
}

/* Enough to see its end, for a regular file: thousands may be kept. */
static size_t
first_size(int fd, size_t max)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
	    (uintmax_t)st.st_size > max)
		return READ_SIZE;
	return (size_t)st.st_size + 1;
}

int
tlsdir_read(int fd, size_t max, unsigned char **bytes, size_t *len)
{
	size_t size = first_size(fd, max);
	unsigned char *grown;
	ssize_t n;

	*len = 0;
	*bytes = malloc(size);
	if (*bytes == NULL)
		return -1;
	for (;;) {
		n = tlspem_read(fd, *bytes + *len, size - *len);
		if (n == -1)
			break;
		*len += (size_t)n;
		if (*len < size && *len <= max)
			return 0;
		errno = EFBIG;
		if (*len > max)
			break;
		grown = grow(*bytes, *len, &size);
		if (grown == NULL)
			break;
		*bytes = grown;
	}
	tlsdir_wipe(*bytes, *len);
	*bytes = NULL;
	return -1;
}
