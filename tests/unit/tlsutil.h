/*
 * tlsutil: keys, certificates and clients for the tests of tls/.
 *
 * Everything is made at run time, with the library's own functions and in
 * its default context, so that the tests share nothing with what they
 * test.
 */
#ifndef UNIT_TLSUTIL_H
#define UNIT_TLSUTIL_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "tls/tlscerts.h"
#include "tls/tlsctx.h"
#include "tls/tlsfile.h"
#include "tls/tlskey.h"
#include "tls/tlskey_internal.h"
#include "tls/tlsscheme.h"
#include "tls/tlsverify.h"
#include "tlslibs.h"

#define UNUSED __attribute__((unused))

UNUSED static EVP_PKEY *
make_key(const char *kind)
{
	EVP_PKEY *key = lib_make_key(kind);

	assert_non_null(key);
	return key;
}

UNUSED static void
add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	/* LibreSSL makes no name that it would not take. */
	if (extension == NULL && !LIB_JUDGES_AS_OPENSSL)
		return;
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* A certificate for name, valid from..to seconds from now. */
UNUSED static X509 *
make_cert_dated(const char *name, EVP_PKEY *key, const char *issuer,
    EVP_PKEY *issuer_key, long from, long to)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	X509_NAME *by = X509_NAME_new();
	const EVP_MD *md = EVP_PKEY_base_id(issuer_key) == EVP_PKEY_ED25519
	    ? NULL
	    : EVP_sha256();
	static long serial;

	assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	X509_NAME_add_entry_by_txt(
	    by, "CN", MBSTRING_ASC, (const unsigned char *)issuer, -1, -1, 0);
	X509_set_issuer_name(cert, by);
	X509_NAME_free(by);
	X509_gmtime_adj(X509_getm_notBefore(cert), from);
	X509_gmtime_adj(X509_getm_notAfter(cert), to);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, issuer_key, md) > 0);
	return cert;
}

UNUSED static X509 *
make_cert(
    const char *name, EVP_PKEY *key, const char *issuer, EVP_PKEY *issuer_key)
{
	return make_cert_dated(name, key, issuer, issuer_key, -60, 86400);
}

/* What most servers want of a client's certificate. */
UNUSED static const struct tlsverify anybody = { .mode = TLSVERIFY_NONE };

/* A server as the nursery and the keeper see it together. */
struct server {
	struct tls_settings settings;
	struct tls_public public;
	struct tlsscheme_policy policy;
	struct tlskeys keys;
	struct tlsctx *ctx;
	size_t number;	     /* of the key that was asked last */
	unsigned signatures; /* how many were asked for */
	unsigned scheme;     /* of the last one */
	bool refuses;	     /* let signatures fail */
};

UNUSED static int
server_sign(void *arg, size_t number, unsigned scheme,
    const unsigned char *text, size_t len, unsigned char *signature,
    size_t size)
{
	struct server *server = arg;
	struct tlskey *key = tlskeys_get(&server->keys, number);

	server->signatures++;
	server->number = number;
	server->scheme = scheme;
	if (server->refuses || key == NULL)
		return -1;
	return tlskey_sign(
	    key, &server->policy, scheme, text, len, signature, size);
}

/* The row of a certificate and its chain. */
UNUSED static struct buf
chain_of(const struct tls_public *public, size_t number)
{
	const struct tlscert *cert = &public->certs.all[number];

	return (struct buf){ .data = (unsigned char *)(uintptr_t)cert->chain,
		.len = cert->chain_len };
}

/* How many certificates are in it. */
UNUSED static size_t
chain_length(const struct tls_public *public, size_t number)
{
	const struct buf row = chain_of(public, number);
	size_t at = 0, len, n = 0;

	while (tlstrust_next(&row, &at, &len) != NULL)
		n++;
	assert_int_equal(len, 0);
	return n;
}

/* A certificate without a chain. */
UNUSED static void
public_add(struct tls_public *public, const char *name, X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);
	struct buf chain;

	assert_true(len > 0);
	buf_init(&chain, TLSFILE_MAX);
	assert_int_equal(tlstrust_add(&chain, der, (size_t)len), 0);
	assert_int_equal(tlscerts_add(&public->certs, name, &chain), 0);
	OPENSSL_free(der);
	X509_free(cert);
}

/* And a key to it. */
UNUSED static void
server_add(struct server *server, const char *name, const char *kind)
{
	EVP_PKEY *key = make_key(kind);
	struct tlskey *made;

	public_add(&server->public, name,
	    make_cert(name == NULL ? "localhost" : name, key, "issuer", key));
	made = tlskey_new(key);
	assert_non_null(made);
	assert_int_equal(tlskeys_add(&server->keys, made), 0);
}

/* With the settings and certificates that it has got. */
UNUSED static void
server_start(struct server *server)
{
	char error[TLSFILE_ERROR_SIZE] = "";

	server->ctx = tlsctx_new(
	    &server->settings, &server->public, error, sizeof(error));
	if (server->ctx == NULL)
		fail_msg("%s", error);
	assert_int_equal(tlsscheme_policy_init(&server->policy,
			     &server->settings, &server->public),
	    0);
	tlsctx_set_signer(server->ctx, server_sign, server);
}

/* server->settings are the caller's; kind is that of the key. */
UNUSED static void
server_make(struct server *server, const char *kind)
{
	if (server->settings.certfile == NULL)
		server->settings.certfile = "made up";
	server_add(server, NULL, kind);
	server_start(server);
}

UNUSED static void
server_clear(struct server *server)
{
	tlsctx_free(server->ctx);
	tlskeys_free(&server->keys);
	tls_public_free(&server->public);
}

/* Two connected TCP sockets on the loopback, with the first accepted. */
UNUSED static void
tcp_pair(int ends[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&sin, &len);
	ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ends[1], (struct sockaddr *)&sin, len), 0);
	ends[0] = accept(fd, NULL, NULL);
	assert_true(ends[0] != -1);
	setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	close(fd);
}

/* The other end's kernel has got all that was written to the socket. */
UNUSED static void
wait_until_sent(int fd)
{
	int left = 1;

	while (ioctl(fd, TIOCOUTQ, &left) == 0 && left > 0)
		usleep(1000);
	assert_int_equal(left, 0);
}

/* Close so that the other end sees a reset. */
UNUSED static void
reset(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* A client that accepts any certificate but checks the signature. */
UNUSED static SSL_CTX *
client_make(int version, const char *ciphers, const char *groups)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char copy[100];

	assert_non_null(ctx);
	SSL_CTX_set_security_level(ctx, 0);
	if (version != 0) {
		SSL_CTX_set_min_proto_version(ctx, version);
		SSL_CTX_set_max_proto_version(ctx, version);
	}
	if (ciphers != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, ciphers), 1);
	if (groups != NULL) {
		snprintf(copy, sizeof(copy), "%s", groups);
		assert_int_equal(SSL_CTX_set1_groups_list(ctx, copy), 1);
	}
	return ctx;
}

/* Run body(arg) in a thread. */
UNUSED static pthread_t
in_thread(void *(*body)(void *), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, body, arg), 0);
	return thread;
}

/* A directory of our own, and files in it. */
UNUSED static char util_dir[64];

UNUSED static const char *
dir_make(void)
{
	snprintf(util_dir, sizeof(util_dir), "/tmp/test-tls-XXXXXX");
	assert_non_null(mkdtemp(util_dir));
	return util_dir;
}

UNUSED static void
dir_remove(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", util_dir);
	assert_int_equal(system(command), 0);
}

#endif
