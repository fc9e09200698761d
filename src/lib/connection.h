/*
 * connection: the second noun of ucspissl.h, as offers see it.
 */
#ifndef LIB_CONNECTION_H
#define LIB_CONNECTION_H

#include <ucspissl.h>

/*
 * All facts as a block, NAME=value with a NUL each and one more NUL, of
 * *len bytes; the caller's to free.  NULL: memory is short.
 */
char *connection_block(const struct ucspissl_conn *conn, size_t *len);

#endif
