/*
 * Killing a process that is not our child without hitting a stranger.
 *
 * Runs in master, when the nursery has died and one of its sessions does
 * not end by itself.  A pidfd pins the process; its uid and start time,
 * read after that, say whether it is the one that was meant.  Where there
 * is no pidfd or no /proc nothing is done: the session has lost its
 * control socket, and an honest one ends on that.
 */
#include "serve/orphan.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#if defined(__linux__) && defined(SYS_pidfd_open) && \
    defined(SYS_pidfd_send_signal)

/* Slack for the clock ticks in which the kernel counts. */
#define SLACK_SECONDS 0.05

/* Start time of a process in seconds since boot, or -1. */
static double
start_of(pid_t pid)
{
	char path[64], line[1024], *field;
	unsigned long long ticks = 0;
	size_t len;
	FILE *file;

	text_format(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	len = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[len] = '\0';
	/* The name in parentheses may hold anything; fields follow it. */
	field = strrchr(line, ')');
	if (field == NULL ||
	    sscanf(field,
		") %*c %*d %*d %*d %*d %*d %*u "
		"%*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		&ticks) != 1)
		return -1;
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* /proc/PID belongs to root when the process is not dumpable. */
static int
has_uid(pid_t pid, uid_t uid)
{
	char path[64], line[256];
	unsigned long found = 0;
	int is_found = 0;
	FILE *file;

	text_format(path, sizeof(path), "/proc/%ld/status", (long)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (!is_found && fgets(line, sizeof(line), file) != NULL)
		is_found = sscanf(line, "Uid: %lu", &found) == 1;
	fclose(file);
	return is_found && found == uid;
}

int
orphan_kill(pid_t pid, uid_t uid, double latest_start)
{
	double start;
	int r = -1, fd;

	if (pid <= 0)
		return -1;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd == -1)
		return -1;
	start = start_of(pid);
	if (start >= 0 && start <= latest_start + SLACK_SECONDS &&
	    has_uid(pid, uid))
		r = (int)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	fd_close(&fd);
	return r;
}

#else

int
orphan_kill(pid_t pid, uid_t uid, double latest_start)
{
	(void)pid;
	(void)uid;
	(void)latest_start;
	return -1;
}

#endif
