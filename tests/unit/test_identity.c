/*
 * test_identity: who is to be whom: names, numbers, -U, the environment,
 * and that without root nothing asked for is silently ignored.
 */
#include "cmd/identity.h"

#include "support.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "cmd/options.h"

/* A user whose uid and gid are sure to exist; found in set_up. */
static const struct passwd *user;
static char user_name[64], other_group[64];
static uid_t user_uid;
static gid_t user_gid, other_gid;

static struct options o;
static char error[IDENTITY_ERROR_SIZE];

/* Every variable the module reads. */
static const char *const variables[] = { "UID", "GID", "SSL_USER", "SSL_GROUP",
	"SSL_UID", "SSL_GID", "SSL_CHROOT", "SSLNET_USER", "SSLMON_USER" };

static void
clear_variables(void)
{
	size_t i;

	for (i = 0; i < COUNT(variables); i++)
		unsetenv(variables[i]);
}

/* Look for a user other than root with a group other than its uid's. */
static int
set_up(void **state)
{
	const struct group *group;

	(void)state;
	clear_variables();
	setpwent();
	while ((user = getpwent()) != NULL)
		if (user->pw_uid != 0 && user->pw_gid != 0)
			break;
	if (user == NULL)
		return -1;
	snprintf(user_name, sizeof(user_name), "%s", user->pw_name);
	user_uid = user->pw_uid;
	user_gid = user->pw_gid;
	endpwent();
	setgrent();
	while ((group = getgrent()) != NULL)
		if (group->gr_gid != 0 && group->gr_gid != user_gid)
			break;
	if (group == NULL)
		return -1;
	snprintf(other_group, sizeof(other_group), "%s", group->gr_name);
	other_gid = group->gr_gid;
	endgrent();
	return 0;
}

static int
resolve(const char *user_word, const char *group_word, bool from_environment)
{
	memset(&o, 0, sizeof(o));
	o.user = user_word;
	o.group = group_word;
	o.takes_user_from_env = from_environment;
	o.settings.verbosity = VERBOSITY_ERRORS;
	o.settings.program_name = "sslserver";
	error[0] = '\0';
	return identity_resolve(&o, error);
}

/* resolve with one variable more, which is gone afterwards. */
static int
with(const char *name, const char *value)
{
	int code;

	setenv(name, value, 1);
	code = resolve(NULL, NULL, false);
	unsetenv(name);
	return code;
}

static const struct settings_identity *const program = &o.settings.program_id;

static void
the_program_by_name_and_number(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(resolve(NULL, NULL, false), 0);
	assert_false(o.settings.sets_uid || o.settings.sets_gid);
	/* A number alone keeps the gid, a name brings its group. */
	assert_int_equal(resolve("64077", NULL, false), 0);
	assert_true(o.settings.sets_uid && !o.settings.sets_gid);
	assert_int_equal(program->uid, 64077);
	assert_int_equal(resolve(user_name, NULL, false), 0);
	assert_true(o.settings.sets_uid && o.settings.sets_gid);
	assert_int_equal(program->uid, user_uid);
	assert_int_equal(program->gid, user_gid);
	/* -g beats that group, and stands alone. */
	assert_int_equal(resolve(user_name, "64078", false), 0);
	assert_int_equal(program->uid, user_uid);
	assert_int_equal(program->gid, 64078);
	assert_int_equal(resolve(NULL, other_group, false), 0);
	assert_true(!o.settings.sets_uid && o.settings.sets_gid);
	assert_int_equal(program->gid, other_gid);
	assert_int_equal(resolve("0", "0", false), 0);
	assert_true(o.settings.sets_uid && program->uid == 0);
	assert_int_equal(resolve("4294967294", "4294967294", false), 0);
	assert_true(program->uid == 4294967294 && program->gid == 4294967294);
}

