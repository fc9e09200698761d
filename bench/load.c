/*
 * load: open many connections, so many at a time, and check each answer.
 *
 *   load plain PORT COUNT CONCURRENCY
 *   load tls PORT COUNT CONCURRENCY CAFILE
 *   load refused PORT COUNT CONCURRENCY
 *   load floor CERT KEY COUNT
 *
 * One process, one epoll.  A connection sends a line, expects "served" and
 * the end (with TLS: close_notify); refused: sends nothing and expects the
 * end or a reset, not a byte.  Exits 1 when one fails: a figure made of
 * failures would be a lie.  floor prints the CPU microseconds of the
 * server's side of a handshake in memory.
 */
#include "load_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum step {
	STEP_CONNECT,
	STEP_HANDSHAKE,
	STEP_SEND,
	STEP_RECEIVE,
	STEP_REFUSAL
};

static const char request[] = "please\n";
static const char expected[] = "served\n";

struct client {
	int fd;
	struct ssl_st *ssl;
	enum step step;
	size_t got;
	char answer[16];
};

struct load {
	struct ssl_ctx_st *ctx; /* NULL: plain */
	struct sockaddr_in server;
	bool is_refused; /* what is to be expected */
	unsigned count, started, ended;
	int epoll_fd;
};

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
client_start(struct load *load, struct client *client)
{
	struct epoll_event event = { .events = EPOLLOUT };

	memset(client, 0, sizeof(*client));
	client->fd =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd == -1)
		fail("socket");
	if (connect(client->fd, (struct sockaddr *)&load->server,
		sizeof(load->server)) == -1 &&
	    errno != EINPROGRESS)
		fail("connect");
	if (load->ctx != NULL)
		client->ssl = load_tls_new(load->ctx, client->fd);
	event.data.ptr = client;
	if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) == -1)
		fail("epoll_ctl");
	client->step = load->is_refused ? STEP_REFUSAL : STEP_CONNECT;
	load->started++;
}

/* Wait for reading or writing, as the last result wants. */
static void
client_wait(struct load *load, struct client *client, ssize_t result)
{
	struct epoll_event event = { .data.ptr = client };

	event.events = result == LOAD_WRITE ? EPOLLOUT : EPOLLIN;
	if (epoll_ctl(load->epoll_fd, EPOLL_CTL_MOD, client->fd, &event) == -1)
		fail("epoll_ctl");
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
client_send(struct client *client)
{
	size_t len = sizeof(request) - 1;

	if (client->ssl != NULL)
		return load_tls_write(client->ssl, request, len);
	return plain_result(
	    send(client->fd, request, len, MSG_NOSIGNAL), LOAD_WRITE);
}

static ssize_t
client_receive(struct client *client)
{
	void *room = client->answer + client->got;
	size_t size = sizeof(client->answer) - client->got;

	if (client->ssl != NULL)
		return load_tls_read(client->ssl, room, size);
	return plain_result(recv(client->fd, room, size, 0), LOAD_READ);
}

/* 0: the server ended the connection without a word; or LOAD_*. */
static ssize_t
client_be_refused(struct client *client)
{
	ssize_t result = client_receive(client);

	if (result > 0)
		return LOAD_FAILED;
	return result == LOAD_FAILED && errno == ECONNRESET ? 0 : result;
}

/* One step.  1: go on; 0: the end, all is well; or LOAD_*. */
static ssize_t
client_step(struct client *client)
{
	ssize_t result;

	switch (client->step) {
	case STEP_CONNECT:
		client->step = client->ssl != NULL ? STEP_HANDSHAKE : STEP_SEND;
		return 1;
	case STEP_HANDSHAKE:
		result = load_tls_handshake(client->ssl);
		if (result != 0)
			return result;
		client->step = STEP_SEND;
		return 1;
	case STEP_SEND:
		result = client_send(client);
		if (result < 0)
			return result;
		client->step = STEP_RECEIVE;
		return result == sizeof(request) - 1 ? 1 : LOAD_FAILED;
	case STEP_REFUSAL:
		return client_be_refused(client);
	default:
		result = client_receive(client);
		if (result > 0)
			client->got += (size_t)result;
		if (result != 0)
			return result < 0 ? result : 1;
		return client->got == sizeof(expected) - 1 &&
			memcmp(client->answer, expected, client->got) == 0
		    ? 0
		    : LOAD_FAILED;
	}
}

static void
client_event(struct load *load, struct client *client)
{
	ssize_t result;

	do
		result = client_step(client);
	while (result > 0);
	if (result == LOAD_FAILED)
		fail("connection");
	if (result != 0) {
		client_wait(load, client, result);
		return;
	}
	load_tls_free(client->ssl);
	close(client->fd);
	load->ended++;
	if (load->started < load->count)
		client_start(load, client);
}

static void
load_run(struct load *load, unsigned concurrency)
{
	struct client *clients = calloc(concurrency, sizeof(*clients));
	struct epoll_event events[64];
	unsigned i;

	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (clients == NULL || load->epoll_fd == -1)
		fail("start");
	for (i = 0; i < concurrency && i < load->count; i++)
		client_start(load, &clients[i]);
	while (load->ended < load->count) {
		int n = epoll_wait(load->epoll_fd, events, 64, 30000);

		if (n == 0)
			errno = ETIMEDOUT;
		if (n <= 0)
			fail("epoll_wait");
		while (n-- > 0)
			client_event(load, events[n].data.ptr);
	}
	free(clients);
}

static unsigned
number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

int
main(int argc, char **argv)
{
	struct load load = { .server.sin_family = AF_INET };

	if (argc == 5 && strcmp(argv[1], "floor") == 0) {
		printf("%.1f\n",
		    load_tls_floor(argv[2], argv[3], number(argv[4])));
		return 0;
	}
	if (argc == 6 && strcmp(argv[1], "tls") == 0) {
		load.ctx = load_tls_client(argv[5]);
	} else if (argc == 5 && strcmp(argv[1], "refused") == 0) {
		load.is_refused = true;
	} else if (argc != 5 || strcmp(argv[1], "plain") != 0) {
		fprintf(stderr, "load: usage: see the head of load.c\n");
		return 100;
	}
	load.server.sin_port = htons((uint16_t)number(argv[2]));
	load.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	load.count = number(argv[3]);
	load_run(&load, number(argv[4]));
	return 0;
}
