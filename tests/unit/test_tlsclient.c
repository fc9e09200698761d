/*
 * test_tlsclient: a client's end: whose certificate it takes, what it
 * refuses and why, and what it says first.
 *
 * The server is the library's own.  Names are compared as RFC 9525 wants
 * it, whose examples are among them.
 */
#include "tls/tlsclient.h"

#include <poll.h>
#include <signal.h>

#include "tlsutil.h"

#include "tls/tlsconn.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static EVP_PKEY *root_key, *key;
static X509 *root;
static char reason[TLSCONN_TEXT_SIZE], subject[TLSCONN_TEXT_SIZE];

/* A server's certificate, and what there is besides. */
struct spec {
	const char *san, *cn; /* NULL: none */
	long from, to;	      /* 0: from an hour ago, to tomorrow */
	const char *use;
	bool is_own; /* signed by itself */
};

static X509 *
make(const struct spec *spec)
{
	static long serial = 1000;
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_NAME_add_entry_by_txt(
	    name, "O", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	if (spec->cn != NULL)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		    (const unsigned char *)spec->cn, -1, -1, 0);
	X509_set_issuer_name(
	    cert, spec->is_own ? name : X509_get_subject_name(root));
	X509_gmtime_adj(
	    X509_getm_notBefore(cert), spec->from == 0 ? -3600 : spec->from);
	X509_gmtime_adj(
	    X509_getm_notAfter(cert), spec->to == 0 ? 86400 : spec->to);
	X509_set_pubkey(cert, key);
	if (spec->san != NULL)
		add_extension(cert, NID_subject_alt_name, spec->san);
	if (spec->use != NULL)
		add_extension(cert, NID_ext_key_usage, spec->use);
	assert_true(
	    X509_sign(cert, spec->is_own ? key : root_key, EVP_sha256()) > 0);
	return cert;
}

/* The server, in a thread. */
struct peer {
	int fd;
	X509 *cert;
	const char *alpn; /* the protocol it chooses, or NULL */
	X509 *asks;	  /* it asks for a certificate, of this CA */
	char sni[100];	  /* what the client has said */
	bool ok;
	X509 *shown;   /* by the client */
	SSL_CTX *ctx;  /* of several connections, or NULL */
	bool has_gone; /* on, the session of another one */
};

static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	const struct peer *peer = arg;
	size_t len = strlen(peer->alpn);
	unsigned at;

	(void)ssl;
	for (at = 0; at < in_len; at += in[at] + 1u)
		if (in[at] == len &&
		    memcmp(in + at + 1, peer->alpn, len) == 0) {
			*out = in + at + 1;
			*out_len = (unsigned char)len;
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void *
peer_run(void *arg)
{
	struct peer *peer = arg;
	SSL_CTX *ctx = peer->ctx;
	const char *name;
	char byte;
	SSL *ssl;

	if (ctx == NULL)
		ctx = SSL_CTX_new(TLS_server_method());
	else
		SSL_CTX_up_ref(ctx);
	SSL_CTX_use_certificate(ctx, peer->cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	if (peer->alpn != NULL)
		SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, peer);
	if (peer->asks != NULL) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), peer->asks);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	}
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, peer->fd);
	peer->ok = SSL_accept(ssl) == 1;
	name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	snprintf(peer->sni, sizeof(peer->sni), "%s", name == NULL ? "" : name);
	peer->has_gone = SSL_session_reused(ssl) != 0;
	if (peer->ok)
		peer->shown = SSL_get_peer_certificate(ssl);
	if (peer->ok)
		(void)SSL_read(ssl, &byte, 1);
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return NULL;
}

static struct tlsctx *
make_ctx(struct tls_public *public, const struct tlskey *own)
{
	static const struct tls_settings settings;
	char error[TLSFILE_ERROR_SIZE];
	struct tlsctx *ctx;

	ctx = tlsctx_new_client(&settings, public, own, error, sizeof(error));
	if (ctx == NULL)
		fail_msg("%s", error);
	return ctx;
}

