/*
 * sealed: memory without a name that is handed on and never changes again.
 *
 * One process fills it and seals it, others are given its descriptor and
 * map it.  A process in between can keep the descriptor and pass it on
 * without reading a byte.
 */
#ifndef SERVE_SEALED_H
#define SERVE_SEALED_H

#include <stddef.h>

/*
 * Empty memory, close-on-exec, to be filled with fd_write_all: a memfd, or
 * where the system has none a file in /tmp that has lost its name, for
 * which the caller must still be able to reach that directory.  The
 * descriptor, or -1 with errno.
 */
int sealed_make(void);

/*
 * From here on nobody, the caller included, can change what is in it.  On
 * a system without seals it does nothing: its readers trust its maker.
 * 0, or -1 with errno.
 */
int sealed_seal(int fd);

/*
 * For a receiver: is this sealed, not empty and at most max bytes long?  0
 * and its length in *len (NULL: not wanted), or -1 with errno: EPERM (it
 * is no sealed memory), ENODATA (empty), EFBIG (longer).  Reads nothing
 * of it, and waits for nothing.
 */
int sealed_check(int fd, size_t max, size_t *len);

/*
 * Its len bytes, to be read until sealed_unmap or for as long as the process
 * lives; NULL with errno.  The descriptor may be closed at once.
 */
const void *sealed_map(int fd, size_t len);
void sealed_unmap(const void *bytes, size_t len);

#endif
