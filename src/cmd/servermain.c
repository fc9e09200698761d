/*
 * What the mains of sslserver and sslhandle do.
 *
 * servermain_run is the table of contents.  Up to the fork of master everything runs
 * with the rights the administrator gave, and reads nothing but the command
 * line, the environment and the user database; what the network could
 * answer is looked up by a child without rights.
 */
#include "cmd/servermain.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "cmd/explain.h"
#include "cmd/identity.h"
#include "cmd/nameservers.h"
#include "cmd/options.h"
#include "net/sock.h"
#include "serve/bindhost.h"
#include "serve/cache.h"
#include "serve/defaults.h"
#include "serve/front.h"
#include "serve/master.h"
#include "serve/privs.h"
#include "serve/program.h"
#include "serve/sandbox.h"
#include "serve/title.h"

__attribute__((noreturn)) static void
die(const struct settings *s, int code, const char *sentence)
{
	char shown[512];

	text_copy(shown, sizeof(shown), sentence);
	fprintf(stderr, "%s: fatal: (%d) %s\n", s->program_name, code,
	    text_clean(shown));
	exit(code);
}

/* die, with the word that is wrong. */
__attribute__((noreturn)) static void
die_of(
    const struct settings *s, int code, const char *sentence, const char *word)
{
	char both[512];

	text_format(both, sizeof(both), "%s%.200s", sentence, word);
	die(s, code, both);
}

__attribute__((format(printf, 2, 3))) static void
warn(const struct settings *s, const char *format, ...)
{
	char sentence[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	fprintf(stderr, "%s: warning: %s\n", s->program_name, sentence);
}

/* Of -3: there from the start, or nothing else may come to lie there. */
static int
keep_phrase(const struct settings *s)
{
	if (fcntl(SETTINGS_PHRASE_FD, F_SETFD, FD_CLOEXEC) == -1)
		die(s, 111, "-3: descriptor 3 is not open");
	return SETTINGS_PHRASE_FD;
}

/* Close what we inherited, but for 0, 1, 2, --keep-fd and 3 of -3. */
static void
close_inherited(const struct settings *s)
{
	int keep[4 + SETTINGS_KEEP_FDS_MAX] = { 0, 1, 2, -1 };
	char sentence[128];
	size_t i;

	for (i = 0; i < s->keep_fd_count; i++) {
		keep[4 + i] = s->keep_fds[i];
		if (fcntl(s->keep_fds[i], F_SETFD, FD_CLOEXEC) == -1) {
			text_format(sentence, sizeof(sentence),
			    "--keep-fd %d: %s", s->keep_fds[i],
			    strerror(errno));
			die(s, 111, sentence);
		}
	}
	if (s->reads_phrase && !s->only_explains)
		keep[3] = keep_phrase(s);
	if (fd_close_except(keep, 4 + s->keep_fd_count) == -1)
		die(s, 111, "unable to close inherited descriptors");
}

/* Set, not empty, and no `-', which says that there shall be none. */
static bool
is_named(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL)
		value = defaults_of(name);

	return value != NULL && *value != '\0' && strcmp(value, "-") != 0;
}

/* One line about those of count variables that are. */
static void
warn_of_set(const struct settings *s, const char *const *names, size_t count,
    const char *what)
{
	char line[160] = "";
	size_t i, used;

	for (i = 0; i < count; i++) {
		if (!is_named(names[i]))
			continue;
		used = strlen(line);
		text_format(line + used, sizeof(line) - used, "%s%s",
		    used > 0 ? ", " : "", names[i]);
	}
	if (line[0] != '\0')
		warn(s, "%s: %s", what, line);
}

/* What would refuse everybody, or be of no effect. */
static void
warn_of_cert_policy(const struct settings *s)
{
	static const char *const names[] = { "CAFILE", "CADIR", "CCAFILE",
		"CCADIR", "CRLFILE", "VERIFYDEPTH" };
	enum tlsverify_mode mode = s->cert.mode;

	if (s->cert_is_turned_off) {
		warn(s,
		    "no client certificate is asked for, "
		    "though -z or -m is given: CCAFILE is -");
		return;
	}
	if (mode != TLSVERIFY_NONE && !s->has_cas)
		warn(s,
		    "a client certificate is required, "
		    "but none of CAFILE, CADIR, CCAFILE and CCADIR is set: "
		    "every client will be refused");
	if (mode == TLSVERIFY_NAME && !s->cert.matches_name)
		warn(s,
		    "with -H the name in a client "
		    "certificate is not matched");
	if (mode == TLSVERIFY_NONE && s->rules == NULL &&
	    s->early_rules == NULL)
		warn_of_set(s, names, sizeof(names) / sizeof(names[0]),
		    "without effect, as no client certificate is asked for");
}

