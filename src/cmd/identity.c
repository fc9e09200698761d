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

/* One of our own identities: what asks for it, and who it is otherwise. */
struct role {
	const char *who;
	const char *users[2], *groups[2]; /* variables; the first beats */
	const char *built_in;
};

enum { KEY, NET, MON, ROLES };

static const struct role roles[ROLES] = {
	[KEY] = { "the key process", { "SSL_UID", "SSL_USER" },
	    { "SSL_GID", "SSL_GROUP" }, "_sslkey" },
	[NET] = { "the network processes", { "SSLNET_USER", NULL },
	    { NULL, NULL }, "_sslnet" },
	[MON] = { "the monitor", { "SSLMON_USER", NULL }, { NULL, NULL },
	    "_sslmon" },
};

static int
refuse(char error[IDENTITY_ERROR_SIZE], int code, const char *sentence,
    const char *word)
{
	char shown[TEXT_PRINTABLE_SIZE];

	text_format(error, IDENTITY_ERROR_SIZE, "%s%s", sentence,
	    text_printable(shown, word, strlen(word)));
	return code;
}

/* The same, and what the word was given by. */
static int
refuse_word(char error[IDENTITY_ERROR_SIZE], int code, const char *giver,
    const char *sentence, const char *word)
{
	char whole[96];

	text_format(whole, sizeof(whole), "%s: %s ", giver, sentence);
	return refuse(error, code, whole, word);
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
		return refuse_word(error, 100, "-u", "bad uid", o->user);
	if (is_bad_number(o->group))
		return refuse_word(error, 100, "-g", "bad gid", o->group);
	if (o->user != NULL) {
		if (find_user(o->user, &id->uid, &id->gid, &is_name) == -1)
			return refuse_word(
			    error, 111, "-u", "unknown user", o->user);
		s->sets_uid = true;
		s->sets_gid = is_name;
	}
	if (o->group != NULL) {
		if (find_group(o->group, &id->gid) == -1)
			return refuse_word(
			    error, 111, "-g", "unknown group", o->group);
		s->sets_gid = true;
	}
	return 0;
}

/* Set but empty is as if unset: nobody means the user "". */
static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

/* The name of the variable that counts, or NULL: none is set. */
static const char *
first_set(const char *const names[2])
{
	size_t i;

	for (i = 0; i < 2 && names[i] != NULL; i++)
		if (variable(names[i]) != NULL)
			return names[i];
	return NULL;
}

/* Nobody has said who this role is: the built-in user, else nobody. */
static int
take_built_in(struct settings_identity *id, const char *built_in,
    char error[IDENTITY_ERROR_SIZE])
{
	const struct passwd *entry = getpwnam(built_in);

	if (entry == NULL)
		entry = getpwnam("nobody");
	/* Without root nobody is needed: all stay what they are. */
	if (entry == NULL && geteuid() != 0)
		return 0;
	if (entry == NULL)
		return refuse(error, 111,
		    "neither this user nor nobody exists: ", built_in);
	id->uid = entry->pw_uid;
	id->gid = entry->pw_gid;
	return 0;
}

static int
resolve_role(struct settings_identity *id, const struct role *role,
    char error[IDENTITY_ERROR_SIZE])
{
	const char *user = first_set(role->users);
	const char *group = first_set(role->groups);
	bool is_name;

	id->is_set = true;
	if (user == NULL) {
		if (take_built_in(id, role->built_in, error) != 0)
			return 111;
	} else {
		if (find_user(variable(user), &id->uid, &id->gid, &is_name) ==
		    -1)
			return refuse_word(
			    error, 111, user, "unknown user", variable(user));
		/* A number alone: its group has the same number. */
		if (!is_name)
			id->gid = (gid_t)id->uid;
	}
	if (group != NULL && find_group(variable(group), &id->gid) == -1)
		return refuse_word(
		    error, 111, group, "unknown group", variable(group));
	return 0;
}

