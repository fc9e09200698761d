/*
 * support: what the unit tests of serve and cmd share.
 */
#ifndef UNIT_SUPPORT_H
#define UNIT_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A user and a group that own nothing. */
#define SOME_UID 64077
#define SOME_GID 64078

/* How many descriptors are open: the same before and after, no leak. */
static inline int
open_descriptors(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) != -1;
	return count;
}

/*
 * Run step in a child, where it may give up what it likes.  It returns 0,
 * or the line of what failed (see EXPECT), which fails the test.
 */
static inline void
in_child(int (*step)(void))
{
	int status, report[2], line = -1;
	pid_t pid;

	assert_int_equal(pipe(report), 0);
	pid = fork();
	if (pid == 0) {
		line = step();
		_exit(write(report[1], &line, sizeof(line)) !=
		    (ssize_t)sizeof(line));
	}
	assert_true(pid > 0);
	close(report[1]);
	assert_int_equal(
	    read(report[0], &line, sizeof(line)), (ssize_t)sizeof(line));
	close(report[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (line != 0)
		fail_msg("in the child, line %d", line);
}

/* In a step of in_child, and in helpers that return what it returns. */
#define EXPECT(condition) \
	do { \
		if (!(condition)) \
			return __LINE__; \
	} while (0)

/* End a test that cannot run here, and say why. */
#define SKIP(why) \
	do { \
		print_message("# skip: %s\n", why); \
		skip(); \
	} while (0)

static inline void
need_root(void)
{
	if (geteuid() != 0)
		SKIP("not root");
}

#endif
