/*
 * connect: a connection to one of several addresses, the first that answers
 * (RFC 8305).
 */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include <stdbool.h>
#include <stddef.h>

#include "net/ip.h"

/* Addresses of one host, at most. */
#define CONNECT_TARGETS_MAX 64

/* How long an attempt is alone before the next one joins it, section 5. */
#define CONNECT_DELAY_MS 250

struct connect_target {
	struct ip_endpoint remote;
	int error; /* why the last attempt failed; 0: there was none */
};

/* An attempt has failed: target->error says why. */
typedef void connect_note_fn(void *arg, const struct connect_target *target);

struct connect_plan {
	struct connect_target *targets; /* in the order they are to be tried */
	size_t count;			/* at most CONNECT_TARGETS_MAX */
	bool is_racing; /* the next one does not wait for the last's end */
	int first_ms;	/* how long each attempt may take, above 0 */
	int again_ms;	/* and again for those that took longer; 0: no more */
	bool has_local_ip;
	struct ip_endpoint local; /* without has_local_ip the port alone; 0 */
	bool no_delay;
	connect_note_fn *note; /* NULL: nobody wants to know */
	void *arg;
};

/*
 * Addresses of both families in turn, beginning with that of the first,
 * each family in the order it had (section 4).  Pure.
 */
void connect_interleave(struct connect_target *targets, size_t count);

/*
 * Connect.  Blocks in poll(2) only, at most count times first_ms and
 * again_ms.  The descriptor, close-on-exec and blocking, and in *which the
 * target that it leads to; or -1 when every target has its error.
 */
int connect_run(const struct connect_plan *plan, size_t *which);

#endif
