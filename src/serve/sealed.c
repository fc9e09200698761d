/*
 * Sealed memory.
 *
 * Made by a keeper (certificates) and by the copier of rule files, kept by
 * master, read by nursery and monitor.  A descriptor that a role sends is
 * not trusted to be what it should be: without seals its bytes could change
 * while they are parsed, or be cut off under the reader.  The seals are
 * looked at first: only the kernel's own memory files have any, so that
 * nothing after it can wait for a file system that somebody else serves.
 */
#include "serve/sealed.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

#ifdef F_ADD_SEALS
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#endif

int
sealed_make(void)
{
#ifdef MFD_ALLOW_SEALING
	return memfd_create("sslserver", MFD_CLOEXEC | MFD_ALLOW_SEALING);
#else
	char path[] = "/tmp/sslserver.XXXXXX";
	int fd = mkstemp(path);

	if (fd != -1 &&
	    (unlink(path) == -1 || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1))
		fd_close(&fd);
	return fd;
#endif
}

int
sealed_seal(int fd)
{
#ifdef F_ADD_SEALS
	return fcntl(fd, F_ADD_SEALS, SEALS);
#else
	(void)fd;
	return 0;
#endif
}

static int
check_seals(int fd)
{
#ifdef F_ADD_SEALS
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals == -1 || (seals & SEALS) != SEALS) {
		errno = EPERM;
		return -1;
	}
#else
	(void)fd;
#endif
	return 0;
}

int
sealed_check(int fd, size_t max, size_t *len)
{
	struct stat st;

	if (check_seals(fd) == -1 || fstat(fd, &st) == -1)
		return -1;
	if (st.st_size <= 0) {
		errno = ENODATA;
		return -1;
	}
	if ((uintmax_t)st.st_size > max) {
		errno = EFBIG;
		return -1;
	}
	if (len != NULL)
		*len = (size_t)st.st_size;
	return 0;
}

const void *
sealed_map(int fd, size_t len)
{
	void *bytes = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

	return bytes == MAP_FAILED ? NULL : bytes;
}

void
sealed_unmap(const void *bytes, size_t len)
{
	/* munmap changes no byte, but knows no const. */
	union {
		const void *in;
		void *out;
	} area = { .in = bytes };

	(void)munmap(area.out, len);
}
