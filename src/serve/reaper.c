/*
 * Finding children that have ended.  Runs in master and in the nursery.
 *
 * A SIGCHLD names its child, and that one is reaped at once.  But of
 * several that come together the kernel keeps one: under load more than
 * half are lost (measured: two of three).  Those lost are nearly always
 * children that were started last, so these are asked for one by one, a
 * few milliseconds later; and now and then all are, by waitpid(-1), whose
 * time goes with their number, and so does the time between two of them.
 *
 * With few children, and on systems that go through the list for a single
 * pid as well, that list is short or there is no better way: waitpid(-1)
 * at each signal.
 */
#include "serve/reaper.h"

#include <sys/utsname.h>
#include <sys/wait.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/sig.h"

/* Below that waitpid(-1) takes less than the other ways. */
#define FEW 256
/* From a signal to a look at the young ones: 20 us in so many ms. */
#define YOUNG_MS 10
/* Children per millisecond from a signal to a look at all: 1 us of each. */
#define ALL_PER_MS 20

/* Linux from 5.13 on finds a pid by its number, not by a walk. */
static bool
is_direct(void)
{
	struct utsname name;
	unsigned major, minor;

	return uname(&name) != -1 && strcmp(name.sysname, "Linux") == 0 &&
	    sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	    (major > 5 || (major == 5 && minor >= 13));
}

void
reaper_init(struct reaper *reaper)
{
	memset(reaper, 0, sizeof(*reaper));
	reaper->is_direct = is_direct();
	reaper->young_at = reaper->all_at = CLOCK_NEVER;
}

void
reaper_started(struct reaper *reaper, pid_t pid)
{
	reaper->young[reaper->youngest] = pid;
	reaper->youngest = (reaper->youngest + 1) % REAPER_YOUNG;
}

static bool
are_few(const struct reaper *reaper, size_t count)
{
	return count <= FEW || !reaper->is_direct;
}

void
reaper_signalled(struct reaper *reaper, size_t count)
{
	int64_t now = clock_now();

	if (are_few(reaper, count))
		return;
	if (reaper->young_at == CLOCK_NEVER)
		reaper->young_at = clock_after(now, YOUNG_MS);
	if (reaper->all_at == CLOCK_NEVER)
		reaper->all_at = clock_after(now, (int64_t)count / ALL_PER_MS);
}

static bool
has_ended(pid_t pid, int *status)
{
	return pid > 0 && waitpid(pid, status, WNOHANG) == pid;
}

/* One that a signal was about; or 0. */
static pid_t
next_named(int *status)
{
	pid_t pid;

	while ((pid = sig_next_child()) != 0)
		if (has_ended(pid, status))
			return pid;
	return 0;
}

/* Who has been reaped is asked for again: no child has that pid then. */
static pid_t
next_young(struct reaper *reaper, int *status)
{
	pid_t pid;

	while (reaper->at < REAPER_YOUNG) {
		pid = reaper->young[reaper->at++];
		if (has_ended(pid, status))
			return pid;
	}
	reaper->at = 0;
	reaper->young_at = CLOCK_NEVER;
	return 0;
}

static pid_t
next_of_all(struct reaper *reaper, int *status)
{
	pid_t pid = waitpid(-1, status, WNOHANG);

	if (pid > 0)
		return pid;
	reaper->all_at = CLOCK_NEVER;
	return 0;
}

pid_t
reaper_next(struct reaper *reaper, size_t count, int *status)
{
	pid_t pid = next_named(status);
	int64_t now;

	if (pid != 0)
		return pid;
	if (are_few(reaper, count)) {
		reaper->young_at = CLOCK_NEVER;
		return next_of_all(reaper, status);
	}
	now = clock_now();
	if (now >= reaper->young_at)
		pid = next_young(reaper, status);
	if (pid == 0 && now >= reaper->all_at)
		pid = next_of_all(reaper, status);
	return pid;
}

int64_t
reaper_deadline(const struct reaper *reaper)
{
	return reaper->young_at < reaper->all_at ? reaper->young_at
						 : reaper->all_at;
}
