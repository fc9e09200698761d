/*
 * ucspissl_compat: the functions of ucspi-ssl 0.12's ucspissl.h, for
 * programs that were written for it, such as s/qmail.
 *
 * package/compile leaves it under the old name, compile/ucspissl.h, beside
 * compile/ucspissl.a.  Names, arguments and results are the old ones; where
 * a result means something else this says so.  A new program is better off
 * with ucspissl.h, which has no OpenSSL in it.
 *
 * One connection at a time and one thread: ssl_errno and the environment
 * are the process's.
 */
#ifndef UCSPISSL_H
#define UCSPISSL_H

#include <openssl/asn1.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/safestack.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* The program's own, where it has one. */
#if !defined(STRALLOC_H) && defined(__has_include)
#if __has_include("stralloc.h")
#include "stralloc.h"
#define UCSPISSL_HAS_STRALLOC
#endif
#endif
#if !defined(STRALLOC_H) && !defined(UCSPISSL_HAS_STRALLOC)
#define STRALLOC_H
typedef struct stralloc {
	char *s;
	unsigned int len;
	unsigned int a;
} stralloc;
#endif

#define SSL_NAME_LEN 256
#define SSL_RSA_LEN 4096

#define ssl_client() (ssl_context(TLS_client_method()))
#define ssl_server() (ssl_context(TLS_server_method()))

/* SSL_get_error's answer for the last call here that failed. */
extern int ssl_errno;

/*
 * A context: TLS 1.2 and 1.3 (0.12: from 1.0; SSL_CTX_set_min_proto_version
 * changes that), no compression, no renegotiation.  NULL: no memory.
 */
extern SSL_CTX *ssl_context(const SSL_METHOD *method);

/* A connection on fd, which stays the caller's.  NULL: no memory. */
extern SSL *ssl_new(SSL_CTX *ctx, int fd);

/*
 * Certificate and key, PEM; key NULL: in the same file.  ssl_chainfile takes
 * the whole chain of its file.  0; -1: certificate, -2: key cannot be
 * loaded, -3: they do not match.  Without a certificate file: 0, nothing
 * is done.
 */
extern int ssl_certkey(SSL_CTX *ctx, const char *certfile, const char *keyfile,
    pem_password_cb *callback);
extern int ssl_chainfile(SSL_CTX *ctx, const char *chainfile,
    const char *keyfile, pem_password_cb *callback);

/*
 * Whom to believe the peer's certificate, and how many intermediates it may
 * have.  The handshake asks for one but succeeds whatever comes: ssl_verify
 * is the judge.  1, or 0: nothing could be loaded.
 */
extern int ssl_ca(
    SSL_CTX *ctx, const char *cafile, const char *cadir, int depth);

/* The names of CAs that clients are told; NULL: none.  1 or 0. */
extern int ssl_cca(SSL_CTX *ctx, const char *ccafile);

/* A list for TLS 1.2 and suites of 1.3 in one; NULL: the default.  1 or 0. */
extern int ssl_ciphers(SSL_CTX *ctx, const char *ciphers);

/* Always 1: nobody uses temporary RSA keys any more. */
extern int ssl_params_rsa(SSL_CTX *ctx, int len);

/* DH parameters, PEM; NULL: none.  1 or 0. */
extern int ssl_params_dh(SSL_CTX *ctx, const char *dhfile);

/*
 * Handshake, within so many seconds, whether the socket blocks or not.  0;
 * or -1, errno ETIMEDOUT when it was too slow, else ssl_errno says more.
 */
extern int ssl_timeoutconn(SSL *ssl, unsigned int timeout);
extern int ssl_timeoutaccept(SSL *ssl, unsigned int timeout);

/*
 * Judge the peer's certificate after the handshake: 0; -1: there is none,
 * -2: it is not valid, -3: it is not for host (NULL: no matter), a name or
 * an address.  The certificate's name is appended to *name, without a
 * NUL, unless that is NULL.
 */
extern int ssl_verify(SSL *ssl, const char *host, stralloc *name);

/*
 * Carry bytes until both directions have ended: what the peer sends to
 * fdleft, what comes from fdright to the peer; both are closed then.  0; or
 * -1, errno ETIMEDOUT when nothing has moved for timeout seconds.
 */
extern int ssl_io(SSL *ssl, int fdleft, int fdright, unsigned int timeout);

/*
 * The TLS variables, of a server's end and a client's: appended to *env as
 * NAME=value with a NUL each, or, where env is NULL, put into the
 * environment.  1, or 0: no memory.
 */
extern int ssl_server_env(SSL *ssl, stralloc *env);
extern int ssl_client_env(SSL *ssl, stralloc *env);

/*
 * Give print each error of the library's queue, until it returns something
 * else than 0, which is then the result; else 0.
 */
extern int ssl_error(int (*print)(const char *));

/* What ssl_errno means, in words that last. */
extern char *ssl_error_str(int error);

#define ssl_errstr() (SSL_load_error_strings())
#define ssl_free(ssl) (SSL_free((ssl)))
#define ssl_close(ssl) (close(SSL_get_fd((ssl))))

#define ssl_pending(ssl) (SSL_pending((ssl)))
#define ssl_shutdown(ssl) (SSL_shutdown((ssl)))
#define ssl_shutdown_pending(ssl) \
	(SSL_get_shutdown((ssl)) & SSL_RECEIVED_SHUTDOWN)
#define ssl_shutdown_sent(ssl) (SSL_get_shutdown((ssl)) & SSL_SENT_SHUTDOWN)

#endif
