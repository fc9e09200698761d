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

/*
 * Read the answer from server_in and write its body to output, as it comes.
 * report_fd is what report_is_end reads, asked only if nothing else tells
 * where the body ends.  *http is begun here, and tells the status
 * afterwards.  Blocks; needs SIGPIPE ignored.
 */
enum fetch_end fetch(
    struct http *http, int server_in, int output, int report_fd);

/*
 * Did the server end the connection itself (sslclient --report)?  Waits for
 * the end of the report.  false: it was cut, or nobody can say.
 */
bool report_is_end(int report_fd);

#endif
