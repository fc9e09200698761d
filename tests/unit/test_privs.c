/*
 * test_privs: what was dropped is gone for good, in the order in which it
 * can be, and what a program keeps it keeps.
 */
#include "serve/privs.h"

#include "support.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#ifdef __linux__
#include <linux/securebits.h>
#include <sys/prctl.h>
#endif

#include "serve/settings.h"

static const struct settings_identity stays = { .is_set = false };
static const struct settings_identity someone = {
	.is_set = true, .uid = SOME_UID, .gid = SOME_GID
};
static char error[PRIVS_ERROR_SIZE];

/* A drop that changes nothing but what it always does. */
static struct privs
nothing(const struct settings_identity *identity)
{
	return (struct privs){ .identity = identity,
		.root_fd = -1,
		.descriptors = PRIVS_KEEP,
		.processes = PRIVS_KEEP };
}

static int
expect_limit(int what, rlim_t value)
{
	struct rlimit limit;

	EXPECT(getrlimit(what, &limit) == 0);
	EXPECT(limit.rlim_cur == value && limit.rlim_max == value);
	return 0;
}

/* Every way back to root, or to the groups of old. */
static int
expect_someone(void)
{
	uid_t uid[3];
	gid_t gid[3], groups[8];

	EXPECT(getresuid(&uid[0], &uid[1], &uid[2]) == 0);
	EXPECT(uid[0] == SOME_UID && uid[1] == SOME_UID && uid[2] == SOME_UID);
	EXPECT(getresgid(&gid[0], &gid[1], &gid[2]) == 0);
	EXPECT(gid[0] == SOME_GID && gid[1] == SOME_GID && gid[2] == SOME_GID);
	EXPECT(getgroups(8, groups) == 1 && groups[0] == SOME_GID);
	EXPECT(setuid(0) == -1 && seteuid(0) == -1 && setgid(0) == -1);
	EXPECT(setgroups(0, NULL) == -1 && chroot("/") == -1);
	return 0;
}

static int
drop_everything(void)
{
	struct privs privs = nothing(&someone);
	char path[] = "/tmp/test_privs.XXXXXX";
	const gid_t groups[] = { 0, 1, 2 };
	struct stat root, there;
	int line;

	EXPECT(setgroups(3, groups) == 0);
	EXPECT(mkdtemp(path) != NULL && chmod(path, 0755) == 0);
	EXPECT(stat(path, &there) == 0);
	privs.root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	privs.descriptors = 77;
	privs.processes = 3;
	EXPECT(privs.root_fd != -1 && rmdir(path) == 0);
	EXPECT(privs_drop(&privs, error) == 0);
	/* root_fd is closed: nothing is left to climb out by. */
	EXPECT(fcntl(privs.root_fd, F_GETFD) == -1);
	EXPECT(stat("/", &root) == 0 && root.st_ino == there.st_ino);
	EXPECT(stat(".", &root) == 0 && root.st_ino == there.st_ino);
	EXPECT(access("/tmp", F_OK) == -1 && access("../tmp", F_OK) == -1);
	if ((line = expect_someone()) != 0 ||
	    (line = expect_limit(RLIMIT_NOFILE, 77)) != 0 ||
	    (line = expect_limit(RLIMIT_NPROC, 3)) != 0 ||
	    (line = expect_limit(RLIMIT_CORE, 0)) != 0)
		return line;
#ifdef __linux__
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	EXPECT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
	return 0;
}

static void
everything_is_dropped(void **state)
{
	(void)state;
	need_root();
	in_child(drop_everything);
}

static int
drop_in_place(void)
{
	struct privs privs = nothing(&stays);
	struct rlimit before, after;
	uid_t uid = getuid();
	gid_t gid = getgid();
	int line;

	EXPECT(getrlimit(RLIMIT_NOFILE, &before) == 0);
	EXPECT(privs_drop(&privs, error) == 0);
	EXPECT(getuid() == uid && geteuid() == uid && getgid() == gid);
	EXPECT(getrlimit(RLIMIT_NOFILE, &after) == 0);
	EXPECT(after.rlim_cur == before.rlim_cur);
	EXPECT(after.rlim_max == before.rlim_max);
	if ((line = expect_limit(RLIMIT_CORE, 0)) != 0)
		return line;
#ifdef __linux__
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	EXPECT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
	return 0;
}

static int
become_someone(void)
{
	return setgroups(1, &(gid_t){ SOME_GID }) == -1 ||
	    setgid(SOME_GID) == -1 || setuid(SOME_UID) == -1;
}

static int
drop_in_place_as_user(void)
{
	EXPECT(become_someone() == 0);
	return drop_in_place();
}

static void
without_identity_the_rest_is_dropped(void **state)
{
	(void)state;
	in_child(drop_in_place);
	if (geteuid() == 0)
		in_child(drop_in_place_as_user);
}

