/*
 * load_tls: what the load generator needs of a TLS library.
 */
#ifndef BENCH_LOAD_TLS_H
#define BENCH_LOAD_TLS_H

#include <stddef.h>
#include <sys/types.h>

struct ssl_st;
struct ssl_ctx_st;

/* Result of a step that has to wait; other failures are LOAD_FAILED. */
enum { LOAD_FAILED = -1, LOAD_READ = -2, LOAD_WRITE = -3 };

/* A client context that verifies against the CA file.  Exits on failure. */
struct ssl_ctx_st *load_tls_client(const char *ca_file);

/* A connection of the client over fd.  Exits on failure. */
struct ssl_st *load_tls_new(struct ssl_ctx_st *ctx, int fd);

/* 0: the handshake is done; or LOAD_*. */
int load_tls_handshake(struct ssl_st *ssl);

/* Bytes written or read, 0 at close_notify, or LOAD_*. */
ssize_t load_tls_write(struct ssl_st *ssl, const void *bytes, size_t len);
ssize_t load_tls_read(struct ssl_st *ssl, void *bytes, size_t size);

/* Send close_notify and free the connection. */
void load_tls_free(struct ssl_st *ssl);

/*
 * CPU microseconds of the server's side of one full handshake in memory,
 * key and certificate from these files: mean of count.  Exits on failure.
 */
double load_tls_floor(
    const char *cert_file, const char *key_file, unsigned count);

#endif
