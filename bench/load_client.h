/*
 * load_client: one connection of the load generator, step by step.
 */
#ifndef BENCH_LOAD_CLIENT_H
#define BENCH_LOAD_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_figures;
struct load_tls;
struct ssl_st;

/* What every connection does after its handshake, in this order. */
struct load_plan {
	struct load_tls *tls; /* NULL: plain */
	struct sockaddr_in server;
	bool is_refused;    /* expect the end, or a reset, and no byte */
	bool is_held;	    /* do nothing, until load_client_free */
	const char *head;   /* sent first */
	uint64_t filler;    /* and so many bytes behind it */
	unsigned trips;	    /* so many times filler, each sent back whole */
	uint64_t wanted;    /* bytes that come at least before the end */
	const char *ending; /* what the last of them are, or NULL */
};

enum load_step {
	LOAD_CONNECT,
	LOAD_HANDSHAKE,
	LOAD_SEND,
	LOAD_RECEIVE,
	LOAD_FINISH, /* we have ended it; the server's end is awaited */
	LOAD_HELD
};

struct load_client {
	int fd;
	struct ssl_st *ssl;
	enum load_step step;
	unsigned events; /* what epoll waits for */
	unsigned trips;	 /* done */
	uint64_t began, trip_began;
	uint64_t sent, got; /* in this trip */
	char tail[16];	    /* of what came, the last bytes */
};

/* What a turn has come to. */
enum load_result { LOAD_GOES_ON, LOAD_IS_HELD, LOAD_IS_OVER };

/*
 * Begin to connect.  The caller adds client->fd to its epoll, for
 * client->events.  0, or -1: it has failed, which figures know.
 */
int load_client_start(struct load_client *client, const struct load_plan *plan,
    struct load_figures *figures);

/*
 * Go on until something would block; client->events says what.  IS_HELD:
 * once, when the handshake of one that is to be held is done.  IS_OVER:
 * well or not, figures know; the caller frees it.
 */
enum load_result load_client_turn(struct load_client *client,
    const struct load_plan *plan, struct load_figures *figures);

/* Count one as failed; the first reason is kept. */
void load_client_fail(struct load_figures *figures, const char *reason);

/* Close what is open. */
void load_client_free(struct load_client *client);

#endif
