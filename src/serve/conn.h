/*
 * conn: the policy of a connection, as one table.
 *
 * What may happen in which state, and where it leads.  A pure function of
 * its arguments; the monitor does what follows from it.
 *
 * TLS at once:  LOOKUP, HANDSHAKE, STARTING, RUNNING, CLOSING.
 * Delayed (-n): LOOKUP, STARTING, PLAIN, HANDSHAKE, RUNNING, CLOSING; or
 * from PLAIN to DECLINED, where it stays plain.
 */
#ifndef SERVE_CONN_H
#define SERVE_CONN_H

#include <stdbool.h>

enum conn_state {
	CONN_LOOKUP,	/* its names are being looked up */
	CONN_HANDSHAKE, /* a session speaks TLS with the client */
	CONN_STARTING,	/* master makes the program */
	CONN_PLAIN,	/* the program speaks, and may ask for TLS */
	CONN_DECLINED,	/* it never will */
	CONN_RUNNING,	/* the session relays */
	CONN_CLOSING,	/* waiting for session and program to end */
	CONN_STATES
};

enum conn_event {
	/* from the session */
	CONN_FETCH,	  /* asks for a session that the client offers */
	CONN_SIGN,	  /* asks for the signature of its handshake */
	CONN_TICKETS,	  /* asks for secrets of tickets */
	CONN_STORE,	  /* has what the client can come back with */
	CONN_FACTS,	  /* its handshake is done */
	CONN_INPUT_ENDED, /* the client's close_notify has come */
	CONN_TRUNCATED,	  /* the client left without close_notify */
	CONN_DONE,	  /* it has ended the connection, and why */
	CONN_VACANT,	  /* it has left the client, for the next one */
	/* from a keeper */
	CONN_SIGNED, /* it has given that signature */
	/* from the cache */
	CONN_HIT, /* there is such a session */
	/* from master */
	CONN_STARTED,	 /* the program has a process */
	CONN_EXECED,	 /* and runs */
	CONN_EXECFAILED, /* or does not */
	CONN_EXITED,	 /* the program is gone */
	/* from the program, on its control socket */
	CONN_ASKED,    /* for TLS */
	CONN_MISASKED, /* for something that there is not */
	CONN_UNASKED,  /* it has closed the socket */
	CONN_EVENTS
};

enum conn_verdict {
	CONN_PERMITTED,
	CONN_LATE,     /* true once, of no use now: drop it */
	CONN_VIOLATION /* kill the session */
};

/*
 * May event happen in *state, given the events that already have (a set of
 * bits 1 << event, kept by this function)?  is_delayed: the program asks
 * for TLS.  PERMITTED moves *state on.  An event outside the enumeration is
 * a violation.
 */
enum conn_verdict conn_next(enum conn_state *state, unsigned *seen,
    bool is_delayed, enum conn_event event);

#endif