static void
unknown_words_are_named(void **state)
{
	/* 4294967295 means "stay": nobody can become it. */
	static const struct {
		const char *word;
		int code; /* 100: meant as a number */
	} words[] = { { "no-such-name", 111 }, { "", 100 }, { "-1", 100 },
		{ "4294967295", 100 }, { "4294967296", 100 },
		{ "18446744073709551616", 100 }, { "1x", 111 }, { "0x10", 111 },
		{ " 1", 111 }, { "a\nb", 111 } };
	static const char *const roles[] = { "SSL_USER", "SSL_UID", "SSL_GROUP",
		"SSL_GID", "SSLNET_USER", "SSLMON_USER" };
	char expected[64];
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(words); i++) {
		assert_int_equal(
		    resolve(words[i].word, NULL, false), words[i].code);
		assert_non_null(strstr(error,
		    words[i].code == 100 ? "-u: bad uid "
					 : "-u: unknown user "));
		assert_int_equal(
		    resolve(NULL, words[i].word, false), words[i].code);
		assert_non_null(strstr(error,
		    words[i].code == 100 ? "-g: bad gid "
					 : "-g: unknown group "));
		assert_null(strchr(error, '\n'));
		for (j = 0; j < COUNT(roles) && words[i].word[0] != '\0'; j++) {
			assert_int_equal(with(roles[j], words[i].word), 111);
			snprintf(expected, sizeof(expected), "%s: unknown ",
			    roles[j]);
			assert_ptr_equal(strstr(error, expected), error);
		}
	}
}

static void
numbers_from_the_environment(void **state)
{
	static const char *const bad[] = { "", "root", "-1", "1x",
		"4294967295" };
	size_t i;

	(void)state;
	assert_int_equal(resolve(NULL, NULL, true), 100);
	assert_non_null(strstr(error, "$UID"));
	setenv("UID", "64077", 1);
	assert_int_equal(resolve(NULL, NULL, true), 100);
	assert_non_null(strstr(error, "$GID"));
	for (i = 0; i < COUNT(bad); i++) {
		setenv("GID", bad[i], 1);
		assert_int_equal(resolve(NULL, NULL, true), 100);
	}
	setenv("GID", "64078", 1);
	for (i = 0; i < COUNT(bad); i++) {
		setenv("UID", bad[i], 1);
		assert_int_equal(resolve(NULL, NULL, true), 100);
	}
	setenv("UID", "64077", 1);
	if (geteuid() == 0) {
		assert_int_equal(resolve(NULL, NULL, true), 0);
		assert_true(o.settings.sets_uid && o.settings.sets_gid);
		assert_int_equal(program->uid, 64077);
		assert_int_equal(program->gid, 64078);
		/* -u or -g given after -U. */
		assert_int_equal(resolve("5", NULL, true), 0);
		assert_true(program->uid == 5 && program->gid == 64078);
		unsetenv("GID");
		assert_int_equal(resolve(NULL, "6", true), 0);
		assert_true(program->uid == 64077 && program->gid == 6);
	}
	clear_variables();
}

/* The built-in user of a role, or what stands for it. */
static const struct passwd *
built_in(const char *name)
{
	const struct passwd *entry = getpwnam(name);

	return entry != NULL ? entry : getpwnam("nobody");
}

static void
built_in_users(void **state)
{
	const struct settings *s = &o.settings;

	(void)state;
	need_root();
	if (getpwnam("nobody") == NULL)
		SKIP("no user nobody");
	assert_int_equal(resolve(NULL, NULL, false), 0);
	assert_true(s->key_id.is_set && s->net_id.is_set && s->mon_id.is_set);
	assert_int_equal(s->key_id.uid, built_in("_sslkey")->pw_uid);
	assert_int_equal(s->key_id.gid, built_in("_sslkey")->pw_gid);
	assert_int_equal(s->net_id.uid, built_in("_sslnet")->pw_uid);
	assert_int_equal(s->mon_id.uid, built_in("_sslmon")->pw_uid);
	assert_null(s->key_root);
	/* Set but empty is as if unset. */
	assert_int_equal(with("SSL_UID", ""), 0);
	assert_int_equal(s->key_id.uid, built_in("_sslkey")->pw_uid);
	assert_int_equal(with("SSL_CHROOT", ""), 0);
	assert_null(s->key_root);
}

