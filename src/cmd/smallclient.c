/*
 * What sslcat, sslconnect and https@ share: their words, and how they run.
 *
 * Runs as whoever started it, and touches no network itself:
 *
 *     sslcat HOST PORT  execs  sslclient ... HOST PORT sslcat --worker ...
 *
 * sslclient lies in the same directory, connects, verifies, and executes the
 * command again, which then finds the connection on 6 and 7.  A pipe tells
 * it at the end whether the server ended the connection or somebody cut it
 * (sslclient --report).
 */
#include "cmd/smallclient.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "client/carry.h"
#include "client/fetch.h"
#include "config.h"

#define PATH_SIZE 4096
#define NUMBER_SIZE 16

/* Its first argument when sslclient runs the command again. */
#define WORKER "--worker"
/* WORKER, the number of report_fd, host, page, port. */
#define WORKER_ARGC 6

/* Numbers that are neither the program's nor sslclient's. */
#define REPORT_LOWEST 8

#define DEFAULT_HOST "0"
#define DEFAULT_PORT "443"

/* The command line. */
struct words {
	const char *family; /* -4, -6 or NULL */
	const char *host, *page, *port;
	char **options; /* sslclient's */
	size_t option_count;
};

int
smallclient_say(
    const struct smallclient_task *task, int code, const char *format, ...)
{
	char host[TEXT_PRINTABLE_SIZE], text[512], line[640];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_printable(host, task->host, strlen(task->host));
	(void)text_format(
	    line, sizeof(line), "%s: %s: %s\n", task->name, host, text);
	/* There is nobody to tell that nobody can be told. */
	(void)!write(2, line, strlen(line));
	return code;
}

int
smallclient_carry(const struct smallclient_task *task, int input)
{
	int server_out = SMALLCLIENT_OUT;

	switch (carry(SMALLCLIENT_IN, 1, input, &server_out)) {
	case CARRY_READ_FAILED:
		return smallclient_say(
		    task, 111, "unable to read: %s", strerror(errno));
	case CARRY_WRITE_FAILED:
		return smallclient_say(
		    task, 111, "unable to write: %s", strerror(errno));
	case CARRY_ENDED:
		break;
	}
	/* Else our end is what the connection, and the report, wait for. */
	fd_close(&server_out);
	return report_is_end(task->report_fd)
	    ? 0
	    : smallclient_say(task, 2, "the server's output is cut short");
}

static int
refuse_usage(const struct smallclient *client)
{
	fprintf(stderr, "%s: usage: %s [-4|-6] [host %s[port [options]]%s]\n",
	    client->name, client->name, client->has_page ? "[page " : "",
	    client->has_page ? "]" : "");
	return 100;
}

static int
print_help(const struct smallclient *client)
{
	printf("usage: %s [-4|-6] [host %s[port [options]]%s]\n%s\n"
	       "host is %s and port is %s by default; "
	       "options are those of sslclient.\n",
	    client->name, client->has_page ? "[page " : "",
	    client->has_page ? "]" : "", client->does, DEFAULT_HOST,
	    DEFAULT_PORT);
	return fflush(stdout) == 0 ? 0 : 111;
}

/* The next word, or what stands for it. */
static const char *
take_word(char ***argv, const char *otherwise)
{
	return **argv == NULL ? otherwise : *(*argv)++;
}

/*
 * 0, or -1: an option stands where the host or the port would, or a word
 * where the options would, which sslclient would take for its host.
 */
static int
read_words(struct words *words, bool has_page, char **argv)
{
	words->family = NULL;
	while (*argv != NULL &&
	    (strcmp(*argv, "-4") == 0 || strcmp(*argv, "-6") == 0))
		words->family = *argv++;
	if (*argv != NULL && strcmp(*argv, "--") == 0)
		argv++;
	else if (*argv != NULL && **argv == '-')
		return -1;
	words->host = take_word(&argv, DEFAULT_HOST);
	words->page = has_page ? take_word(&argv, "") : "";
	words->port = take_word(&argv, DEFAULT_PORT);
	if (*words->port == '-' || (*argv != NULL && **argv != '-'))
		return -1;
	words->options = argv;
	for (words->option_count = 0; *argv != NULL; argv++)
		words->option_count++;
	return 0;
}

/* This executable, and the sslclient in its directory. */
static int
find_files(char self[PATH_SIZE], char sslclient[PATH_SIZE], const char *name)
{
	ssize_t len = readlink("/proc/self/exe", self, PATH_SIZE - 1);
	const char *slash;

	/* Without /proc both are looked for along PATH. */
	if (len == -1)
		return text_copy(self, PATH_SIZE, name) == -1
		    ? -1
		    : text_copy(sslclient, PATH_SIZE, "sslclient");
	self[len] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL || len == PATH_SIZE - 1) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return text_format(
	    sslclient, PATH_SIZE, "%.*s/sslclient", (int)(slash - self), self);
}

