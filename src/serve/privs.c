/*
 * Giving up rights: limits, root directory, identity, the right to gain.
 *
 * Runs in each role while it is still what master is (root, as a rule),
 * before it reads anything from outside; and in the child that becomes a
 * program.  Any failure ends the process: a role with half its rights
 * dropped must not go on.
 */
#include "serve/privs.h"

#include <sys/resource.h>

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/fd.h"
#include "base/text.h"
#include "serve/settings.h"

static int
set_limit(int what, size_t value)
{
	struct rlimit limit;

	if (value == PRIVS_KEEP)
		return 0;
	if (getrlimit(what, &limit) == -1)
		return -1;
	/* Never more than there is: a role says itself what it lacks. */
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value)
		limit.rlim_max = (rlim_t)value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(what, &limit);
}

static int
set_limits(const struct privs *privs)
{
	if (set_limit(RLIMIT_CORE, 0) == -1)
		return -1;
	if (set_limit(RLIMIT_NOFILE, privs->descriptors) == -1)
		return -1;
#ifdef RLIMIT_NPROC
	if (set_limit(RLIMIT_NPROC, privs->processes) == -1)
		return -1;
#endif
	return 0;
}

static int
enter_root(int root_fd)
{
	if (root_fd == -1)
		return 0;
	if (fchdir(root_fd) == -1 || chroot(".") == -1)
		return -1;
	return chdir("/");
}

/* setuid away from root also empties the capability sets on Linux. */
static bool
can_regain(uid_t uid)
{
	return uid != 0 && (setuid(0) != -1 || seteuid(0) != -1);
}

int
privs_become(uid_t uid, gid_t gid)
{
	gid_t only = gid == (gid_t)-1 ? getegid() : gid;

	if (uid == (uid_t)-1 && gid == (gid_t)-1)
		return 0;
	if (setgroups(1, &only) == -1 || setgid(only) == -1)
		return -1;
	if (getgid() != only || getegid() != only)
		goto wrong;
	if (uid != (uid_t)-1) {
		if (setuid(uid) == -1)
			return -1;
		if (getuid() != uid || geteuid() != uid || can_regain(uid))
			goto wrong;
	}
	return 0;

wrong:
	errno = EPERM;
	return -1;
}

static int
forbid_gaining(void)
{
#ifdef __linux__
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#else
	return 0;
#endif
}

void
privs_hide(void)
{
#ifdef __linux__
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void
privs_show(void)
{
#ifdef __linux__
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
#endif
}

int
privs_drop(const struct privs *privs, char error[PRIVS_ERROR_SIZE])
{
	const char *step = "set resource limits";
	int root_fd = privs->root_fd;

	if (set_limits(privs) == -1)
		goto failed;
	step = "enter the root directory";
	if (enter_root(root_fd) == -1)
		goto failed;
	fd_close(&root_fd);
	step = "change identity";
	if (privs->identity->is_set &&
	    privs_become(privs->identity->uid, privs->identity->gid) == -1)
		goto failed;
	step = "set no_new_privs";
	if (forbid_gaining() == -1)
		goto failed;
	privs_hide();
	return 0;

failed:
	text_format(
	    error, PRIVS_ERROR_SIZE, "unable to %s: %s", step, strerror(errno));
	return -1;
}

int
privs_limit_session(size_t descriptors)
{
	struct rlimit files = { (rlim_t)descriptors, (rlim_t)descriptors };
	struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_NOFILE, &files) == -1)
		return -1;
#ifdef RLIMIT_NPROC
	return setrlimit(RLIMIT_NPROC, &none);
#else
	(void)none;
	return 0;
#endif
}
