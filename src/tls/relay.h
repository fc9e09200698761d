/*
 * relay: carry bytes between a TLS connection and a program, both ways at
 * once, until both directions have ended.
 *
 * Half-close both ways: the client's close_notify becomes end of file for
 * the program while output still flows; the program's end of file becomes
 * close_notify and FIN after the last byte, while input still flows for as
 * long as anybody reads it.  No state polls a descriptor that is ready for
 * ever: no busy loop.
 */
#ifndef TLS_RELAY_H
#define TLS_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/tlsconn.h"

/* How long input that nobody reads is discarded after our FIN, in ms. */
#define RELAY_LINGER_MS 2000

/* How long nothing happens before memory is given back, in ms. */
#define RELAY_REST_MS 1000

enum relay_end {
	RELAY_CLEAN,	/* all output was sent, all input has been read */
	RELAY_RESET,	/* reset or failed write */
	RELAY_TLS,	/* TLS error */
	RELAY_IDLE,	/* no byte in either direction for idle_ms */
	RELAY_CANCELLED /* cancel_fd ended */
};

struct relay {
	struct tlsconn *conn; /* after its handshake */
	int client_fd;	      /* its socket */
	int *program_in;  /* we write; closed by relay at the client's end */
	int *program_out; /* we read; closed by relay at its end of file */
	int cancel_fd;	  /* readable or ended: stop (-1: none) */
	int idle_ms;	  /* 0: no limit */
	/*
	 * When the connection fails, the program has what came before, and
	 * then the end of its input, before relay_run returns; meanwhile its
	 * output has ended.  For a program that nobody can tell of the failure:
	 * else it would be cut off within what the peer has said.
	 */
	bool keeps_input;
	/*
	 * *program_in is a new and empty pipe, and nobody else writes to it:
	 * its first bytes find room, however it is set.
	 */
	bool is_new_pipe;
	/*
	 * What nobody else can see closed is left open, for the caller to
	 * close with all the rest, or to exit.
	 */
	bool leaves_ends;
	const char *greeting; /* sent first, greeting_len bytes; may be NULL */
	size_t greeting_len;
	/*
	 * Called once when the client's direction has ended, with
	 * close_notify or without (was_truncated), and the program has had
	 * every byte before but not yet the end of file.  0: give it that;
	 * -1: stop as RELAY_CANCELLED.  May block.  NULL: as if it
	 * returned 0.
	 */
	int (*input_ended)(void *arg, bool was_truncated);
	/*
	 * Called when nothing has happened for RELAY_REST_MS, once until
	 * something does: its buffers and those of TLS have just been
	 * freed.  NULL: they are kept.
	 */
	void (*rest)(void *arg);
	void *arg; /* of both */
};

struct relay_result {
	enum relay_end end;
	bool was_truncated;		/* the peer left without close_notify */
	int error;			/* errno of RESET, else 0 */
	char reason[TLSCONN_TEXT_SIZE]; /* printable; "" for CLEAN */
};

/*
 * Run to the end; blocks in poll(2) only.  After CLEAN *program_in and
 * *program_out are closed, or left open (leaves_ends); in either case -1.  After any other end, unless keeps_input,
 * they are as they were: the program must have its signal before its input
 * ends, or it would take a cut stream for a whole one.  The socket is still open, shut
 * down for writing after CLEAN.  Pipes may be blocking or
 * not: no call of ours blocks on them.  A client that reads nothing stops
 * the program's output, and the reverse; neither stops the other
 * direction.
 *
 * CLEAN needs the end of both directions.  Output has ended when all
 * holders of the pipe have closed it and everything is sent, close_notify
 * and FIN included.  Input has ended when the program has had the client's
 * end, or when nobody is left to read the pipe: a program that has exited
 * or closed its input loses nothing but what the client still sends.
 * While output is over and input is not, every other end is possible too.
 */
void relay_run(struct relay *relay, struct relay_result *result);

#endif
