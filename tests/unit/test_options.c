/*
 * test_options: the command line of sslserver: defaults, clusters, opposite
 * letters, exact numbers, and that nothing is accepted and ignored.
 */
#include "cmd/options.h"

#include "support.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/text.h"

#define WORDS_MAX 40

static char line[2048];
static char *argv[WORDS_MAX + 2];
static char error[OPTIONS_ERROR_SIZE];
static struct options o;
static const char *const required[] = { "program", NULL };
static const struct options_program sslserver = { .name = "sslserver",
	.words = required };
static const struct options_program sslhandle = {
	.name = "sslhandle", .is_pooled = true, .words = required
};
static const struct options_program framework = { .name = "mine",
	.is_pooled = true };
static const struct options_program *program = &sslserver;

/* Read a command line of words separated by single blanks. */
static int
read_line(const char *text)
{
	int argc = 0;
	char *word, *rest;

	assert_true(strlen(text) < sizeof(line) - 16);
	strcpy(line, "sslserver ");
	strcat(line, text);
	for (word = strtok_r(line, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	optind = 0; /* glibc: start over */
	error[0] = '\0';
	return options_read(&o, program, argc, argv, error);
}

static void
good(const char *text)
{
	if (read_line(text) != 0)
		fail_msg("%s: %s", text, error);
}

/* Expect refusal with a sentence that contains part. */
static void
bad(const char *text, const char *part)
{
	if (read_line(text) != -1)
		fail_msg("%s is accepted", text);
	if (strstr(error, part) == NULL)
		fail_msg("%s: \"%s\" lacks \"%s\"", text, error, part);
}

static void
defaults(void **state)
{
	const struct settings *s = &o.settings;

	(void)state;
	good("0 443 /bin/cat -x y");
	assert_string_equal(s->host, "0");
	assert_string_equal(s->port, "443");
	assert_string_equal(s->program[0], "/bin/cat");
	assert_string_equal(s->program[1], "-x");
	assert_null(s->program[3]);
	assert_int_equal(s->limit, 40);
	assert_int_equal(s->backlog, 20);
	assert_int_equal(s->handshake_s, 26);
	assert_int_equal(s->idle_s, 3600);
	assert_int_equal(s->drain_s, SETTINGS_NEVER);
	assert_int_equal(s->kill_after_s, SETTINGS_NEVER);
	assert_int_equal(s->family, AF_UNSPEC);
	assert_int_equal(s->verbosity, VERBOSITY_ERRORS);
	assert_true(s->no_delay);
	assert_true(s->has_tcp_environment);
	assert_false(s->has_tls_environment);
	assert_false(s->prints_address);
	assert_false(s->keeps_options);
	assert_false(s->strict_close);
	assert_null(s->greeting);
	assert_null(s->local_name);
	assert_true(s->early_rules == NULL && s->rules == NULL);
	assert_false(s->missing_is_empty);
	assert_true(s->wants_name);
	assert_false(s->is_paranoid || s->wants_ident);
	assert_int_equal(s->ident_s, 26);
	assert_true(s->limits.per_source == LIMITS_NONE);
	assert_true(s->limits.per_network == LIMITS_NONE);
	assert_int_equal(s->cert.mode, TLSVERIFY_NONE);
	assert_int_equal(s->cert.depth, 1);
	assert_false(s->cert.strict_names);
	assert_in_range(s->keepers, 1, 8);
	assert_null(o.user);
	assert_null(o.group);
	assert_false(o.takes_user_from_env);
}

static void
letters_cluster_and_values_glue(void **state)
{
	(void)state;
	good("-v1c7 -b30 -lhere.example -U -uu -g g 0 443 p");
	assert_int_equal(o.settings.verbosity, VERBOSITY_ALL);
	assert_true(o.settings.prints_address);
	assert_int_equal(o.settings.limit, 7);
	assert_int_equal(o.settings.backlog, 30);
	assert_string_equal(o.settings.local_name, "here.example");
	assert_string_equal(o.user, "u");
	assert_string_equal(o.group, "g");
	assert_true(o.takes_user_from_env);
}

static void
later_of_opposites_wins(void **state)
{
	(void)state;
	good("-vq -46 -oO -Dd 0 443 p");
	assert_int_equal(o.settings.verbosity, VERBOSITY_QUIET);
	assert_int_equal(o.settings.family, AF_INET6);
	assert_false(o.settings.keeps_options);
	assert_false(o.settings.no_delay);
	good("-u a -g b -U 0 443 p");
	assert_true(o.takes_user_from_env);
	assert_true(o.user == NULL && o.group == NULL);
	good("-U -c 1 -c 2 -g b 0 443 p");
	assert_true(o.takes_user_from_env && o.user == NULL);
	assert_string_equal(o.group, "b");
	assert_int_equal(o.settings.limit, 2);
	good("-hHh -pPp -rRr 0 443 p");
	assert_true(o.settings.wants_name && o.settings.is_paranoid);
	assert_true(o.settings.wants_ident);
	good("-hH -pP -rR 0 443 p");
	assert_false(o.settings.wants_name || o.settings.is_paranoid);
	assert_false(o.settings.wants_ident);
	good("-Nn 0 443 p");
	assert_true(o.settings.is_delayed);
	good("-nN 0 443 p");
	assert_false(o.settings.is_delayed);
	good("-zm 0 443 p");
	assert_int_equal(o.settings.cert.mode, TLSVERIFY_CERT);
	good("-Zmz 0 443 p");
	assert_int_equal(o.settings.cert.mode, TLSVERIFY_NAME);
	good("-mzZ 0 443 p");
	assert_int_equal(o.settings.cert.mode, TLSVERIFY_NONE);
	good("-y a -x b -y c -x d -X 0 443 p");
	assert_string_equal(o.settings.early_rules, "c");
	assert_string_equal(o.settings.rules, "d");
	assert_true(o.settings.missing_is_empty);
	good("-qV -64 -Oo -dD 0 443 p");
	assert_int_equal(o.settings.verbosity, VERBOSITY_DETAILS);
	assert_int_equal(o.settings.family, AF_INET);
	assert_true(o.settings.keeps_options);
	assert_true(o.settings.no_delay);
}

/* -e is -s too, but -E is not -S. */
static void
the_four_letters_of_the_environment(void **state)
{
	static const struct {
		const char *text;
		bool has_tcp, has_tls;
	} lines[] = {
		{ "-E 0 443 p", false, false },
		{ "-S 0 443 p", true, false },
		{ "-s 0 443 p", true, true },
		{ "-e 0 443 p", true, true },
		{ "-sE 0 443 p", false, true },
		{ "-Es 0 443 p", false, true },
		{ "-eE 0 443 p", false, true },
		{ "-Ee 0 443 p", true, true },
		{ "-eS 0 443 p", true, false },
		{ "-Se 0 443 p", true, true },
		{ "-sS 0 443 p", true, false },
		{ "-Ss 0 443 p", true, true },
		{ "-eES 0 443 p", false, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(lines); i++) {
		good(lines[i].text);
		if (o.settings.has_tcp_environment != lines[i].has_tcp ||
		    o.settings.has_tls_environment != lines[i].has_tls)
			fail_msg("%s", lines[i].text);
	}
}

static void
long_names(void **state)
{
	(void)state;
	good("--connections=5 --handshake-timeout 9 --idle-timeout=10 "
	     "--no-tcp-env --root /var/empty --drain=0 --kill-after 3 "
	     "--keep-fd=5 --keep-fd 7 --keepers 2 --strict-close 0 1 p");
	assert_int_equal(o.settings.limit, 5);
	assert_int_equal(o.settings.handshake_s, 9);
	assert_int_equal(o.settings.idle_s, 10);
	assert_false(o.settings.has_tcp_environment);
	assert_string_equal(o.settings.program_root, "/var/empty");
	assert_int_equal(o.settings.drain_s, 0);
	assert_int_equal(o.settings.kill_after_s, 3);
	assert_int_equal(o.settings.keep_fd_count, 2);
	assert_int_equal(o.settings.keep_fds[1], 7);
	assert_int_equal(o.settings.keepers, 2);
	assert_true(o.settings.strict_close);
	bad("--strict-close=yes 0 1 p", "");
}

/* Every letter, its long name, a word, and whether it changes anything. */
static const struct row {
	const char *letter, *name, *word;
	bool changes;
} rows[] = {
	{ "-q", "--quiet", NULL, true },
	{ "-Q", "--warnings", NULL, false },
	{ "-v", "--verbose", NULL, true },
	{ "-V", "--very-verbose", NULL, true },
	{ "-1", "--announce", NULL, true },
	{ "-4", "--ipv4", NULL, true },
	{ "-6", "--ipv6", NULL, true },
	{ "-c", "--connections", "7", true },
	{ "-y", "--early-rules", "early.cdb", true },
	{ "-x", "--rules", "rules.cdb", true },
	{ "-X", "--missing-rules-ok", NULL, true },
	{ "-B", "--greeting", "hello", true },
	{ "-u", "--user", "joe", true },
	{ "-g", "--group", "staff", true },
	{ "-U", "--env-user", NULL, true },
	{ "-b", "--backlog", "7", true },
	{ "-l", "--local-name", "here.example", true },
	{ "-t", "--ident-timeout", "7", true },
	{ "-T", "--handshake-timeout", "7", true },
	{ "-w", "--idle-timeout", "7", true },
	{ "-I", "--interface", "eth0", true },
	{ "-h", "--remote-name", NULL, false },
	{ "-H", "--no-remote-name", NULL, true },
	{ "-p", "--paranoid", NULL, true },
	{ "-P", "--no-paranoid", NULL, false },
	{ "-r", "--ident", NULL, true },
	{ "-R", "--no-ident", NULL, false },
	{ "-o", "--source-route", NULL, true },
	{ "-O", "--no-source-route", NULL, false },
	{ "-d", "--delay", NULL, true },
	{ "-D", "--no-delay", NULL, false },
	{ "-e", "--tcp-env", NULL, true },
	{ "-E", "--no-tcp-env", NULL, true },
	{ "-s", "--tls-env", NULL, true },
	{ "-S", "--no-tls-env", NULL, false },
	{ "-n", "--delayed-tls", NULL, true },
	{ "-N", "--no-delayed-tls", NULL, false },
	{ "-z", "--client-cert", NULL, true },
	{ "-m", "--client-cert-any", NULL, true },
	{ "-Z", "--no-client-cert", NULL, false },
	{ "-3", "--passphrase", NULL, true },
	{ NULL, "--root", "/var/empty", true },
	{ NULL, "--drain", "7", true },
	{ NULL, "--kill-after", "7", true },
	{ NULL, "--keep-fd", "7", true },
	{ NULL, "--keepers", "63", true },
	{ NULL, "--require-sandbox", NULL, true },
	{ NULL, "--strict-names", NULL, true },
	{ NULL, "--strict-close", NULL, true },
	{ NULL, "--check", NULL, true },
	{ NULL, "--explain", NULL, true },
};

/* A command line of one option. */
static const char *
with(const char *option, const char *word)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s %s 0 443 p", option,
	    word == NULL ? "" : word);
	return text;
}

/* The same option under both names does the same. */
static void
letters_and_long_names_agree(void **state)
{
	static const char *const standard = "0 443 p";
	struct options by_letter, by_name;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		/* Words are compared by where they lie on the line. */
		good(with(rows[i].name, rows[i].word));
		by_name = o;
		by_name.settings.host = by_name.settings.port = NULL;
		by_name.settings.program = NULL;
		if (rows[i].letter != NULL) {
			char padded[64];

			snprintf(padded, sizeof(padded), "%-*s",
			    (int)strlen(rows[i].name), rows[i].letter);
			/* Blanks after the letter keep every place. */
			good(with(padded, rows[i].word));
			by_letter = o;
			by_letter.settings.host = NULL;
			by_letter.settings.port = NULL;
			by_letter.settings.program = NULL;
			if (memcmp(&by_letter, &by_name, sizeof(o)) != 0)
				fail_msg("%s is not %s", rows[i].letter,
				    rows[i].name);
		}
		good(standard);
		o.settings.host = o.settings.port = NULL;
		o.settings.program = NULL;
		if ((memcmp(&o, &by_name, sizeof(o)) != 0) != rows[i].changes)
			fail_msg("%s changes, or not", rows[i].name);
		if (rows[i].word == NULL)
			continue;
		/* Alone it lacks its word. */
		bad(rows[i].name, "");
		if (rows[i].letter != NULL)
			bad(rows[i].letter, rows[i].letter);
	}
}

