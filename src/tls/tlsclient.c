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
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/text.h"
#include "tls/tlscompat.h"
#include "tls/tlstrust.h"

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

/*
 * Sessions
 *
 * What is kept is a row (tlstrust.h): a head; as many certificates as it
 * says, which are what the server has shown, its own first; the session.  The
 * library's own form of a session has the first of them alone.
 */

#define HEAD_SIZE 9 /* the time of the full handshake; how many */
#define CERTS_MAX 100
#define ROW_MAX (128 * 1024)

struct kept {
	uint64_t begun;
	size_t certs_end; /* of head and certificates in the row */
	STACK_OF(X509) * chain;
	SSL_SESSION *session;
};

static void
kept_clear(struct kept *kept)
{
	sk_X509_pop_free(kept->chain, X509_free);
	SSL_SESSION_free(kept->session);
	ERR_clear_error();
}

static int
read_cert(struct kept *kept, const unsigned char *der, size_t len)
{
	const unsigned char *at = der;
	X509 *cert = tlscompat_x509_new();

	if (cert != NULL && der != NULL &&
	    d2i_X509(&cert, &at, (long)len) != NULL && at == der + len &&
	    sk_X509_push(kept->chain, cert) > 0)
		return 0;
	X509_free(cert);
	return -1;
}

/* 0, or -1: malformed, or memory is short.  Clear it in any case. */
static int
kept_read(struct kept *kept, const unsigned char *bytes, size_t size)
{
	const struct buf row = { .data = (unsigned char *)(uintptr_t)bytes,
		.len = size };
	const unsigned char *der, *at;
	size_t place = 0, len, i, count;

	memset(kept, 0, sizeof(*kept));
	kept->chain = sk_X509_new_null();
	der = tlstrust_next(&row, &place, &len);
	if (kept->chain == NULL || der == NULL || len != HEAD_SIZE)
		return -1;
	for (i = 0; i < HEAD_SIZE - 1; i++)
		kept->begun = kept->begun << 8 | der[i];
	count = der[i];
	if (count == 0 || count > CERTS_MAX)
		return -1;
	for (i = 0; i < count; i++) {
		der = tlstrust_next(&row, &place, &len);
		if (read_cert(kept, der, len) == -1)
			return -1;
	}
	kept->certs_end = place;
	at = tlstrust_next(&row, &place, &len);
	if (at != NULL && place == size)
		kept->session = d2i_SSL_SESSION(NULL, &at, (long)len);
	return kept->session == NULL ? -1 : 0;
}

/* Of a full handshake.  0 or -1. */
static int
put_certs(struct buf *row, const SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	int i, count = chain == NULL ? 0 : sk_X509_num(chain), r;
	unsigned char head[HEAD_SIZE], *der;
	uint64_t now = (uint64_t)time(NULL);

	if (count == 0 || count > CERTS_MAX)
		return -1;
	head[HEAD_SIZE - 1] = (unsigned char)count;
	for (i = HEAD_SIZE - 2; i >= 0; i--, now >>= 8)
		head[i] = (unsigned char)now;
	r = tlstrust_add(row, head, sizeof(head));
	for (i = 0; i < count && r == 0; i++) {
		int len;

		der = NULL;
		len = i2d_X509(sk_X509_value(chain, i), &der);
		r = len <= 0 ? -1 : tlstrust_add(row, der, (size_t)len);
		OPENSSL_free(der);
	}
	return r;
}

/* What a session that goes on had, it hands down.  0 or -1. */
static int
put_old_certs(struct buf *row, const struct tlsclient *client)
{
	struct kept kept;
	int r = kept_read(&kept, client->session, client->session_len);

	kept_clear(&kept);
	return r == -1 ? -1 : buf_append(row, client->session, kept.certs_end);
}

/* The library's callback: 0, as the session stays the library's. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tlsclient *client =
	    SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	unsigned char *der = NULL;
	int len = i2d_SSL_SESSION(session, &der), r;
	struct buf row;

	buf_init(&row, ROW_MAX);
	r = SSL_session_reused(ssl) ? put_old_certs(&row, client)
				    : put_certs(&row, ssl);
	/* Last, so that no copy of it is left behind when the row grows. */
	if (r == 0 && len > 0 && tlstrust_add(&row, der, (size_t)len) == 0)
		client->keep(client->arg, row.data, row.len);
	if (row.data != NULL)
		OPENSSL_cleanse(row.data, row.len);
	if (len > 0)
		OPENSSL_cleanse(der, (size_t)len);
	buf_free(&row);
	OPENSSL_free(der);
	ERR_clear_error();
	return 0;
}

static bool
is_in_time(const X509 *cert)
{
	return X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 &&
	    X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

/* No certificate is looked at by anybody else. */
static bool
is_usable(SSL *ssl, const struct kept *kept)
{
	const X509 *own = sk_X509_value(kept->chain, 0);
	const X509 *peer = SSL_SESSION_get0_peer(kept->session);
	uint64_t now = (uint64_t)time(NULL);

	/* One from the future wraps around. */
	return now - kept->begun < TLSCLIENT_LIFETIME && peer != NULL &&
	    X509_cmp(peer, own) == 0 && is_in_time(own) &&
	    tlsverify_chain(ssl, kept->chain);
}

static void
resume(SSL *ssl, const struct tlsclient *client)
{
	struct kept kept;

	if (kept_read(&kept, client->session, client->session_len) == 0 &&
	    is_usable(ssl, &kept))
		(void)SSL_set_session(ssl, kept.session);
	kept_clear(&kept);
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