static int
resolve_roles(struct settings *s, char error[IDENTITY_ERROR_SIZE])
{
	int code;

	code = resolve_role(&s->key_id, &roles[KEY], error);
	if (code == 0)
		code = resolve_role(&s->net_id, &roles[NET], error);
	if (code == 0)
		code = resolve_role(&s->mon_id, &roles[MON], error);
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
	struct settings_identity *ids[ROLES] = { &s->key_id, &s->net_id,
		&s->mon_id };
	const char *user, *group;
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
	for (i = 0; i < ROLES; i++) {
		user = first_set(roles[i].users);
		group = first_set(roles[i].groups);
		if (!is_present(ids[i], user != NULL, group != NULL))
			return refuse(error, 111,
			    "needs root for another "
			    "identity than the present one: ",
			    user != NULL ? user : group);
	}
	for (i = 0; i < ROLES; i++)
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

int
identity_network(struct settings_identity *id, char error[IDENTITY_ERROR_SIZE])
{
	int code = resolve_role(id, &roles[NET], error);

	if (code != 0 || geteuid() == 0)
		return code;
	if (!is_present(id, first_set(roles[NET].users) != NULL, false))
		return refuse(error, 111,
		    "needs root for another identity than the present one: ",
		    first_set(roles[NET].users));
	id->is_set = false;
	return 0;
}

__attribute__((format(printf, 2, 3))) static void
warn(const struct settings *s, const char *format, ...)
{
	char line[512];
	size_t used;
	va_list args;
	int len;

	text_format(line, sizeof(line), "%s: warning: ", s->program_name);
	used = strlen(line);
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
append(char *text, size_t size, const char *separator, const char *word)
{
	size_t used = strlen(text);

	text_format(
	    text + used, size - used, "%s%s", used > 0 ? separator : "", word);
}

struct holder {
	char who[64];
	uid_t uid;
};

#define HOLDERS (ROLES + 2)

/* Everybody who should have a user to themselves. */
static void
list_holders(struct holder holders[HOLDERS], const struct settings *s)
{
	const uid_t uids[HOLDERS] = { s->key_id.uid, s->net_id.uid,
		s->mon_id.uid, s->sets_uid ? s->program_id.uid : 0, 0 };
	size_t i;

	for (i = 0; i < HOLDERS; i++)
		holders[i].uid = uids[i];
	for (i = 0; i < ROLES; i++)
		text_format(holders[i].who, sizeof(holders[i].who), "%s (%s)",
		    roles[i].who, roles[i].users[0]);
	text_copy(holders[i].who, sizeof(holders[i].who), "the program (-u)");
	i++;
	text_copy(holders[i].who, sizeof(holders[i].who), "root");
}

/* "sharing user NAME: " and who has the user of holders[first], or "". */
static void
name_sharers(
    char *text, size_t size, const struct holder *holders, size_t first)
{
	const struct passwd *entry = getpwuid(holders[first].uid);
	size_t i, count = 0;
	char names[256] = "";

	text[0] = '\0';
	for (i = 0; i < HOLDERS; i++) {
		if (holders[i].uid != holders[first].uid)
			continue;
		if (i < first) /* they are named already */
			return;
		append(names, sizeof(names), ", ", holders[i].who);
		count++;
	}
	/* The program as root has a warning of its own. */
	if (count < 2 || first >= ROLES)
		return;
	if (entry != NULL)
		text_format(text, size, "sharing user %.32s: %s",
		    entry->pw_name, names);
	else
		text_format(text, size, "sharing user %lu: %s",
		    (unsigned long)holders[first].uid, names);
}

/* The built-in users that are wanted and do not exist. */
static void
name_missing(char *text, size_t size)
{
	size_t i;

	text[0] = '\0';
	for (i = 0; i < ROLES; i++)
		if (first_set(roles[i].users) == NULL &&
		    getpwnam(roles[i].built_in) == NULL)
			append(text, size, ", ", roles[i].built_in);
}

/* One line of all that is not as separate as it could be. */
static void
warn_of_sharing(const struct settings *s)
{
	struct holder holders[HOLDERS];
	char line[448] = "", part[320], missing[64];
	size_t i;

	list_holders(holders, s);
	for (i = 0; i < HOLDERS; i++) {
		name_sharers(part, sizeof(part), holders, i);
		if (part[0] != '\0')
			append(line, sizeof(line), "; ", part);
	}
	name_missing(missing, sizeof(missing));
	if (missing[0] != '\0') {
		text_format(part, sizeof(part),
		    "no user %s (make install makes them)", missing);
		append(line, sizeof(line), "; ", part);
	}
	if (line[0] != '\0')
		warn(s, "%s", line);
}

void
identity_warn(const struct options *o)
{
	const struct settings *s = &o->settings;

	if (s->verbosity < VERBOSITY_ERRORS || geteuid() != 0)
		return;
	if (!s->sets_uid)
		warn(s, "no -u: programs run as root");
	else if (!s->sets_gid && getegid() == 0)
		warn(s, "-u %s without -g: programs keep gid 0", o->user);
	warn_of_sharing(s);
}