/*
 * The pipe of the report.  Both ends go through two execs: sslclient keeps
 * the one it is told of to itself, and its program has the other one.
 */
static int
make_report(int ends[2])
{
	int pair[2], i;

	if (fd_pipe(pair) == -1)
		return -1;
	for (i = 0; i < 2; i++) {
		ends[i] = fd_dup_above(pair[i], REPORT_LOWEST);
		if (ends[i] == -1 || fd_inherit(ends[i]) == -1)
			return -1;
	}
	return 0;
}

/* Could it be -x, or have it in a cluster? */
static bool
may_verify(const char *option)
{
	if (strncmp(option, "--", 2) == 0)
		return strcmp(option, "--verify") == 0;
	return *option == '-' && strchr(option, 'x') != NULL;
}

/*
 * Who says -X to us wants nothing verified; to sslclient it leaves the name.
 * An -n behind it still counts.  With an -x behind it something is verified
 * again, and a certificate of anybody's must not do.
 */
static const char *
name_option(const struct words *words)
{
	const char *option = "-n";
	size_t i;

	for (i = 0; i < words->option_count; i++)
		if (strcmp(words->options[i], "-X") == 0 ||
		    strcmp(words->options[i], "--no-verify") == 0)
			option = "-N";
		else if (may_verify(words->options[i]))
			option = "-n";
	return option;
}

/* The arguments of sslclient; NULL when memory is short. */
static const char **
make_arguments(const struct words *words, const char *self,
    const char *report_in, const char *report_out)
{
	const char *before[] = { "sslclient", "-qRHl0", name_option(words),
		"--report", report_out },
		   *after[] = { "--", words->host, words->port, self, WORKER,
			   report_in, words->host, words->page, words->port };
	size_t count = 0, i;
	const char **argv = calloc(sizeof(before) / sizeof(before[0]) + 1 +
		words->option_count + sizeof(after) / sizeof(after[0]) + 1,
	    sizeof(*argv));

	if (argv == NULL)
		return NULL;
	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		argv[count++] = before[i];
	if (words->family != NULL)
		argv[count++] = words->family;
	for (i = 0; i < words->option_count; i++)
		argv[count++] = words->options[i];
	for (i = 0; i < sizeof(after) / sizeof(after[0]); i++)
		argv[count++] = after[i];
	return argv;
}

/* Returns when it fails. */
static int
run_sslclient(const struct smallclient *client, const struct words *words)
{
	char self[PATH_SIZE], sslclient[PATH_SIZE] = "sslclient";
	char report_in[NUMBER_SIZE], report_out[NUMBER_SIZE];
	const char **argv = NULL;
	int ends[2];

	if (find_files(self, sslclient, client->name) == 0 &&
	    make_report(ends) == 0) {
		(void)text_format(report_in, sizeof(report_in), "%d", ends[0]);
		(void)text_format(
		    report_out, sizeof(report_out), "%d", ends[1]);
		argv = make_arguments(words, self, report_in, report_out);
		if (argv != NULL)
			/* It does not write there, but says so in prose. */
			execvp(sslclient, (char *const *)(uintptr_t)argv);
	}
	fprintf(stderr, "%s: unable to run %s: %s\n", client->name, sslclient,
	    strerror(errno));
	free(argv);
	return 111;
}

/* As sslclient's program. */
static int
work(const struct smallclient *client, char **argv)
{
	struct smallclient_task task = { .name = client->name,
		.host = argv[3],
		.page = argv[4],
		.port = argv[5] };
	unsigned long fd;

	if (text_number(argv[2], REPORT_LOWEST, 1048575, &fd) == -1)
		return refuse_usage(client);
	task.report_fd = (int)fd;
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 111;
	return client->carry(&task);
}

int
smallclient_main(const struct smallclient *client, int argc, char **argv)
{
	struct words words;

	if (fd_fill_standard() == -1)
		return 111; /* nowhere to say why */
	if (argc == WORKER_ARGC && strcmp(argv[1], WORKER) == 0)
		return work(client, argv);
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return print_help(client);
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("%s (ucspi-ssl) %s\n", client->name, VERSION);
		return fflush(stdout) == 0 ? 0 : 111;
	}
	/* Empty when started without even a name. */
	if (argc < 1 || read_words(&words, client->has_page, argv + 1) == -1)
		return refuse_usage(client);
	return run_sslclient(client, &words);
}
