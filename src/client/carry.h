/*
 * carry: bytes between a person's descriptors and a connection's.
 */
#ifndef CLIENT_CARRY_H
#define CLIENT_CARRY_H

#include <stdbool.h>
#include <stddef.h>

/* The longest piece that is carried at once. */
#define CARRY_SIZE 16384

enum carry_end {
	CARRY_ENDED,	    /* the server's end of file */
	CARRY_READ_FAILED,  /* errno: of the connection or of our input */
	CARRY_WRITE_FAILED, /* errno: of our output */
};

/*
 * LF becomes CR LF; an LF behind a CR stays.  last is the byte before, 0 at
 * the beginning, and is kept up to date.  Returns how much was written to
 * dst, which has room for twice len.
 */
size_t carry_lines(
    unsigned char *dst, const unsigned char *src, size_t len, char *last);

/*
 * Copy server_in to output until its end; and input, unless it is -1, as
 * carry_lines to *server_out, which is closed, and becomes -1, at input's
 * end: the server then sees that no more will come.  A server that takes no
 * more (EPIPE) ends that direction alone.  Blocks; needs SIGPIPE ignored.
 */
enum carry_end carry(int server_in, int output, int input, int *server_out);

#endif
