/*
 * tlsbio: between the TLS library and a socket.
 *
 * Input goes straight into the library's own buffer, which is large enough
 * for several records.  Output gathers here and leaves in one send(2) per
 * flush, so that a flight of the handshake or several records are one
 * system call; the library's own flushes are not obeyed while is_held, as
 * it asks for one after each message of a flight.  The socket's mode is not touched: every transfer carries
 * MSG_DONTWAIT.
 */
#ifndef TLS_TLSBIO_H
#define TLS_TLSBIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bio_st;

/* The largest record with everything a cipher may add to it. */
#define TLSBIO_RECORD (16384 + 512)
/* Room for four of them, as an application writes them. */
#define TLSBIO_SIZE (4 * (16384 + 256))

struct tlsbio {
	int fd;		   /* the socket; not ours to close */
	int error;	   /* errno of the recv that failed, or 0 */
	int send_error;	   /* of the send; what had come can be read */
	bool is_ended;	   /* the peer's end of file was seen */
	bool is_drained;   /* the last recv left nothing behind */
	bool is_mute;	   /* what the library writes is thrown away */
	bool is_held;	   /* and here: it waits until input is wanted */
	bool is_last;	   /* an end of file follows what is sent now */
	bool is_answered;  /* the last that moved was sent */
	uint64_t moved;	   /* bytes received and sent */
	size_t start, len; /* what waits in bytes */
	size_t used;	   /* of bytes, since they are there */
	unsigned char
	    *bytes; /* TLSBIO_SIZE, while something was sent, or NULL */
};

/* Ready for fd, with no memory yet. */
void tlsbio_init(struct tlsbio *io, int fd);

/* Free and wipe what has no bytes that wait.  It can be used as before. */
void tlsbio_rest(struct tlsbio *io);

/*
 * A BIO over io, which must outlive it.  NULL: memory is short.  An end of
 * file looks to the library like "nothing there yet", because it would
 * answer with an alert and refuse to write any more; io->is_ended tells.
 */
struct bio_st *tlsbio_new(struct tlsbio *io);

/* Prepare what all BIOs share, before the first fork.  0 or -1. */
int tlsbio_start(void);

/*
 * Send what waits.  0: all gone, 1: socket full, -1: io->send_error, or
 * io->error.  After the first what the library writes is thrown away, unless is_held: it would not
 * read what the peer had said before if it knew.
 */
int tlsbio_flush(struct tlsbio *io);

/* How many bytes can be written before something must be sent. */
size_t tlsbio_room(const struct tlsbio *io);

#endif