static void
trust(struct tls_public *public, X509 *cert)
{
	unsigned char *der = NULL, length[4] = { 0 };
	int len = i2d_X509(cert, &der);

	length[2] = (unsigned char)(len >> 8);
	length[3] = (unsigned char)len;
	if (public->trust.cas.max == 0)
		buf_init(&public->trust.cas, TLSTRUST_MAX);
	assert_int_equal(buf_append(&public->trust.cas, length, 4), 0);
	assert_int_equal(buf_append(&public->trust.cas, der, (size_t)len), 0);
	OPENSSL_free(der);
}

static enum tlsconn_status
handshake(struct tlsconn *conn, int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	enum tlsconn_status status;

	while ((status = tlsconn_handshake(conn)) == TLSCONN_WANT_READ ||
	    status == TLSCONN_WANT_WRITE) {
		pollfd.events = status == TLSCONN_WANT_READ ? POLLIN : POLLOUT;
		assert_true(poll(&pollfd, 1, 30000) > 0);
	}
	return status;
}

/* One handshake, with texts in reason and subject. */
static enum tlsconn_status
meet(struct tlsctx *ctx, const struct tlsclient *client, struct peer *peer,
    enum tlsverify_refusal *refusal)
{
	enum tlsconn_status status;
	struct tlsconn *conn;
	pthread_t thread;
	int ends[2];

	tcp_pair(ends);
	peer->fd = ends[0];
	conn = tlsconn_new_client(ctx, ends[1], client);
	assert_non_null(conn);
	thread = in_thread(peer_run, peer);
	status = handshake(conn, ends[1]);
	snprintf(reason, sizeof(reason), "%s", tlsconn_reason(conn));
	snprintf(subject, sizeof(subject), "%s", tlsconn_subject(conn));
	*refusal = tlsconn_refusal(conn);
	shutdown(ends[1], SHUT_WR);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(ends[1]);
	tlsconn_free(conn);
	return status;
}

/*
 * Names
 */

struct name_case {
	const char *host; /* or an address */
	const char *san;  /* of the certificate */
	const char *cn;
	bool fits;
	bool is_strict;
};

