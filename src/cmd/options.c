/*
 * The options of sslserver and sslhandle, as one table.
 *
 * Runs at the start, before anything else.  The table is also the --help
 * text; what an option does stands in the switches below it.  An option of
 * the other program is known, to refuse it with a better sentence.
 */
#include "cmd/options.h"

#include <sys/socket.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/optiontable.h"
#include "serve/table.h"

/* Codes of long options without a letter. */
enum {
	ROOT = 256,
	DRAIN,
	KILL_AFTER,
	KEEP_FD,
	KEEPERS,
	REQUIRE_SANDBOX,
	STRICT_NAMES,
	STRICT_CLOSE,
	USES,
	CHECK,
	EXPLAIN,
	HELP,
	VERSION_OPTION
};

static const struct optiontable_row rows[] = {
	{ 'q', "quiet", NULL, "log nothing but start errors" },
	{ 'Q', "warnings", NULL, "log warnings and errors (default)" },
	{ 'v', "verbose", NULL, "log everything" },
	{ 'V', "very-verbose", NULL, "and protocol and cipher" },
	{ '1', "announce", NULL,
	    "print `IP : PORT [limit/maxconip]' when ready" },
	{ '3', "passphrase", NULL,
	    "read the key's pass phrase from descriptor 3" },
	{ '4', "ipv4", NULL, "IPv4 addresses of host only" },
	{ '6', "ipv6", NULL, "IPv6 addresses of host only" },
	{ 'y', "early-rules", "cdb", "rules by remote IP alone" },
	{ 'x', "rules", "cdb", "rules by IP, name and IDENT" },
	{ 'X', "missing-rules-ok", NULL,
	    "a missing rule file is an empty one" },
	{ 'B', "greeting", "text", "send text first" },
	{ 'u', "user", "id", "uid of the program" },
	{ 'g', "group", "id", "gid of the program" },
	{ 'U', "env-user", NULL, "both from $UID and $GID" },
	{ 'b', "backlog", "n", "listen backlog (20)" },
	{ 'l', "local-name", "name", "local host name" },
	{ 't', "ident-timeout", "s", "seconds for IDENT (26)" },
	{ 'T', "handshake-timeout", "s",
	    "seconds for the whole handshake (26)" },
	{ 'w', "idle-timeout", "s",
	    "seconds without a byte either way (3600)" },
	{ 'I', "interface", "name", "for link-local addresses" },
	{ 'h', "remote-name", NULL, "look up the remote name (default)" },
	{ 'H', "no-remote-name", NULL, "do not" },
	{ 'p', "paranoid", NULL, "check that name against the IP" },
	{ 'P', "no-paranoid", NULL, "do not (default)" },
	{ 'r', "ident", NULL, "IDENT query" },
	{ 'R', "no-ident", NULL, "none (default)" },
	{ 'o', "source-route", NULL, "keep IP options" },
	{ 'O', "no-source-route", NULL, "drop them (default)" },
	{ 'd', "delay", NULL, "leave Nagle's delay on" },
	{ 'D', "no-delay", NULL, "TCP_NODELAY (default)" },
	{ 's', "tls-env", NULL, "TLS environment" },
	{ 'S', "no-tls-env", NULL, "none (default)" },
	{ 'z', "client-cert", NULL,
	    "require a client certificate, match its name" },
	{ 'm', "client-cert-any", NULL, "require one of any name" },
	{ 'Z', "no-client-cert", NULL, "require none (default)" },
	{ ROOT, "root", "dir", "chroot of the program" },
	{ DRAIN, "drain", "s",
	    "after SIGTERM wait s seconds for connections (leave at once)" },
	{ KILL_AFTER, "kill-after", "s",
	    "SIGKILL the program s seconds after its connection (never)" },
	{ KEEP_FD, "keep-fd", "n", "leave descriptor n to the program" },
	{ KEEPERS, "keepers", "n",
	    "processes that sign (one per processor, at most 8)" },
	{ REQUIRE_SANDBOX, "require-sandbox", NULL,
	    "do not start without one" },
	{ STRICT_NAMES, "strict-names", NULL,
	    "never match a certificate's CN" },
	{ STRICT_CLOSE, "strict-close", NULL,
	    "SIGTERM before a cut stream's end of file" },
	{ CHECK, "check", NULL, "load everything, serve nothing" },
	{ EXPLAIN, "explain", NULL, "print what is in effect" },
	{ HELP, "help", NULL, "this text" },
	{ VERSION_OPTION, "version", NULL, "versions" }
};
static const struct optiontable_row sslserver_rows[] = {
	{ 'c', "connections", "n", "at most n at once (40)" },
	{ 'e', "tcp-env", NULL,
	    "TCP environment (default), and TLS environment" },
	{ 'E', "no-tcp-env", NULL, "no TCP environment" },
	{ 'n', "delayed-tls", NULL, "TLS when the program asks" },
	{ 'N', "no-delayed-tls", NULL, "TLS at once (default)" }
};
static const struct optiontable_row sslhandle_rows[] = {
	{ 'c', "connections", "n",
	    "at most n at once, and TLS processes kept (40)" },
	{ 'e', "tcp-env", NULL, "TCP environment, and TLS environment" },
	{ 'E', "no-tcp-env", NULL, "no TCP environment (default)" },
	{ 'f', "lockfile", "file", "accepted; no lock is needed" },
	{ 'a', "late-identity", NULL, "accepted, without effect" },
	{ 'A', "early-identity", NULL, "accepted, without effect" },
	{ USES, "uses", "n",
	    "clients that a TLS process serves, in turn (1000)" }
};

