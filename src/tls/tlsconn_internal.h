/*
 * tlsconn_internal: what tlsinfo needs of a tlsconn.  Nothing outside tls/
 * includes it.
 */
#ifndef TLS_TLSCONN_INTERNAL_H
#define TLS_TLSCONN_INTERNAL_H

struct ssl_st;
struct tlsconn;

/* The library's object, still the tlsconn's. */
struct ssl_st *tlsconn_ssl(const struct tlsconn *conn);

#endif
