/*
 * compat: what some systems' C library lacks, under its usual name.
 *
 * Included where one of these is called.  Nothing here does more than the
 * function it stands for; where it can only do less, that is said.
 */
#ifndef COMPAT_COMPAT_H
#define COMPAT_COMPAT_H

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>

#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#include "config.h"

/* As pipe2(2); O_CLOEXEC and O_NONBLOCK only. */
#ifndef HAVE_PIPE2
int pipe2(int ends[2], int flags);
#endif

/* As accept4(2); without SOCK_NONBLOCK the new socket blocks. */
#ifndef HAVE_ACCEPT4
int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
#endif

/*
 * As close_range(2) with flags 0.  May fail with ENOSYS, as the real one
 * does on an old kernel, so callers need another way in any case.
 */
#ifndef HAVE_CLOSE_RANGE
int close_range(unsigned int first, unsigned int last, int flags);
#endif

/*
 * Its number, for who may not call the C library: the same on all systems
 * with this call but one (Alpha).  Some libraries are older than the call.
 */
#ifdef __linux__
#include <sys/syscall.h>
#if !defined(SYS_close_range) && !defined(__alpha__)
#define SYS_close_range 436
#endif
#endif

/* As sendmmsg(2), which may always send fewer than it was given: one. */
#ifndef HAVE_SENDMMSG
struct mmsghdr {
	struct msghdr msg_hdr;
	unsigned msg_len;
};
int sendmmsg(int fd, struct mmsghdr *all, unsigned count, int flags);
#endif

/* As explicit_bzero(3): the compiler may not leave it out. */
#ifndef HAVE_EXPLICIT_BZERO
void explicit_bzero(void *bytes, size_t len);
#endif

/*
 * As fpurge(3) of the BSDs: throw away what a stream has read and not handed
 * out.  Returns 0; where there is no way to do it, too.
 */
#ifndef HAVE_FPURGE
int fpurge(FILE *stream);
#endif

/*
 * Of open(2): what is opened is good for fchdir(2) and the like alone;
 * elsewhere it can be read, too.
 */
#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

/*
 * As fork(2), but the child calls fn(arg) on the stack that ends at
 * stack_end, and exits with what it returns; its memory is a copy all the
 * same.  Where the system has no such call the stack is a copy too.
 */
pid_t compat_fork_on(void *stack_end, int (*fn)(void *arg), void *arg);

/*
 * In a child that has just been forked: SIGKILL ends it when `parent`, which
 * forked it, is gone; it exits if that is so already.  Where the system has
 * no such thing nothing happens.
 */
void compat_end_with(pid_t parent);

/* Where no clock counts the time of suspension, the monotonic one serves. */
#ifndef CLOCK_BOOTTIME
#define CLOCK_BOOTTIME CLOCK_MONOTONIC
#endif

#endif
