/*
 * Helpers: forked twice.
 *
 * Runs in the process that becomes the program.  A program does not expect
 * children that it has not made, and may wait for any: so the helper's
 * parent is one that ends at once and is reaped here, before the exec.  A
 * session of its own keeps the helper away from the terminal, which a
 * process that meets the network could else write commands to (TIOCSTI).
 */
#include "client/helper.h"

#include <sys/wait.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "client/client.h"
#include "config.h"
#include "serve/emptydir.h"
#include "serve/profile.h"

extern char **environ;

__attribute__((noreturn)) static void
become_helper(
    const struct client_settings *settings, helper_fn *run, int control_fd)
{
	if (setsid() == -1 || sig_ignore_terminal() == -1)
		_exit(111);
	run(settings, control_fd);
	_exit(111);
}

__attribute__((noreturn)) static void
fork_again(
    const struct client_settings *settings, helper_fn *run, int control_fd)
{
	switch (fork()) {
	case -1:
		_exit(errno > 0 && errno < 256 ? errno : EAGAIN);
	case 0:
		become_helper(settings, run, control_fd);
	default:
		_exit(0);
	}
}

/* The errno that the process between us ended with, or 0. */
static int
reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return 0; /* SIGCHLD is ignored: nobody knows */
	return WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN;
}

int
helper_start(
    const struct client_settings *settings, helper_fn *run, int *control_fd)
{
	int ends[2], error;
	pid_t pid;

	if (fd_message_pair(ends) == -1)
		return -1;
	pid = fork();
	if (pid == 0) {
		fd_close(&ends[0]);
		fork_again(settings, run, ends[1]);
	}
	error = pid == -1 ? errno : reap(pid);
	fd_close(&ends[1]);
	if (error != 0)
		fd_close(&ends[0]);
	*control_fd = ends[0];
	errno = error;
	return error == 0 ? 0 : -1;
}

#define KEEP_MAX 8

void
helper_arrange(const struct client_settings *settings, int control_fd,
    const int *keep, size_t count)
{
	int all[KEEP_MAX] = { 0, 1, 2, HELPER_CONTROL_FD };
	int control = fd_dup_above(control_fd, HELPER_ABOVE);

	if (count > KEEP_MAX - 4)
		_exit(111);
	if (count > 0)
		memcpy(all + 4, keep, count * sizeof(*keep));
	if (control == -1 || dup2(control, HELPER_CONTROL_FD) == -1 ||
	    fd_close_except(all, 4 + count) == -1 || fd_set_null(0) == -1 ||
	    fd_set_null(1) == -1)
		_exit(111);
#ifndef ROLE_STDERR
	if (settings->verbosity == VERBOSITY_QUIET && fd_set_null(2) == -1)
		_exit(111);
#else
	(void)settings;
#endif
}

/* Is it one of those that settings are made of? */
static bool
is_setting(const char *variable)
{
	size_t i, len = strcspn(variable, "=");
	const char *name;

	for (i = 0; i < PROFILE_VARIABLES; i++) {
		name = profile_name(i);
		if (strlen(name) == len && memcmp(name, variable, len) == 0)
			return true;
	}
	return text_begins(variable, "SSL_CERT_");
}

void
helper_forget(const struct client_settings *settings)
{
	size_t i;

	for (i = 0; environ[i] != NULL; i++)
		if (!is_setting(environ[i]))
			explicit_bzero(environ[i], strlen(environ[i]));
	for (i = 0; settings->program[i] != NULL; i++)
		explicit_bzero(
		    settings->program[i], strlen(settings->program[i]));
}

int
helper_root(void)
{
	char error[256];
	int fd;

	if (geteuid() != 0) {
		if (chdir("/") == -1)
			_exit(111);
		return -1;
	}
	fd = emptydir_make(error, sizeof(error));
	if (fd == -1)
		_exit(111);
	return fd;
}