#define KEEPERS_DEFAULT_MAX 8
#define USES_DEFAULT 1000

/* Longest wait: its milliseconds fit into an int. */
#define SECONDS_MAX (INT_MAX / 1000)

static optiontable_apply_fn apply;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROWS (COUNT(rows) + COUNT(sslserver_rows) + COUNT(sslhandle_rows))

static void
add_rows(struct optiontable_row *picked, size_t *count,
    const struct optiontable_row *more, size_t more_count)
{
	memcpy(picked + *count, more, more_count * sizeof(*more));
	*count += more_count;
}

/* What this one of the two programs has of its own, or the other one. */
static void
add_own_rows(struct optiontable_row *picked, size_t *count, bool is_pooled)
{
	if (is_pooled)
		add_rows(picked, count, sslhandle_rows, COUNT(sslhandle_rows));
	else
		add_rows(picked, count, sslserver_rows, COUNT(sslserver_rows));
}

/* The options of one program: its own ones first. */
static struct optiontable
make_table(
    struct optiontable_row picked[ROWS], const struct options_program *program)
{
	struct optiontable table = { .rows = picked, .apply = apply };

	add_own_rows(picked, &table.count, program->is_pooled);
	add_rows(picked, &table.count, rows, COUNT(rows));
	return table;
}

#define WORDS_SIZE 64

/* Those that must follow the port, each with a blank behind it. */
static const char *
list_words(const struct options_program *program, char list[WORDS_SIZE])
{
	const char *const *word = program->words;
	size_t used = 0;

	list[0] = '\0';
	for (; word != NULL && *word != NULL; word++) {
		text_format(list + used, WORDS_SIZE - used, "%s ", *word);
		used += strlen(list + used);
	}
	return list;
}

const char *
options_usage(
    const struct options_program *program, char line[OPTIONS_USAGE_SIZE])
{
	char words[WORDS_SIZE];

	text_format(line, OPTIONS_USAGE_SIZE,
	    "%s: usage: %s [-qQvV1346UXhHpPrRoOdDeEsS%szmZ] [-c n] [-y cdb] "
	    "[-x cdb] [-B text] [-u id] [-g id] [-b n] [-l name] [-t s] "
	    "[-T s] [-w s] [-I ifname] %shost port %s[args...]; "
	    "see %s --help\n",
	    program->name, program->name, program->is_pooled ? "aA" : "nN",
	    program->is_pooled ? "[-f file] " : "", list_words(program, words),
	    program->name);
	return line;
}

void
options_help(const struct options_program *program)
{
	struct optiontable_row picked[ROWS];
	const struct optiontable table = make_table(picked, program);
	char words[WORDS_SIZE];

	printf("usage: %s [options] host port %s[args...]\n", program->name,
	    list_words(program, words));
	optiontable_print(&table);
}

static int
keep_fd(struct settings *s, unsigned long n, char error[OPTIONS_ERROR_SIZE])
{
	if (s->keep_fd_count == SETTINGS_KEEP_FDS_MAX)
		return optiontable_refuse_option(
		    error, "--keep-fd", "is given too many times", "");
	s->keep_fds[s->keep_fd_count++] = (int)n;
	return 0;
}

