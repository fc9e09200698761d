/*
 * session: one client, one process.
 */
#ifndef SERVE_SESSION_H
#define SERVE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/start.h"

struct tlsctx;

struct session {
	struct tlsctx *ctx;
	uint64_t conn;
	int control_fd; /* to the monitor */
	int client_fd;
	int program_in;	 /* we write what the client sent */
	int program_out; /* we read what goes to the client */
	struct start start;
	unsigned idle_s;
	bool strict_close;
	const unsigned char *greeting;
	size_t greeting_len;
};

/* The whole life of a session, from just after fork; never returns. */
__attribute__((noreturn)) void session_run(struct session *session);

#endif
