/*
 * load_client: one connection of the load generator, step by step.
 *
 * A client is honest and checks what it gets: a figure made of failures
 * would be a lie.  So the wrong answer and too few bytes are failures, with
 * the first reason kept for the report.  An end without close_notify after
 * the right answer is counted apart: several servers know no other end.
 */
#include "load_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load_figures.h"
#include "load_tls.h"

/* A step is done, the next one may go on. */
#define NEXT 1
/* The connection is over, and all is well. */
#define OVER 0

static char filler[64 * 1024];
static char room[64 * 1024];

void
load_client_fail(struct load_figures *figures, const char *reason)
{
	figures->failures++;
	if (figures->reason[0] == '\0')
		snprintf(
		    figures->reason, sizeof(figures->reason), "%s", reason);
}

/*
 * As browsers and curl do.  With Nagle's delay the request would wait behind
 * the client's last flight for the server's delayed acknowledgement: 40 ms
 * of nothing, and a rate that says nothing about the server.
 */
static int
send_at_once(int fd)
{
	int on = 1;

	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int
load_client_start(struct load_client *client, const struct load_plan *plan,
    struct load_figures *figures)
{
	memset(client, 0, sizeof(*client));
	client->began = load_now();
	client->fd =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd == -1 || send_at_once(client->fd) == -1 ||
	    (connect(client->fd, (const struct sockaddr *)&plan->server,
		 sizeof(plan->server)) == -1 &&
		errno != EINPROGRESS)) {
		load_client_fail(figures, strerror(errno));
		load_client_free(client);
		return -1;
	}
	if (plan->tls != NULL)
		client->ssl = load_tls_new(plan->tls, client->fd);
	client->step = plan->is_refused ? LOAD_RECEIVE : LOAD_CONNECT;
	client->events = plan->is_refused ? EPOLLIN : EPOLLOUT;
	return 0;
}

void
load_client_free(struct load_client *client)
{
	load_tls_free(client->ssl);
	client->ssl = NULL;
	if (client->fd != -1)
		close(client->fd);
	client->fd = -1;
}

/* send or recv, with the results of load_tls. */
static ssize_t
plain_result(ssize_t result, int wait)
{
	if (result >= 0)
		return result;
	return errno == EAGAIN || errno == EWOULDBLOCK ? wait : LOAD_FAILED;
}

static ssize_t
put(struct load_client *client, const void *bytes, size_t len)
{
	if (client->ssl != NULL)
		return load_tls_write(client->ssl, bytes, len);
	return plain_result(
	    send(client->fd, bytes, len, MSG_NOSIGNAL), LOAD_WRITE);
}

static ssize_t
get(struct load_client *client)
{
	if (client->ssl != NULL)
		return load_tls_read(client->ssl, room, sizeof(room));
	return plain_result(recv(client->fd, room, sizeof(room), 0), LOAD_READ);
}

static int
connected(struct load_client *client)
{
	socklen_t len = sizeof(errno);
	int error = 0;

	if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return LOAD_FAILED;
	errno = error;
	if (error != 0)
		return LOAD_FAILED;
	client->step = LOAD_HANDSHAKE;
	return NEXT;
}

static ssize_t
shake_hands(struct load_client *client, const struct load_plan *plan,
    struct load_figures *figures)
{
	int result = client->ssl == NULL ? 0 : load_tls_handshake(client->ssl);

	if (result != 0)
		return result;
	client->trip_began = load_now();
	load_times_add(&figures->handshake, client->trip_began - client->began);
	if (client->ssl != NULL && load_tls_is_resumed(client->ssl))
		figures->resumed++;
	client->step = plan->is_held ? LOAD_HELD : LOAD_SEND;
	return NEXT;
}

/* What is to be sent next of head and filler; 0: all is out. */
static size_t
next_piece(const struct load_client *client, const struct load_plan *plan,
    const char **bytes)
{
	uint64_t head = strlen(plan->head), left;

	if (client->sent < head) {
		*bytes = plan->head + client->sent;
		return (size_t)(head - client->sent);
	}
	*bytes = filler;
	left = head + plan->filler - client->sent;
	return left < sizeof(filler) ? (size_t)left : sizeof(filler);
}

static ssize_t
send_some(struct load_client *client, const struct load_plan *plan,
    struct load_figures *figures)
{
	const char *bytes;
	size_t len = next_piece(client, plan, &bytes);
	ssize_t result;

	if (len == 0) {
		client->step = LOAD_RECEIVE;
		return NEXT;
	}
	result = put(client, bytes, len);
	if (result <= 0)
		return result == 0 ? LOAD_FAILED : result;
	client->sent += (uint64_t)result;
	figures->bytes += (uint64_t)result;
	return NEXT;
}