/* Options with a number. */
static int
apply_number(struct settings *s, int code, const char *shown, const char *word,
    char error[OPTIONS_ERROR_SIZE])
{
	unsigned long min = 1, max = SECONDS_MAX, n;

	switch (code) {
	case 'c':
		max = TABLE_LIMIT_MAX;
		break;
	case 'b':
		max = INT_MAX;
		break;
	case DRAIN:
	case KILL_AFTER:
		min = 0;
		break;
	case KEEP_FD:
		min = 3;
		max = 1048575;
		break;
	case KEEPERS:
		max = SETTINGS_KEEPERS_MAX;
		break;
	case USES:
		max = INT_MAX;
		break;
	default:
		break;
	}
	if (optiontable_number(shown, word, min, max, &n, error) == -1)
		return -1;
	switch (code) {
	case 'c':
		s->limit = n;
		break;
	case 'b':
		s->backlog = (int)n;
		break;
	case 'T':
		s->handshake_s = (unsigned)n;
		break;
	case 'w':
		s->idle_s = (unsigned)n;
		break;
	case DRAIN:
		s->drain_s = (long)n;
		break;
	case KILL_AFTER:
		s->kill_after_s = (long)n;
		break;
	case KEEP_FD:
		return keep_fd(s, n, error);
	case KEEPERS:
		s->keepers = (unsigned)n;
		break;
	case USES:
		s->uses = n;
		break;
	case 't':
		s->ident_s = (unsigned)n;
		break;
	default:
		break;
	}
	return 0;
}

static int
apply_text(struct options *o, int code, const char *shown, const char *word,
    char error[OPTIONS_ERROR_SIZE])
{
	struct settings *s = &o->settings;

	switch (code) {
	case 'B':
		s->greeting = word;
		s->greeting_len = strlen(word);
		if (s->greeting_len > SETTINGS_GREETING_MAX)
			return optiontable_refuse_option(
			    error, shown, "has more than 1000 bytes", "");
		break;
	case 'u':
		o->user = word;
		break;
	case 'g':
		o->group = word;
		break;
	case 'l':
		o->settings.local_name = o->local_name;
		return optiontable_host_name(
		    shown, word, o->local_name, sizeof(o->local_name), error);
	case 'y':
	case 'x':
		if (word[0] == '\0')
			return optiontable_refuse_option(
			    error, shown, "takes a file name", "");
		if (code == 'y')
			s->early_rules = word;
		else
			s->rules = word;
		break;
	case 'I':
		s->interface = word;
		break;
	case 'f': /* accept(2) has no need of a lock any more */
		break;
	case ROOT:
		s->program_root = word;
		break;
	case KEEPERS:
		o->sets_keepers = true;
		return apply_number(s, code, shown, word, error);
	default:
		return apply_number(s, code, shown, word, error);
	}
	return 0;
}

static void
apply_flag(struct options *o, int code)
{
	struct settings *s = &o->settings;

	switch (code) {
	case 'q':
		s->verbosity = VERBOSITY_QUIET;
		break;
	case 'Q':
		s->verbosity = VERBOSITY_ERRORS;
		break;
	case 'v':
		s->verbosity = VERBOSITY_ALL;
		break;
	case 'V':
		s->verbosity = VERBOSITY_DETAILS;
		break;
	case '1':
		s->prints_address = true;
		break;
	case '3':
		s->reads_phrase = true;
		break;
	case '4':
		s->family = AF_INET;
		break;
	case '6':
		s->family = AF_INET6;
		break;
	case 'U': /* a later -u or -g wins */
		o->user = o->group = NULL;
		o->takes_user_from_env = true;
		break;
	case 'o':
	case 'O':
		s->keeps_options = code == 'o';
		break;
	case 'n':
	case 'N':
		s->is_delayed = code == 'n';
		break;
	case 'd':
	case 'D':
		s->no_delay = code == 'D';
		break;
	case 'X':
		s->missing_is_empty = true;
		break;
	case 'h':
	case 'H':
		s->wants_name = code == 'h';
		break;
	case 'p':
	case 'P':
		s->is_paranoid = code == 'p';
		break;
	case 'r':
	case 'R':
		s->wants_ident = code == 'r';
		break;
	case 'e': /* as if -s stood there too */
		s->has_tcp_environment = s->has_tls_environment = true;
		break;
	case 'E':
		s->has_tcp_environment = false;
		break;
	case 's':
	case 'S':
		s->has_tls_environment = code == 's';
		break;
	case REQUIRE_SANDBOX:
		s->requires_sandbox = true;
		break;
	case 'z':
		s->cert.mode = TLSVERIFY_NAME;
		break;
	case 'm':
		s->cert.mode = TLSVERIFY_CERT;
		break;
	case 'Z':
		s->cert.mode = TLSVERIFY_NONE;
		break;
	case STRICT_NAMES:
		s->cert.strict_names = true;
		break;
	case STRICT_CLOSE:
		s->strict_close = true;
		break;
	case CHECK:
		s->only_checks = true;
		break;
	case EXPLAIN:
		s->only_explains = true;
		break;
	case HELP:
		o->wants_help = true;
		break;
	case VERSION_OPTION:
		o->wants_version = true;
		break;
	default:
		break;
	}
}

