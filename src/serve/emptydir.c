/*
 * An empty directory, to be a jail.
 *
 * Runs in master, and in sslclient's TLS process before it gives up its
 * rights.  It is made where everybody may look but only we may write, and
 * has gone before the first process enters it.
 */
#include "serve/emptydir.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

/* Where it can be made for a moment. */
static const char *const places[] = { "/run", "/tmp", "/var/tmp" };

static int
open_and_remove(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd == -1 || fchmod(fd, 0555) == -1 ? errno : 0;

	if (rmdir(path) == -1 && error == 0)
		error = errno;
	if (error == 0)
		return fd;
	fd_close(&fd);
	errno = error;
	return -1;
}

int
emptydir_make(char *error, size_t size)
{
	char path[64];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		text_format(
		    path, sizeof(path), "%s/ucspi-ssl.XXXXXX", places[i]);
		if (mkdtemp(path) == NULL)
			continue;
		fd = open_and_remove(path);
		if (fd != -1)
			return fd;
	}
	text_format(error, size,
	    "unable to make an empty directory in /run, /tmp or /var/tmp: %s",
	    strerror(errno));
	return -1;
}
