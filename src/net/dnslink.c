/*
 * Questions to one DNS server, carried by c-ares.
 *
 * Runs in the resolver, jailed.  c-ares keeps the sockets, matches answers
 * to questions and falls back to TCP; four things are ours.  Ids: c-ares
 * 1.18 seeds its own from /dev/urandom, which no jail has, else from
 * rand(3), so every process would use the same; we write the questions and
 * take ids from getentropy(2) (newer ones replace them by good ones).
 * Ports: a busy c-ares channel keeps its source port, so a channel carries
 * 32 questions and another follows.  Sockets: made here, close-on-exec from
 * birth, without SIGPIPE, with the interface of a link-local server.  Time:
 * newer ones guess how long a server may take, and guess too short.
 */
#include "net/dnslink.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/dnscompat.h"

/* A question that nobody asks again for is dropped. */
#define GIVE_UP_MS 10000

/* A socket of a channel. */
struct watch {
	ev_io io;
	struct channel *channel;
	struct watch *next;
};

struct channel {
	struct dnslink *link;
	struct channel *next;
	ares_channel ares;
	ev_timer timeout;
	struct watch *watches;
	struct dnslink_query *queries; /* that somebody waits for */
	unsigned sent;
};

struct dnslink_query {
	struct channel *channel;
	struct dnslink_query *next, **prev;
	dnslink_reply *reply; /* NULL: forgotten */
	void *arg;
	uint16_t id;
	bool is_sending, is_lost;
};

struct dnslink {
	struct ev_loop *loop;
	struct ip_endpoint server;
	struct channel *channels; /* the first one takes questions */
	unsigned depth;		  /* calls of c-ares under way */
	bool has_idle;		  /* a channel may be freed */
};

/* Sockets. */

