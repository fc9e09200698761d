/*
 * rehearsal: which of a process's blocks its children write to.
 *
 * Runs in the nursery, at start, and in a child that does once what the
 * nursery and a session of its are going to do.  Most of what a library
 * allocates at start it never writes to again; the few dozen blocks that a
 * session does write to (counts of references, locks, generators of random
 * numbers) lie among tens of thousands, and each has its page copied for
 * each session.  They have no other mark, and a list of names would be that
 * of one release.  So the child has a page for each block, and takes the
 * right to write away: the faults tell.
 */
#include "base/rehearsal.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/arena_internal.h"
#include "base/clock.h"
#include "base/fd.h"
#include "compat/compat.h"

#define PAGE ((size_t)4 << 10)
#define SPREAD_PAGES ((size_t)16 << 10)
#define HOT_MAX 256 /* a report is one write(2) that a pipe takes whole */
/* Who has said nothing by then was stopped, as others of its uid can. */
#define REPORT_MS 15000

struct block {
	uint16_t class, number;
};

struct page {
	struct block block;
	bool is_first; /* of the block's pages */
	bool is_written;
};

/* Of the child that rehearses; a handler has no argument. */
static struct {
	unsigned char *bytes; /* SPREAD_PAGES of them */
	struct page *pages;
	size_t used;
} spread;

/* What was learned. */
static struct {
	struct block blocks[HOT_MAX];
	size_t count;
} hot;

/* A child that does not outlive us, also when it is stopped. */
static pid_t
fork_bound(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		compat_end_with(parent);
	return pid;
}

/*
 * In the child
 */

static arena_placer place_apart;

static void *
place_apart(unsigned class, unsigned number, size_t size)
{
	size_t i, count = (size + PAGE - 1) / PAGE;
	unsigned char *place = spread.bytes + spread.used * PAGE;

	if (number > UINT16_MAX || count > SPREAD_PAGES - spread.used)
		return NULL;
	for (i = 0; i < count; i++)
		spread.pages[spread.used + i] = (struct page){
			.block = { (uint16_t) class, (uint16_t)number },
			.is_first = i == 0,
		};
	spread.used += count;
	return place;
}

static void
note_write(int signo, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)spread.bytes;
	size_t page = at / PAGE;

	(void)context;
	if (page >= spread.used ||
	    mprotect(
		spread.bytes + page * PAGE, PAGE, PROT_READ | PROT_WRITE) == -1)
		_exit(128 + signo);
	spread.pages[page].is_written = true;
}

static void *
map(size_t size)
{
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return area == MAP_FAILED ? NULL : area;
}

static int
begin_spread(void)
{
	struct sigaction action = { .sa_sigaction = note_write,
		.sa_flags = SA_SIGINFO };

	spread.bytes = map(SPREAD_PAGES * PAGE);
	spread.pages = map(SPREAD_PAGES * sizeof(*spread.pages));
	if (spread.bytes == NULL || spread.pages == NULL)
		return -1;
	arena_set_placer(place_apart);
	return sigaction(SIGSEGV, &action, NULL);
}

void
rehearsal_watch(bool counts)
{
	if (mprotect(spread.bytes, spread.used * PAGE,
		counts ? PROT_READ : PROT_READ | PROT_WRITE) == -1)
		_exit(111);
}

/* Pages of one block count once. */
static size_t
list_written(struct block blocks[HOT_MAX])
{
	bool is_listed = false;
	size_t i, count = 0;

	for (i = 0; i < spread.used && count < HOT_MAX; i++) {
		const struct page *page = &spread.pages[i];

		is_listed &= !page->is_first;
		if (page->is_written && !is_listed) {
			blocks[count++] = page->block;
			is_listed = true;
		}
	}
	return count;
}

/* The session's part: in a process that has forked, as that changes it. */
__attribute__((noreturn)) static void
play(void (*work)(void *arg), void *arg, int report_fd)
{
	struct block blocks[HOT_MAX];
	size_t size;

	arena_settle();
	work(arg);
	size = list_written(blocks) * sizeof(blocks[0]);
	_exit(fd_write_all(report_fd, blocks, size) == -1 ? 111 : 0);
}

static void
await(pid_t pid)
{
	while (pid != -1 && waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
}

__attribute__((noreturn)) static void
rehearse(void (*prepare)(void *arg), void (*work)(void *arg), void *arg,
    int report_fd)
{
	pid_t pid;

	if (begin_spread() == -1)
		_exit(111);
	prepare(arg);
	pid = fork_bound();
	if (pid == 0)
		play(work, arg, report_fd);
	await(pid);
	_exit(0);
}

/*
 * In the parent
 */

static arena_placer place_together;

static void *
place_together(unsigned class, unsigned number, size_t size)
{
	size_t i;

	for (i = 0; i < hot.count; i++)
		if (hot.blocks[i].class == class &&
		    hot.blocks[i].number == number)
			return arena_take_hot(size);
	return NULL;
}

/*
 * What children say until all of them have left, in bytes; -1: they take
 * too long.  Who has left has been reaped, but for the one that we reap.
 */
static ssize_t
hear(int report_fd)
{
	struct pollfd fds[1] = { { report_fd, POLLIN, 0 } };
	int64_t until = clock_after(clock_now(), REPORT_MS);
	unsigned char bytes[sizeof(hot.blocks) + 1]; /* more is no report */
	size_t len = 0;
	ssize_t n;
	int r;

	for (;;) {
		r = poll(fds, 1, clock_poll_timeout(clock_now(), until));
		if (r == 0 || (r == -1 && errno != EINTR))
			return -1;
		if (r == -1)
			continue;
		n = read(report_fd, bytes + len, sizeof(bytes) - len);
		if (n == 0)
			break;
		if (n == -1 || (len += (size_t)n) == sizeof(bytes))
			return -1;
	}
	memcpy(hot.blocks, bytes, len);
	return (ssize_t)len;
}

void
rehearsal_run(void (*prepare)(void *arg), void (*work)(void *arg), void *arg)
{
	int ends[2];
	ssize_t len;
	pid_t pid;

	if (fd_pipe(ends) == -1)
		return;
	arena_drop_free();
	pid = fork_bound();
	if (pid == 0)
		rehearse(prepare, work, arg, ends[1]);
	fd_close(&ends[1]);
	len = hear(ends[0]);
	fd_close(&ends[0]);
	if (pid != -1 && len == -1)
		kill(pid, SIGKILL);
	await(pid);
	if (len <= 0)
		return;
	hot.count = (size_t)len / sizeof(hot.blocks[0]);
	arena_set_placer(place_together);
}