static const struct name_case name_cases[] = {
	/* Section 6.3: exactly, without regard to case. */
	{ "www.example.com", "DNS:www.example.com", NULL, true, false },
	{ "www.example.com", "DNS:WWW.Example.COM", NULL, true, false },
	{ "WWW.EXAMPLE.COM", "DNS:www.example.com", NULL, true, false },
	{ "www.example.com", "DNS:example.com", NULL, false, false },
	{ "example.com", "DNS:www.example.com", NULL, false, false },
	{ "www.example.com", "DNS:www.example.org", NULL, false, false },
	{ "www.example.com", "DNS:ww.example.com", NULL, false, false },
	{ "www.example.com", "DNS:wwww.example.com", NULL, false, false },
	{ "www.example.com", "DNS:www.example.com.evil.example", NULL, false,
	    false },
	{ "localhost", "DNS:localhost", NULL, true, false },
	/* Any of several. */
	{ "www.example.com", "DNS:a.example,DNS:www.example.com", NULL, true,
	    false },
	{ "www.example.com", "DNS:a.example,DNS:b.example", NULL, false,
	    false },
	{ "www.example.com", "DNS:a.example,DNS:*.example.com", NULL, true,
	    false },
	/* A wildcard is the whole left-most label, and stands for one. */
	{ "foo.example.com", "DNS:*.example.com", NULL, true, false },
	{ "FOO.example.com", "DNS:*.EXAMPLE.com", NULL, true, false },
	{ "example.com", "DNS:*.example.com", NULL, false, false },
	{ "bar.foo.example.com", "DNS:*.example.com", NULL, false, false },
	{ "a.b.c.example.com", "DNS:*.example.com", NULL, false, false },
	{ "foo.example.org", "DNS:*.example.com", NULL, false, false },
	{ "fooexample.com", "DNS:*example.com", NULL, false, false },
	{ "foo.example.net", "DNS:f*.example.net", NULL, false, false },
	{ "baz1.example.net", "DNS:baz*.example.net", NULL, false, false },
	{ "foobaz.example.net", "DNS:*baz.example.net", NULL, false, false },
	{ "buzz.example.net", "DNS:b*z.example.net", NULL, false, false },
	{ "bar.foo.example.net", "DNS:bar.*.example.net", NULL, false, false },
	{ "bar.foo.example.net", "DNS:*.foo.example.net", NULL, true, false },
	{ "bar.foo.example.net", "DNS:*.*.example.net", NULL, false, false },
	{ "foo.com", "DNS:*.com", NULL, false, false },
	{ "localhost", "DNS:*", NULL, false, false },
	{ "example", "DNS:*.", NULL, false, false },
	/* Names in other letters travel as A-labels. */
	{ "xn--caf-dma.example", "DNS:xn--caf-dma.example", NULL, true, false },
	{ "xn--caf-dma.example", "DNS:xn--cafe-dma.example", NULL, false,
	    false },
	{ "xn--caf-dma.example.net", "DNS:xn--*.example.net", NULL, false,
	    false },
	{ "xn--caf-dma.example.net", "DNS:*.example.net", NULL, true, false },
	/* SRV-ID and URI-ID are of other services, mail of nobody's. */
	{ "im.example.org",
	    "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-client.im.example."
	    "org",
	    NULL, false, false },
	{ "im.example.org",
	    "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-client.im.example."
	    "org,DNS:im.example.org",
	    NULL, true, false },
	{ "voice.example.edu", "URI:sip:voice.example.edu", NULL, false,
	    false },
	{ "example.com", "email:info@example.com", NULL, false, false },
	/* Addresses are compared with iPAddress, byte by byte. */
	{ "192.0.2.1", "IP:192.0.2.1", NULL, true, false },
	{ "192.0.2.1", "IP:192.0.2.2", NULL, false, false },
	{ "192.0.2.1", "DNS:192.0.2.1", NULL, false, false },
	{ "192.0.2.1", NULL, "192.0.2.1", false, false },
	{ "192.0.2.1", "DNS:*.0.2.1", NULL, false, false },
	{ "2001:db8::5c", "IP:2001:db8::5c", NULL, true, false },
	{ "2001:db8::5c", "IP:2001:db8:0:0:0:0:0:5C", NULL, true, false },
	{ "2001:db8::5c", "IP:2001:db8::5d", NULL, false, false },
	{ "192.0.2.1", "IP:::ffff:192.0.2.1", NULL, false, false },
	{ "www.example.com", "IP:192.0.2.1", NULL, false, false },
	{ "192.0.2.1", "DNS:www.example.com,IP:192.0.2.1", NULL, true, false },
	/* The common name: only without any dNSName, and never if strict. */
	{ "www.example.com", NULL, "www.example.com", true, false },
	{ "www.example.com", NULL, "www.example.com", false, true },
	{ "www.example.com", NULL, "*.example.com", true, false },
	{ "www.example.com", NULL, "*.example.com", false, true },
	{ "www.example.com", "DNS:mail.example.com", "www.example.com", false,
	    false },
	{ "www.example.com", "DNS:www.example.com", "mail.example.com", true,
	    false },
	{ "www.example.com", "DNS:www.example.com", "www.example.com", true,
	    true },
	{ "www.example.com", "IP:192.0.2.1", "www.example.com", true, false },
	{ "www.example.com", NULL, "A friendly name", false, false },
	{ "www.example.com", NULL, NULL, false, false },
};

static struct tlsclient
wanting(const char *host, bool is_strict)
{
	struct tlsclient client = { .verify = { .mode = TLSVERIFY_NAME,
					.depth = 1,
					.matches_name = true,
					.strict_names = is_strict } };

	if (ip_parse(host, &client.verify.remote) == -1)
		client.verify.host = host;
	return client;
}

