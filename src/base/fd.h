/*
 * fd: descriptors that are close-on-exec from birth, and whole reads and
 * writes.  The one place that knows about EINTR and short transfers.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

struct stat;

/*
 * Open /dev/null on each of 0, 1 and 2 that is closed, so that no later
 * descriptor lands there.  First call of every main.  0 or -1 with errno.
 */
int fd_fill_standard(void);

/*
 * Make fd, open or not, refer to /dev/null.  Close-on-exec unless it is 0,
 * 1 or 2.  0, or -1 with fd as it was; there must be a /dev to look into.
 */
int fd_set_null(int fd);

/*
 * Open a regular file for reading, close-on-exec, and see in *status what
 * it is.  A FIFO, a device or a directory in its place is neither opened nor
 * waited for: EINVAL.  The caller's descriptor, or -1 with errno.
 */
int fd_open_regular(const char *path, struct stat *status);

/* A pipe, close-on-exec: ends[0] reads, ends[1] writes.  0 or -1. */
int fd_pipe(int ends[2]);

/*
 * A pair of connected UNIX sockets that keep message borders
 * (SOCK_SEQPACKET), close-on-exec and blocking.  0 or -1.
 */
int fd_message_pair(int ends[2]);

/* The same without borders (SOCK_STREAM).  0 or -1. */
int fd_stream_pair(int ends[2]);

/* Set or clear O_NONBLOCK of the open file.  0 or -1. */
int fd_set_nonblocking(int fd, int on);

/* Clear close-on-exec: only program.c and the start of a role may.  0, -1. */
int fd_inherit(int fd);

/* Close *fd unless it is -1, and set it to -1.  errno is kept. */
void fd_close(int *fd);

/*
 * The same of fds[count], in fewer calls where they are neighbours in number
 * and in fds.  Each may stand there once.
 */
void fd_close_all(int *fds, size_t count);

/*
 * Close every open descriptor but those in keep[count], which may stand in
 * any order, more than once, and be -1.  Allocates nothing, so it may run
 * after fork.  Uses close_range(2) where it works, else tries every number
 * below the hard RLIMIT_NOFILE: call it before lowering that.  0, or -1
 * with errno when neither way works; the caller then must not go on.
 */
int fd_close_except(const int *keep, size_t count);

/*
 * Read until size bytes or end of file; blocks.  Returns the number read,
 * less than size only at end of file, or -1 with errno.
 */
ssize_t fd_read_all(int fd, void *bytes, size_t size);

/* Write all len bytes; blocks.  0, or -1 with errno and some written. */
int fd_write_all(int fd, const void *bytes, size_t len);

/*
 * Duplicate fd to a number of at least lowest, close-on-exec.  The new
 * number or -1.
 */
int fd_dup_above(int fd, int lowest);

#endif
