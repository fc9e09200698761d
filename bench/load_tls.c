/*
 * load_tls: the TLS half of the load generator.
 *
 * Every connection is a full handshake: no session is offered again.  The
 * floor is the server's work alone, both ends in one process with memory
 * between them, and the clock of the thread around the server's calls.
 */
#include "load_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

struct ssl_ctx_st *
load_tls_client(const char *ca_file)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL || SSL_CTX_load_verify_file(ctx, ca_file) != 1)
		fail(ca_file);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;
}

struct ssl_st *
load_tls_new(struct ssl_ctx_st *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);
	char name[] = "localhost"; /* the macro casts const away */

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
	    SSL_set_tlsext_host_name(ssl, name) != 1)
		fail("new connection");
	SSL_set_connect_state(ssl);
	return ssl;
}

/* What LOAD_* a failed call means. */
static int
status_of(SSL *ssl, int result)
{
	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return LOAD_READ;
	case SSL_ERROR_WANT_WRITE:
		return LOAD_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return LOAD_FAILED;
	}
}

int
load_tls_handshake(struct ssl_st *ssl)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(ssl);
	return result == 1 ? 0 : status_of(ssl, result);
}

ssize_t
load_tls_write(struct ssl_st *ssl, const void *bytes, size_t len)
{
	int result;

	ERR_clear_error();
	result = SSL_write(ssl, bytes, (int)len);
	return result > 0 ? result : status_of(ssl, result);
}

ssize_t
load_tls_read(struct ssl_st *ssl, void *bytes, size_t size)
{
	int result;

	ERR_clear_error();
	result = SSL_read(ssl, bytes, (int)size);
	return result > 0 ? result : status_of(ssl, result);
}

void
load_tls_free(struct ssl_st *ssl)
{
	if (ssl != NULL)
		SSL_shutdown(ssl);
	SSL_free(ssl);
}

static double
thread_microseconds(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) == -1)
		fail("no clock");
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* One handshake between two ends joined by memory; the server's time. */
static double
memory_handshake(SSL_CTX *server_ctx, SSL_CTX *client_ctx)
{
	SSL *server, *client = SSL_new(client_ctx);
	BIO *server_end, *client_end;
	double before, spent = 0;
	int server_done = 0, client_done = 0, rounds;

	if (client == NULL ||
	    BIO_new_bio_pair(&server_end, 65536, &client_end, 65536) != 1)
		fail("memory pair");
	SSL_set_bio(client, client_end, client_end);
	SSL_set_connect_state(client);
	before = thread_microseconds();
	server = SSL_new(server_ctx);
	if (server == NULL)
		fail("server end");
	SSL_set_bio(server, server_end, server_end);
	SSL_set_accept_state(server);
	spent += thread_microseconds() - before;
	for (rounds = 0; !server_done || !client_done; rounds++) {
		if (rounds == 10)
			fail("handshake in memory");
		client_done = SSL_do_handshake(client) == 1;
		before = thread_microseconds();
		server_done = SSL_do_handshake(server) == 1;
		spent += thread_microseconds() - before;
	}
	before = thread_microseconds();
	SSL_free(server);
	spent += thread_microseconds() - before;
	SSL_free(client);
	return spent;
}

double
load_tls_floor(const char *cert_file, const char *key_file, unsigned count)
{
	SSL_CTX *server_ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
	double sum = 0;
	unsigned i;

	if (server_ctx == NULL || client_ctx == NULL ||
	    SSL_CTX_use_certificate_chain_file(server_ctx, cert_file) != 1 ||
	    SSL_CTX_use_PrivateKey_file(
		server_ctx, key_file, SSL_FILETYPE_PEM) != 1)
		fail("server context");
	SSL_CTX_set_num_tickets(server_ctx, 0);
	for (i = 0; i < 20; i++)
		(void)memory_handshake(server_ctx, client_ctx);
	for (i = 0; i < count; i++)
		sum += memory_handshake(server_ctx, client_ctx);
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	return sum / count;
}
