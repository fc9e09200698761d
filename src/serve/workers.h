/*
 * workers: master's side of the framework, -c children that are ready before
 * anybody comes.
 *
 * Without settings.code there are none, and each of these does nothing.
 */
#ifndef SERVE_WORKERS_H
#define SERVE_WORKERS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/chan.h"

struct master;
struct msg;
struct pollfd;

enum worker_state {
	WORKER_DOWN,
	WORKER_STARTING,
	WORKER_IDLE,
	WORKER_BUSY,
	WORKER_LEAVING /* no client any more; it has only to be reaped */
};

struct worker_slot {
	enum worker_state state;
	pid_t pid;
	uint64_t conn; /* BUSY: whom it serves */
	struct chan chan;
	bool is_ready;	   /* it has said so */
	bool has_served;   /* anybody yet */
	bool is_signalled; /* since it got this client */
	bool is_reaped;
	int64_t started, retry_at;
	int64_t retry_ms;	  /* doubles with each start that fails */
	struct worker_slot *next; /* IDLE: the next one that is */
	size_t place;		  /* else: in active[] */
};

struct workers {
	struct worker_slot *all;
	size_t count;		     /* of all[]; 0: programs are executed */
	struct worker_slot *idle;    /* who came last is taken first */
	struct worker_slot **active; /* those that are not idle */
	size_t active_count;
	struct worker_slot **heard; /* those that poll(2) looks at */
	size_t heard_count;
};

/* The table.  0, or -1: memory is short. */
int workers_prepare(struct master *master);

/* Fork those that are missing and due.  A start that fails is fatal. */
void workers_start_due(struct master *master);

/* Can every one of them take a client? */
bool workers_are_ready(const struct master *master);

/* Is any there? */
bool workers_are_there(const struct master *master);

/*
 * Hand an EXEC, whose descriptors are taken, to one that is idle.  Its pid;
 * or -1 with errno: there is none, and none can be made.
 */
pid_t workers_give(struct master *master, struct msg *msg);

/*
 * Call it before a signal is sent to the worker of a client, or to all who
 * serve (pid 0): it must not be lost, nor reach the next client.
 */
void workers_will_signal(struct master *master, pid_t pid);

/* Fill p for poll(2), and return how many; and take what it has found. */
size_t workers_collect(struct master *master, struct pollfd *p);
void workers_hear(struct master *master, const struct pollfd *p);

/* A child was reaped.  Returns whether it was one of them, and is done. */
bool workers_reaped(struct master *master, pid_t pid, int status);

/* When workers_keep_deadlines is next to be called. */
int64_t workers_deadline(const struct master *master, int64_t now);
void workers_keep_deadlines(struct master *master, int64_t now);

/* The server stops: who is idle leaves, and others when they are. */
void workers_stop(struct master *master);

/* SIGKILL to all, whatever they do. */
void workers_kill(const struct master *master);

#endif
