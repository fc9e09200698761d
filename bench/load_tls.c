/*
 * load_tls: the TLS half of the load generator.
 *
 * With -r each connection offers the newest session that any connection
 * has been given, which servers with stateless tickets or a cache both accept;
 * without it nothing is ever offered, so that each handshake is a full one.
 */
#include "load_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

struct load_tls {
	SSL_CTX *ctx;
	SSL_SESSION *latest;
};

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

/*
 * A copy: a connection that gets the next ticket makes the session that it
 * has used unfit for others.  The session itself stays the library's: 0.
 */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct load_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(tls->latest);
	tls->latest = SSL_SESSION_dup(session);
	return 0;
}

/* Likewise, a copy for each connection.  0 or -1. */
static int
offer_session(SSL *ssl, const SSL_SESSION *latest)
{
	SSL_SESSION *copy;
	int r;

	if (latest == NULL)
		return 0;
	copy = SSL_SESSION_dup(latest);
	r = copy != NULL && SSL_set_session(ssl, copy) == 1 ? 0 : -1;
	SSL_SESSION_free(copy);
	return r;
}

static void
set_version(SSL_CTX *ctx, const char *version)
{
	int number;

	if (version == NULL)
		return;
	number = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	if (SSL_CTX_set_min_proto_version(ctx, number) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, number) != 1)
		fail(version);
}

struct load_tls *
load_tls_client(const struct load_tls_settings *settings)
{
	struct load_tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL ||
	    (tls->ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		fail("client context");
	if (SSL_CTX_load_verify_file(tls->ctx, settings->ca_file) != 1)
		fail(settings->ca_file);
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
	set_version(tls->ctx, settings->version);
	if (settings->cert_file != NULL &&
	    (SSL_CTX_use_certificate_chain_file(
		 tls->ctx, settings->cert_file) != 1 ||
		SSL_CTX_use_PrivateKey_file(
		    tls->ctx, settings->key_file, SSL_FILETYPE_PEM) != 1))
		fail(settings->cert_file);
	SSL_CTX_set_app_data(tls->ctx, tls);
	SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	if (settings->is_resuming) {
		SSL_CTX_set_session_cache_mode(tls->ctx,
		    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(tls->ctx, keep_session);
	}
	return tls;
}

struct ssl_st *
load_tls_new(struct load_tls *tls, int fd)
{
	SSL *ssl = SSL_new(tls->ctx);
	char name[] = "localhost"; /* the macro casts const away */

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
	    SSL_set_tlsext_host_name(ssl, name) != 1 ||
	    offer_session(ssl, tls->latest) == -1)
		fail("new connection");
	SSL_set_connect_state(ssl);
	return ssl;
}

/* OpenSSL 3 calls it an error of its own, 1.1.1 one of the system. */
static bool
is_truncated(int error)
{
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
	if (error == SSL_ERROR_SSL &&
	    ERR_GET_REASON(ERR_peek_error()) ==
		SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return true;
#endif
	return error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0 &&
	    errno == 0;
}

/* What LOAD_* a failed call means. */
static int
status_of(SSL *ssl, int result)
{
	int error = SSL_get_error(ssl, result);

	switch (error) {
	case SSL_ERROR_WANT_READ:
		return LOAD_READ;
	case SSL_ERROR_WANT_WRITE:
		return LOAD_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return is_truncated(error) ? LOAD_TRUNCATED : LOAD_FAILED;
	}
}

int
load_tls_handshake(struct ssl_st *ssl)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(ssl);
	if (result == 1)
		return 0;
	result = status_of(ssl, result);
	return result == 0 || result == LOAD_TRUNCATED ? LOAD_FAILED : result;
}

bool
load_tls_is_resumed(const struct ssl_st *ssl)
{
	return SSL_session_reused(ssl) == 1;
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
load_tls_close(struct ssl_st *ssl)
{
	ERR_clear_error();
	SSL_shutdown(ssl);
}

void
load_tls_free(struct ssl_st *ssl)
{
	SSL_free(ssl);
}

const char *
load_tls_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	return reason == NULL ? "" : reason;
}
