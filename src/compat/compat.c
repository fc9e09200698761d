/*
 * compat: fillers for functions that some systems' C library lacks.
 *
 * Used by every process.  Each stands under one guard that the build sets
 * from a test of the real system; on a current Linux all are empty.  The
 * descriptors made here are close-on-exec one system call late: tolerable,
 * because none of our processes has a second thread that could fork between
 * the two calls.
 */
#include "compat/compat.h"

#ifdef HAVE___FPURGE
#include <stdio_ext.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/syscall.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#if !defined(HAVE_PIPE2) || !defined(HAVE_ACCEPT4)
static int
set_flags(int fd, int is_cloexec, int is_nonblocking)
{
	int flags;

	if (is_cloexec && fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return -1;
	flags = fcntl(fd, F_GETFL);
	if (flags == -1)
		return -1;
	flags = is_nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) == -1 ? -1 : 0;
}

static void
close_keeping_errno(int fd)
{
	int saved = errno;

	(void)close(fd);
	errno = saved;
}
#endif

#ifndef HAVE_PIPE2
int
pipe2(int ends[2], int flags)
{
	int i;

	if (pipe(ends) == -1)
		return -1;
	for (i = 0; i < 2; i++) {
		if (set_flags(ends[i], flags & O_CLOEXEC, flags & O_NONBLOCK) ==
		    -1) {
			close_keeping_errno(ends[0]);
			close_keeping_errno(ends[1]);
			return -1;
		}
	}
	return 0;
}
#endif

#ifndef HAVE_ACCEPT4
int
accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	int new_fd;

	new_fd = accept(fd, sa, len);
	if (new_fd == -1)
		return -1;
	if (set_flags(new_fd, flags & SOCK_CLOEXEC, flags & SOCK_NONBLOCK) ==
	    -1) {
		close_keeping_errno(new_fd);
		return -1;
	}
	return new_fd;
}
#endif

#ifndef HAVE_CLOSE_RANGE
int
close_range(unsigned int first, unsigned int last, int flags)
{
#ifdef SYS_close_range
	return (int)syscall(SYS_close_range, first, last, flags);
#else
	(void)first;
	(void)last;
	(void)flags;
	errno = ENOSYS;
	return -1;
#endif
}
#endif

#ifndef HAVE_SENDMMSG
int
sendmmsg(int fd, struct mmsghdr *all, unsigned count, int flags)
{
	ssize_t n;

	if (count == 0)
		return 0;
	n = sendmsg(fd, &all[0].msg_hdr, flags);
	if (n == -1)
		return -1;
	all[0].msg_len = (unsigned)n;
	return 1;
}
#endif

#ifndef HAVE_EXPLICIT_BZERO
void
explicit_bzero(void *bytes, size_t len)
{
	/* A call through a volatile pointer cannot be optimised away. */
	static void *(*const volatile wipe)(void *, int, size_t) = memset;

	if (len > 0)
		(void)wipe(bytes, 0, len);
}
#endif

#ifndef HAVE_FPURGE
int
fpurge(FILE *stream)
{
#ifdef HAVE___FPURGE
	__fpurge(stream);
#else
	(void)stream;
#endif
	return 0;
}
#endif

#ifdef __linux__
pid_t
compat_fork_on(void *stack_end, int (*fn)(void *arg), void *arg)
{
	return clone(fn, stack_end, SIGCHLD, arg);
}

void
compat_end_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 ||
	    getppid() != parent)
		_exit(111);
}
#else
pid_t
compat_fork_on(void *stack_end, int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	(void)stack_end;
	if (pid == 0)
		_exit(fn(arg));
	return pid;
}

void
compat_end_with(pid_t parent)
{
	(void)parent;
}
#endif