/* By the file's mode, for the identity that the program will have. */
static bool
may_execute(const struct settings *s, const struct stat *st)
{
	uid_t uid = s->sets_uid ? s->program_id.uid : geteuid();
	gid_t gid = s->sets_gid ? s->program_id.gid : getegid();

	if (uid == 0)
		return (st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
	if (uid == st->st_uid)
		return (st->st_mode & S_IXUSR) != 0;
	if (gid == st->st_gid)
		return (st->st_mode & S_IXGRP) != 0;
	/* Without -u the groups of the start count too: do not judge. */
	return (st->st_mode & S_IXOTH) != 0 || !s->sets_uid;
}

/*
 * Why the program can probably not be run; 0: no reason seen.  Looked at
 * from outside: to become the program's user here would let its processes
 * hold up our start.  A link below --root leads elsewhere from there.
 */
static int
doubt_program(const struct settings *s)
{
	char path[4096];
	struct stat st;

	if (text_format(path, sizeof(path), "%s%s%s",
		s->program_root == NULL ? "" : s->program_root,
		s->program_root == NULL ? "" : "/", s->program[0]) == -1)
		return 0;
	if (s->program_root != NULL && lstat(path, &st) == 0 &&
	    S_ISLNK(st.st_mode))
		return 0;
	if (stat(path, &st) == -1)
		return errno;
	return S_ISREG(st.st_mode) && may_execute(s, &st) ? 0 : EACCES;
}

/* It would fail each connection; but it may still come. */
static void
warn_of_program(const struct settings *s)
{
	char sentence[768];
	int error;

	/* Without a slash it depends on the PATH that rules may set. */
	if (s->code != NULL || strchr(s->program[0], '/') == NULL)
		return;
	error = doubt_program(s);
	if (error == 0)
		return;
	text_format(sentence, sizeof(sentence),
	    "unable to run %.256s%s%.256s: %s", s->program[0],
	    s->program_root == NULL ? "" : " under --root ",
	    s->program_root == NULL ? "" : s->program_root, strerror(error));
	warn(s, "%s", text_clean(sentence));
}

/* Options that say something about nothing. */
static void
warn_of_options(const struct settings *s)
{
	if (s->is_paranoid && !s->wants_name)
		warn(s, "-p is without effect with -H");
	if (s->missing_is_empty && s->rules == NULL && s->early_rules == NULL)
		warn(s, "-X is without effect without -x or -y");
}

/* What would start, but probably not as it is meant. */
static void
warn_of_settings(const struct options *options)
{
	identity_warn(options);
	if (options->settings.verbosity < VERBOSITY_ERRORS)
		return;
	warn_of_cert_policy(&options->settings);
	warn_of_options(&options->settings);
	warn_of_program(&options->settings);
}

/* MAXCONIP and MAXCONNET of the start.  -c is their ceiling in any case. */
static void
read_limits(struct settings *s)
{
	const char *value = getenv("MAXCONIP");

	if (value != NULL && value[0] != '\0' &&
	    limits_read_source(&s->limits, value) == -1)
		die_of(s, 111, "MAXCONIP is not a number: ", value);
	value = getenv("MAXCONNET");
	if (value != NULL && value[0] != '\0' &&
	    limits_read_network(&s->limits, value) == -1)
		die_of(s, 111, "MAXCONNET is not n/bits: ", value);
}

/* Whether clients are asked for certificates. */
static void
read_cert_policy(struct settings *s)
{
	bool is_asked = s->cert.mode != TLSVERIFY_NONE;

	if (certpolicy_from_environment(&s->cert) == -1)
		die_of(s, 111, "VERIFYDEPTH is not a number from 0 to 100: ",
		    getenv("VERIFYDEPTH"));
	s->cert.matches_name = s->wants_name;
	s->has_cas = is_named("CAFILE") || is_named("CADIR") ||
	    is_named("CCAFILE") || is_named("CCADIR");
	s->cert_is_turned_off = is_asked && s->cert.mode == TLSVERIFY_NONE;
}

/* A number, 0 when it is empty, and as it was when it is unset. */
static void
read_number(const struct settings *s, const char *name, unsigned long max,
    unsigned long *n)
{
	const char *value = getenv(name);
	char sentence[80];

	if (value == NULL)
		return;
	if (value[0] == '\0')
		*n = 0;
	else if (text_number(value, 0, max, n) == -1) {
		text_format(sentence, sizeof(sentence),
		    "%s is not a number from 0 to %lu: ", name, max);
		die_of(s, 111, sentence, value);
	}
}

/* As it is given, or else below SSL_CHROOT, if it is there. */
static const char *
find_ticket_keys(const struct settings *s)
{
	static char below[4096];
	const char *path = getenv("TICKETKEYS");

	if (s->key_root == NULL || access(path, F_OK) == 0 ||
	    text_format(below, sizeof(below), "%s/%s", s->key_root, path) ==
		-1 ||
	    access(below, F_OK) == -1)
		return path;
	return below;
}

/*
 * SESSIONTIME, SESSIONCACHE and TICKETKEYS.  There is no cache where nothing
 * is resumed, or nothing kept and no key there.
 */
static void
read_resumption(struct settings *s)
{
	unsigned long seconds = s->session_s, count = s->session_count;

	read_number(s, "SESSIONTIME", TLSRESUME_LIFETIME_MAX, &seconds);
	read_number(s, "SESSIONCACHE", CACHE_ENTRIES_MAX, &count);
	if (is_named("TICKETKEYS") && seconds > 0)
		s->ticket_keys = find_ticket_keys(s);
	s->session_s =
	    count == 0 && s->ticket_keys == NULL ? 0 : (unsigned)seconds;
	s->session_count = count;
}

/* Whom to ask for names. */
static void
read_names(struct settings *s)
{
	char error[NAMESERVERS_ERROR_SIZE];

	s->wants_resolver =
	    s->wants_name || s->wants_ident || s->local_name == NULL;
	if (s->wants_resolver &&
	    nameservers_read(&s->names, &s->has_resolv_conf, error) == -1)
		die(s, 111, error);
}

static int
listen_on(const struct settings *s, const struct sock_listen *how,
    struct ip_endpoint *bound)
{
	char sentence[192], ip[IP_TEXT_SIZE];
	int fd = sock_listen(how, bound);

	if (fd == -1) {
		text_format(sentence, sizeof(sentence),
		    "unable to listen on %s port %u: %s",
		    ip_format(ip, &how->local.ip), how->local.port,
		    strerror(errno));
		die(s, 111, sentence);
	}
	return fd;
}

/* From here on two processes: front returns, master never does. */
static int
start_master(const struct settings *s, const struct program *program,
    int listen_fd, int phrase_fd)
{
	int ends[2];

	if (fd_message_pair(ends) == -1)
		die(s, 111, "unable to make a socket");
	switch (fork()) {
	case -1:
		die(s, 111, "unable to fork");
	case 0:
		fd_close(&ends[0]);
		if (fd_set_null(1) == -1)
			_exit(111);
		master_run(s, program, ends[1], listen_fd, phrase_fd);
	default:
		fd_close(&ends[1]);
		return ends[0];
	}
}

static void
read_command_line(struct options *options,
    const struct options_program *program, int argc, char **argv)
{
	char error[OPTIONS_ERROR_SIZE], line[OPTIONS_USAGE_SIZE];

	if (argc < 2) {
		fputs(options_usage(program, line), stderr);
		exit(100);
	}
	if (options_read(options, program, argc, argv, error) == -1)
		die(&options->settings, 100, error);
	if (options->wants_help) {
		options_help(program);
		exit(fflush(stdout) == 0 ? 0 : 111);
	}
	if (options->wants_version)
		exit(explain_versions(program->name));
}

static void
check_settings(struct options *options, struct sock_listen *how)
{
	char error[BINDHOST_ERROR_SIZE];
	struct settings *s = &options->settings;
	int code;

	close_inherited(s);
	code = identity_resolve(options, error);
	if (code == 0)
		code = bindhost_resolve(s, how, error);
	if (code != 0)
		die(s, code, error);
	if (s->requires_sandbox && !sandbox_is_available())
		die(s, 111,
		    "--require-sandbox: this version has no sandbox for "
		    "this system");
	read_limits(s);
	read_cert_policy(s);
	read_names(s);
	read_resumption(s);
}

int
servermain_run(const struct options_program *program, int argc, char **argv)
{
	static struct options options;
	struct settings *s = &options.settings;
	struct ip_endpoint bound;
	struct sock_listen how;
	struct program shared = { .settings = s };
	int listen_fd = -1, phrase_fd, master_fd;

	if (fd_fill_standard() == -1)
		return 111; /* nowhere to say why */
	options_defaults(&options, program);
	/* HUP has a meaning, but nobody yet who would act on it. */
	if (sig_save(&shared.signals) == -1 || sig_block(SIGHUP) == -1 ||
	    title_prepare(&argv, program->name) == -1)
		die(s, 111, "out of memory");
	read_command_line(&options, program, argc, argv);
	check_settings(&options, &how);
	if (s->only_explains) {
		explain_settings(&options, &how.local);
		return fflush(stdout) == 0 ? 0 : 111;
	}
	warn_of_settings(&options);
	shared.environment = program_environment();
	if (shared.environment == NULL || fd_set_null(0) == -1)
		die(s, 111, "out of memory");
	if (!s->only_checks)
		listen_fd = listen_on(s, &how, &bound);
	phrase_fd = s->reads_phrase ? SETTINGS_PHRASE_FD : -1;
	master_fd = start_master(s, &shared, listen_fd, phrase_fd);
	fd_close(&listen_fd);
	fd_close(&phrase_fd);
	return front_run(s, &bound, master_fd);
}
