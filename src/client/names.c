/*
 * Names of both ends, by a resolver of our own.
 *
 * The child is sslserver's resolver, for one connection: it has become the
 * identity that meets the network and sits in an empty directory.  What it
 * says is checked again here.  It is killed and reaped before the program
 * starts.
 */
#include "client/names.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "client/helper.h"
#include "serve/emptydir.h"
#include "serve/msg.h"
#include "serve/privs.h"
#include "serve/query.h"
#include "serve/resolver.h"
#include "serve/sandbox.h"
#include "serve/title.h"

/* Both names together, as in sslserver. */
#define NAMES_MS 10000
/* A resolver that keeps no deadline has died, or is stopped. */
#define PATIENCE_MS 2000

static unsigned
wants(const struct client_settings *settings)
{
	unsigned found = 0;

	if (settings->names.server_count > 0 && settings->wants_name)
		found |= QUERY_NAME;
	if (settings->names.server_count > 0 && settings->local_name == NULL)
		found |= QUERY_LOCAL_NAME;
	if (settings->wants_ident)
		found |= QUERY_INFO;
	return found;
}

/* In the child. */
__attribute__((noreturn)) static void
become_resolver(const struct client_settings *settings, int life_fd)
{
	struct resolver_settings how = { .limit = 1,
		.ident_port = IDENT_PORT,
		.server_count = settings->names.server_count };
	struct privs privs = { .identity = &settings->identity,
		.root_fd = -1,
		.descriptors = resolver_descriptors(1),
		.processes = 0 };
	char error[PRIVS_ERROR_SIZE];
	const int keep[] = { 0, 1, 2, life_fd };

	memcpy(how.servers, settings->names.servers, sizeof(how.servers));
	if (fd_close_except(keep, sizeof(keep) / sizeof(keep[0])) == -1 ||
	    fd_set_null(0) == -1 || fd_set_null(1) == -1 ||
	    sig_ignore_terminal() == -1)
		_exit(111);
	title_set("resolver");
	helper_forget(settings);
	if (geteuid() == 0)
		privs.root_fd = emptydir_make(error, sizeof(error));
	if ((geteuid() == 0 && privs.root_fd == -1) ||
	    privs_drop(&privs, error) == -1 ||
	    sandbox_enter(SANDBOX_RESOLVER) == -1)
		_exit(111);
	resolver_run(&how, life_fd);
}

/* Give it a work socket, whose other end is ours.  0 or -1. */
static int
connect_child(struct names *names)
{
	struct msg msg = { .type = MSG_WORK, .fd_count = 1 };
	int ends[2], r;

	if (fd_message_pair(ends) == -1)
		return -1;
	msg.fds[0] = ends[1];
	r = msg_send(names->life_fd, &msg, true);
	fd_close(&ends[1]);
	names->work_fd = ends[0];
	return r;
}

static int
fork_child(struct names *names, const struct client_settings *settings)
{
	int ends[2];

	if (fd_message_pair(ends) == -1)
		return -1;
	names->pid = fork();
	if (names->pid == 0)
		become_resolver(settings, ends[1]);
	fd_close(&ends[1]);
	names->life_fd = ends[0];
	return names->pid == -1 ? -1 : 0;
}

static int
send_query(struct names *names, const struct client_settings *settings,
    const struct ip_endpoint *local, const struct ip_endpoint *remote)
{
	int64_t now = clock_now();
	const struct query query = { .local = *local,
		.remote = *remote,
		.wants = wants(settings),
		.name_deadline = clock_after(now, NAMES_MS),
		.info_deadline =
		    clock_after(now, (int64_t)settings->ident_s * 1000) };
	unsigned char body[QUERY_SIZE];
	struct msg_writer w;

	names->deadline = clock_after(query.info_deadline > query.name_deadline
		? query.info_deadline
		: query.name_deadline,
	    PATIENCE_MS);
	msg_write_to(&w, body, sizeof(body));
	if (query_put(&query, &w) == -1)
		return -1;
	return msg_send_bytes(names->work_fd, MSG_QUERY, 1, body, w.len, true);
}

void
names_ask(struct names *names, const struct client_settings *settings,
    const struct ip_endpoint *local, const struct ip_endpoint *remote)
{
	memset(names, 0, sizeof(*names));
	names->pid = names->life_fd = names->work_fd = -1;
	if (wants(settings) == 0)
		return;
	if (fork_child(names, settings) == -1 || connect_child(names) == -1 ||
	    send_query(names, settings, local, remote) == -1)
		names_end(names);
}

void
names_take(struct names *names)
{
	static struct msg_room room;
	struct query_names found;
	struct msg msg;
	bool more;

	if (msg_receive(names->work_fd, &room, &msg, 0, true, &more) == 1 &&
	    !more && msg.type == MSG_NAMES &&
	    query_get_names(&found, &msg) == 0) {
		names->has_host = found.host != NULL &&
		    text_copy(names->host, sizeof(names->host), found.host) ==
			0;
		names->has_local_host = found.local_host != NULL &&
		    text_copy(names->local_host, sizeof(names->local_host),
			found.local_host) == 0;
		names->has_info = found.info != NULL &&
		    text_copy(names->info, sizeof(names->info), found.info) ==
			0;
	}
	names_end(names);
}

void
names_end(struct names *names)
{
	fd_close(&names->work_fd);
	fd_close(&names->life_fd);
	if (names->pid == -1)
		return;
	kill(names->pid, SIGKILL);
	while (waitpid(names->pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	names->pid = -1;
}
