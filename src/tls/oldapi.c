/*
 * The old functions: contexts, files and the peer's certificate.
 *
 * Runs in programs of others, written for ucspi-ssl 0.12.  These have
 * OpenSSL's own objects in their hands, so what is made here is made in the
 * library's default context, while everything else of tls/ has one of its
 * own.  Nothing here prints or exits.
 */
#include "tls/oldapi.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/ip.h"
#include "tls/tlscompat.h"
#include "tls/tlsctx_internal.h"
#include "tls/tlsverify.h"

SSL_CTX *
ssl_context(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_SINGLE_DH_USE);
#ifdef SSL_OP_NO_RENEGOTIATION
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
#endif
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

SSL *
ssl_new(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	if (ssl != NULL && SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

/* 0, -2 or -3. */
static int
use_key(SSL_CTX *ctx, const char *keyfile)
{
	if (SSL_CTX_use_PrivateKey_file(ctx, keyfile, SSL_FILETYPE_PEM) != 1)
		return -2;
	return SSL_CTX_check_private_key(ctx) == 1 ? 0 : -3;
}

int
ssl_certkey(SSL_CTX *ctx, const char *certfile, const char *keyfile,
    pem_password_cb *callback)
{
	if (certfile == NULL)
		return 0;
	SSL_CTX_set_default_passwd_cb(ctx, callback);
	if (SSL_CTX_use_certificate_file(ctx, certfile, SSL_FILETYPE_PEM) != 1)
		return -1;
	return use_key(ctx, keyfile == NULL ? certfile : keyfile);
}

int
ssl_chainfile(SSL_CTX *ctx, const char *chainfile, const char *keyfile,
    pem_password_cb *callback)
{
	if (chainfile == NULL)
		return 0;
	SSL_CTX_set_default_passwd_cb(ctx, callback);
	if (SSL_CTX_use_certificate_chain_file(ctx, chainfile) != 1)
		return -1;
	return use_key(ctx, keyfile == NULL ? chainfile : keyfile);
}

/* The handshake goes on; ssl_verify judges. */
static int
go_on(int is_good, X509_STORE_CTX *store)
{
	(void)is_good;
	(void)store;
	return 1;
}

int
ssl_ca(SSL_CTX *ctx, const char *cafile, const char *cadir, int depth)
{
	if (SSL_CTX_load_verify_locations(ctx, cafile, cadir) != 1)
		return 0;
	SSL_CTX_set_verify_depth(ctx, depth);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, go_on);
	return 1;
}

int
ssl_cca(SSL_CTX *ctx, const char *ccafile)
{
	STACK_OF(X509_NAME) * names;

	if (ccafile == NULL)
		return 1;
	names = SSL_load_client_CA_file(ccafile);
	if (names == NULL)
		return 0;
	SSL_CTX_set_client_CA_list(ctx, names); /* its owner from now on */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, go_on);
	return 1;
}

int
ssl_ciphers(SSL_CTX *ctx, const char *ciphers)
{
	size_t size = ciphers == NULL ? 1 : strlen(ciphers) + 1;
	char *tls12 = malloc(size), *tls13 = malloc(size);
	int ok = 0;

	if (tls12 != NULL && tls13 != NULL) {
		tlsctx_split_ciphers(
		    ciphers == NULL ? "" : ciphers, tls12, tls13);
		ok = *tls12 == '\0' || SSL_CTX_set_cipher_list(ctx, tls12) == 1;
		if (ok && *tls13 != '\0')
			ok = SSL_CTX_set_ciphersuites(ctx, tls13) == 1;
	}
	free(tls12);
	free(tls13);
	return ok;
}

int
ssl_params_rsa(SSL_CTX *ctx, int len)
{
	(void)ctx;
	(void)len;
	return 1;
}

int
ssl_params_dh(SSL_CTX *ctx, const char *dhfile)
{
	BIO *bio;
	EVP_PKEY *dh = NULL;
	int ok;

	if (dhfile == NULL)
		return 1;
	bio = BIO_new_file(dhfile, "r");
	if (bio != NULL)
		dh = PEM_read_bio_Parameters(bio, NULL);
	ok = dh != NULL && tlscompat_use_dh(ctx, dh) == 0;
	EVP_PKEY_free(dh);
	BIO_free(bio);
	return ok;
}

static bool
is_for(X509 *cert, const char *host)
{
	struct tlsverify verify = { .mode = TLSVERIFY_NAME,
		.matches_name = true };

	if (host == NULL)
		return true;
	if (ip_parse(host, &verify.remote) == -1)
		verify.host = host;
	return tlsverify_has_name(&verify, cert);
}

int
ssl_verify(SSL *ssl, const char *host, stralloc *name)
{
	X509 *cert = tlscompat_peer(ssl);
	char shown[TEXT_PRINTABLE_SIZE];

	if (cert == NULL)
		return -1;
	if (SSL_get_verify_result(ssl) != X509_V_OK)
		return -2;
	tlsverify_show_name(shown, cert, false);
	if (name != NULL)
		(void)oldapi_append(name, shown, strlen(shown));
	return is_for(cert, host) ? 0 : -3;
}
