/*
 * session: one client, one process; with sslhandle one after another.
 */
#ifndef SERVE_SESSION_H
#define SERVE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/start.h"

struct tlsctx;

struct msg;

struct session {
	struct tlsctx **ctxs; /* of each profile */
	size_t profile_count;
	uint64_t conn;
	int control_fd; /* to the monitor */
	int client_fd;
	int program_in;	 /* we write what the client sent */
	int program_out; /* we read what goes to the client */
	struct start start;
	unsigned char start_body[START_SIZE]; /* where it points */
	unsigned idle_s;
	bool strict_close;
	const unsigned char *greeting;
	size_t greeting_len;
	unsigned char *entries; /* STORE, to be told with FACTS; owned */
	size_t entries_len;
};

/*
 * Take what START says, without its descriptors.  0, or -1: it is malformed
 * or names a profile that there is not.
 */
int session_begin(struct session *session, const struct msg *start);

/*
 * The whole life of a session that has begun, from just after fork; never
 * returns.
 */
__attribute__((noreturn)) void session_run(struct session *session);

#endif
