/*
 * load_tls: what the load generator needs of a TLS library.
 */
#ifndef BENCH_LOAD_TLS_H
#define BENCH_LOAD_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;
struct load_tls;

/*
 * Result of a step that has to wait; TRUNCATED: the end without a
 * close_notify; other failures are FAILED.
 */
enum { LOAD_FAILED = -1, LOAD_READ = -2, LOAD_WRITE = -3, LOAD_TRUNCATED = -4 };

/* What clients and floor do; paths are NULL where they are not wanted. */
struct load_tls_settings {
	const char *ca_file;   /* whom to trust */
	const char *cert_file; /* our own */
	const char *key_file;
	const char *version; /* "1.2", "1.3", NULL: what both can */
	bool is_resuming;    /* offer the last session that was given */
};

/* Made once; lives as long as the process.  Exits on failure. */
struct load_tls *load_tls_client(const struct load_tls_settings *settings);

/* A connection of the client over fd.  Exits on failure. */
struct ssl_st *load_tls_new(struct load_tls *tls, int fd);

/* 0: the handshake is done; or LOAD_*. */
int load_tls_handshake(struct ssl_st *ssl);

/* Was the handshake that is done an abbreviated one? */
bool load_tls_is_resumed(const struct ssl_st *ssl);

/* Bytes written or read, 0 at close_notify, or LOAD_*. */
ssize_t load_tls_write(struct ssl_st *ssl, const void *bytes, size_t len);
ssize_t load_tls_read(struct ssl_st *ssl, void *bytes, size_t size);

/* Send close_notify, as far as the socket takes it. */
void load_tls_close(struct ssl_st *ssl);

/* NULL is no connection. */
void load_tls_free(struct ssl_st *ssl);

/* Why the last call has failed; "" if the library does not know. */
const char *load_tls_reason(void);

#endif