static void
check_name(struct tlsctx *ctx, const struct name_case *name)
{
	const struct tlsclient client = wanting(name->host, name->is_strict);
	struct peer peer = { .cert = make(&(struct spec){
				 .san = name->san, .cn = name->cn }) };
	enum tlsverify_refusal refusal;
	enum tlsconn_status status = meet(ctx, &client, &peer, &refusal);

	if ((status == TLSCONN_OK) != name->fits)
		fail_msg("%s with %s, CN %s: %s", name->host,
		    name->san == NULL ? "no SAN" : name->san,
		    name->cn == NULL ? "none" : name->cn, reason);
	if (!name->fits) {
		assert_int_equal(status, TLSCONN_FAILED);
		assert_int_equal(refusal, TLSVERIFY_BAD_NAME);
		assert_non_null(strstr(subject, "O=test"));
	}
	X509_free(peer.cert);
}

static void
names_are_compared_as_rfc9525_says(void **state)
{
	struct tls_public public = { .dh_len = 0 };
	struct tlsctx *ctx;
	size_t i;

	(void)state;
	trust(&public, root);
	ctx = make_ctx(&public, NULL);
	for (i = 0; i < COUNT(name_cases); i++)
		check_name(ctx, &name_cases[i]);
	tlsctx_free(ctx);
	tls_public_free(&public);
}

/*
 * Chains
 */

static const struct spec good = { .san = "DNS:www.example.com" };
static const struct spec expired = {
	.san = "DNS:www.example.com", .from = -7200, .to = -3600
};
static const struct spec early = { .san = "DNS:www.example.com", .from = 3600 };
static const struct spec numbered = { .san = "IP:192.0.2.1" };
static const struct spec own = { .san = "DNS:www.example.com", .is_own = true };
static const struct spec for_clients = { .san = "DNS:www.example.com",
	.use = "clientAuth" };

/* no_refusal: it succeeds. */
static void
expect(struct tlsctx *ctx, struct tlsclient client, const struct spec *spec,
    enum tlsverify_refusal wanted, const char *why)
{
	struct peer peer = { .cert = make(spec) };
	enum tlsverify_refusal refusal;
	enum tlsconn_status status = meet(ctx, &client, &peer, &refusal);

	if (wanted == TLSVERIFY_NOT_REFUSED && status != TLSCONN_OK)
		fail_msg("%s", reason);
	assert_int_equal(status,
	    wanted == TLSVERIFY_NOT_REFUSED ? TLSCONN_OK : TLSCONN_FAILED);
	assert_int_equal(refusal, wanted);
	if (why != NULL && LIB_JUDGES_AS_OPENSSL)
		assert_string_equal(reason, why);
	X509_free(peer.cert);
}

static void
what_is_wrong_is_told(void **state)
{
	const struct tlsclient client = wanting("www.example.com", false);
	struct tls_public public = { .dh_len = 0 };
	struct tls_public nobody = { .dh_len = 0 };
	struct tlsctx *ctx, *untrusting;

	(void)state;
	trust(&public, root);
	ctx = make_ctx(&public, NULL);
	untrusting = make_ctx(&nobody, NULL);
	expect(ctx, client, &good, TLSVERIFY_NOT_REFUSED, NULL);
	expect(ctx, client, &expired, TLSVERIFY_BAD_CERT,
	    "certificate has expired");
	expect(ctx, client, &early, TLSVERIFY_BAD_CERT,
	    "certificate is not yet valid");
	expect(ctx, client, &own, TLSVERIFY_BAD_CERT, NULL);
	assert_string_equal(subject, "O=test");
	expect(ctx, client, &for_clients, TLSVERIFY_BAD_CERT, NULL);
	expect(untrusting, client, &good, TLSVERIFY_BAD_CERT, NULL);
	tlsctx_free(ctx);
	tlsctx_free(untrusting);
	tls_public_free(&public);
}

/*
 * Sessions
 */

static unsigned char kept[8192];
static size_t kept_len;

