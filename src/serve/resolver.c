/*
 * The resolver: host names and IDENT for all connections.
 *
 * Runs as a user who meets the network, in an empty directory, without
 * rights.  It sees addresses and the answers of DNS and IDENT servers, never
 * a byte of a client's connection.  No query makes another wait: each is an
 * entry in a table with its own deadlines, and a monitor that does not read
 * is cut off rather than waited for.  Trusts master and monitor; its
 * own answers are checked again by the monitor.
 */
#include "serve/resolver.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "net/ident.h"
#include "serve/chan.h"
#include "serve/msg.h"
#include "serve/query.h"

#define CACHED_MAX 1024
#define MESSAGES_PER_TURN 16
#define DESCRIPTORS_EXTRA 64
#define SILENCE_SECONDS 10 /* so long it is not told again */

/* A connection whose names are being looked for. */
struct client {
	struct resolver *resolver;
	struct client *next; /* of the same bucket */
	uint64_t number;
	struct dns_question *name, *local_name; /* NULL: not out */
	struct ident *ident;
	bool has_host, has_info, has_local_host;
	char host[DNS_NAME_SIZE];
	char local_host[DNS_NAME_SIZE];
	char info[IDENT_INFO_SIZE];
};

struct resolver {
	const struct resolver_settings *settings;
	struct ev_loop *loop;
	struct dns *dns;
	int life_fd;
	ev_io life_io, work_io;
	struct chan work;
	struct client **buckets;
	size_t bucket_mask, clients;
	ev_tstamp silence_told; /* 0: never */
	struct msg_room room;
};

size_t
resolver_descriptors(size_t limit)
{
	/* IDENT takes a socket each; DNS one for many, dead servers more. */
	return limit * 2 + DESCRIPTORS_EXTRA;
}

/* The work socket. */

/* Read always; flush the queue when the socket takes more. */
static void
watch_work(struct resolver *resolver)
{
	ev_io *io = &resolver->work_io;
	int events =
	    EV_READ | (chan_is_waiting(&resolver->work) ? EV_WRITE : 0);

	if (ev_is_active(io) && io->events == events)
		return;
	ev_io_stop(resolver->loop, io);
	ev_io_set(io, resolver->work.fd, events);
	ev_io_start(resolver->loop, io);
}