static void
roles_by_name_and_number(void **state)
{
	const struct settings *s = &o.settings;

	(void)state;
	need_root();
	assert_int_equal(with("SSLNET_USER", "64077"), 0);
	assert_true(s->net_id.uid == 64077 && s->net_id.gid == 64077);
	assert_int_equal(with("SSLNET_USER", user_name), 0);
	assert_true(s->net_id.uid == user_uid && s->net_id.gid == user_gid);
	assert_int_equal(with("SSLMON_USER", "64077"), 0);
	assert_true(s->mon_id.uid == 64077 && s->mon_id.gid == 64077);
	setenv("SSL_USER", user_name, 1);
	assert_int_equal(with("SSL_CHROOT", "/var/empty"), 0);
	assert_true(s->key_id.uid == user_uid && s->key_id.gid == user_gid);
	assert_int_equal(with("SSL_GROUP", other_group), 0);
	assert_true(s->key_id.uid == user_uid && s->key_id.gid == other_gid);
	/* Numbers beat names. */
	setenv("SSL_UID", "64077", 1);
	setenv("SSL_GROUP", other_group, 1);
	assert_int_equal(with("SSL_GID", "64078"), 0);
	assert_true(s->key_id.uid == 64077 && s->key_id.gid == 64078);
	assert_int_equal(with("SSL_CHROOT", "/var/empty"), 0);
	assert_string_equal(s->key_root, "/var/empty");
	clear_variables();
}

/* What identity_warn writes to descriptor 2 for this -u and -g. */
static const char *
warnings(const char *user_word, const char *group_word)
{
	static char text[2048];
	int fds[2], saved = dup(2);
	ssize_t len;

	assert_int_equal(resolve(user_word, group_word, false), 0);
	assert_int_equal(fd_pipe(fds), 0);
	assert_int_equal(dup2(fds[1], 2), 2);
	fd_close(&fds[1]);
	identity_warn(&o);
	assert_int_equal(dup2(saved, 2), 2);
	close(saved);
	len = fd_read_all(fds[0], text, sizeof(text) - 1);
	fd_close(&fds[0]);
	assert_true(len >= 0);
	text[len] = '\0';
	return text;
}

static void
what_is_unwise(void **state)
{
	(void)state;
	need_root();
	setenv("SSL_UID", "64071", 1);
	setenv("SSLNET_USER", "64072", 1);
	setenv("SSLMON_USER", "64073", 1);
	assert_string_equal(warnings("64077", "64077"), "");
	assert_string_equal(warnings(NULL, NULL),
	    "sslserver: warning: no -u: programs run as root\n");
	assert_string_equal(warnings("64077", NULL),
	    getegid() != 0 ? ""
			   : "sslserver: warning: -u 64077 without -g: "
			     "programs keep gid 0\n");
	assert_string_equal(warnings("64072", "64077"),
	    "sslserver: warning: sharing user 64072: the network processes "
	    "(SSLNET_USER), the program (-u)\n");
	setenv("SSLMON_USER", "64071", 1);
	assert_string_equal(warnings("64077", "64077"),
	    "sslserver: warning: sharing user 64071: the key process "
	    "(SSL_UID), the monitor (SSLMON_USER)\n");
	/* Two pairs still are one line. */
	assert_string_equal(warnings("64072", "64077"),
	    "sslserver: warning: sharing user 64071: the key process "
	    "(SSL_UID), the monitor (SSLMON_USER); sharing user 64072: "
	    "the network processes (SSLNET_USER), the program (-u)\n");
	setenv("SSL_UID", "0", 1);
	assert_string_equal(warnings("64077", "64077"),
	    "sslserver: warning: sharing user root: the key process "
	    "(SSL_UID), root\n");
	setenv("SSLNET_USER", "0", 1);
	setenv("SSLMON_USER", "0", 1);
	assert_string_equal(warnings("0", "0"),
	    "sslserver: warning: sharing user root: the key process "
	    "(SSL_UID), the network processes (SSLNET_USER), the monitor "
	    "(SSLMON_USER), the program (-u), root\n");
	clear_variables();
}

/* A name that no user has, as the sentence ends: see what_is_missing. */
static void
expect_missing(const char *text, const char *name, bool is_wanted)
{
	const char *part = strstr(text, "; no user ");

	if (part == NULL)
		part = strstr(text, "warning: no user ");
	if ((part != NULL && strstr(part, name) != NULL) !=
	    (is_wanted && getpwnam(name) == NULL))
		fail_msg("%s: %s", name, text);
	if (part != NULL)
		assert_non_null(strstr(part, " (make install makes them)\n"));
}

