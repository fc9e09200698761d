/*
 * smallclient: what sslcat, sslconnect and https@ share.
 *
 * Each runs the sslclient that lies beside it, with itself as the program
 * that carries bytes over the connection.
 */
#ifndef CMD_SMALLCLIENT_H
#define CMD_SMALLCLIENT_H

#include <stdbool.h>

/* Where sslclient's program finds the connection. */
enum { SMALLCLIENT_IN = 6, SMALLCLIENT_OUT = 7 };

/* What the program that carries is told. */
struct smallclient_task {
	const char *name;		/* of the command */
	const char *host, *page, *port; /* as typed, or the defaults */
	int report_fd;			/* for report_is_end */
};

struct smallclient {
	const char *name;
	const char *does; /* one sentence for --help */
	bool has_page;	  /* a word between host and port */
	/* Carry.  Returns the exit code.  SIGPIPE is ignored. */
	int (*carry)(const struct smallclient_task *task);
};

/* The whole main of such a command.  Returns its exit code. */
int smallclient_main(const struct smallclient *client, int argc, char **argv);

/*
 * Carry as carry.h says, from input (-1: nothing) to the server and from it
 * to descriptor 1.  0; 2 when the connection was cut, or 111, and a line.
 */
int smallclient_carry(const struct smallclient_task *task, int input);

/*
 * Say on descriptor 2, in one line, "NAME: HOST: " and the text.  Returns
 * code.
 */
int smallclient_say(const struct smallclient_task *task, int code,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
