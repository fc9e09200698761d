/*
 * test_fd: close-on-exec from birth, closing all but some, whole transfers
 * under a rain of signals.
 *
 * What would disturb the test program runs in a child, which reports by its
 * exit status: 0, or the number of the check that failed.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#if defined(__linux__) && defined(SYS_close_range)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#endif
#ifdef __linux__
#include <sys/inotify.h>
#endif

#include <cmocka.h>

#define BULK 1000000
#define HIGHEST 200

static pid_t
start_child(int (*run)(const int *), const int *arg)
{
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0)
		_exit(run(arg));
	return pid;
}

static int
status_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		assert_int_equal(errno, EINTR);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static bool
is_cloexec(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static bool
is_nonblocking(int fd)
{
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

static bool
is_null(int fd)
{
	struct stat null_file;
	struct stat file;

	return stat("/dev/null", &null_file) == 0 && fstat(fd, &file) == 0 &&
	    S_ISCHR(file.st_mode) && file.st_rdev == null_file.st_rdev;
}

/* mask[0]: which of 0, 1 and 2 are closed at start. */
static int
fill(const int *mask)
{
	int fd;

	for (fd = 0; fd <= 2; fd++) {
		if ((*mask & 1 << fd) != 0)
			(void)close(fd);
		else if (is_null(fd) && dup2(open("/", O_RDONLY), fd) == -1)
			return 1;
	}
	if (fd_fill_standard() == -1)
		return 2;
	for (fd = 0; fd <= 2; fd++) {
		if (is_null(fd) != ((*mask & 1 << fd) != 0))
			return 3;
		if (is_cloexec(fd))
			return 4;
	}
	return 0;
}

static void
standard_descriptors_are_filled(void **state)
{
	int mask;

	(void)state;
	for (mask = 0; mask < 8; mask++)
		assert_int_equal(status_of(start_child(fill, &mask)), 0);
}

static int
set_null(const int *arg)
{
	int ends[2];

	(void)arg;
	if (fd_pipe(ends) == -1 || fd_set_null(ends[1]) == -1)
		return 1;
	if (!is_null(ends[1]) || !is_cloexec(ends[1]))
		return 2;
	if (write(ends[1], "x", 1) != 1 || read(ends[0], &ends, 1) != 0)
		return 3;
	if (fd_set_null(1) == -1 || !is_null(1) || is_cloexec(1))
		return 4;
	/* Closed, and the number that open(2) would give. */
	(void)close(0);
	if (fd_set_null(0) == -1 || !is_null(0) || is_cloexec(0))
		return 5;
	if (fd_set_null(-1) != -1 || errno != EBADF)
		return 6;
	return 0;
}

static void
null_takes_the_place(void **state)
{
	(void)state;
	assert_int_equal(status_of(start_child(set_null, NULL)), 0);
}

