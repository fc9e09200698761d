/*
 * sslserver: run a program for every TLS connection.
 *
 * main is the table of contents.  Up to the fork of master everything runs
 * with the rights the administrator gave, and reads nothing but the command
 * line, the environment and the user database; what the network could
 * answer is looked up by a child without rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "cmd/explain.h"
#include "cmd/identity.h"
#include "cmd/options.h"
#include "net/sock.h"
#include "serve/bindhost.h"
#include "serve/front.h"
#include "serve/master.h"
#include "serve/program.h"
#include "serve/sandbox.h"
#include "serve/title.h"

#define KEEPERS_DEFAULT_MAX 8

__attribute__((noreturn)) static void
die(int code, const char *sentence)
{
	char shown[512];

	text_copy(shown, sizeof(shown), sentence);
	fprintf(stderr, "sslserver: fatal: (%d) %s\n", code, text_clean(shown));
	exit(code);
}

/* Close what we inherited, but for 0, 1, 2 and --keep-fd. */
static void
close_inherited(const struct settings *s)
{
	int keep[3 + SETTINGS_KEEP_FDS_MAX] = { 0, 1, 2 };
	char sentence[128];
	size_t i;

	for (i = 0; i < s->keep_fd_count; i++) {
		keep[3 + i] = s->keep_fds[i];
		if (fcntl(s->keep_fds[i], F_SETFD, FD_CLOEXEC) == -1) {
			text_format(sentence, sizeof(sentence),
			    "--keep-fd %d: %s", s->keep_fds[i],
			    strerror(errno));
			die(111, sentence);
		}
	}
	if (fd_close_except(keep, 3 + s->keep_fd_count) == -1)
		die(111, "unable to close inherited descriptors");
}

/* Settings of later versions, which some start scripts have already. */
static void
warn_of_unknown(const struct settings *s)
{
	static const char *const later[] = { "CERTDIR", "SNI", "CRLFILE",
		"ALPN", "TICKETKEYS", "MAXCONIP", "MAXCONNET" };
	size_t i;

	for (i = 0; i < sizeof(later) / sizeof(later[0]) &&
	     s->verbosity >= VERBOSITY_ERRORS;
	     i++)
		if (getenv(later[i]) != NULL)
			fprintf(stderr,
			    "sslserver: warning: $%s has no "
			    "effect in this version\n",
			    later[i]);
}

static void
set_keepers(struct settings *s)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (s->keepers != 0)
		return;
	s->keepers = processors < 1	       ? 1
	    : processors > KEEPERS_DEFAULT_MAX ? KEEPERS_DEFAULT_MAX
					       : (unsigned)processors;
}

static int
listen_on(const struct sock_listen *how, struct ip_endpoint *bound)
{
	char sentence[192], ip[IP_TEXT_SIZE];
	int fd = sock_listen(how, bound);

	if (fd == -1) {
		text_format(sentence, sizeof(sentence),
		    "unable to listen on %s port %u: %s",
		    ip_format(ip, &how->local.ip), how->local.port,
		    strerror(errno));
		die(111, sentence);
	}
	return fd;
}

/* From here on two processes: front returns, master never does. */
static int
start_master(
    const struct settings *s, const struct program *program, int listen_fd)
{
	int ends[2];

	if (fd_message_pair(ends) == -1)
		die(111, "unable to make a socket");
	switch (fork()) {
	case -1:
		die(111, "unable to fork");
	case 0:
		fd_close(&ends[0]);
		if (fd_set_null(1) == -1)
			_exit(111);
		master_run(s, program, ends[1], listen_fd);
	default:
		fd_close(&ends[1]);
		return ends[0];
	}
}

static void
read_command_line(struct options *options, int argc, char **argv)
{
	char error[OPTIONS_ERROR_SIZE];

	if (argc < 2) {
		fputs(options_usage(), stderr);
		exit(100);
	}
	if (options_read(options, argc, argv, error) == -1)
		die(100, error);
	if (options->wants_help) {
		options_help();
		exit(fflush(stdout) == 0 ? 0 : 111);
	}
	if (options->wants_version)
		exit(explain_versions());
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
		die(code, error);
	if (s->requires_sandbox && !sandbox_is_available())
		die(111,
		    "--require-sandbox: this version has no sandbox for "
		    "this system");
	set_keepers(s);
}

int
main(int argc, char **argv)
{
	static struct options options;
	struct settings *s = &options.settings;
	struct ip_endpoint bound;
	struct sock_listen how;
	struct program program = { .settings = s };
	int listen_fd = -1, master_fd;

	if (fd_fill_standard() == -1 || sig_save(&program.signals) == -1 ||
	    title_prepare(&argv) == -1)
		return 111;
	read_command_line(&options, argc, argv);
	check_settings(&options, &how);
	if (s->only_explains) {
		explain_settings(s, &how.local);
		return fflush(stdout) == 0 ? 0 : 111;
	}
	identity_warn(&options);
	warn_of_unknown(s);
	program.environment = program_environment();
	if (program.environment == NULL || fd_set_null(0) == -1)
		die(111, "out of memory");
	if (!s->only_checks)
		listen_fd = listen_on(&how, &bound);
	master_fd = start_master(s, &program, listen_fd);
	fd_close(&listen_fd);
	return front_run(s, &bound, master_fd);
}
