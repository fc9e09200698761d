/*
 * fetch: an answer of HTTP from a connection to a person's output.
 */
#ifndef CLIENT_FETCH_H
#define CLIENT_FETCH_H

#include <stdbool.h>

struct http;

enum fetch_end {
	FETCH_WHOLE,	    /* the body is there, to its last byte */
	FETCH_CUT,	    /* a piece of it */
	FETCH_NO_ANSWER,    /* not even a whole head */
	FETCH_BAD,	    /* http.why */
	FETCH_READ_FAILED,  /* errno */
	FETCH_WRITE_FAILED, /* errno */
};

/* The connection, as sslclient's program has it. */
struct fetch_server {
	int in, out;   /* out becomes -1 when it has been closed here */
	int report_fd; /* for report_is_end; asked only if nothing else */
		       /* tells where the body ends */
};

/*
 * Read the answer and write its body to output, as it comes.  *http is begun
 * here, and tells the status afterwards.  Blocks; needs SIGPIPE ignored.
 */
enum fetch_end fetch(
    struct http *http, struct fetch_server *server, int output);

/*
 * Did the server end the connection itself (sslclient --report)?  Waits for
 * the end of the report, which does not come before the caller has closed
 * its own end of the connection.  false: it was cut, or nobody can say.
 */
bool report_is_end(int report_fd);

#endif