/* tlsclient_keep_fn */
static void
keep(void *arg, const unsigned char *session, size_t len)
{
	(void)arg;
	assert_true(len <= sizeof(kept));
	memcpy(kept, session, len);
	kept_len = len;
}

/* Once more, with what is kept: has the session gone on? */
static bool
goes_on(struct tlsctx *ctx, struct peer *peer, size_t len)
{
	struct tlsclient client = wanting("www.example.com", false);
	enum tlsverify_refusal refusal;

	client.session = kept;
	client.session_len = len;
	peer->has_gone = false;
	(void)meet(ctx, &client, peer, &refusal);
	return peer->has_gone;
}

static void
add_to_time(int days)
{
	uint64_t at = 0;
	int i;

	/* Behind the head's length. */
	for (i = 0; i < 8; i++)
		at = at << 8 | kept[4 + i];
	at += (uint64_t)((int64_t)days * 86400);
	for (i = 7; i >= 0; i--, at >>= 8)
		kept[4 + i] = (unsigned char)at;
}

/* A list of nobody: then each CA needs one. */
static void
want_lists(struct tls_public *public)
{
	X509_CRL *crl = X509_CRL_new();
	X509_NAME *name = X509_NAME_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, -60);
	unsigned char *der = NULL, length[4] = { 0 };
	int len;

	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"another", -1, -1, 0);
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, name);
	X509_CRL_set1_lastUpdate(crl, now);
	assert_true(X509_CRL_sign(crl, root_key, EVP_sha256()) > 0);
	len = i2d_X509_CRL(crl, &der);
	length[2] = (unsigned char)(len >> 8);
	length[3] = (unsigned char)len;
	buf_init(&public->trust.crls, TLSTRUST_MAX);
	assert_int_equal(buf_append(&public->trust.crls, length, 4), 0);
	assert_int_equal(buf_append(&public->trust.crls, der, (size_t)len), 0);
	OPENSSL_free(der);
	ASN1_TIME_free(now);
	X509_NAME_free(name);
	X509_CRL_free(crl);
}

static void
a_session_is_verified_again(void **state)
{
	struct tlsclient client = wanting("www.example.com", false);
	struct tls_public public = { .dh_len = 0 }, nobody = { .dh_len = 0 };
	struct tls_public listed = { .dh_len = 0 };
	struct peer peer = { .cert = make(&good) };
	struct tlsctx *ctx, *untrusting, *strict;
	enum tlsverify_refusal refusal;
	size_t len;

	(void)state;
	peer.ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_max_proto_version(peer.ctx, TLS1_2_VERSION);
	trust(&public, root);
	trust(&listed, root);
	want_lists(&listed);
	ctx = make_ctx(&public, NULL);
	client.keep = keep;
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_OK);
	tlsctx_free(ctx);
	assert_true(kept_len > 0 && !peer.has_gone);

	ctx = make_ctx(&public, NULL);
	untrusting = make_ctx(&nobody, NULL);
	strict = make_ctx(&listed, NULL);
	assert_true(goes_on(ctx, &peer, kept_len));
	assert_false(goes_on(untrusting, &peer, kept_len));
	assert_false(goes_on(strict, &peer, kept_len));
	add_to_time(-8);
	assert_false(goes_on(ctx, &peer, kept_len));
	add_to_time(+9);
	assert_false(goes_on(ctx, &peer, kept_len));
	add_to_time(-1);
	for (len = 1; len < kept_len; len += 1 + kept_len / 60)
		assert_false(goes_on(ctx, &peer, len));
	assert_true(goes_on(ctx, &peer, kept_len));
	tlsctx_free(ctx);
	tlsctx_free(untrusting);
	tlsctx_free(strict);
	tls_public_free(&public);
	tls_public_free(&listed);
	SSL_CTX_free(peer.ctx);
	X509_free(peer.cert);
}