static void
options_end_at_the_first_word_or_dashes(void **state)
{
	(void)state;
	good("-v 0 443 p -q");
	assert_int_equal(o.settings.verbosity, VERBOSITY_ALL);
	assert_string_equal(o.settings.program[1], "-q");
	good("-v -- 0 443 p");
	assert_string_equal(o.settings.host, "0");
	good("-v -- 0 443 p -- -q");
	assert_string_equal(o.settings.program[1], "--");
	assert_int_equal(o.settings.verbosity, VERBOSITY_ALL);
	good("0 443 p -W --wrong");
	good("-- -v 443 p");
	assert_string_equal(o.settings.host, "-v");
	good("- 443 p");
	assert_string_equal(o.settings.host, "-");
	good("-HPRNZS 0 443 p");
}

static void
numbers_are_exact(void **state)
{
	static const char *const numbers[] = { "-c", "-b", "-t", "-T", "-w",
		"--keepers", "--drain", "--kill-after", "--keep-fd" };
	static const char *const junk[] = { "x", "1x", "-1", "+1", "0x10",
		"99999999999999999999", "1.5" };
	char text[64];
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		for (j = 0; j < sizeof(junk) / sizeof(junk[0]); j++) {
			strcpy(text, numbers[i]);
			strcat(text, " ");
			strcat(text, junk[j]);
			strcat(text, " 0 443 p");
			bad(text, junk[j]);
		}
	}
}

