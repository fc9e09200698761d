/*
 * tlsclient: what a client says first, and to whom.
 *
 * Runs in sslclient's TLS process, before it has read a byte from the
 * network.  All of it is the user's own: names and protocols from the
 * command line and the environment.
 */
#include "tls/tlsclient.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/text.h"

/* RFC 7301, section 3.1: a name has 1 to 255 bytes. */
#define ALPN_NAME_MAX 255

int
tlsclient_alpn(
    unsigned char wire[TLSCLIENT_ALPN_MAX], size_t *len, const char *list)
{
	const char *piece;
	size_t n;

	*len = 0;
	while ((piece = text_piece(&list, ',', &n)) != NULL) {
		if (n == 0 || n > ALPN_NAME_MAX ||
		    n + 1 > TLSCLIENT_ALPN_MAX - *len)
			return -1;
		wire[(*len)++] = (unsigned char)n;
		memcpy(wire + *len, piece, n);
		*len += n;
	}
	return 0;
}

/* The library's callback: 0, as the session stays the library's. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tlsclient *client =
	    SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	unsigned char *bytes = NULL;
	int len = i2d_SSL_SESSION(session, &bytes);

	if (len > 0) {
		client->keep(client->arg, bytes, (size_t)len);
		OPENSSL_cleanse(bytes, (size_t)len);
	}
	OPENSSL_free(bytes);
	ERR_clear_error();
	return 0;
}

/* Its certificate is not looked at again by anybody. */
static bool
is_usable(const SSL_SESSION *session)
{
	/* Not changed, but older libraries know no const here. */
	X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);

	return peer != NULL &&
	    X509_cmp_current_time(X509_get0_notBefore(peer)) < 0 &&
	    X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

static void
resume(SSL *ssl, const struct tlsclient *client)
{
	const unsigned char *at = client->session;
	SSL_SESSION *session =
	    d2i_SSL_SESSION(NULL, &at, (long)client->session_len);

	if (session != NULL && is_usable(session))
		(void)SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
	ERR_clear_error();
}

static void
keep_sessions(SSL *ssl, const struct tlsclient *client)
{
	SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);

	SSL_CTX_set_app_data(ctx, (void *)(uintptr_t)client);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_clear_options(ssl, SSL_OP_NO_TICKET);
}

int
tlsclient_begin(SSL *ssl, const struct tlsclient *client)
{
	char name[256]; /* the macro below casts const away */

	SSL_set_connect_state(ssl);
	if (client->sni != NULL &&
	    (text_copy(name, sizeof(name), client->sni) == -1 ||
		SSL_set_tlsext_host_name(ssl, name) != 1))
		return -1;
	/* 0 is its success. */
	if (client->alpn != NULL &&
	    SSL_set_alpn_protos(
		ssl, client->alpn, (unsigned)client->alpn_len) != 0)
		return -1;
	if (client->keep != NULL)
		keep_sessions(ssl, client);
	if (client->session != NULL)
		resume(ssl, client);
	return 0;
}