static void
chain_and_name_are_apart(void **state)
{
	struct tlsclient chain = wanting("mail.example.com", false);
	struct tlsclient name = wanting("www.example.com", false);
	struct tlsclient other = wanting("mail.example.com", false);
	struct tlsclient address = wanting("192.0.2.1", false);
	struct tlsclient none = { .verify = { .mode = TLSVERIFY_NONE } };
	struct tls_public public = { .dh_len = 0 }, empty = { .dh_len = 0 };
	struct tlsctx *ctx, *nobody;

	(void)state;
	trust(&public, root);
	ctx = make_ctx(&public, NULL);
	nobody = make_ctx(&empty, NULL);
	chain.verify.mode = TLSVERIFY_CERT;
	expect(ctx, chain, &good, TLSVERIFY_NOT_REFUSED, NULL);
	expect(ctx, chain, &own, TLSVERIFY_BAD_CERT, NULL);
	name.verify.any_chain = other.verify.any_chain = true;
	address.verify.any_chain = true;
	expect(ctx, name, &own, TLSVERIFY_NOT_REFUSED, NULL);
	expect(ctx, name, &expired, TLSVERIFY_NOT_REFUSED, NULL);
	expect(ctx, other, &own, TLSVERIFY_BAD_NAME, "www.example.com");
	expect(ctx, other, &expired, TLSVERIFY_BAD_NAME, "www.example.com");
	expect(ctx, other, &good, TLSVERIFY_BAD_NAME, "www.example.com");
	expect(nobody, name, &good, TLSVERIFY_NOT_REFUSED, NULL);
	expect(nobody, other, &good, TLSVERIFY_BAD_NAME, "www.example.com");
	expect(nobody, address, &good, TLSVERIFY_BAD_NAME, "www.example.com");
	expect(nobody, address, &numbered, TLSVERIFY_NOT_REFUSED, NULL);
	expect(ctx, none, &own, TLSVERIFY_NOT_REFUSED, NULL);
	tlsctx_free(ctx);
	tlsctx_free(nobody);
	tls_public_free(&public);
}

/* Who made it is not there: it says nothing of itself. */
static void
a_certificate_is_no_authority_of_its_own(void **state)
{
	struct tlsclient client = wanting("www.example.com", false);
	struct tls_public public = { .dh_len = 0 };
	struct peer peer = { .cert = make(&good) };
	enum tlsverify_refusal refusal;
	struct tlsctx *ctx;

	(void)state;
	trust(&public, peer.cert);
	ctx = make_ctx(&public, NULL);
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_FAILED);
	assert_int_equal(refusal, TLSVERIFY_BAD_CERT);
	assert_string_not_equal(reason, "");
	client.verify.any_chain = true;
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_OK);
	client = wanting("mail.example.com", false);
	client.verify.any_chain = true;
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_FAILED);
	assert_int_equal(refusal, TLSVERIFY_BAD_NAME);
	X509_free(peer.cert);
	tlsctx_free(ctx);
	tls_public_free(&public);
}

/*
 * What it says
 */

static void
the_servers_name_is_sent(void **state)
{
	struct tlsclient client = wanting("www.example.com", false);
	struct tls_public public = { .dh_len = 0 };
	struct peer peer = { .cert = make(&good) };
	enum tlsverify_refusal refusal;
	struct tlsctx *ctx;

	(void)state;
	trust(&public, root);
	ctx = make_ctx(&public, NULL);
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_OK);
	assert_string_equal(peer.sni, "");
	client.sni = "www.example.com";
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_OK);
	assert_string_equal(peer.sni, "www.example.com");
	X509_free(peer.cert);
	tlsctx_free(ctx);
	tls_public_free(&public);
}

static void
protocols_are_offered(void **state)
{
	struct tlsclient client = wanting("www.example.com", false);
	struct tls_public public = { .dh_len = 0 };
	struct peer peer = { .cert = make(&good), .alpn = "two" };
	unsigned char wire[TLSCLIENT_ALPN_MAX];
	enum tlsverify_refusal refusal;
	struct tlsctx *ctx;

	(void)state;
	trust(&public, root);
	ctx = make_ctx(&public, NULL);
	assert_int_equal(tlsclient_alpn(wire, &client.alpn_len, "one,two"), 0);
	client.alpn = wire;
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_OK);
	peer.alpn = "three";
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_FAILED);
	assert_int_equal(refusal, TLSVERIFY_NOT_REFUSED);
	X509_free(peer.cert);
	tlsctx_free(ctx);
	tls_public_free(&public);
}

