/*
 * test_options: the command line of sslserver: defaults, clusters, opposite
 * letters, exact numbers, and that nothing is accepted and ignored.
 */
#include "cmd/options.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define WORDS_MAX 40

static char line[2048];
static char *argv[WORDS_MAX + 2];
static char error[OPTIONS_ERROR_SIZE];
static struct options o;

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
	return options_read(&o, argc, argv, error);
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
	assert_false(s->prints_address);
	assert_false(s->keeps_options);
	assert_false(s->strict_close);
	assert_null(s->greeting);
	assert_null(s->local_name);
	assert_null(o.user);
	assert_null(o.group);
	assert_false(o.takes_user_from_env);
}

static void
letters_cluster_and_values_glue(void **state)
{
	(void)state;
	good("-v1c7 -b30 -lhere.example -uu -g g -U 0 443 p");
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
	good("-qV -64 -Oo -dD 0 443 p");
	assert_int_equal(o.settings.verbosity, VERBOSITY_DETAILS);
	assert_int_equal(o.settings.family, AF_INET);
	assert_true(o.settings.keeps_options);
	assert_true(o.settings.no_delay);
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

static void
options_end_at_the_first_word_or_dashes(void **state)
{
	(void)state;
	good("-v 0 443 p -q");
	assert_int_equal(o.settings.verbosity, VERBOSITY_ALL);
	assert_string_equal(o.settings.program[1], "-q");
	good("-v -- 0 443 p");
	assert_string_equal(o.settings.host, "0");
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
	bad("-c 0 0 443 p", "0");
	bad("--keep-fd 2 0 443 p", "2");
	good("-c 1 0 443 p");
	good("-w 2147483 0 443 p");
	bad("-w 2147484 0 443 p", "2147484");
}

static void
options_not_built_are_refused(void **state)
{
	static const char *const later[] = { "-3", "-y a", "-x a", "-X", "-h",
		"-p", "-r", "-e", "-s", "-n", "-z", "-m", "--strict-names",
		"--rules a", "--tls-env" };
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		strcpy(text, later[i]);
		strcat(text, " 0 443 p");
		bad(text, "not in this version");
	}
}

static void
wrong_use(void **state)
{
	(void)state;
	bad("-W 0 443 p", "-W");
	bad("--wrong 0 443 p", "--wrong");
	bad("-c", "-c");
	bad("", "host");
	bad("0", "port");
	bad("0 443", "program");
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
	(void)state;
	good("--help");
	assert_true(o.wants_help);
	good("--version");
	assert_true(o.wants_version);
	assert_int_equal(strncmp(options_usage(), "sslserver: usage: ", 18), 0);
	assert_int_equal(options_usage()[strlen(options_usage()) - 1], '\n');
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(letters_cluster_and_values_glue),
		cmocka_unit_test(later_of_opposites_wins),
		cmocka_unit_test(long_names),
		cmocka_unit_test(options_end_at_the_first_word_or_dashes),
		cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(options_not_built_are_refused),
		cmocka_unit_test(wrong_use),
		cmocka_unit_test(greetings_have_a_limit),
		cmocka_unit_test(help_and_version_need_no_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