static void
missing_users_are_named(void **state)
{
	const char *text;

	(void)state;
	need_root();
	if (getpwnam("nobody") == NULL)
		SKIP("no user nobody");
	text = warnings("64077", "64077");
	expect_missing(text, "_sslkey", true);
	expect_missing(text, "_sslnet", true);
	expect_missing(text, "_sslmon", true);
	/* Alone it shares nothing, and is worth the line all the same. */
	setenv("SSL_UID", "64071", 1);
	setenv("SSLNET_USER", "64072", 1);
	text = warnings("64077", "64077");
	assert_null(strstr(text, "sharing"));
	expect_missing(text, "_sslkey", false);
	expect_missing(text, "_sslnet", false);
	expect_missing(text, "_sslmon", true);
	clear_variables();
}

/* A variable or option that asks for uid and gid. */
static int
asks(const char *name, unsigned uid, unsigned gid)
{
	char uid_text[16], gid_text[16];
	int code;

	snprintf(uid_text, sizeof(uid_text), "%u", uid);
	snprintf(gid_text, sizeof(gid_text), "%u", gid);
	if (strcmp(name, "-u") == 0)
		return resolve(uid_text, NULL, false);
	if (strcmp(name, "-g") == 0)
		return resolve(NULL, gid_text, false);
	if (strcmp(name, "-U") == 0) {
		setenv("UID", uid_text, 1);
		setenv("GID", gid_text, 1);
		code = resolve(NULL, NULL, true);
		clear_variables();
		return code;
	}
	return with(name,
	    strcmp(name, "SSL_GID") == 0 || strcmp(name, "SSL_GROUP") == 0
		? gid_text
		: uid_text);
}

static int
asking_without_root(void)
{
	static const char *const names[] = { "-u", "-g", "-U", "SSL_UID",
		"SSL_USER", "SSL_GID", "SSL_GROUP", "SSLNET_USER",
		"SSLMON_USER" };
	unsigned uid = (unsigned)geteuid(), gid = (unsigned)getegid();
	const struct settings *s = &o.settings;
	size_t i;

	EXPECT(resolve(NULL, NULL, false) == 0);
	for (i = 0; i < COUNT(names); i++) {
		if (asks(names[i], uid, gid) != 0) {
			print_error("%s: %s\n", names[i], error);
			return __LINE__;
		}
		/* What we are need not be set. */
		EXPECT(!s->key_id.is_set && !s->net_id.is_set);
		EXPECT(!s->mon_id.is_set && !s->sets_uid && !s->sets_gid);
		if (asks(names[i], uid + 1, gid + 1) != 111) {
			print_error("%s is ignored\n", names[i]);
			return __LINE__;
		}
		EXPECT(strstr(error, "root") != NULL);
		EXPECT(asks(names[i], 0, 0) == 111);
	}
	EXPECT(with("SSL_CHROOT", "/") == 111);
	EXPECT(strstr(error, "SSL_CHROOT") != NULL);
	memset(&o, 0, sizeof(o));
	o.settings.program_root = "/";
	EXPECT(identity_resolve(&o, error) == 111);
	EXPECT(strstr(error, "--root") != NULL);
	return 0;
}

static int
asking_after_setuid(void)
{
	EXPECT(setgroups(0, NULL) == 0);
	EXPECT(setgid(SOME_GID) == 0 && setuid(SOME_UID) == 0);
	return asking_without_root();
}

static void
without_root_nothing_is_ignored(void **state)
{
	(void)state;
	in_child(geteuid() == 0 ? asking_after_setuid : asking_without_root);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_by_name_and_number),
		cmocka_unit_test(unknown_words_are_named),
		cmocka_unit_test(numbers_from_the_environment),
		cmocka_unit_test(built_in_users),
		cmocka_unit_test(roles_by_name_and_number),
		cmocka_unit_test(what_is_unwise),
		cmocka_unit_test(missing_users_are_named),
		cmocka_unit_test(without_root_nothing_is_ignored),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