static void
pipes_are_close_on_exec(void **state)
{
	int ends[2];
	char c;

	(void)state;
	assert_int_equal(fd_pipe(ends), 0);
	assert_true(is_cloexec(ends[0]) && is_cloexec(ends[1]));
	assert_false(is_nonblocking(ends[0]) || is_nonblocking(ends[1]));
	assert_int_equal(fd_write_all(ends[1], "z", 1), 0);
	assert_int_equal(fd_read_all(ends[0], &c, 1), 1);
	assert_int_equal(c, 'z');
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

static void
message_pairs_keep_borders(void **state)
{
	int ends[2];
	char bytes[16];

	(void)state;
	assert_int_equal(fd_message_pair(ends), 0);
	assert_true(is_cloexec(ends[0]) && is_cloexec(ends[1]));
	assert_false(is_nonblocking(ends[0]) || is_nonblocking(ends[1]));
	assert_int_equal(send(ends[0], "abc", 3, 0), 3);
	assert_int_equal(send(ends[0], "de", 2, 0), 2);
	assert_int_equal(recv(ends[1], bytes, sizeof(bytes), 0), 3);
	assert_int_equal(recv(ends[1], bytes, sizeof(bytes), 0), 2);
	fd_close(&ends[0]);
	assert_int_equal(recv(ends[1], bytes, sizeof(bytes), 0), 0);
	fd_close(&ends[1]);
}

static void
stream_pairs_have_none(void **state)
{
	int ends[2];
	char bytes[16];

	(void)state;
	assert_int_equal(fd_stream_pair(ends), 0);
	assert_true(is_cloexec(ends[0]) && is_cloexec(ends[1]));
	assert_false(is_nonblocking(ends[0]) || is_nonblocking(ends[1]));
	assert_int_equal(send(ends[0], "abc", 3, 0), 3);
	assert_int_equal(send(ends[0], "de", 2, 0), 2);
	assert_int_equal(recv(ends[1], bytes, 1, 0), 1);
	assert_int_equal(recv(ends[1], bytes, sizeof(bytes), 0), 4);
	assert_int_equal(send(ends[1], "f", 1, 0), 1);
	assert_int_equal(recv(ends[0], bytes, sizeof(bytes), 0), 1);
	fd_close(&ends[0]);
	assert_int_equal(recv(ends[1], bytes, sizeof(bytes), 0), 0);
	fd_close(&ends[1]);
}

static void
flags_are_set_and_cleared(void **state)
{
	int ends[2];
	int copy;

	(void)state;
	assert_int_equal(fd_pipe(ends), 0);
	assert_int_equal(fd_set_nonblocking(ends[1], 1), 0);
	assert_true(is_nonblocking(ends[1]));
	assert_int_equal(fcntl(ends[1], F_GETFL) & O_ACCMODE, O_WRONLY);
	assert_int_equal(fd_set_nonblocking(ends[1], 0), 0);
	assert_false(is_nonblocking(ends[1]));
	copy = fd_dup_above(ends[0], 100);
	assert_true(copy >= 100);
	assert_true(is_cloexec(copy));
	assert_int_equal(fd_inherit(copy), 0);
	assert_false(is_cloexec(copy));
	assert_true(is_cloexec(ends[0]));
	fd_close(&copy);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	assert_int_equal(fd_set_nonblocking(-1, 1), -1);
	assert_int_equal(fd_inherit(-1), -1);
	assert_int_equal(fd_dup_above(-1, 3), -1);
}

static void
close_forgets_and_keeps_errno(void **state)
{
	int ends[2];
	int fd;

	(void)state;
	assert_int_equal(fd_pipe(ends), 0);
	fd = ends[0];
	errno = ENOTTY;
	fd_close(&ends[0]);
	assert_int_equal(ends[0], -1);
	assert_false(is_open(fd));
	fd = 9999;
	errno = ENOTTY;
	fd_close(&fd);
	assert_int_equal(errno, ENOTTY);
	fd_close(&fd);
	assert_int_equal(errno, ENOTTY);
	fd_close(&ends[1]);
}

struct kept {
	int keep[8];
	size_t count;
};

static const struct kept kept_lists[] = {
	{ { 0 }, 0 },
	{ { -1 }, 1 },
	{ { 0, 1, 2 }, 3 },
	{ { 17, 5, 2, 0, 1 }, 5 },
	{ { 5, 5, -1, 4, 5, HIGHEST, 4, -1 }, 8 },
	{ { HIGHEST, HIGHEST - 1, 9, -1, 9, 3 }, 6 },
	{ { 20, HIGHEST + 50, 7, 0x7fffffff }, 4 },
};

static bool
is_kept(const struct kept *list, int fd)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (list->keep[i] == fd)
			return true;
	}
	return false;
}

static int
close_except(const int *index)
{
	const struct kept *list = &kept_lists[*index];
	int fd;

	for (fd = 0; fd <= HIGHEST; fd++) {
		if (!is_open(fd) && dup2(0, fd) == -1)
			return 1;
	}
	if (fd_close_except(list->keep, list->count) == -1)
		return 2;
	for (fd = 0; fd <= HIGHEST + 100; fd++) {
		if (is_open(fd) != (fd <= HIGHEST && is_kept(list, fd)))
			return 3;
	}
	return 0;
}

static void
only_what_is_kept_stays_open(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < (int)(sizeof(kept_lists) / sizeof(*kept_lists)); i++)
		assert_int_equal(status_of(start_child(close_except, &i)), 0);
}