/* One per processor, within reason. */
static unsigned
default_keepers(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < 1)
		return 1;
	return processors > KEEPERS_DEFAULT_MAX ? KEEPERS_DEFAULT_MAX
						: (unsigned)processors;
}

void
options_defaults(struct options *o, const struct options_program *program)
{
	struct settings *s = &o->settings;

	memset(o, 0, sizeof(*o));
	o->program = program;
	s->program_name = program->name;
	s->code = program->code;
	s->uses = program->is_pooled ? USES_DEFAULT : 1;
	s->family = AF_UNSPEC;
	s->backlog = 20;
	s->limit = 40;
	s->wants_name = true;
	s->ident_s = 26;
	s->limits.per_source = s->limits.per_network = LIMITS_NONE;
	s->cert.depth = CERTPOLICY_DEPTH;
	s->handshake_s = 26;
	s->session_s = 7200;
	s->session_count = 20000;
	s->idle_s = 3600;
	s->drain_s = s->kill_after_s = SETTINGS_NEVER;
	s->keepers = default_keepers();
	s->no_delay = true;
	s->has_tcp_environment = !program->is_pooled;
	s->verbosity = VERBOSITY_ERRORS;
}

/* Not only the other program? */
static bool
has_option(const struct options_program *program, int code)
{
	struct optiontable_row picked[ROWS];
	const struct optiontable table = make_table(picked, program);
	size_t i;

	for (i = 0; i < table.count; i++)
		if (picked[i].code == code)
			return true;
	return false;
}

/* optiontable_apply_fn */
static int
apply(void *target, int code, const char *shown, const char *word,
    char error[OPTIONS_ERROR_SIZE])
{
	const struct options *o = target;
	char sentence[80];

	if (!has_option(o->program, code)) {
		text_format(sentence, sizeof(sentence),
		    "is an option of %s, not of %s",
		    o->program->is_pooled ? "sslserver" : "sslhandle",
		    o->program->name);
		return optiontable_refuse_option(error, shown, sentence, "");
	}
	if (word != NULL)
		return apply_text(target, code, shown, word, error);
	apply_flag(target, code);
	return 0;
}

/* What options mean for each other. */
static int
check_together(struct options *o, char error[OPTIONS_ERROR_SIZE])
{
	struct settings *s = &o->settings;
	size_t i;

	if (!s->reads_phrase)
		return 0;
	for (i = 0; i < s->keep_fd_count; i++)
		if (s->keep_fds[i] == SETTINGS_PHRASE_FD)
			return optiontable_refuse(error,
			    "-3 (--passphrase) takes the descriptor of "
			    "--keep-fd 3",
			    "");
	/* One alone could not be replaced. */
	if (!o->sets_keepers && s->keepers < 2)
		s->keepers = 2;
	return 0;
}

/* The word at this place among those behind the options, or NULL. */
static const char *
word_at(const struct options_program *program, int place)
{
	const char *const *word = program->words;

	if (place < 2)
		return place == 0 ? "host" : "port";
	for (; word != NULL && *word != NULL; word++)
		if (place-- == 2)
			return *word;
	return NULL;
}

/* All there, and none empty?  0, or -1 and a sentence. */
static int
check_words(const struct options_program *program, int count, char **words,
    char error[OPTIONS_ERROR_SIZE])
{
	const char *name;
	char sentence[48];
	int i;

	for (i = 0; (name = word_at(program, i)) != NULL; i++)
		if (i >= count || words[i][0] == '\0') {
			text_format(sentence, sizeof(sentence),
			    i >= count ? "no %s" : "%s is empty", name);
			return optiontable_refuse(error, sentence, "");
		}
	return 0;
}

static int
read_words(
    struct options *o, int argc, char **argv, char error[OPTIONS_ERROR_SIZE])
{
	struct settings *s = &o->settings;
	char **words = argv + optind;

	if (o->wants_help || o->wants_version)
		return 0;
	if (check_words(o->program, argc - optind, words, error) == -1 ||
	    check_together(o, error) == -1)
		return -1;
	s->host = words[0];
	s->port = words[1];
	s->program = words + 2;
	return 0;
}

int
options_read(struct options *o, const struct options_program *program, int argc,
    char **argv, char error[OPTIONS_ERROR_SIZE])
{
	struct optiontable_row picked[ROWS];
	struct optiontable table = make_table(picked, program);

	options_defaults(o, program);
	/* To be refused by name. */
	add_own_rows(picked, &table.count, !program->is_pooled);
	if (optiontable_read(&table, o, argc, argv, error) == -1)
		return -1;
	return read_words(o, argc, argv, error);
}