static void
ranges_end_where_they_say(void **state)
{
	static const struct {
		const char *name;
		unsigned long min, max;
	} ranges[] = {
		{ "-c", 1, 1000000 },
		{ "-b", 1, INT_MAX },
		{ "-t", 1, INT_MAX / 1000 },
		{ "-T", 1, INT_MAX / 1000 },
		{ "-w", 1, INT_MAX / 1000 },
		{ "--drain", 0, INT_MAX / 1000 },
		{ "--kill-after", 0, INT_MAX / 1000 },
		{ "--keep-fd", 3, 1048575 },
		{ "--keepers", 1, SETTINGS_KEEPERS_MAX },
	};
	char number[32];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(ranges); i++) {
		snprintf(number, sizeof(number), "%lu", ranges[i].min);
		good(with(ranges[i].name, number));
		snprintf(number, sizeof(number), "%lu", ranges[i].max);
		good(with(ranges[i].name, number));
		snprintf(number, sizeof(number), "%lu", ranges[i].max + 1);
		bad(with(ranges[i].name, number), number);
		if (ranges[i].min == 0)
			continue;
		snprintf(number, sizeof(number), "%lu", ranges[i].min - 1);
		bad(with(ranges[i].name, number), number);
	}
}

static void
kept_descriptors_have_a_limit(void **state)
{
	char text[512] = "";
	int i;

	(void)state;
	for (i = 0; i <= SETTINGS_KEEP_FDS_MAX; i++)
		strcat(text, "--keep-fd 9 ");
	strcat(text, "0 443 p");
	bad(text, "too many");
	good(text + strlen("--keep-fd 9 "));
	assert_int_equal(o.settings.keep_fd_count, SETTINGS_KEEP_FDS_MAX);
}