/* Neighbours, one alone, none, and some that run downwards. */
static int
close_all(const int *unused)
{
	int fds[] = { 20, 21, 22, -1, 30, 42, 41, 40, 50, 51 };
	const size_t count = sizeof(fds) / sizeof(fds[0]);
	int fd;
	size_t i;

	(void)unused;
	for (fd = 10; fd <= 60; fd++)
		if (dup2(0, fd) == -1)
			return 1;
	errno = 7;
	fd_close_all(fds, count - 1);
	if (errno != 7 || fds[count - 1] != 51)
		return 2;
	for (i = 0; i < count - 1; i++)
		if (fds[i] != -1)
			return 3;
	for (fd = 10; fd <= 60; fd++)
		if (is_open(fd) ==
		    ((fd >= 20 && fd <= 22) || fd == 30 ||
			(fd >= 40 && fd <= 42) || fd == 50))
			return 4;
	return 0;
}

static void
all_of_a_list_are_closed(void **state)
{
	(void)state;
	assert_int_equal(status_of(start_child(close_all, NULL)), 0);
}

#if defined(__linux__) && defined(SYS_close_range)
/* Make close_range fail, as an old kernel does. */
static int
forget_close_range(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == -1)
		return -1;
	return syscall(SYS_close_range, 0x7ffffff0, 0x7ffffff0, 0) == -1 &&
		errno == ENOSYS
	    ? 0
	    : -1;
}

static int
close_except_by_walking(const int *index)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 10;
	if (limit.rlim_max > 4096)
		limit.rlim_max = 4096;
	/* Descriptors above a lowered soft limit must be closed as well. */
	limit.rlim_cur = HIGHEST + 200;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 77; /* valgrind keeps the hard limit */
	if (dup2(0, HIGHEST + 90) == -1)
		return 12;
	limit.rlim_cur = HIGHEST + 1;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 13;
	if (forget_close_range() == -1)
		return 77;
	return close_except(index);
}

static int
close_all_one_by_one(const int *unused)
{
	return forget_close_range() == -1 ? 77 : close_all(unused);
}

static void
works_without_close_range(void **state)
{
	int status;
	int i;

	(void)state;
	status = status_of(start_child(close_all_one_by_one, NULL));
	assert_true(status == 0 || status == 77);
	for (i = 0; i < (int)(sizeof(kept_lists) / sizeof(*kept_lists)); i++) {
		status = status_of(start_child(close_except_by_walking, &i));
		if (status == 77)
			skip();
		assert_int_equal(status, 0);
	}
}
#else
static void
works_without_close_range(void **state)
{
	(void)state;
	skip();
}
#endif

static volatile sig_atomic_t interruptions;

static void
interrupt(int signo)
{
	(void)signo;
	interruptions++;
}

