/*
 * Host and port of the listener.
 *
 * Runs in the process that was started, usually root, before anything is
 * bound; names are looked up in a child without rights.  From there come
 * one address and one port of fixed size, nothing else.
 */
#include "serve/bindhost.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <net/if.h>
#include <netdb.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "net/sock.h"
#include "serve/privs.h"
#include "serve/settings.h"

/* What the child finds out. */
struct answer {
	int failure; /* enum failure */
	int gai;     /* getaddrinfo's code for NO_HOST */
	struct ip_endpoint found;
};

enum failure { FOUND, NO_RIGHTS, NO_HOST, NO_PORT };

static int
fail(char error[BINDHOST_ERROR_SIZE], int code, const char *sentence,
    const char *word)
{
	char shown[TEXT_PRINTABLE_SIZE];

	text_format(error, BINDHOST_ERROR_SIZE, "%s%s", sentence,
	    text_printable(shown, word, strlen(word)));
	return code;
}

/* `0', `::' and `:0'.  Returns whether host is one of them. */
static bool
is_wildcard(const char *host, struct sock_listen *how)
{
	if (strcmp(host, "0") == 0) {
		how->family = AF_INET;
		return ip_parse("0.0.0.0", &how->local.ip) == 0;
	}
	how->family = AF_INET6;
	how->v6only = strcmp(host, "::") == 0;
	if (!how->v6only && strcmp(host, ":0") != 0)
		return false;
	return ip_parse("::", &how->local.ip) == 0;
}

/* A literal, perhaps with `%interface'.  1, 0: not one, or a code. */
static int
read_literal(const struct settings *settings, struct sock_listen *how,
    char error[BINDHOST_ERROR_SIZE])
{
	const char *host = settings->host, *zone = strchr(host, '%');
	size_t len = zone == NULL ? strlen(host) : (size_t)(zone - host);
	char address[IP_TEXT_SIZE];

	if (len >= sizeof(address) ||
	    text_format(address, sizeof(address), "%.*s", (int)len, host) ==
		-1 ||
	    ip_parse(address, &how->local.ip) == -1)
		return 0;
	how->family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;
	/* A v6only socket cannot be bound to a v4-mapped address. */
	how->v6only = how->family == AF_INET6 && !ip_is_v4(&how->local.ip);
	if (!ip_is_link_local(&how->local.ip))
		return zone == NULL
		    ? 1
		    : fail(error, 100,
			  "an interface belongs to a link-local address only: ",
			  host);
	if (zone == NULL && settings->interface == NULL)
		return fail(error, 100,
		    "a link-local address needs an interface (-I): ", host);
	how->local.scope =
	    if_nametoindex(zone == NULL ? settings->interface : zone + 1);
	if (how->local.scope == 0)
		return fail(error, 111, "no such interface: ",
		    zone == NULL ? settings->interface : zone + 1);
	return 1;
}

/*
 * Neither a literal nor a name, which has no colon and a letter.  What
 * consists of numbers alone getaddrinfo would take, octal and in parts.
 */
static bool
is_malformed(const char *host)
{
	return strchr(host, ':') != NULL ||
	    strspn(host, "0123456789.") == strlen(host);
}

static bool
fits_family(const struct settings *settings, const struct sock_listen *how)
{
	return settings->family == AF_UNSPEC || settings->family == how->family;
}

/* In the child. */
static void
look_up_host(const struct settings *settings, struct answer *answer)
{
	struct addrinfo hints = { .ai_family = settings->family,
		.ai_socktype = SOCK_STREAM },
			*list;

	answer->gai = getaddrinfo(settings->host, NULL, &hints, &list);
	if (answer->gai != 0 ||
	    ip_from_sockaddr(&answer->found, list->ai_addr) == -1)
		answer->failure = NO_HOST;
}

static void
look_up_port(const struct settings *settings, struct answer *answer)
{
	const struct servent *service = getservbyname(settings->port, "tcp");

	if (service == NULL)
		answer->failure = NO_PORT;
	else
		answer->found.port = ntohs((uint16_t)service->s_port);
}