static void
alpn_lists_are_read(void **state)
{
	unsigned char wire[TLSCLIENT_ALPN_MAX];
	char list[2000];
	size_t len, i;

	(void)state;
	assert_int_equal(tlsclient_alpn(wire, &len, "h2,http/1.1"), 0);
	assert_int_equal(len, 12);
	assert_memory_equal(wire, "\2h2\10http/1.1", 12);
	assert_int_equal(tlsclient_alpn(wire, &len, ""), -1);
	assert_int_equal(tlsclient_alpn(wire, &len, "a,"), -1);
	assert_int_equal(tlsclient_alpn(wire, &len, ",a"), -1);
	assert_int_equal(tlsclient_alpn(wire, &len, "a,,b"), -1);
	memset(list, 'x', sizeof(list));
	list[255] = '\0';
	assert_int_equal(tlsclient_alpn(wire, &len, list), 0);
	assert_int_equal(len, 256);
	list[255] = 'x';
	list[256] = '\0';
	assert_int_equal(tlsclient_alpn(wire, &len, list), -1);
	/* Four of 255 fill it. */
	for (i = 255; i < 1280; i += 256)
		list[i] = ',';
	memset(list + 256, 'x', 255);
	list[1023] = '\0';
	assert_int_equal(tlsclient_alpn(wire, &len, list), 0);
	assert_int_equal(len, TLSCLIENT_ALPN_MAX);
	list[1023] = ',';
	list[1024] = 'y';
	list[1025] = '\0';
	assert_int_equal(tlsclient_alpn(wire, &len, list), -1);
}

static void
its_own_certificate_is_shown_to_who_asks(void **state)
{
	const struct tlsclient client = wanting("www.example.com", false);
	struct tls_public public = { .dh_len = 0 };
	EVP_PKEY *own_key = make_key("P-256");
	X509 *cert = make_cert("user", own_key, "root", root_key);
	struct peer peer = { .cert = make(&good), .asks = root };
	enum tlsverify_refusal refusal;
	struct tlskey *signer;
	struct tlsctx *ctx;

	(void)state;
	trust(&public, root);
	X509_up_ref(cert);
	public_add(&public, NULL, cert);
	signer = tlskey_new(own_key);
	assert_non_null(signer);
	ctx = make_ctx(&public, signer);
	/* The context has its own copies. */
	tlskey_free(signer);
	tls_public_free(&public);
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_OK);
	assert_true(peer.ok);
	assert_non_null(peer.shown);
	assert_int_equal(X509_cmp(peer.shown, cert), 0);
	X509_free(peer.shown);
	peer.shown = NULL;
	peer.asks = NULL;
	assert_int_equal(meet(ctx, &client, &peer, &refusal), TLSCONN_OK);
	assert_null(peer.shown);
	X509_free(peer.cert);
	X509_free(cert);
	tlsctx_free(ctx);
}

static int
set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	root_key = make_key("P-256");
	key = make_key("P-256");
	root = make_cert("root", root_key, "root", root_key);
	X509_set_version(root, X509_VERSION_3);
	add_extension(root, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(root, root_key, EVP_sha256()) > 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	X509_free(root);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(key);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_compared_as_rfc9525_says),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(a_session_is_verified_again),
		cmocka_unit_test(chain_and_name_are_apart),
		cmocka_unit_test(a_certificate_is_no_authority_of_its_own),
		cmocka_unit_test(the_servers_name_is_sent),
		cmocka_unit_test(protocols_are_offered),
		cmocka_unit_test(alpn_lists_are_read),
		cmocka_unit_test(its_own_certificate_is_shown_to_who_asks),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
