/*
 * table: the monitor's connections, in a table sized at start.
 */
#ifndef SERVE_TABLE_H
#define SERVE_TABLE_H

#include <sys/types.h>

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/ip.h"
#include "serve/certpolicy.h"
#include "serve/conn.h"
#include "serve/limits.h"
#include "serve/msg.h"

struct generation;
struct keeper;

#define TABLE_LIMIT_MAX 1000000

struct connection {
	uint64_t id; /* 0: unused */
	struct connection *next_unused;
	enum conn_state state;
	unsigned seen; /* see conn_next */
	struct ip_endpoint local, remote;

	/* admission */
	int client_fd; /* until there is a session; with -n to the end */
	struct limits_hold hold;
	struct limits_policy early_limits;
	bool has_early_limit;
	bool skips_rules; /* -y has decided */
	struct certpolicy cert;
	size_t profile;	 /* of its session; see profiles.h */
	char *variables; /* of rules, NAME=value and NUL each; owned */
	size_t variables_len, variable_count;
	size_t exceeded; /* the limit of -y that was; 0: none */
	unsigned asked;	 /* of the resolver, enum query_wants; 0: no more */
	ev_tstamp late_since;		/* its answer; 0: it is not */
	char *host, *info, *local_host; /* NULL: unknown; owned */

	int control_fd;		     /* our end to the session */
	int program_in, program_out; /* the program's ends, until EXEC */
	int session_in, session_out; /* -n: the session's, until it has them */
	int input_fd; /* for master: keeps the program's input open */
	ev_io control;
	ev_timer deadline;   /* handshake, then the session's grace */
	ev_timer kill_after; /* --kill-after */

	struct generation *generation; /* of its session; NULL: none */
	pid_t session;		       /* 0: not known yet */
	double session_start;	    /* it began no later, seconds since boot */
	uint64_t session_name;	    /* the first connection of that session */
	unsigned long session_uses; /* the how manieth this one is */
	bool is_late;	   /* its nursery has no process for it, so far */
	bool is_dismissed; /* by us: it serves nobody after this */
	bool is_orphan;	   /* its nursery is gone */
	bool control_has_ended;
	bool is_reaped;	      /* the nursery has said so */
	bool session_is_gone; /* all that: see life.h */
	bool is_cut;	      /* by us: its program is to end after it */

	pid_t program;	      /* 0: none yet */
	bool program_is_gone; /* also true before EXEC */
	bool wants_term;      /* SIGTERM as soon as it runs */
	bool wants_go;	      /* session waits for that SIGTERM */
	int status;	      /* for the last line */

	/* delayed TLS, see delayed.h */
	bool is_delayed;
	int program_client, program_asks; /* the program's, until EXEC */
	int asks_fd;			  /* our end of its control socket */
	ev_io asks;
	struct buf answer; /* to `Y', what is not written yet */

	struct keeper *keeper;		 /* which one signs; NULL: none */
	unsigned char *unsigned_request; /* waits for a keeper; owned */
	size_t unsigned_len;

	bool is_fetching;   /* the cache has been asked */
	bool wants_tickets; /* for secrets of tickets, that is */
	ev_timer patience;  /* with it */

	char protocol[16], cipher[64];
	bool wants_facts;	/* for the TLS variables, or by `Y' */
	struct msg_join joined; /* FACTS that are not whole yet */
	unsigned char *facts;	/* checked, see facts.h; owned */
	size_t facts_len;
};

struct table {
	struct connection *all;
	struct connection *unused;
	size_t limit, count;
	uint64_t serial;
};

/* A table for limit connections (at most TABLE_LIMIT_MAX).  0 or -1. */
int table_init(struct table *table, size_t limit);

/*
 * A fresh connection with a number never used before, descriptors -1; NULL
 * when all are in use.
 */
struct connection *table_take(struct table *table);

/* The connection of that number, or NULL if it has ended. */
struct connection *table_find(const struct table *table, uint64_t id);

/* The one that a session of that generation and name is with, or NULL. */
struct connection *table_find_session(const struct table *table,
    const struct generation *generation, uint64_t name);

/* Its facts are of no use any more. */
void table_drop_facts(struct connection *conn);

/* Close and free what the connection still owns, and forget it. */
void table_release(struct table *table, struct connection *conn);

/* Walk: the next connection in use after conn (NULL: the first), or NULL. */
struct connection *table_next(
    const struct table *table, const struct connection *conn);

#endif
