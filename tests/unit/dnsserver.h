/*
 * dnsserver: a scripted DNS server on loopback, in the loop of the test.
 *
 * The test gives a function that sees each question and builds, or does
 * not build, an answer of records and raw bytes.  UDP and TCP have the same
 * port.  Ids and source ports of the questions are kept.
 */
#ifndef DNSSERVER_H
#define DNSSERVER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define DNSSERVER_SEEN_MAX 8192

struct dnsserver;

/* A question, and the answer that is being built in bytes. */
struct dnsserver_question {
	struct dnsserver *server;
	bool is_tcp;
	int fd;
	struct sockaddr_in from;
	char name[256];
	unsigned type;
	unsigned number; /* of questions before it */
	unsigned char bytes[65535 + 2];
	size_t len;
};

typedef void dnsserver_script(struct dnsserver_question *q);

struct dnsserver {
	struct ev_loop *loop;
	dnsserver_script *script;
	int udp_fd, tcp_fd;
	uint16_t port;
	ev_io udp_io, tcp_io, connection_io;
	unsigned questions, connections;
	uint16_t ids[DNSSERVER_SEEN_MAX], ports[DNSSERVER_SEEN_MAX];
};

static inline void
dnsserver_put_16(struct dnsserver_question *q, unsigned n)
{
	q->bytes[q->len++] = (unsigned char)(n >> 8);
	q->bytes[q->len++] = (unsigned char)n;
}

static inline void
dnsserver_put_name(struct dnsserver_question *q, const char *name)
{
	while (*name != '\0') {
		size_t len = strcspn(name, ".");

		q->bytes[q->len++] = (unsigned char)len;
		memcpy(q->bytes + q->len, name, len);
		q->len += len;
		name += len + (name[len] == '.');
	}
	q->bytes[q->len++] = 0;
}

/* Turn the question into an answer without records. */
static inline void
dnsserver_begin(struct dnsserver_question *q, unsigned rcode)
{
	q->bytes[2] |= 0x80;
	q->bytes[3] = (unsigned char)(0x80 | rcode);
	memset(q->bytes + 6, 0, 6);
}

/* Owner (NULL: the question's name), type, time to live; then the data. */
static inline void
dnsserver_record(struct dnsserver_question *q, const char *owner, unsigned type,
    unsigned ttl, const void *data, size_t len)
{
	unsigned count = (unsigned)(q->bytes[6] << 8 | q->bytes[7]) + 1;

	if (owner == NULL)
		dnsserver_put_16(q, 0xc00c);
	else
		dnsserver_put_name(q, owner);
	dnsserver_put_16(q, type);
	dnsserver_put_16(q, 1);
	dnsserver_put_16(q, ttl >> 16);
	dnsserver_put_16(q, ttl & 0xffff);
	dnsserver_put_16(q, (unsigned)len);
	memcpy(q->bytes + q->len, data, len);
	q->len += len;
	q->bytes[6] = (unsigned char)(count >> 8);
	q->bytes[7] = (unsigned char)count;
}

/* A record whose data is a name: PTR 12, CNAME 5. */
static inline void
dnsserver_name(struct dnsserver_question *q, const char *owner, unsigned type,
    unsigned ttl, const char *name)
{
	static struct dnsserver_question data;

	data.len = 0;
	dnsserver_put_name(&data, name);
	dnsserver_record(q, owner, type, ttl, data.bytes, data.len);
}

static inline void
dnsserver_send(struct dnsserver_question *q)
{
	unsigned char prefix[2] = { (unsigned char)(q->len >> 8),
		(unsigned char)q->len };
	bool ok;

	if (q->is_tcp)
		ok = send(q->fd, prefix, 2, MSG_NOSIGNAL) == 2 &&
		    send(q->fd, q->bytes, q->len, MSG_NOSIGNAL) ==
			(ssize_t)q->len;
	else
		ok = sendto(q->fd, q->bytes, q->len, 0,
			 (struct sockaddr *)&q->from,
			 sizeof(q->from)) == (ssize_t)q->len;
	if (!ok)
		perror("dnsserver: send");
}

/* Octet i of the IPv4 address that a reverse name is of. */
static inline unsigned
dnsserver_octet(const struct dnsserver_question *q, unsigned i)
{
	unsigned octets[4] = { 0 };

	sscanf(q->name, "%u.%u.%u.%u.in-addr.arpa", &octets[3], &octets[2],
	    &octets[1], &octets[0]);
	return octets[i];
}

