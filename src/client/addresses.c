/*
 * Addresses of the host.
 *
 * The process that was started asks a child, which has become the identity
 * that meets the network, because answers come from there.  From the child
 * come numbers of fixed size, nothing else.  It is killed when it takes too
 * long, and reaped in any case: the program shall have no strange child.
 */
#include "client/addresses.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <netdb.h>
#include <poll.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "net/dnshost.h"
#include "serve/privs.h"

enum failure { FOUND, NO_RIGHTS, NO_HOST, NO_PORT, FAILURES };

/* What the child finds out. */
struct answer {
	int failure; /* enum failure */
	int gai;     /* getaddrinfo's code for NO_HOST */
	uint16_t port;
	size_t count;
	struct ip_endpoint found[CONNECT_TARGETS_MAX];
};

/*
 * In the child
 */

static void
take(struct answer *answer, const struct addrinfo *list)
{
	struct ip_endpoint *found;

	for (; list != NULL && answer->count < CONNECT_TARGETS_MAX;
	     list = list->ai_next) {
		found = &answer->found[answer->count];
		if (ip_from_sockaddr(found, list->ai_addr) == 0)
			answer->count++;
	}
}

/* By the servers of DNSCACHEIP. */
static void
ask_servers(const struct client_settings *settings, struct answer *answer)
{
	struct ip found[DNSHOST_ADDRESSES_MAX];
	size_t i, count;

	switch (
	    dnshost_find(&settings->names, settings->lookup, settings->family,
		clock_after(clock_now(), client_handshake_ms(settings)), found,
		&count)) {
	case DNS_FOUND:
		for (i = 0; i < count && i < CONNECT_TARGETS_MAX; i++)
			answer->found[answer->count++].ip = found[i];
		break;
	case DNS_NONE:
		answer->failure = NO_HOST;
		answer->gai = EAI_NONAME;
		break;
	default:
		answer->failure = NO_HOST;
		answer->gai = EAI_AGAIN;
	}
}

/* As the system does it. */
static void
ask_system(const struct client_settings *settings, struct answer *answer)
{
	struct addrinfo hints = { .ai_family = settings->family,
		.ai_socktype = SOCK_STREAM },
			*list;

	answer->gai = getaddrinfo(settings->lookup, NULL, &hints, &list);
	if (answer->gai == 0)
		take(answer, list);
	if (answer->count == 0)
		answer->failure = NO_HOST;
}

static void
look_up_port(const struct client_settings *settings, struct answer *answer)
{
	const struct servent *service = getservbyname(settings->port, "tcp");

	if (service == NULL)
		answer->failure = NO_PORT;
	else
		answer->port = ntohs((uint16_t)service->s_port);
}

__attribute__((noreturn)) static void
look_up(const struct client_settings *settings, int report_fd)
{
	const struct privs privs = { .identity = &settings->identity,
		.root_fd = -1,
		.descriptors = PRIVS_KEEP,
		.processes = PRIVS_KEEP };
	const int keep[] = { 0, 1, 2, report_fd };
	char error[PRIVS_ERROR_SIZE];
	struct answer answer;

	memset(&answer, 0, sizeof(answer));
	/* An answer may be hostile: neither key nor phrase is left here. */
	if (fd_close_except(keep, sizeof(keep) / sizeof(keep[0])) == -1 ||
	    fd_set_null(0) == -1 || fd_set_null(1) == -1 ||
	    privs_drop(&privs, error) == -1)
		answer.failure = NO_RIGHTS;
	if (answer.failure == FOUND && settings->port != NULL)
		look_up_port(settings, &answer);
	if (answer.failure == FOUND && settings->host != NULL)
		(settings->has_dnscache ? ask_servers : ask_system)(
		    settings, &answer);
	_exit(fd_write_all(report_fd, &answer, sizeof(answer)) == -1);
}

/*
 * In the process that was started
 */