/* Remember the last bytes that came. */
static void
keep_tail(struct load_client *client, size_t len)
{
	size_t size = sizeof(client->tail);

	if (len >= size) {
		memcpy(client->tail, room + len - size, size);
		return;
	}
	memmove(client->tail, client->tail + len, size - len);
	memcpy(client->tail + size - len, room, len);
}

static bool
is_as_expected(const struct load_client *client, const struct load_plan *plan)
{
	size_t len = plan->ending == NULL ? 0 : strlen(plan->ending);

	return client->got >= plan->wanted && client->got >= len &&
	    (len == 0 ||
		memcmp(client->tail + sizeof(client->tail) - len, plan->ending,
		    len) == 0);
}

/* We have nothing more to say. */
static int
end_own_side(struct load_client *client)
{
	if (client->ssl != NULL)
		load_tls_close(client->ssl);
	shutdown(client->fd, SHUT_WR);
	client->step = LOAD_FINISH;
	return NEXT;
}

/* All that was sent has come back. */
static int
end_trip(struct load_client *client, const struct load_plan *plan,
    struct load_figures *figures)
{
	uint64_t now = load_now();

	load_times_add(&figures->trips, now - client->trip_began);
	client->trip_began = now;
	client->sent = client->got = 0;
	if (++client->trips == plan->trips)
		return end_own_side(client);
	client->step = LOAD_SEND;
	return NEXT;
}

static ssize_t
receive(struct load_client *client, const struct load_plan *plan,
    struct load_figures *figures)
{
	ssize_t result = get(client);

	if (plan->is_refused) {
		if (result > 0)
			return LOAD_FAILED;
		return result == LOAD_FAILED && errno == ECONNRESET ? OVER
								    : result;
	}
	if (result < 0 && result != LOAD_TRUNCATED)
		return result;
	if (result <= 0)
		return plan->trips == 0 && is_as_expected(client, plan)
		    ? result
		    : LOAD_FAILED;
	keep_tail(client, (size_t)result);
	client->got += (uint64_t)result;
	figures->bytes += (uint64_t)result;
	if (plan->trips > 0 && client->got >= plan->filler)
		return end_trip(client, plan, figures);
	return NEXT;
}

static ssize_t
await_end(struct load_client *client)
{
	ssize_t result = get(client);

	return result > 0 ? NEXT : result;
}

static ssize_t
take_step(struct load_client *client, const struct load_plan *plan,
    struct load_figures *figures)
{
	errno = 0;
	switch (client->step) {
	case LOAD_CONNECT:
		return connected(client);
	case LOAD_HANDSHAKE:
		return shake_hands(client, plan, figures);
	case LOAD_SEND:
		return send_some(client, plan, figures);
	case LOAD_RECEIVE:
		return receive(client, plan, figures);
	case LOAD_FINISH:
		return await_end(client);
	case LOAD_HELD:
	default:
		/* Nobody has said anything, so that nobody may answer. */
		return get(client) == LOAD_READ ? LOAD_READ : LOAD_FAILED;
	}
}

/* In words: what we were at, and what the library or system says. */
static void
tell_failure(const struct load_client *client, struct load_figures *figures)
{
	static const char *const steps[] = { "connect", "handshake", "send",
		"receive", "end", "hold" };
	const char *why = load_tls_reason();
	char reason[128];

	if (client->ssl == NULL || *why == '\0')
		why = errno == 0 ? "unexpected answer or end" : strerror(errno);
	snprintf(reason, sizeof(reason), "%s: %s", steps[client->step], why);
	load_client_fail(figures, reason);
}

enum load_result
load_client_turn(struct load_client *client, const struct load_plan *plan,
    struct load_figures *figures)
{
	enum load_step before;
	ssize_t result;

	do {
		before = client->step;
		result = take_step(client, plan, figures);
		if (before != LOAD_HELD && client->step == LOAD_HELD) {
			client->events = EPOLLIN;
			figures->connections++;
			return LOAD_IS_HELD;
		}
	} while (result > 0);
	if (result == LOAD_READ || result == LOAD_WRITE) {
		client->events = result == LOAD_READ ? EPOLLIN : EPOLLOUT;
		return LOAD_GOES_ON;
	}
	if (result == LOAD_FAILED) {
		tell_failure(client, figures);
		return LOAD_IS_OVER;
	}
	figures->connections++;
	if (result == LOAD_TRUNCATED)
		figures->truncated++;
	load_times_add(&figures->whole, load_now() - client->began);
	if (client->ssl != NULL && client->step != LOAD_FINISH)
		load_tls_close(client->ssl);
	return LOAD_IS_OVER;
}