/* Where the client with this number is, or would be, linked. */
static struct client **
find_client(struct resolver *resolver, uint64_t number)
{
	struct client **at =
	    &resolver->buckets[(size_t)number & resolver->bucket_mask];

	while (*at != NULL && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static void
free_client(struct client *client)
{
	struct resolver *resolver = client->resolver;

	*find_client(resolver, client->number) = client->next;
	resolver->clients--;
	dns_forget(client->name);
	dns_forget(client->local_name);
	ident_forget(client->ident);
	free(client);
}

/* The monitor is gone, and so is every connection we asked for. */
static void
close_work(struct resolver *resolver)
{
	size_t i;

	ev_io_stop(resolver->loop, &resolver->work_io);
	chan_close(&resolver->work);
	for (i = 0; i <= resolver->bucket_mask; i++)
		while (resolver->buckets[i] != NULL)
			free_client(resolver->buckets[i]);
}

/*
 * There is no more talking to the monitor, with this errno.  If it has gone,
 * a new one will come; one that does not read, or talks nonsense, would
 * never get another socket: a new resolver does.
 */
static void
lose_monitor(struct resolver *resolver, int error)
{
	if (error != 0 && error != EPIPE && error != ECONNRESET)
		_exit(111);
	close_work(resolver);
}

/* 0, or -1 with errno: the monitor does not read, or has gone. */
static int
send_names(
    struct resolver *resolver, uint64_t number, const struct query_names *names)
{
	unsigned char body[QUERY_NAMES_SIZE];
	struct msg_writer w;

	msg_write_to(&w, body, sizeof(body));
	if (query_put_names(names, &w) == -1 ||
	    chan_send_bytes(&resolver->work, MSG_NAMES, number, body, w.len) ==
		-1)
		return -1;
	watch_work(resolver);
	return 0;
}

/* If nothing is out any more, say what is known and forget the client. */
static void
conclude(struct client *client)
{
	struct resolver *resolver = client->resolver;
	struct query_names names = {
		.host = client->has_host ? client->host : NULL,
		.info = client->has_info ? client->info : NULL,
		.local_host = client->has_local_host ? client->local_host : NULL
	};
	int error = 0;

	if (client->name != NULL || client->local_name != NULL ||
	    client->ident != NULL)
		return;
	if (send_names(resolver, client->number, &names) == -1)
		error = errno;
	free_client(client);
	if (error != 0)
		lose_monitor(resolver, error);
}

/* Answers. */

static void
on_name(void *arg, enum dns_result result, const char *name)
{
	struct client *client = arg;

	client->name = NULL;
	client->has_host = result == DNS_FOUND;
	if (client->has_host)
		text_copy(client->host, sizeof(client->host), name);
	conclude(client);
}

static void
on_local_name(void *arg, enum dns_result result, const char *name)
{
	struct client *client = arg;

	client->local_name = NULL;
	client->has_local_host = result == DNS_FOUND;
	if (client->has_local_host)
		text_copy(client->local_host, sizeof(client->local_host), name);
	conclude(client);
}

static void
on_info(void *arg, const char *info)
{
	struct client *client = arg;

	client->ident = NULL;
	client->has_info = info != NULL;
	if (client->has_info)
		text_copy(client->info, sizeof(client->info), info);
	conclude(client);
}

/* Queries. */

/* What cannot be asked stays unknown. */
static void
ask(struct client *client, const struct query *query)
{
	struct resolver *resolver = client->resolver;

	if (query->wants & QUERY_NAME)
		client->name = dns_ask(resolver->dns, &query->remote.ip,
		    query->wants & QUERY_CONFIRM, query->name_deadline, on_name,
		    client);
	if (query->wants & QUERY_LOCAL_NAME)
		client->local_name = dns_ask(resolver->dns, &query->local.ip,
		    false, query->name_deadline, on_local_name, client);
	if (query->wants & QUERY_INFO)
		client->ident = ident_ask_port(resolver->loop, &query->local,
		    &query->remote, resolver->settings->ident_port,
		    query->info_deadline, on_info, client);
}

/* 0, or -1 with errno: EPROTO, or as send_names. */
static int
take_query(struct resolver *resolver, const struct msg *msg)
{
	static const struct query_names nothing;
	struct client **at = find_client(resolver, msg->conn), *client;
	struct query query;

	if (query_get(&query, msg) == -1 || *at != NULL) {
		errno = EPROTO;
		return -1;
	}
	client = NULL;
	if (resolver->clients < resolver->settings->limit)
		client = calloc(1, sizeof(*client));
	if (client == NULL)
		return send_names(resolver, msg->conn, &nothing);
	client->resolver = resolver;
	client->number = msg->conn;
	client->next = *at;
	*at = client;
	resolver->clients++;
	ask(client, &query);
	conclude(client);
	return 0;
}

static int
take_message(struct resolver *resolver, const struct msg *msg)
{
	struct client *client;

	if (msg->type == MSG_QUERY)
		return take_query(resolver, msg);
	if (msg->type != MSG_CANCEL || msg->len != 0) {
		errno = EPROTO;
		return -1;
	}
	/* NAMES and CANCEL may have crossed. */
	client = *find_client(resolver, msg->conn);
	if (client != NULL)
		free_client(client);
	return 0;
}

static void
on_work(struct ev_loop *loop, ev_io *io, int revents)
{
	struct resolver *resolver = io->data;
	struct msg msg;
	bool more;
	int r, i;

	(void)loop;
	if (revents & EV_WRITE) {
		chan_flush(&resolver->work);
		watch_work(resolver);
	}
	for (i = 0; revents & EV_READ && i < MESSAGES_PER_TURN; i++) {
		if (resolver->work.fd == -1)
			return;
		r = msg_receive(
		    resolver->work.fd, &resolver->room, &msg, 0, true, &more);
		if (r == 0)
			return;
		if (r == 1 && more) {
			errno = EPROTO;
			r = -1;
		}
		if (r == -1 || take_message(resolver, &msg) == -1) {
			lose_monitor(resolver, errno);
			return;
		}
	}
}

/* The life line. */

/* Master knows whom we ask, and has the log. */
static void
on_silence(void *arg)
{
	struct resolver *resolver = arg;
	ev_tstamp now = ev_now(resolver->loop);

	if (resolver->silence_told != 0 &&
	    now - resolver->silence_told < SILENCE_SECONDS)
		return;
	resolver->silence_told = now;
	msg_send_bytes(resolver->life_fd, MSG_SILENCE, 0, NULL, 0, true);
}

/* What was asked of the old servers is still answered. */
static int
change_servers(
    struct resolver *resolver, const struct ip_endpoint *servers, size_t count)
{
	struct dns_settings settings = { .server_count = count,
		.max_questions = resolver->settings->limit * 2,
		.max_cached = CACHED_MAX,
		.silence = on_silence,
		.silence_arg = resolver };
	struct dns *dns;

	memcpy(settings.servers, servers, count * sizeof(servers[0]));
	dns = dns_new(resolver->loop, &settings);
	if (dns == NULL)
		return -1;
	dns_free(resolver->dns);
	resolver->dns = dns;
	return 0;
}

/* Master is trusted; what it cannot have meant ends us, and is seen. */
static void
obey_master(struct resolver *resolver, struct msg *msg)
{
	struct ip_endpoint servers[DNS_SERVERS_MAX];
	size_t count;

	if (msg->type == MSG_WORK && msg->fd_count == 1) {
		close_work(resolver);
		chan_open(&resolver->work, msg->fds[0]);
		watch_work(resolver);
		return;
	}
	if (msg->type != MSG_SERVERS || msg->fd_count != 0 ||
	    query_get_servers(servers, &count, msg) == -1)
		_exit(111);
	if (change_servers(resolver, servers, count) == -1)
		_exit(111);
}

static void
on_life(struct ev_loop *loop, ev_io *io, int revents)
{
	struct resolver *resolver = io->data;
	struct msg msg;
	bool more;
	int r;

	(void)loop;
	(void)revents;
	r = msg_receive(
	    resolver->life_fd, &resolver->room, &msg, 1, true, &more);
	if (r == -1)
		_exit(errno == 0 ? 0 : 111);
	if (r == 1)
		obey_master(resolver, &msg);
}

static int
prepare(struct resolver *resolver, const struct resolver_settings *settings,
    int master_fd)
{
	size_t count = 64;

	resolver->settings = settings;
	resolver->life_fd = master_fd;
	/* NOENV: the environment has no say in how we wait. */
	resolver->loop = ev_loop_new(EVFLAG_NOENV);
	while (count < settings->limit)
		count *= 2;
	resolver->buckets = calloc(count, sizeof(struct client *));
	resolver->bucket_mask = count - 1;
	if (resolver->loop == NULL || resolver->buckets == NULL ||
	    change_servers(
		resolver, settings->servers, settings->server_count) == -1)
		return -1;
	/* An answer each, and those of connections that have ended. */
	chan_init(&resolver->work, settings->limit * 2 + 64);
	ev_io_init(&resolver->work_io, on_work, -1, EV_READ);
	resolver->work_io.data = resolver;
	ev_io_init(&resolver->life_io, on_life, master_fd, EV_READ);
	resolver->life_io.data = resolver;
	ev_io_start(resolver->loop, &resolver->life_io);
	return 0;
}

void
resolver_run(const struct resolver_settings *settings, int master_fd)
{
	static struct resolver resolver;
	static const char sentence[] = "out of memory for -c connections";

	if (prepare(&resolver, settings, master_fd) == -1) {
		msg_send_bytes(
		    master_fd, MSG_FAILED, 0, sentence, sizeof(sentence), true);
		_exit(111);
	}
	msg_send_bytes(master_fd, MSG_READY, 0, NULL, 0, true);
	ev_run(resolver.loop, 0);
	_exit(111);
}