/* Read all of it, but not beyond the deadline.  0 or -1 with errno. */
static int
read_answer(int fd, struct answer *answer, int64_t deadline)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	unsigned char *bytes = (unsigned char *)answer;
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(*answer)) {
		int64_t now = clock_now();

		errno = ETIMEDOUT;
		if (now >= deadline)
			return -1;
		if (poll(&pollfd, 1, clock_poll_timeout(now, deadline)) <= 0)
			continue;
		n = read(fd, bytes + len, sizeof(*answer) - len);
		if (n == 0)
			errno = EPIPE;
		if (n == 0 || (n == -1 && errno != EINTR))
			return -1;
		len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* No answer in time is what a name server that is silent means, too. */
static int
take_answer(
    const struct client_settings *settings, int fd, struct answer *answer)
{
	int64_t deadline =
	    clock_after(clock_now(), client_handshake_ms(settings));

	if (read_answer(fd, answer, deadline) == 0) {
		if (answer->count <= CONNECT_TARGETS_MAX &&
		    answer->failure >= FOUND && answer->failure < FAILURES)
			return 0;
		errno = EPROTO;
	}
	if (errno != ETIMEDOUT)
		return -1;
	*answer = (struct answer){ .failure = NO_HOST, .gai = EAI_AGAIN };
	return 0;
}

/* 0 and a sound answer, or -1 with errno. */
static int
ask_child(const struct client_settings *settings, struct answer *answer)
{
	int ends[2], r = -1, error;
	pid_t pid;

	if (fd_pipe(ends) == -1)
		return -1;
	pid = fork();
	if (pid == 0)
		look_up(settings, ends[1]);
	error = errno;
	fd_close(&ends[1]);
	if (pid != -1) {
		r = take_answer(settings, ends[0], answer);
		error = errno;
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			continue;
	}
	fd_close(&ends[0]);
	errno = error;
	return r;
}

/* Which there may not be, though there are others. */
static const char *
wanted_address(const struct client_settings *settings)
{
	switch (settings->family) {
	case AF_INET:
		return "an IPv4 address";
	case AF_INET6:
		return "an IPv6 address";
	default:
		return "the address";
	}
}

static int
explain(const struct client_settings *settings, const struct answer *answer,
    char error[CLIENT_ERROR_SIZE])
{
	switch (answer->failure) {
	case FOUND:
		return 0;
	case NO_HOST:
		text_format(error, CLIENT_ERROR_SIZE,
		    "unable to find %s of %s: %s", wanted_address(settings),
		    settings->shown,
		    answer->gai == 0 ? "no IP address"
				     : gai_strerror(answer->gai));
		return -1;
	case NO_PORT:
		text_format(error, CLIENT_ERROR_SIZE, "unknown service: %s",
		    settings->port);
		return -1;
	default:
		text_format(error, CLIENT_ERROR_SIZE,
		    "unable to change identity to look up %s", settings->shown);
		return -1;
	}
}

static void
fill_targets(const struct client_settings *settings,
    const struct answer *answer, struct connect_target *targets)
{
	size_t i;

	for (i = 0; i < answer->count; i++) {
		targets[i] =
		    (struct connect_target){ .remote = answer->found[i] };
		targets[i].remote.port = answer->port;
		if (ip_is_link_local(&targets[i].remote.ip) &&
		    targets[i].remote.scope == 0)
			targets[i].remote.scope = settings->scope;
	}
}

int
addresses_find(const struct client_settings *settings,
    struct connect_target targets[CONNECT_TARGETS_MAX], size_t *count,
    char error[CLIENT_ERROR_SIZE])
{
	struct answer answer;

	memset(&answer, 0, sizeof(answer));
	if (settings->host != NULL || settings->port != NULL) {
		if (ask_child(settings, &answer) == -1) {
			text_format(error, CLIENT_ERROR_SIZE,
			    "unable to look up %s: %s", settings->shown,
			    strerror(errno));
			return -1;
		}
		if (explain(settings, &answer, error) == -1)
			return -1;
	}
	if (settings->host == NULL) {
		answer.found[0] = settings->ip;
		answer.count = 1;
	}
	if (settings->port == NULL)
		answer.port = settings->port_number;
	fill_targets(settings, &answer, targets);
	*count = answer.count;
	return 0;
}
