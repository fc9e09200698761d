/*
 * births: sessions that are to be made and for which there is no process.
 *
 * Who runs out of processes, or of memory for one, is often not the one who
 * used them up, and they come back when others end.  So a client that was
 * let in is not sent away for a moment's shortage: its START waits here.
 */
#ifndef SERVE_BIRTHS_H
#define SERVE_BIRTHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/msg.h"
#include "serve/start.h"

#define BIRTHS_MAX 8
/* So long nobody is sent away; one who asks later than that, is. */
#define BIRTHS_PATIENCE_MS 5000

struct births {
	struct {
		struct msg msg;
		unsigned char body[START_SIZE];
	} late[BIRTHS_MAX]; /* the oldest first */
	size_t count;
	int64_t since; /* the shortage; CLOCK_NEVER: there is none */
	int64_t last;  /* when it was felt last */
	int64_t again; /* when the first is to be tried; CLOCK_NEVER */
};

void births_init(struct births *births);

/* Will errno of a failed fork(2) be another one in a moment? */
bool births_may_wait_for(int error);

/* Is there no room for one more? */
bool births_are_full(const struct births *births);

/*
 * There was no process for that START: it is the last of those that wait,
 * and its descriptors are ours.  false: it has been too long, or there is no
 * room; nothing is changed but the time.
 */
bool births_put_off(
    struct births *births, const struct msg *start, int64_t now);

/* The first of them did not succeed: false if it has been too long. */
bool births_try_again(struct births *births, int64_t now);

/* The first of them, or NULL.  It stays the first. */
struct msg *births_first(struct births *births);

/* It is done with: its descriptors are closed, what it said is wiped. */
void births_drop_first(struct births *births);

/* A process was made: whatever was short is there again. */
void births_succeed(struct births *births);

#endif