static inline void
dnsserver_take(struct dnsserver *server, struct dnsserver_question *q)
{
	size_t at = 12, out = 0;

	q->server = server;
	if (q->len < 17 || server->questions == DNSSERVER_SEEN_MAX)
		abort();
	while (q->bytes[at] != 0) {
		if (out > 0)
			q->name[out++] = '.';
		memcpy(q->name + out, q->bytes + at + 1, q->bytes[at]);
		out += q->bytes[at];
		at += 1U + q->bytes[at];
	}
	q->name[out] = '\0';
	q->type = (unsigned)(q->bytes[at + 1] << 8 | q->bytes[at + 2]);
	q->number = server->questions;
	server->ids[q->number] = (uint16_t)(q->bytes[0] << 8 | q->bytes[1]);
	server->ports[q->number] = ntohs(q->from.sin_port);
	server->questions++;
	if (server->script != NULL)
		server->script(q);
}

static inline void
dnsserver_on_udp(struct ev_loop *loop, ev_io *io, int revents)
{
	static struct dnsserver_question q;
	socklen_t len = sizeof(q.from);
	ssize_t got;

	(void)loop;
	(void)revents;
	memset(&q.from, 0, sizeof(q.from));
	q.is_tcp = false;
	q.fd = io->fd;
	got = recvfrom(io->fd, q.bytes, 512, MSG_DONTWAIT,
	    (struct sockaddr *)&q.from, &len);
	if (got <= 0)
		return;
	q.len = (size_t)got;
	dnsserver_take(io->data, &q);
}

static inline void
dnsserver_hang_up(struct dnsserver *server)
{
	if (server->connection_io.fd == -1)
		return;
	ev_io_stop(server->loop, &server->connection_io);
	close(server->connection_io.fd);
	server->connection_io.fd = -1;
}

static inline void
dnsserver_on_connection(struct ev_loop *loop, ev_io *io, int revents)
{
	static struct dnsserver_question q;
	struct dnsserver *server = io->data;
	unsigned char prefix[2];
	ssize_t got = -1;

	(void)loop;
	(void)revents;
	if (recv(io->fd, prefix, 2, 0) == 2)
		got = recv(io->fd, q.bytes, sizeof(q.bytes), 0);
	if (got <= 0) {
		dnsserver_hang_up(server);
		return;
	}
	q.is_tcp = true;
	q.fd = io->fd;
	q.len = (size_t)got;
	dnsserver_take(server, &q);
}

/* One connection at a time. */
static inline void
dnsserver_on_tcp(struct ev_loop *loop, ev_io *io, int revents)
{
	struct dnsserver *server = io->data;

	(void)revents;
	dnsserver_hang_up(server);
	server->connections++;
	ev_io_init(&server->connection_io, dnsserver_on_connection,
	    accept(io->fd, NULL, NULL), EV_READ);
	server->connection_io.data = server;
	ev_io_start(loop, &server->connection_io);
}

/* 0, or -1: the port is taken for one of the two. */
static inline int
dnsserver_bind(struct dnsserver *server)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int size = 4 << 20;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->udp_fd = socket(AF_INET, SOCK_DGRAM, 0);
	server->tcp_fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(server->udp_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(server->udp_fd, (struct sockaddr *)&in, sizeof(in)) == -1 ||
	    getsockname(server->udp_fd, (struct sockaddr *)&in, &len) == -1)
		return -1;
	server->port = ntohs(in.sin_port);
	if (bind(server->tcp_fd, (struct sockaddr *)&in, sizeof(in)) == -1)
		return -1;
	return listen(server->tcp_fd, 10);
}

static inline void
dnsserver_start(
    struct dnsserver *server, struct ev_loop *loop, dnsserver_script *script)
{
	int tries;

	memset(server, 0, sizeof(*server));
	server->loop = loop;
	server->script = script;
	for (tries = 0; dnsserver_bind(server) == -1; tries++) {
		close(server->udp_fd);
		close(server->tcp_fd);
		if (tries == 100)
			abort();
	}
	server->connection_io.fd = -1;
	ev_io_init(&server->udp_io, dnsserver_on_udp, server->udp_fd, EV_READ);
	server->udp_io.data = server;
	ev_io_start(loop, &server->udp_io);
	ev_io_init(&server->tcp_io, dnsserver_on_tcp, server->tcp_fd, EV_READ);
	server->tcp_io.data = server;
	ev_io_start(loop, &server->tcp_io);
}

static inline void
dnsserver_stop(struct dnsserver *server)
{
	dnsserver_hang_up(server);
	ev_io_stop(server->loop, &server->udp_io);
	ev_io_stop(server->loop, &server->tcp_io);
	close(server->udp_fd);
	close(server->tcp_fd);
}

#endif