__attribute__((noreturn)) static void
look_up(const struct settings *settings, bool wants_host, bool wants_port,
    int report_fd)
{
	const struct privs privs = { .identity = &settings->net_id,
		.root_fd = -1,
		.descriptors = PRIVS_KEEP,
		.processes = PRIVS_KEEP };
	const int keep[] = { 0, 1, 2, report_fd };
	char error[PRIVS_ERROR_SIZE];
	struct answer answer;

	memset(&answer, 0, sizeof(answer));
	/* An answer may be hostile: the pass phrase of -3 is not left here. */
	if (fd_close_except(keep, sizeof(keep) / sizeof(keep[0])) == -1 ||
	    privs_drop(&privs, error) == -1)
		answer.failure = NO_RIGHTS;
	if (answer.failure == FOUND && wants_host)
		look_up_host(settings, &answer);
	if (answer.failure == FOUND && wants_port)
		look_up_port(settings, &answer);
	_exit(fd_write_all(report_fd, &answer, sizeof(answer)) == -1);
}

static int
ask_child(const struct settings *settings, bool wants_host, bool wants_port,
    struct answer *answer)
{
	int ends[2];
	ssize_t len;
	pid_t pid;

	if (fd_pipe(ends) == -1)
		return -1;
	pid = fork();
	if (pid == 0)
		look_up(settings, wants_host, wants_port, ends[1]);
	fd_close(&ends[1]);
	len = pid == -1 ? -1 : fd_read_all(ends[0], answer, sizeof(*answer));
	fd_close(&ends[0]);
	if (pid != -1)
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			continue;
	return len == (ssize_t)sizeof(*answer) ? 0 : -1;
}

static int
explain(const struct settings *settings, const struct answer *answer,
    char error[BINDHOST_ERROR_SIZE])
{
	char shown[TEXT_PRINTABLE_SIZE];

	switch (answer->failure) {
	case FOUND:
		return 0;
	case NO_HOST:
		text_format(error, BINDHOST_ERROR_SIZE,
		    "unable to find the address of host %s: %s",
		    text_printable(
			shown, settings->host, strlen(settings->host)),
		    answer->gai == 0 ? "no IP address"
				     : gai_strerror(answer->gai));
		return 111;
	case NO_PORT:
		return fail(error, 100,
		    "unknown service or bad port: ", settings->port);
	default:
		return fail(error, 111,
		    "unable to change identity to look "
		    "up: ",
		    settings->host);
	}
}

static int
look_up_names(const struct settings *settings, bool wants_host, bool wants_port,
    struct sock_listen *how, char error[BINDHOST_ERROR_SIZE])
{
	struct answer answer;
	int code;

	memset(&answer, 0, sizeof(answer));
	if (ask_child(settings, wants_host, wants_port, &answer) == -1)
		return fail(error, 111, "unable to look up: ", settings->host);
	code = explain(settings, &answer, error);
	if (code != 0)
		return code;
	if (wants_host) {
		how->local.ip = answer.found.ip;
		how->local.scope = answer.found.scope;
		how->family = ip_is_v4(&how->local.ip) ? AF_INET : AF_INET6;
		how->v6only = how->family == AF_INET6;
	}
	if (wants_port)
		how->local.port = answer.found.port;
	return 0;
}

int
bindhost_resolve(const struct settings *settings, struct sock_listen *how,
    char error[BINDHOST_ERROR_SIZE])
{
	bool is_number, is_literal;
	unsigned long port = 0;
	int r;

	memset(how, 0, sizeof(*how));
	is_number = text_number(settings->port, 0, 65535, &port) == 0;
	if (!is_number && settings->port[0] >= '0' && settings->port[0] <= '9')
		return fail(error, 100, "bad port: ", settings->port);
	r = is_wildcard(settings->host, how)
	    ? 1
	    : read_literal(settings, how, error);
	if (r > 1)
		return r;
	is_literal = r == 1;
	if (!is_literal && is_malformed(settings->host))
		return fail(error, 100, "malformed address: ", settings->host);
	if (is_literal && !fits_family(settings, how))
		return fail(error, 100,
		    "not of the family asked for: ", settings->host);
	how->local.port = (uint16_t)port;
	if (!is_literal || !is_number) {
		r = look_up_names(
		    settings, !is_literal, !is_number, how, error);
		if (r != 0)
			return r;
	}
	how->no_delay = settings->no_delay;
	how->backlog = settings->backlog;
	return 0;
}
