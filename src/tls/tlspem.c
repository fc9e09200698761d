/*
 * tlspem: files of PEM blocks, opened and read with care.
 *
 * Runs in the keeper: opening with the rights the process was started with,
 * the rest without them.  Blocks are walked one by one, so that no copy of
 * a key stays in memory that a library has freed without wiping; what a
 * block means is the caller's to know.  A path is tried as it is given,
 * then below SSL_CHROOT.  Nothing here waits for a fifo without a writer,
 * nor for ever for one that has one.
 */
#include "tls/tlspem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/fd.h"
#include "base/text.h"
#include "tls/tlscompat.h"
#include "tls/tlsfile.h"

/* How long a pipe may keep us waiting for the next bytes. */
#define PIPE_TIMEOUT_MS 10000

/* Result of try_open beside 0 and errno values. */
#define NOT_A_FILE -1

/* 0, an errno value, or NOT_A_FILE. */
static int
try_open(struct tlsfile *file, const char *root, const char *path)
{
	struct stat st;

	if (text_format(file->path, sizeof(file->path), "%s%s%s", root,
		*root == '\0' || *path == '/' ? "" : "/", path) == -1)
		return ENAMETOOLONG;
	/* O_NONBLOCK: a fifo without writer would hold us here for ever. */
	file->fd =
	    open(file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file->fd == -1)
		return errno;
	if (fstat(file->fd, &st) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode)))
		return 0;
	fd_close(&file->fd);
	return NOT_A_FILE;
}

int
tlspem_open(struct tlsfile *file, const char *variable, const char *path,
    const char *root, char *error)
{
	int reason, second;

	reason = try_open(file, "", path);
	if (reason == 0)
		return 0;
	if (root != NULL && *root != '\0') {
		second = try_open(file, root, path);
		if (second == 0)
			return 0;
		/* The second attempt counts if there was something. */
		if (second != ENOENT && second != ENOTDIR)
			reason = second;
		else
			text_copy(file->path, sizeof(file->path), path);
	}
	text_format(error, TLSFILE_ERROR_SIZE, "unable to open %s %s: %s",
	    variable, file->path,
	    reason == NOT_A_FILE ? "neither a file nor a pipe"
				 : strerror(reason));
	return -1;
}

ssize_t
tlspem_read(int fd, unsigned char *bytes, size_t size)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, bytes + len, size - len);

		if (n == 0)
			break;
		if (n > 0) {
			len += (size_t)n;
		} else if (errno == EAGAIN) {
			if (poll(&pollfd, 1, PIPE_TIMEOUT_MS) == 0) {
				errno = ETIMEDOUT;
				return -1;
			}
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return (ssize_t)len;
}

void
tlspem_clear(struct tlspem *pem)
{
	tlscompat_pem_free(pem->name, pem->header, pem->data, pem->len);
	memset(pem, 0, sizeof(*pem));
}

int
tlspem_next(BIO *bio, struct tlspem *pem)
{
	if (tlscompat_pem_read(
		bio, &pem->name, &pem->header, &pem->data, &pem->len))
		return 1;
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return -1;
	ERR_clear_error();
	return 0;
}