static void
the_phrase_has_its_descriptor_alone(void **state)
{
	unsigned standard;

	(void)state;
	good("0 443 p");
	standard = o.settings.keepers;
	good("-3 --keep-fd 4 0 443 p");
	assert_true(o.settings.reads_phrase);
	/* So that one can be lost. */
	assert_int_equal(o.settings.keepers, standard < 2 ? 2 : standard);
	good("-3 --keepers 1 0 443 p");
	assert_int_equal(o.settings.keepers, 1);
	good("--keepers 1 -3 0 443 p");
	assert_int_equal(o.settings.keepers, 1);
	bad("-3 --keep-fd 3 0 443 p", "--keep-fd 3");
	bad("--keep-fd 4 --keep-fd 3 --passphrase 0 443 p", "-3");
	good("--keep-fd 3 0 443 p");
	assert_false(o.settings.reads_phrase);
}

/* A name cut short could mean something else in another version. */
static void
long_names_are_typed_in_full(void **state)
{
	char name[64], expected[96];
	size_t i, len;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		len = strlen(rows[i].name) - 1;
		snprintf(name, sizeof(name), "%.*s", (int)len, rows[i].name);
		snprintf(
		    expected, sizeof(expected), "unknown option: %s", name);
		bad(with(name, rows[i].word), expected);
		assert_string_equal(error, expected);
		strcat(name, "=7");
		bad(with(name, NULL), expected);
		assert_string_equal(error, expected);
	}
	bad("--conn 3 0 443 p", "unknown option: --conn");
	bad("--no 0 443 p", "unknown option: --no");
	bad("-v --ver 0 443 p", "unknown option: --ver");
	bad("--=7 0 443 p", "unknown option: --");
}