static ares_socket_t
open_socket(int family, int type, int protocol, void *arg)
{
	(void)arg;
	return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

static int
close_socket(ares_socket_t fd, void *arg)
{
	(void)arg;
	return close(fd);
}

/* c-ares knows no interface of an address, so its sa is not used. */
static int
connect_socket(ares_socket_t fd, const struct sockaddr *sa,
    ares_socklen_t sa_len, void *arg)
{
	const struct channel *channel = arg;
	struct sockaddr_storage ss;
	socklen_t len =
	    ip_to_sockaddr(&ss, &channel->link->server, sa->sa_family);

	(void)sa_len;
	return connect(fd, (struct sockaddr *)&ss, len);
}

static ares_ssize_t
receive(ares_socket_t fd, void *bytes, size_t size, int flags,
    struct sockaddr *from, ares_socklen_t *from_len, void *arg)
{
	ssize_t len = recvfrom(fd, bytes, size, flags, from, from_len);

	(void)arg;
	/* from is for datagrams alone: a stream comes in pieces. */
	if (len < 0 || from == NULL)
		return len;
	len = (ssize_t)dnscompat_mend(bytes, (size_t)len);
	if (len > 0)
		return len;
	/* As if it had not come; 1.34 loses its way after an empty one. */
	errno = EAGAIN;
	return -1;
}

static ares_ssize_t
send_pieces(ares_socket_t fd, const struct iovec *pieces, int count, void *arg)
{
	struct msghdr mh = { .msg_iovlen = (size_t)count };
	/* sendmsg does not write here, but struct msghdr knows no const. */
	union {
		const struct iovec *in;
		struct iovec *out;
	} iov = { .in = pieces };

	(void)arg;
	mh.msg_iov = iov.out;
	return sendmsg(fd, &mh, MSG_NOSIGNAL);
}

static const struct ares_socket_functions socket_functions = { open_socket,
	close_socket, connect_socket, receive, send_pieces };

/* Channels. */

static void
free_watch(struct watch *watch)
{
	ev_io_stop(watch->channel->link->loop, &watch->io);
	free(watch);
}

/* Forgotten questions are freed by the library's call of on_answer. */
static void
free_channel(struct channel *channel)
{
	struct watch *watch;

	ares_destroy(channel->ares);
	ev_timer_stop(channel->link->loop, &channel->timeout);
	while ((watch = channel->watches) != NULL) {
		channel->watches = watch->next;
		free_watch(watch);
	}
	free(channel);
}

/* After 32 questions a channel lives as long as somebody waits. */
static bool
is_idle(const struct channel *channel)
{
	return channel->sent == DNSLINK_PORT_QUERIES &&
	    channel->queries == NULL;
}

/* Free idle channels, unless we are called by one of them. */
static void
sweep(struct dnslink *link)
{
	struct channel **at = &link->channels, *channel;

	if (!link->has_idle || link->depth > 0)
		return;
	link->has_idle = false;
	while ((channel = *at) != NULL)
		if (is_idle(channel)) {
			*at = channel->next;
			free_channel(channel);
		} else
			at = &channel->next;
}

static void
enter(struct dnslink *link)
{
	link->depth++;
}

static void
leave(struct dnslink *link)
{
	link->depth--;
	sweep(link);
}

static void
on_socket(struct ev_loop *loop, ev_io *io, int revents)
{
	struct channel *channel = ((struct watch *)io->data)->channel;
	struct dnslink *link = channel->link;

	(void)loop;
	enter(link);
	dnscompat_process(channel->ares,
	    revents & EV_READ ? io->fd : ARES_SOCKET_BAD,
	    revents & EV_WRITE ? io->fd : ARES_SOCKET_BAD);
	/* Nobody waits, so nothing can be given up: idle sockets close. */
	if (channel->queries == NULL)
		ares_process_fd(
		    channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	leave(link);
}

/* Nothing was asked for so long: what is still open stays unanswered. */
static void
on_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct channel *channel = timer->data;
	struct dnslink *link = channel->link;

	(void)loop;
	(void)revents;
	enter(link);
	ares_cancel(channel->ares);
	leave(link);
}

static void
restart_timer(struct channel *channel)
{
	struct ev_loop *loop = channel->link->loop;

	/* The loop's clock may be late: a turn can be long. */
	ev_now_update(loop);
	ev_timer_stop(loop, &channel->timeout);
	ev_timer_set(&channel->timeout, GIVE_UP_MS / 1000.0, 0);
	ev_timer_start(loop, &channel->timeout);
}

/* The watch of a socket, new if there was none; NULL without memory. */
static struct watch *
find_watch(struct channel *channel, int fd)
{
	struct watch *watch;

	for (watch = channel->watches; watch != NULL; watch = watch->next)
		if (watch->io.fd == fd)
			return watch;
	watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		return NULL; /* the question times out */
	ev_io_init(&watch->io, on_socket, fd, 0);
	watch->io.data = watch;
	watch->channel = channel;
	watch->next = channel->watches;
	channel->watches = watch;
	return watch;
}

/*
 * The library says what to wait for; nothing: it is about to close.  The
 * watch is kept for the next socket, for it may be the one we serve now.
 */
static void
on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct channel *channel = arg;
	struct watch *watch = find_watch(channel, fd);
	int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);

	if (watch == NULL)
		return;
	ev_io_stop(channel->link->loop, &watch->io);
	if (events == 0)
		return;
	ev_io_set(&watch->io, fd, events);
	ev_io_start(channel->link->loop, &watch->io);
}

static int
set_server(ares_channel ares, const struct ip_endpoint *server)
{
	struct ares_addr_port_node node = { .family = AF_INET6,
		.udp_port = server->port,
		.tcp_port = server->port };

	if (ip_is_v4(&server->ip)) {
		node.family = AF_INET;
		memcpy(&node.addr.addr4, server->ip.bytes + 12, 4);
	} else
		memcpy(&node.addr.addr6, server->ip.bytes, 16);
	return ares_set_servers_ports(ares, &node) == ARES_SUCCESS ? 0 : -1;
}

/* Everything is said, so that the library looks for no configuration. */
static int
init_ares(struct channel *channel)
{
	static char lookups[] = "b";
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
		    ARES_FLAG_NOCHECKRESP,
		.timeout = GIVE_UP_MS,
		.tries = 1,
		.ndots = 1,
		.lookups = lookups,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = channel,
	};

	if (dnscompat_init(&channel->ares, &options,
		ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		    ARES_OPT_NDOTS | ARES_OPT_LOOKUPS | ARES_OPT_SERVERS |
		    ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_NOROTATE |
		    ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS)
		return -1;
	ares_set_socket_functions(channel->ares, &socket_functions, channel);
	if (set_server(channel->ares, &channel->link->server) == 0)
		return 0;
	ares_destroy(channel->ares);
	return -1;
}

