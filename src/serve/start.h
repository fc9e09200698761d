/*
 * start: what a session is told of a client, the body of START.
 */
#ifndef SERVE_START_H
#define SERVE_START_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/tlsverify.h"

struct msg;
struct msg_writer;

/* The descriptors of START. */
enum {
	START_CONTROL, /* lowest, so that what a session closes lies together */
	START_CLIENT,
	START_PROGRAM_IN,
	START_PROGRAM_OUT,
	START_FDS
};

/* Of one for a session that is there: all but the first. */
#define START_NEXT_FDS (START_FDS - 1)

/* Longest body of START: a host name and a few numbers. */
#define START_SIZE 512

struct start {
	size_t profile; /* its number */
	struct tlsverify verify;
	bool wants_facts; /* for the TLS variables: see MSG_FACTS */
	bool stays;	  /* afterwards, for another client: MSG_VACANT */
};

/* Encode, for the monitor.  0, or -1 when it does not fit. */
int start_put(const struct start *start, struct msg_writer *w);

/* Decode, for the session.  host points into msg.  0, or -1: malformed. */
int start_get(struct start *start, const struct msg *msg);

#endif
