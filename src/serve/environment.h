/*
 * environment: what a program's environment says about its connection.
 *
 * The names come from here alone; a session can supply none.
 */
#ifndef SERVE_ENVIRONMENT_H
#define SERVE_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

struct ip_endpoint;
struct msg_writer;

struct environment {
	const struct ip_endpoint *local, *remote;
	const char *local_host;	 /* NULL: unknown */
	const char *remote_host; /* NULL: unknown */
	const char *remote_info; /* NULL: unknown */
	const char *interface;	 /* NULL: none */
	bool has_tcp;		 /* the TCP variables too (no -E) */
	bool is_plain;		 /* it begins without TLS (-n) */
};

/* Put `NAME=value' texts for one connection.  0, or -1: do not fit. */
int environment_put(const struct environment *env, struct msg_writer *w);

/* Is this `NAME=value' or NAME one that only the server may set? */
bool environment_is_ours(const char *variable);

/*
 * A program's environment: base, with each of the count texts of body laid
 * over it.  Allocates an array whose strings belong to base and body; NULL
 * when memory is short.
 */
char **environment_merge(char *const *base, char *const *over, size_t count);

#endif
