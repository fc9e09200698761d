/*
 * tcprulescheck: what a rule table says of a client.
 *
 * Run by an administrator, with their rights; the client is described in
 * the environment.  The look-up is the very one of the server.  The file is
 * read, not mapped, and not trusted.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/fd.h"
#include "base/text.h"
#include "config.h"
#include "net/dnsmsg.h"
#include "net/ip.h"
#include "rules/rules.h"
#include "rules/rulevars.h"

#define USAGE "usage: tcprulescheck rules.cdb\n"

__attribute__((noreturn)) static void
die(int code, const char *what, const char *which, const char *reason)
{
	fprintf(stderr, "tcprulescheck: fatal: (%d) %s %s: %s\n", code, what,
	    which, reason);
	exit(code);
}

/* The whole file.  The caller owns it. */
static unsigned char *
read_table(const char *path, size_t *len)
{
	struct stat status;
	unsigned char *table;
	ssize_t n;
	int fd = fd_open_regular(path, &status);

	if (fd == -1)
		die(111, "unable to read", path, strerror(errno));
	if (status.st_size > RULES_SIZE_MAX)
		die(111, "unable to read", path, "it is no rule table");
	table = malloc((size_t)status.st_size + 1);
	if (table == NULL)
		die(111, "unable to read", path, strerror(errno));
	n = fd_read_all(fd, table, (size_t)status.st_size);
	if (n == -1)
		die(111, "unable to read", path, strerror(errno));
	fd_close(&fd);
	*len = (size_t)n;
	return table;
}

/* The client of the environment; where its address and name go. */
struct described {
	struct rules_client client;
	struct ip ip;
	char host[DNSMSG_NAME_SIZE];
};

/* Empty is as good as unset: the server knows no empty one either. */
static const char *
get_known(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

/* The name as the server has it when it looks rules up. */
static void
read_host(struct described *d)
{
	const char *host = get_known("TCPREMOTEHOST");

	if (host == NULL)
		return;
	if (dnsmsg_host_name(d->host, host) == 0)
		d->client.host = d->host;
	else
		fputs("tcprulescheck: warning: TCPREMOTEHOST is no host name: "
		      "to sslserver it is unknown\n",
		    stderr);
}

static void
read_client(struct described *d)
{
	const char *address = get_known("TCPREMOTEIP");

	memset(d, 0, sizeof(*d));
	read_host(d);
	d->client.info = get_known("TCPREMOTEINFO");
	if (address == NULL)
		return;
	if (ip_parse(address, &d->ip) == -1)
		die(100, "unable to read", "TCPREMOTEIP", "it is no address");
	d->client.ip = d->ip.bytes;
}

/* The server has another verdict for it, or a meaning of its own. */
static void
warn_of_variable(const char *variable)
{
	const char *reason = rulevars_refusal(variable);
	const char *doubt = rulevars_doubt(variable);
	char shown[TEXT_PRINTABLE_SIZE];

	if (reason != NULL)
		fprintf(stderr,
		    "tcprulescheck: warning: sslserver refuses the client: "
		    "%s: %s\n",
		    text_printable(shown, variable, strlen(variable)), reason);
	if (doubt != NULL)
		fprintf(stderr, "tcprulescheck: warning: %s\n", doubt);
}

static void
print_verdict(const struct rules_verdict *verdict)
{
	const char *variable;
	size_t at = 0;

	if (verdict->is_found) {
		fputs("rule ", stdout);
		fwrite(verdict->key, 1, verdict->key_len, stdout);
		fputs(":\n", stdout);
	} else {
		fputs("default:\n", stdout);
	}
	/* Who is refused gets no program, and so no variables. */
	while (!verdict->denies &&
	    (variable = rules_variable(verdict, &at)) != NULL) {
		printf("set environment variable %s\n", variable);
		warn_of_variable(variable);
	}
	puts(verdict->denies ? "deny connection" : "allow connection");
}

/* The file named on the command line. */
static const char *
read_command_line(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(USAGE, stdout);
		exit(fflush(stdout) == 0 ? 0 : 111);
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("tcprulescheck " VERSION);
		exit(fflush(stdout) == 0 ? 0 : 111);
	}
	if (argc > 1 && strcmp(argv[1], "--") == 0) {
		argc--;
		argv++;
	} else if (argc > 1 && argv[1][0] == '-') {
		argc = 0;
	}
	if (argc != 2) {
		fputs("tcprulescheck: " USAGE, stderr);
		exit(100);
	}
	return argv[1];
}

int
main(int argc, char **argv)
{
	struct described described;
	struct rules_verdict verdict;
	const char *path;
	unsigned char *table;
	size_t len;

	if (fd_fill_standard() == -1)
		return 111;
	path = read_command_line(argc, argv);
	read_client(&described);
	table = read_table(path, &len);
	if (rules_check(table, len) == -1 ||
	    rules_decide(&verdict, table, len, &described.client) == -1)
		die(111, "unable to use", path, "it is no sound rule table");
	print_verdict(&verdict);
	free(table);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 111;
}