/* Up to the hard limit, never beyond. */
static int
raise_limit(void)
{
	struct rlimit small = { 40, 50 };
	struct privs privs = nothing(&stays);

	EXPECT(setrlimit(RLIMIT_NOFILE, &small) == 0);
	privs.descriptors = 50;
	EXPECT(privs_drop(&privs, error) == 0);
	EXPECT(expect_limit(RLIMIT_NOFILE, 50) == 0);
	privs.descriptors = 60;
	EXPECT(privs_drop(&privs, error) == 0);
	return expect_limit(RLIMIT_NOFILE, 50);
}

static int
raise_limit_as_user(void)
{
	EXPECT(become_someone() == 0);
	return raise_limit();
}

static void
limits_are_raised_in_bounds(void **state)
{
	(void)state;
	in_child(raise_limit);
	if (geteuid() == 0)
		in_child(raise_limit_as_user);
}

static int
drop_without_rights(void)
{
	struct privs privs = nothing(&someone);
	const struct settings_identity other = {
		.is_set = true, .uid = SOME_UID + 1, .gid = SOME_GID
	};

	EXPECT(geteuid() != 0 || become_someone() == 0);
	privs.identity = &other;
	EXPECT(privs_drop(&privs, error) == -1);
	EXPECT(strstr(error, "change identity: ") != NULL);
	privs = nothing(&stays);
	privs.root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT(privs_drop(&privs, error) == -1);
	EXPECT(strstr(error, "enter the root directory: ") != NULL);
	EXPECT(privs_become(SOME_UID + 1, (gid_t)-1) == -1);
	EXPECT(privs_become((uid_t)-1, SOME_GID + 1) == -1);
	EXPECT(privs_become((uid_t)-1, (gid_t)-1) == 0);
	return 0;
}

static void
failure_is_told_with_its_step(void **state)
{
	(void)state;
	in_child(drop_without_rights);
}

static int
keep_capabilities(void)
{
#ifdef __linux__
	/* With this bit set, setuid away from root gives nothing up. */
	EXPECT(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0);
	errno = 0;
	EXPECT(privs_become(SOME_UID, SOME_GID) == -1);
	EXPECT(errno == EPERM);
#endif
	return 0;
}

static void
a_way_back_is_noticed(void **state)
{
	(void)state;
	need_root();
	in_child(keep_capabilities);
}

static int
become_program(void)
{
	const gid_t groups[] = { 0, 1, 2 };
	struct rlimit before, after;
	gid_t now[8];

	EXPECT(getrlimit(RLIMIT_CORE, &before) == 0);
	EXPECT(setgroups(3, groups) == 0);
	EXPECT(privs_become((uid_t)-1, (gid_t)-1) == 0);
	EXPECT(getgroups(8, now) == 3);
	EXPECT(privs_become((uid_t)-1, SOME_GID) == 0);
	EXPECT(getgroups(8, now) == 1 && now[0] == SOME_GID);
	EXPECT(getuid() == 0 && getgid() == SOME_GID);
	EXPECT(privs_become(SOME_UID, SOME_GID) == 0);
	EXPECT(getrlimit(RLIMIT_CORE, &after) == 0);
	EXPECT(after.rlim_max == before.rlim_max);
#ifdef __linux__
	/* Set-uid helpers of the program must go on working. */
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
#endif
	return expect_someone();
}

/* A uid alone: the groups of root do not come along. */
static int
become_uid(void)
{
	const gid_t groups[] = { 0, 1, 2 };
	gid_t now[8], gid = getegid();

	EXPECT(setgroups(3, groups) == 0);
	EXPECT(privs_become(SOME_UID, (gid_t)-1) == 0);
	EXPECT(geteuid() == SOME_UID && getegid() == gid);
	EXPECT(getgroups(8, now) == 1 && now[0] == gid);
	return 0;
}

static void
a_program_keeps_the_rest(void **state)
{
	(void)state;
	need_root();
	in_child(become_program);
	in_child(become_uid);
}

static int
limit_session(void)
{
	struct rlimit limit;
	int lowest = dup(0);

	EXPECT(lowest != -1 && close(lowest) == 0);
	EXPECT(geteuid() != 0 || become_someone() == 0);
	EXPECT(privs_limit_session((size_t)lowest) == 0);
	EXPECT(expect_limit(RLIMIT_NOFILE, (rlim_t)lowest) == 0);
	EXPECT(dup(0) == -1 && errno == EMFILE);
	EXPECT(fork() == -1 && errno == EAGAIN);
	limit.rlim_cur = limit.rlim_max = (rlim_t)lowest + 1;
	EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == -1);
	limit.rlim_cur = limit.rlim_max = 1;
	EXPECT(setrlimit(RLIMIT_NPROC, &limit) == -1);
	return 0;
}

static void
a_session_can_make_nothing(void **state)
{
	(void)state;
	in_child(limit_session);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_dropped),
		cmocka_unit_test(without_identity_the_rest_is_dropped),
		cmocka_unit_test(limits_are_raised_in_bounds),
		cmocka_unit_test(failure_is_told_with_its_step),
		cmocka_unit_test(a_way_back_is_noticed),
		cmocka_unit_test(a_program_keeps_the_rest),
		cmocka_unit_test(a_session_can_make_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