/* SIGALRM every millisecond, and it interrupts what it finds waiting. */
static void
rain(suseconds_t period)
{
	struct itimerval timer = { { 0, period }, { 0, period } };
	struct sigaction action = { 0 };

	action.sa_handler = interrupt;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void
pause_ms(long ms)
{
	struct timespec left = { 0, ms * 1000000 };

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		continue;
}

static unsigned char
nth(size_t i)
{
	return (unsigned char)(i * 31 + i / 256);
}

/* Writes all in small pieces with pauses. */
static int
drip(const int *ends)
{
	unsigned char piece[100];
	size_t at;
	size_t i;

	(void)close(ends[0]);
	for (at = 0; at < 3000; at += sizeof(piece)) {
		for (i = 0; i < sizeof(piece); i++)
			piece[i] = nth(at + i);
		if (write(ends[1], piece, sizeof(piece)) == -1)
			return 1;
		pause_ms(3);
	}
	return 0;
}

static void
read_all_waits_for_all(void **state)
{
	unsigned char got[4000] = { 0 };
	int ends[2];
	pid_t pid;
	size_t i;

	(void)state;
	assert_int_equal(fd_pipe(ends), 0);
	pid = start_child(drip, ends);
	fd_close(&ends[1]);
	interruptions = 0;
	rain(1000);
	assert_int_equal(fd_read_all(ends[0], got, 2500), 2500);
	/* The rest is less than wanted: end of file. */
	assert_int_equal(fd_read_all(ends[0], got + 2500, 1500), 500);
	rain(0);
	assert_true(interruptions > 0);
	for (i = 0; i < 3000; i++)
		assert_int_equal(got[i], nth(i));
	assert_int_equal(fd_read_all(ends[0], got, 1), 0);
	assert_int_equal(status_of(pid), 0);
	fd_close(&ends[0]);
	assert_int_equal(fd_read_all(ends[0], got, 1), -1);
	assert_int_equal(errno, EBADF);
}

/* Reads all, slowly, and compares. */
static int
sip(const int *ends)
{
	unsigned char bytes[50000];
	size_t at = 0;
	ssize_t n;
	ssize_t i;

	(void)close(ends[1]);
	while ((n = read(ends[0], bytes, sizeof(bytes))) > 0) {
		for (i = 0; i < n; i++) {
			if (bytes[i] != nth(at + (size_t)i))
				return 1;
		}
		at += (size_t)n;
		pause_ms(3);
	}
	return at == BULK ? 0 : 2;
}

static void
write_all_writes_all(void **state)
{
	unsigned char *bytes = malloc(BULK);
	int ends[2];
	pid_t pid;
	size_t i;

	(void)state;
	assert_non_null(bytes);
	for (i = 0; i < BULK; i++)
		bytes[i] = nth(i);
	assert_int_equal(fd_pipe(ends), 0);
	pid = start_child(sip, ends);
	fd_close(&ends[0]);
	interruptions = 0;
	rain(1000);
	assert_int_equal(fd_write_all(ends[1], bytes, BULK), 0);
	rain(0);
	assert_true(interruptions > 0);
	fd_close(&ends[1]);
	assert_int_equal(status_of(pid), 0);
	free(bytes);
}

static void
write_all_reports_errors(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(fd_pipe(ends), 0);
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	fd_close(&ends[0]);
	assert_int_equal(fd_write_all(ends[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(fd_write_all(ends[1], NULL, 0), 0);
	fd_close(&ends[1]);
}

#ifdef __linux__
/* A descriptor that tells when path is opened. */
static int
watch_opens(const char *path)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	assert_true(inotify_add_watch(fd, path, IN_OPEN) != -1);
	return fd;
}

static bool
tells_something(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	return poll(&polled, 1, 0) == 1;
}

/* To open a device can do something to it. */
static void
what_is_not_regular_is_not_opened(void **state)
{
	char directory[] = "/tmp/test-fd.XXXXXX", path[64];
	struct stat status;
	int watch;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	watch = watch_opens(path);
	assert_int_equal(fd_open_regular(path, &status), -1);
	assert_int_equal(errno, EINVAL);
	assert_false(tells_something(watch));
	close(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	assert_true(tells_something(watch));
	close(watch);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
}
#endif

/* What would make an open(2) wait is refused at once. */
static void
only_regular_files_are_opened(void **state)
{
	char directory[] = "/tmp/test-fd.XXXXXX", path[64];
	struct stat status;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	assert_int_equal(fd_open_regular(path, &status), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(10);
	errno = 0;
	assert_int_equal(fd_open_regular(path, &status), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fd_open_regular("/dev/null", &status), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(fd_open_regular(directory, &status), -1);
	assert_int_equal(errno, EINVAL);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "abc", 3), 3);
	close(fd);
	fd = fd_open_regular(path, &status);
	alarm(0);
	assert_true(fd != -1);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(status.st_size, 3);
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard_descriptors_are_filled),
		cmocka_unit_test(null_takes_the_place),
		cmocka_unit_test(pipes_are_close_on_exec),
		cmocka_unit_test(message_pairs_keep_borders),
		cmocka_unit_test(stream_pairs_have_none),
		cmocka_unit_test(flags_are_set_and_cleared),
		cmocka_unit_test(close_forgets_and_keeps_errno),
		cmocka_unit_test(only_what_is_kept_stays_open),
		cmocka_unit_test(all_of_a_list_are_closed),
		cmocka_unit_test(works_without_close_range),
		cmocka_unit_test(only_regular_files_are_opened),
#ifdef __linux__
		cmocka_unit_test(what_is_not_regular_is_not_opened),
#endif
		cmocka_unit_test(read_all_waits_for_all),
		cmocka_unit_test(write_all_writes_all),
		cmocka_unit_test(write_all_reports_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
