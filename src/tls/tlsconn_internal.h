/*
 * tlsconn_internal: what tlsinfo and oldapi need of a tlsconn.  Nothing outside tls/
 * includes it.
 */
#ifndef TLS_TLSCONN_INTERNAL_H
#define TLS_TLSCONN_INTERNAL_H

#include "tls/tlsinfo.h"

struct ssl_st;
struct tlsconn;

/* The library's object, still the tlsconn's. */
struct ssl_st *tlsconn_ssl(const struct tlsconn *conn);

/* As tlsinfo_walk, of a connection that no tlsconn has. */
int tlsinfo_walk_ssl(struct ssl_st *ssl, tlsinfo_fn *fn, void *arg);

/*
 * A tlsconn over the socket of ssl, somebody else's, after its handshake:
 * until tlsconn_release, which gives it back as it was, everything goes
 * through the tlsconn.  NULL: memory is short.
 */
struct tlsconn *tlsconn_adopt(struct ssl_st *ssl, int fd);
void tlsconn_release(struct tlsconn *conn);

#endif