/* Expect exactly this sentence. */
static void
says(const char *text, const char *sentence)
{
	bad(text, "");
	assert_string_equal(error, sentence);
}

static void
messages_name_what_was_typed(void **state)
{
	(void)state;
	says("-c x 0 443 p",
	    "-c (--connections) takes a whole number from 1 to 1000000, "
	    "not x");
	says("-vc0 0 443 p",
	    "-c (--connections) takes a whole number from 1 to 1000000, "
	    "not 0");
	says("--connections=x 0 443 p",
	    "--connections takes a whole number from 1 to 1000000, not x");
	says("--connections x 0 443 p",
	    "--connections takes a whole number from 1 to 1000000, not x");
	says("--quiet=x 0 443 p", "--quiet takes no value");
	says("--check= 0 443 p", "--check takes no value");
	says("-v -c", "-c (--connections) needs a value");
	says("-vc", "-c (--connections) needs a value");
	says("--drain", "--drain needs a value");
	says("-vW 0 443 p", "unknown option: -W");
}

static void
wrong_use(void **state)
{
	(void)state;
	bad("-W 0 443 p", "-W");
	bad("-vW 0 443 p", "-W");
	bad("-? 0 443 p", "-?");
	bad("-: 0 443 p", "-:");
	bad("-\x1b 0 443 p", "-?");
	bad("-\xff 0 443 p", "?");
	bad("--no- 0 443 p", "--no-");
	bad("--wrong 0 443 p", "--wrong");
	bad("-c", "-c");
	bad("", "host");
	bad("0", "port");
	bad("0 443", "program");
	bad("-v -- 0 443", "program");
}

static void
greetings_have_a_limit(void **state)
{
	char text[1100] = "-B";

	(void)state;
	memset(text + 2, 'x', 1000);
	strcpy(text + 1002, " 0 1 p");
	good(text);
	assert_int_equal(o.settings.greeting_len, 1000);
	memset(text + 2, 'x', 1001);
	strcpy(text + 1003, " 0 1 p");
	bad(text, "1000");
}

static void
help_and_version_need_no_words(void **state)
{
	char text[OPTIONS_USAGE_SIZE];
	const char *usage;

	(void)state;
	good("--help");
	assert_true(o.wants_help);
	good("--version");
	assert_true(o.wants_version);
	usage = options_usage(&sslserver, text);
	assert_int_equal(strncmp(usage, "sslserver: usage: ", 18), 0);
	assert_non_null(strstr(usage, "; see sslserver --help\n"));
	assert_ptr_equal(strchr(usage, '\n'), usage + strlen(usage) - 1);
}

static void
empty_words(void **state)
{
	static char name[] = "sslserver", zero[] = "0", empty[] = "";
	static char letter[] = "-c";
	char *words[][6] = { { name, empty, zero, zero, NULL },
		{ name, zero, empty, zero, NULL },
		{ name, zero, zero, empty, NULL },
		{ name, letter, empty, zero, zero, NULL } };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(words); i++) {
		optind = 0;
		assert_int_equal(options_read(&o, &sslserver, i == 3 ? 5 : 4,
				     words[i], error),
		    -1);
	}
}

static int help_fd;

static int
write_help(void)
{
	EXPECT(dup2(help_fd, 1) == 1);
	options_help(&sslserver);
	EXPECT(fflush(stdout) == 0);
	return 0;
}