/* The channel that takes the next question, or NULL. */
static struct channel *
open_channel(struct dnslink *link)
{
	struct channel *channel = link->channels;

	if (channel != NULL && channel->sent < DNSLINK_PORT_QUERIES)
		return channel;
	channel = calloc(1, sizeof(*channel));
	if (channel == NULL)
		return NULL;
	channel->link = link;
	if (init_ares(channel) == -1) {
		free(channel);
		errno = ENOMEM;
		return NULL;
	}
	ev_timer_init(&channel->timeout, on_timeout, 0, 0);
	channel->timeout.data = channel;
	channel->next = link->channels;
	link->channels = channel;
	return channel;
}

/* Questions. */

static void
unlink_query(struct dnslink_query *query)
{
	*query->prev = query->next;
	if (query->next != NULL)
		query->next->prev = query->prev;
	if (is_idle(query->channel))
		query->channel->link->has_idle = true;
}

/* Called once for every question, by ares_send itself when it cannot. */
static void
on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct dnslink_query *query = arg;
	bool is_answer = status == ARES_SUCCESS && bytes != NULL && len > 0;

	(void)timeouts;
	if (query->is_sending) {
		query->is_lost = true;
		return;
	}
	if (query->reply != NULL) {
		unlink_query(query);
		query->reply(query->arg, is_answer ? bytes : NULL,
		    is_answer ? (size_t)len : 0);
	}
	free(query);
}

/* A random id that no question of this channel has. */
static int
choose_id(const struct channel *channel, uint16_t *id)
{
	const struct dnslink_query *query;

	do {
		if (getentropy(id, sizeof(*id)) == -1)
			return -1;
		for (query = channel->queries; query != NULL;
		     query = query->next)
			if (query->id == *id)
				break;
	} while (query != NULL);
	return 0;
}

static struct dnslink_query *
new_query(struct channel *channel, dnslink_reply *reply, void *arg)
{
	struct dnslink_query *query = calloc(1, sizeof(*query));

	if (query == NULL || choose_id(channel, &query->id) == -1) {
		free(query);
		return NULL;
	}
	query->channel = channel;
	query->reply = reply;
	query->arg = arg;
	query->prev = &channel->queries;
	query->next = channel->queries;
	if (query->next != NULL)
		query->next->prev = &query->next;
	channel->queries = query;
	return query;
}

struct dnslink_query *
dnslink_ask(struct dnslink *link, const char *name, enum dnsmsg_type type,
    dnslink_reply *reply, void *arg)
{
	unsigned char bytes[DNSMSG_QUERY_SIZE];
	struct channel *channel = open_channel(link);
	struct dnslink_query *query;
	size_t len;

	if (channel == NULL)
		return NULL;
	query = new_query(channel, reply, arg);
	if (query == NULL)
		return NULL;
	len = dnsmsg_query(bytes, query->id, name, type);
	enter(link);
	query->is_sending = true;
	if (len > 0)
		ares_send(channel->ares, bytes, (int)len, on_answer, query);
	else
		query->is_lost = true;
	query->is_sending = false;
	channel->sent++;
	restart_timer(channel);
	if (query->is_lost) {
		unlink_query(query);
		free(query);
		query = NULL;
		errno = len > 0 ? ENETUNREACH : EINVAL;
	}
	leave(link);
	return query;
}

void
dnslink_forget(struct dnslink_query *query)
{
	struct dnslink *link;

	if (query == NULL)
		return;
	link = query->channel->link;
	query->reply = NULL;
	unlink_query(query);
	sweep(link);
}

struct dnslink *
dnslink_new(struct ev_loop *loop, const struct ip_endpoint *server)
{
	struct dnslink *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return NULL;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(link);
		return NULL;
	}
	link->loop = loop;
	link->server = *server;
	return link;
}

void
dnslink_free(struct dnslink *link)
{
	struct channel *channel;

	if (link == NULL)
		return;
	link->depth++; /* no sweep from here on */
	while ((channel = link->channels) != NULL) {
		while (channel->queries != NULL)
			dnslink_forget(channel->queries);
		link->channels = channel->next;
		free_channel(channel);
	}
	free(link);
	ares_library_cleanup();
}
