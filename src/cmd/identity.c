/*
 * Who our processes and the programs are to be.
 *
 * Runs once, at the start, with the rights sslserver was started with.
 * Names are looked up in the system's user database; nothing is changed
 * here.
 */
#include "cmd/identity.h"

#include <sys/stat.h>

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cmd/options.h"

/* (uid_t)-1 means "leave as it is" to the system calls. */
#define ID_MAX 4294967294UL

static int
refuse(char error[IDENTITY_ERROR_SIZE], int code, const char *sentence,
    const char *word)
{
	char shown[TEXT_PRINTABLE_SIZE];

	text_format(error, IDENTITY_ERROR_SIZE, "%s%s", sentence,
	    text_printable(shown, word, strlen(word)));
	return code;
}

/* A word as uid; a name also sets *gid to its primary group. */
static int
find_user(const char *word, uid_t *uid, gid_t *gid, bool *is_name)
{
	const struct passwd *entry;
	unsigned long n;

	*is_name = false;
	if (text_number(word, 0, ID_MAX, &n) == 0) {
		*uid = (uid_t)n;
		return 0;
	}
	entry = getpwnam(word);
	if (entry == NULL)
		return -1;
	*uid = entry->pw_uid;
	*gid = entry->pw_gid;
	*is_name = true;
	return 0;
}

static int
find_group(const char *word, gid_t *gid)
{
	const struct group *entry;
	unsigned long n;

	if (text_number(word, 0, ID_MAX, &n) == 0) {
		*gid = (gid_t)n;
		return 0;
	}
	entry = getgrnam(word);
	if (entry == NULL)
		return -1;
	*gid = entry->gr_gid;
	return 0;
}

/* The value of a variable, or NULL: it is no number. */
static const char *
number_in(const char *name)
{
	const char *value = getenv(name);
	unsigned long n;

	if (value == NULL || text_number(value, 0, ID_MAX, &n) == -1)
		return NULL;
	return value;
}

/* -U: the words of -u and -g stand in the environment. */
static int
take_from_environment(struct options *o, char error[IDENTITY_ERROR_SIZE])
{
	if (!o->takes_user_from_env)
		return 0;
	if (o->user == NULL && (o->user = number_in("UID")) == NULL)
		return refuse(error, 100, "-U needs a number in $UID", "");
	if (o->group == NULL && (o->group = number_in("GID")) == NULL)
		return refuse(error, 100, "-U needs a number in $GID", "");
	return 0;
}

/* Meant as a number, as no name begins so, but none that is an id. */
static bool
is_bad_number(const char *word)
{
	unsigned long n;

	if (word == NULL || text_number(word, 0, ID_MAX, &n) == 0)
		return false;
	return word[0] == '\0' || word[0] == '-' ||
	    strspn(word, "0123456789") == strlen(word);
}

static int
resolve_program(struct options *o, char error[IDENTITY_ERROR_SIZE])
{
	struct settings *s = &o->settings;
	struct settings_identity *id = &s->program_id;
	bool is_name;

	if (is_bad_number(o->user))
		return refuse(error, 100, "bad uid: ", o->user);
	if (is_bad_number(o->group))
		return refuse(error, 100, "bad gid: ", o->group);
	if (o->user != NULL) {
		if (find_user(o->user, &id->uid, &id->gid, &is_name) == -1)
			return refuse(error, 111, "unknown user: ", o->user);
		s->sets_uid = true;
		s->sets_gid = is_name;
	}
	if (o->group != NULL) {
		if (find_group(o->group, &id->gid) == -1)
			return refuse(error, 111, "unknown group: ", o->group);
		s->sets_gid = true;
	}
	return 0;
}

/*
 * One of our own identities: a number or name from the environment, else
 * the built-in user, else nobody.
 */
static int
resolve_role(struct settings_identity *id, const char *user_word,
    const char *group_word, const char *built_in,
    char error[IDENTITY_ERROR_SIZE])
{
	const struct passwd *entry;
	bool is_name;

	id->is_set = true;
	if (user_word == NULL) {
		entry = getpwnam(built_in);
		if (entry == NULL)
			entry = getpwnam("nobody");
		/* Without root nobody is needed: all stay what they are. */
		if (entry == NULL && geteuid() != 0)
			return 0;
		if (entry == NULL)
			return refuse(error, 111,
			    "neither this user nor "
			    "nobody exists: ",
			    built_in);
		id->uid = entry->pw_uid;
		id->gid = entry->pw_gid;
	} else {
		/* A number alone: its group has the same number. */
		if (find_user(user_word, &id->uid, &id->gid, &is_name) == -1)
			return refuse(error, 111, "unknown user: ", user_word);
		if (!is_name)
			id->gid = (gid_t)id->uid;
	}
	if (group_word != NULL && find_group(group_word, &id->gid) == -1)
		return refuse(error, 111, "unknown group: ", group_word);
	return 0;
}

/* Set but empty is as if unset: nobody means the user "". */
static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

