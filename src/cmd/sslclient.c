/*
 * sslclient: connect, verify, and run a program with the connection.
 *
 * main is the table of contents.  It reads nothing but the command line,
 * the environment and the user database; what the network has to say is
 * for processes without rights.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "client/caller.h"
#include "cmd/clientoptions.h"
#include "cmd/identity.h"
#include "cmd/nameservers.h"
#include "config.h"
#include "serve/title.h"
#include "tls/tlsctx.h"
#include "tls/tlssystem.h"

__attribute__((noreturn)) static void
print_help(void)
{
	clientoptions_help();
	exit(fflush(stdout) == 0 ? 0 : 111);
}

__attribute__((noreturn)) static void
print_version(void)
{
	printf("sslclient (ucspi-ssl) %s, %s\n", VERSION, tlsctx_library());
	exit(fflush(stdout) == 0 ? 0 : 111);
}

static void
read_command_line(struct clientoptions *options, int argc, char **argv)
{
	char error[CLIENTOPTIONS_ERROR_SIZE];
	int code;

	if (argc < 2) {
		fputs(clientoptions_usage(), stderr);
		exit(100);
	}
	code = clientoptions_read(options, argc, argv, error);
	if (code != 0)
		client_die(code, "fatal", "%s", error);
	if (options->wants_help)
		print_help();
	if (options->wants_version)
		print_version();
}

/* There from the start, or nothing else may come to lie there. */
static void
keep(int fd, const char *option)
{
	if (fd <= 2)
		return;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		client_die(111, "fatal", "%s: descriptor %d: %s", option, fd,
		    strerror(errno));
}

static bool
is_set(const char *value)
{
	return value != NULL && *value != '\0';
}

static void
choose_store(struct client_settings *s)
{
	s->has_own_store = is_set(s->tls.cafile) || is_set(s->tls.cadir);
	if (s->has_own_store || !s->verifies_chain)
		return;
	tlssystem_use(&s->tls);
	if (!is_set(s->tls.cafile) && !is_set(s->tls.cadir))
		client_say(s, VERBOSITY_ERRORS,
		    "warning: this system has no store of CAs: no server is "
		    "trusted without -a or -A");
}

static void
complete(struct client_settings *s)
{
	char error[IDENTITY_ERROR_SIZE], names_error[NAMESERVERS_ERROR_SIZE];
	bool has_file;

	if (s->reads_phrase)
		keep(SETTINGS_PHRASE_FD, "-3");
	keep(s->report_fd, "--report");
	if (identity_network(&s->identity, error) != 0)
		client_die(111, "fatal", "%s", error);
	if (geteuid() == 0 && (!s->identity.is_set || s->identity.uid == 0))
		client_say(s, VERBOSITY_ERRORS,
		    "warning: SSLNET_USER is root: what meets the network "
		    "keeps "
		    "root's rights");
	if (nameservers_read(&s->names, &has_file, names_error) == -1)
		client_die(111, "fatal", "%s", names_error);
	s->has_dnscache = !has_file;
	choose_store(s);
	if (s->left_servers_own)
		client_say(s, VERBOSITY_ALL,
		    "certificate, key, ciphers and ALPN of the environment are "
		    "those of sslserver, and not taken");
}

int
main(int argc, char **argv)
{
	static struct clientoptions options;

	if (fd_fill_standard() == -1)
		return 111; /* nowhere to say why */
	if (title_prepare(&argv, "sslclient") == -1)
		client_die(111, "fatal", "out of memory");
	read_command_line(&options, argc, argv);
	complete(&options.settings);
	caller_run(&options.settings);
}