/* Is there a line of that name and letter, and one that explains it? */
static bool
has_line(const char *help, const struct row *row)
{
	char text[96];
	const char *at;

	snprintf(text, sizeof(text), "\n  %s%s%s%s\n",
	    row->letter == NULL ? "    " : row->letter,
	    row->letter == NULL ? "" : ", ", row->name,
	    row->word == NULL ? "" : " ");
	if (row->word != NULL)
		text[strlen(text) - 1] = '\0';
	at = strstr(help, text);
	at = at == NULL ? NULL : strchr(at + 1, '\n');
	return at != NULL && text_begins(at, "\n        ");
}

static void
help_lists_every_option(void **state)
{
	char help[8192];
	int fds[2];
	ssize_t len;
	size_t i;

	(void)state;
	/* A pipe takes the whole text before anybody reads. */
	assert_int_equal(fd_pipe(fds), 0);
	help_fd = fds[1];
	fflush(stdout);
	in_child(write_help);
	fd_close(&fds[1]);
	len = fd_read_all(fds[0], help, sizeof(help) - 1);
	fd_close(&fds[0]);
	assert_true(len > 0);
	help[len] = '\0';
	for (i = 0; i < COUNT(rows); i++)
		if (!has_line(help, &rows[i]))
			fail_msg("%s is not in the help", rows[i].name);
	assert_non_null(strstr(help, "(leave at once)\n"));
	assert_non_null(strstr(help, "(never)\n"));
	assert_non_null(strstr(help, "(one per processor, at most 8)\n"));
}

/* What is not sslserver's is said of sslhandle, and the other way round. */
static void
sslhandle_has_its_own(void **state)
{
	(void)state;
	bad("--uses 3 0 443 p", "--uses is an option of sslhandle");
	bad("-a 0 443 p", "-a (--late-identity) is an option of sslhandle");
	bad("-f file 0 443 p", "is an option of sslhandle, not of sslserver");
	good("0 443 p");
	assert_int_equal(o.settings.uses, 1);
	assert_string_equal(o.settings.program_name, "sslserver");
	program = &sslhandle;
	good("0 443 p");
	assert_string_equal(o.settings.program_name, "sslhandle");
	assert_int_equal(o.settings.uses, 1000);
	assert_int_equal(o.settings.limit, 40);
	assert_false(o.settings.has_tcp_environment);
	assert_false(o.settings.has_tls_environment);
	good("-e --uses 7 -aA -f file -c3 0 443 p");
	assert_int_equal(o.settings.uses, 7);
	assert_int_equal(o.settings.limit, 3);
	assert_true(o.settings.has_tcp_environment);
	assert_true(o.settings.has_tls_environment);
	bad("--uses 0 0 443 p", "--uses takes a whole number from 1 to");
	bad("-vn 0 443 p",
	    "-n (--delayed-tls) is an option of sslserver, not of sslhandle");
	bad("-N 0 443 p", "(--no-delayed-tls) is an option of sslserver");
	bad("--delayed-tls 0 443 p", "--delayed-tls is an option of sslserver");
	bad("0 443", "program");
	program = &sslserver;
}

static void
a_framework_runs_no_program(void **state)
{
	(void)state;
	program = &framework;
	good("-v 0 443");
	assert_null(o.settings.program[0]);
	good("0 443 a b");
	assert_string_equal(o.settings.program[1], "b");
	bad("0", "port");
	program = &sslserver;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(letters_cluster_and_values_glue),
		cmocka_unit_test(later_of_opposites_wins),
		cmocka_unit_test(the_four_letters_of_the_environment),
		cmocka_unit_test(long_names),
		cmocka_unit_test(letters_and_long_names_agree),
		cmocka_unit_test(options_end_at_the_first_word_or_dashes),
		cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(ranges_end_where_they_say),
		cmocka_unit_test(kept_descriptors_have_a_limit),
		cmocka_unit_test(the_phrase_has_its_descriptor_alone),
		cmocka_unit_test(long_names_are_typed_in_full),
		cmocka_unit_test(messages_name_what_was_typed),
		cmocka_unit_test(wrong_use),
		cmocka_unit_test(empty_words),
		cmocka_unit_test(greetings_have_a_limit),
		cmocka_unit_test(help_and_version_need_no_words),
		cmocka_unit_test(help_lists_every_option),
		cmocka_unit_test(sslhandle_has_its_own),
		cmocka_unit_test(a_framework_runs_no_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
