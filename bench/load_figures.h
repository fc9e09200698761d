/*
 * load_figures: what a run of the load generator has seen, as JSON.
 */
#ifndef BENCH_LOAD_FIGURES_H
#define BENCH_LOAD_FIGURES_H

#include <stddef.h>
#include <stdint.h>

/* Microseconds, one for each thing that was timed. */
struct load_times {
	uint32_t *values;
	size_t count, room;
};

struct load_figures {
	unsigned connections; /* that ended as expected */
	unsigned failures, resumed;
	unsigned truncated; /* of connections: without a close_notify */
	uint64_t bytes;	    /* of content, both directions */
	uint64_t began;	    /* microseconds */
	struct load_times handshake; /* from connect(2) on */
	struct load_times whole;     /* likewise, to the end */
	struct load_times trips;     /* of ping-pong */
	char reason[128];	     /* of the first failure */
};

/* Microseconds of a clock that never goes back. */
uint64_t load_now(void);

/* One more value.  Exits when there is no memory. */
void load_times_add(struct load_times *times, uint64_t value);

/* One line of JSON on descriptor 1. */
void load_figures_print(struct load_figures *figures);

#endif
