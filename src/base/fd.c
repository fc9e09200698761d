/*
 * fd: descriptors that are close-on-exec from birth, whole reads and writes.
 *
 * Used by every process, root ones included, and between fork and exec;
 * nothing here allocates.  What is close-on-exec from birth cannot reach a
 * program by mistake, so the flag is never set afterwards where the system
 * can set it at once.  EINTR and short transfers are handled here alone.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "compat/compat.h"

/* Closing more numbers than this one by one would stall the process. */
#define WALK_MAX 1048576

int
fd_fill_standard(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) != -1)
			continue;
		if (errno != EBADF)
			return -1;
		/* All below are open, so the lowest free number is fd. */
		if (open("/dev/null", O_RDWR) == -1)
			return -1;
	}
	return 0;
}

int
fd_set_null(int fd)
{
	int null_fd;

	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd == -1)
		return -1;
	if (null_fd == fd)
		return fd <= 2 ? fd_inherit(fd) : 0;
	if (dup2(null_fd, fd) == -1) {
		fd_close(&null_fd);
		return -1;
	}
	fd_close(&null_fd);
	/* dup2(2) made it inheritable, as only the standard ones may be. */
	return fd > 2 && fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ? -1 : 0;
}

int
fd_open_regular(const char *path, struct stat *status)
{
	int fd;

	/* To open a FIFO or a device can do something to it. */
	if (stat(path, status) == -1)
		return -1;
	if (!S_ISREG(status->st_mode)) {
		errno = EINVAL;
		return -1;
	}
	/* It may be one by now: then at least it is not waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return -1;
	if (fstat(fd, status) == -1) {
		fd_close(&fd);
		return -1;
	}
	if (!S_ISREG(status->st_mode)) {
		fd_close(&fd);
		errno = EINVAL;
	}
	return fd;
}

int
fd_pipe(int ends[2])
{
	return pipe2(ends, O_CLOEXEC);
}

int
fd_message_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

int
fd_stream_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

int
fd_set_nonblocking(int fd, int on)
{
	int flags;

	flags = fcntl(fd, F_GETFL);
	if (flags == -1)
		return -1;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) == -1 ? -1 : 0;
}

int
fd_inherit(int fd)
{
	int flags;

	flags = fcntl(fd, F_GETFD);
	if (flags == -1)
		return -1;
	return fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) == -1 ? -1 : 0;
}

void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd == -1)
		return;
	/* Never again after EINTR: the number may be another's by then. */
	(void)close(*fd);
	*fd = -1;
	errno = saved;
}

/* How many there are from fds[0] on whose numbers follow each other. */
static size_t
run_of(const int *fds, size_t count)
{
	size_t run = 1;

	while (run < count && fds[0] != -1 && fds[run] == fds[0] + (int)run)
		run++;
	return run;
}

void
fd_close_all(int *fds, size_t count)
{
	int saved = errno;
	size_t i, run;
	bool is_done;

	for (; count > 0; fds += run, count -= run) {
		run = run_of(fds, count);
		is_done = run > 1 &&
		    close_range((unsigned)fds[0], (unsigned)fds[run - 1], 0) ==
			0;
		for (i = 0; i < run; i++)
			if (is_done)
				fds[i] = -1;
			else
				fd_close(&fds[i]);
	}
	errno = saved;
}

/*
 * Close first..last one by one.  A lowered limit leaves descriptors open
 * above it, so the hard limit, which few lower, is the bound.
 */
static int
close_walk(unsigned int first, unsigned int last)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return -1;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > WALK_MAX) {
		errno = ENOSYS;
		return -1;
	}
	for (; first <= last && first < limit.rlim_max; first++)
		(void)close((int)first);
	return 0;
}

static int
close_span(unsigned int first, unsigned int last)
{
	if (close_range(first, last, 0) == 0)
		return 0;
	/* An old kernel has no such call, a jail around us may deny it. */
	return close_walk(first, last);
}

/* The smallest number in keep[count] from first on; UINT_MAX for none. */
static unsigned int
next_kept(const int *keep, size_t count, unsigned int first)
{
	unsigned int next = UINT_MAX;
	size_t i;

	for (i = 0; i < count; i++) {
		if (keep[i] >= 0 && (unsigned int)keep[i] >= first &&
		    (unsigned int)keep[i] < next)
			next = (unsigned int)keep[i];
	}
	return next;
}

int
fd_close_except(const int *keep, size_t count)
{
	unsigned int first = 0;
	unsigned int kept;

	/* A search per number: keep is short, and a copy to sort needs room. */
	while ((kept = next_kept(keep, count, first)) != UINT_MAX) {
		if (kept > first && close_span(first, kept - 1) == -1)
			return -1;
		first = kept + 1;
	}
	return close_span(first, UINT_MAX);
}

ssize_t
fd_read_all(int fd, void *bytes, size_t size)
{
	unsigned char *at = bytes;
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = read(fd, at + done, size - done);
		if (n == 0)
			break;
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return -1;
	}
	return (ssize_t)done;
}

int
fd_write_all(int fd, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	ssize_t n;

	while (len > 0) {
		n = write(fd, at, len);
		if (n >= 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			/* Somebody made the open file non-blocking. */
			struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

			(void)poll(&pollfd, 1, -1);
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

int
fd_dup_above(int fd, int lowest)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, lowest);

	/* The limit is at lowest already, which fcntl(2) calls EINVAL. */
	if (copy == -1 && errno == EINVAL)
		errno = EMFILE;
	return copy;
}
