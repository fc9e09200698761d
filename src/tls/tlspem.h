/*
 * tlspem: a file that a variable names, opened, read whole, and walked PEM
 * block by PEM block.
 *
 * What tlsfile and tlstrust share; nothing outside tls/ includes it.
 */
#ifndef TLS_TLSPEM_H
#define TLS_TLSPEM_H

#include <sys/types.h>

#include <stddef.h>

struct bio_st;
struct tlsfile;

/*
 * Open path, or, when it is not there, path below root (NULL: not tried),
 * with the rights the process has now.  Regular files and pipes only; never
 * blocks on a fifo.  0 and *file, or -1 and a sentence in error (of
 * TLSFILE_ERROR_SIZE bytes) that names variable, path and reason.
 */
int tlspem_open(struct tlsfile *file, const char *variable, const char *path,
    const char *root, char *error);

/*
 * Read until size bytes or the end.  Bytes read, or -1 with errno, ETIMEDOUT
 * for a pipe that is silent for ten seconds.
 */
ssize_t tlspem_read(int fd, unsigned char *bytes, size_t size);

struct tlspem {
	char *name, *header;
	unsigned char *data;
	long len;
};

/*
 * The next block.  1: *pem is the caller's, for tlspem_clear; 0: there is
 * none; -1: something that begins like one, the library knows why.
 */
int tlspem_next(struct bio_st *bio, struct tlspem *pem);

/* Wipe and free. */
void tlspem_clear(struct tlspem *pem);

#endif