static int
resolve_roles(struct settings *s, char error[IDENTITY_ERROR_SIZE])
{
	const char *uid = variable("SSL_UID"), *gid = variable("SSL_GID");
	int code;

	code = resolve_role(&s->key_id, uid ? uid : variable("SSL_USER"),
	    gid ? gid : variable("SSL_GROUP"), "_sslkey", error);
	if (code == 0)
		code = resolve_role(&s->net_id, variable("SSLNET_USER"), NULL,
		    "_sslnet", error);
	if (code == 0)
		code = resolve_role(&s->mon_id, variable("SSLMON_USER"), NULL,
		    "_sslmon", error);
	return code;
}

/* Is id what this process already is, as far as it was asked for? */
static bool
is_present(const struct settings_identity *id, bool has_uid, bool has_gid)
{
	return (!has_uid || id->uid == geteuid()) &&
	    (!has_gid || id->gid == getegid());
}

/* Without root: what was asked for must be what we are. */
static int
check_without_root(struct settings *s, char error[IDENTITY_ERROR_SIZE])
{
	static const struct {
		const char *user, *number;
	} asked[] = { { "SSL_USER", "SSL_UID" }, { "SSLNET_USER", NULL },
		{ "SSLMON_USER", NULL } };
	struct settings_identity *ids[] = { &s->key_id, &s->net_id,
		&s->mon_id };
	bool has_uid, has_gid;
	size_t i;

	if (s->program_root != NULL)
		return refuse(
		    error, 111, "--root needs root: ", s->program_root);
	if (s->key_root != NULL)
		return refuse(
		    error, 111, "SSL_CHROOT needs root: ", s->key_root);
	if ((s->sets_uid && s->program_id.uid != geteuid()) ||
	    (s->sets_gid && s->program_id.gid != getegid()))
		return refuse(error, 111,
		    "-u, -g and -U need root for "
		    "another identity than the present one",
		    "");
	for (i = 0; i < 3; i++) {
		has_gid = i == 0 &&
		    (variable("SSL_GID") != NULL ||
			variable("SSL_GROUP") != NULL);
		has_uid = variable(asked[i].user) != NULL ||
		    (asked[i].number != NULL &&
			variable(asked[i].number) != NULL);
		if (!is_present(ids[i], has_uid, has_gid))
			return refuse(error, 111,
			    "needs root for another "
			    "identity than the present one: ",
			    asked[i].user);
	}
	for (i = 0; i < 3; i++)
		ids[i]->is_set = false;
	s->sets_uid = s->sets_gid = false;
	return 0;
}

/* A --root that is not there would fail each connection. */
static int
check_root(const struct settings *s, char error[IDENTITY_ERROR_SIZE])
{
	struct stat st;

	if (s->program_root == NULL)
		return 0;
	if (stat(s->program_root, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return refuse(
	    error, 111, "--root is not a directory: ", s->program_root);
}

int
identity_resolve(struct options *o, char error[IDENTITY_ERROR_SIZE])
{
	struct settings *s = &o->settings;
	int code;

	s->key_root = variable("SSL_CHROOT");
	code = take_from_environment(o, error);
	if (code == 0 && geteuid() == 0)
		code = check_root(s, error);
	if (code == 0)
		code = resolve_program(o, error);
	if (code == 0)
		code = resolve_roles(s, error);
	if (code == 0 && geteuid() != 0)
		code = check_without_root(s, error);
	return code;
}

__attribute__((format(printf, 1, 2))) static void
warn(const char *format, ...)
{
	char line[512] = "sslserver: warning: ";
	size_t used = strlen(line);
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	if (len < 0)
		return;
	used = strlen(line);
	line[used] = '\n';
	fd_write_all(2, line, used + 1);
}

static void
warn_of_equals(const struct settings *s)
{
	const struct {
		const char *name;
		uid_t uid;
	} who[] = { { "the key process (SSL_UID)", s->key_id.uid },
		{ "the network processes (SSLNET_USER)", s->net_id.uid },
		{ "the monitor (SSLMON_USER)", s->mon_id.uid },
		{ "the program (-u)", s->sets_uid ? s->program_id.uid : 0 },
		{ "root", 0 } };
	const size_t count = sizeof(who) / sizeof(who[0]);
	char names[256] = "";
	bool is_shared;
	size_t i, j, used = 0;

	for (i = 0; i < count; i++) {
		is_shared = false;
		for (j = 0; j < count; j++)
			/* The program as root has a warning of its own. */
			if (i != j && who[i].uid == who[j].uid &&
			    !(i >= 3 && j >= 3))
				is_shared = true;
		if (is_shared)
			used +=
			    (size_t)snprintf(names + used, sizeof(names) - used,
				"%s%s", used ? ", " : "", who[i].name);
	}
	if (used > 0)
		warn("sharing a user: %s", names);
}

void
identity_warn(const struct options *o)
{
	const struct settings *s = &o->settings;

	if (s->verbosity < VERBOSITY_ERRORS || geteuid() != 0)
		return;
	if (!s->sets_uid)
		warn("no -u: programs run as root");
	else if (!s->sets_gid && getegid() == 0)
		warn("-u %s without -g: programs keep gid 0", o->user);
	warn_of_equals(s);
}
