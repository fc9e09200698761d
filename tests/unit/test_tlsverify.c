/*
 * test_tlsverify: handshakes with clients whose certificates are good, bad,
 * of somebody else, or missing: what each end learns of it.
 */
#include "tls/tlsverify.h"

#include <poll.h>
#include <signal.h>

#include "tlsutil.h"

#include "tls/tlsconn.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static EVP_PKEY *root_key, *key;
static X509 *root, *middle, *lower, *second_root;
static struct server plain, old, with_lists, with_names, without_any;
static char reason[TLSCONN_TEXT_SIZE];

/* A certificate to be made. */
struct spec {
	const char *cn;	 /* NULL: an empty subject */
	const char *san; /* as in the library's configuration */
	const char *use; /* extended key usage */
	X509 *issuer;	 /* NULL: itself */
	long from, to;	 /* 0: from an hour ago, to tomorrow */
	bool is_ca;
	bool is_forged; /* signed by another key */
};

static X509 *
begin_cert(const struct spec *spec)
{
	static long serial = 1000;
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	if (spec->cn != NULL)
		assert_int_equal(
		    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
			(const unsigned char *)spec->cn, -1, -1, 0),
		    1);
	X509_set_issuer_name(cert,
	    spec->issuer == NULL ? subject
				 : X509_get_subject_name(spec->issuer));
	X509_gmtime_adj(
	    X509_getm_notBefore(cert), spec->from == 0 ? -3600 : spec->from);
	X509_gmtime_adj(
	    X509_getm_notAfter(cert), spec->to == 0 ? 86400 : spec->to);
	X509_set_pubkey(cert, spec->is_ca ? root_key : key);
	if (spec->is_ca)
		add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
	if (spec->san != NULL)
		add_extension(cert, NID_subject_alt_name, spec->san);
	if (spec->use != NULL)
		add_extension(cert, NID_ext_key_usage, spec->use);
	return cert;
}

/* All CAs share a key. */
static X509 *
sign(X509 *cert, const struct spec *spec)
{
	bool is_own = spec->issuer == NULL && !spec->is_ca;

	assert_true(X509_sign(cert, is_own || spec->is_forged ? key : root_key,
			EVP_sha256()) > 0);
	return cert;
}

static X509 *
make(const struct spec *spec)
{
	return sign(begin_cert(spec), spec);
}

static void
add_item(struct buf *row, const unsigned char *der, int len)
{
	const unsigned char length[4] = { 0, 0, (unsigned char)(len >> 8),
		(unsigned char)len };

	assert_in_range(len, 1, 65535);
	if (row->max == 0)
		buf_init(row, TLSTRUST_MAX);
	assert_int_equal(buf_append(row, length, 4), 0);
	assert_int_equal(buf_append(row, der, (size_t)len), 0);
}

static void
trust(struct server *server, X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);

	add_item(&server->public.trust.cas, der, len);
	OPENSSL_free(der);
}

/* A list of that issuer, due in `to' seconds; revoked may be NULL. */
static void
list(struct server *server, X509 *issuer, X509 *revoked, long to)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *time = ASN1_TIME_new();
	X509_REVOKED *entry;
	unsigned char *der = NULL;
	int len;

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	X509_CRL_set1_lastUpdate(crl, X509_gmtime_adj(time, -7200));
	X509_CRL_set1_nextUpdate(crl, X509_gmtime_adj(time, to));
	if (revoked != NULL) {
		entry = X509_REVOKED_new();
		X509_REVOKED_set_serialNumber(
		    entry, X509_get_serialNumber(revoked));
		X509_REVOKED_set_revocationDate(
		    entry, X509_gmtime_adj(time, -3600));
		X509_CRL_add0_revoked(crl, entry);
	}
	X509_CRL_sort(crl);
	assert_true(X509_CRL_sign(crl, root_key, EVP_sha256()) > 0);
	len = i2d_X509_CRL(crl, &der);
	add_item(&server->public.trust.crls, der, len);
	OPENSSL_free(der);
	ASN1_TIME_free(time);
	X509_CRL_free(crl);
}

/* What a client thread presents, and what it learns. */
struct client {
	int fd, version;
	X509 *cert; /* NULL: none */
	X509 *const *chain;
	size_t chain_count;
	bool ok;	     /* its own side of the handshake is done */
	unsigned long error; /* of the handshake, or of reading after it */
	int names;	     /* of CAs that it was told; -1: not asked */
};

static int
choose_cert(SSL *ssl, X509 **cert, EVP_PKEY **its_key)
{
	struct client *client = SSL_get_app_data(ssl);
	const STACK_OF(X509_NAME) *names = SSL_get_client_CA_list(ssl);

	client->names = names == NULL ? 0 : sk_X509_NAME_num(names);
	if (client->cert == NULL)
		return 0;
	X509_up_ref(client->cert);
	EVP_PKEY_up_ref(key);
	*cert = client->cert;
	*its_key = key;
	return 1;
}

static void *
client_run(void *arg)
{
	struct client *client = arg;
	SSL_CTX *ctx = client_make(client->version, NULL, NULL);
	char byte;
	size_t i;
	SSL *ssl;

	client->names = -1;
	SSL_CTX_set_client_cert_cb(ctx, choose_cert);
	for (i = 0; i < client->chain_count; i++) {
		X509_up_ref(client->chain[i]);
		SSL_CTX_add_extra_chain_cert(ctx, client->chain[i]);
	}
	ssl = SSL_new(ctx);
	SSL_set_app_data(ssl, client);
	if (!LIB_ASKS_FOR_CERT && client->cert != NULL) {
		SSL_use_certificate(ssl, client->cert);
		SSL_use_PrivateKey(ssl, key);
	}
	SSL_set_fd(ssl, client->fd);
	client->ok = SSL_connect(ssl) == 1;
	/* TLS 1.3: the server's judgement comes later. */
	if (client->ok)
		(void)SSL_read(ssl, &byte, 1);
	client->error = ERR_peek_error();
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return NULL;
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

/* One handshake: how it ended for us, and why in reason. */
static enum tlsverify_refusal
meet(struct server *server, const struct tlsverify *verify,
    struct client *client, enum tlsconn_status *status)
{
	enum tlsverify_refusal refusal;
	struct tlsconn *conn;
	pthread_t thread;
	int ends[2];

	tcp_pair(ends);
	client->fd = ends[1];
	conn = tlsconn_new(server->ctx, ends[0], verify);
	assert_non_null(conn);
	thread = in_thread(client_run, client);
	*status = handshake(conn, ends[0]);
	snprintf(reason, sizeof(reason), "%s", tlsconn_reason(conn));
	refusal = tlsconn_refusal(conn);
	shutdown(ends[0], SHUT_WR);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(ends[1]);
	tlsconn_free(conn);
	return refusal;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
static const struct tlsverify any_name = { .mode = TLSVERIFY_CERT, .depth = 1 };

static void
expect_served(
    struct server *server, const struct tlsverify *verify, struct client client)
{
	enum tlsconn_status status;
	size_t i;

	for (i = 0; i < COUNT(versions); i++) {
		client.version = versions[i];
		assert_int_equal(meet(server, verify, &client, &status),
		    TLSVERIFY_NOT_REFUSED);
		if (status != TLSCONN_OK)
			fail_msg("%s", reason);
		assert_true(client.ok);
	}
}

/* The library's words, with the depth unless it is 0. */
static const char *
why(int code, unsigned depth)
{
	static char text[100];
	size_t len;

	snprintf(text, sizeof(text), "%s", X509_verify_cert_error_string(code));
	len = strlen(text);
	if (depth > 0)
		snprintf(text + len, sizeof(text) - len, " (depth %u)", depth);
	return text;
}

/* alert: what the client is told, by the library's name of it. */
static void
expect_refused(struct server *server, const struct tlsverify *verify,
    struct client client, enum tlsverify_refusal refusal, const char *words,
    int alert)
{
	enum tlsconn_status status;
	size_t i;

	for (i = 0; i < COUNT(versions); i++) {
		client.version = versions[i];
		assert_int_equal(
		    meet(server, verify, &client, &status), refusal);
		assert_int_equal(status, TLSCONN_FAILED);
		/* Perhaps at another depth, and by another alert. */
		if (!LIB_JUDGES_AS_OPENSSL)
			continue;
		assert_string_equal(reason, words);
		assert_int_equal(client.ok, versions[i] == TLS1_3_VERSION);
		assert_int_equal(ERR_GET_REASON(client.error), alert);
	}
}

static void
nobody_is_asked_without_need(void **state)
{
	X509 *cert = make(&(struct spec){ .cn = "x", .issuer = root });
	struct client client = { .cert = cert, .version = TLS1_3_VERSION };
	enum tlsconn_status status;

	(void)state;
	meet(&plain, &anybody, &client, &status);
	assert_int_equal(status, TLSCONN_OK);
	assert_int_equal(client.names, -1);
	expect_served(&plain, &anybody, (struct client){ .cert = NULL });
	X509_free(cert);
}

static void
a_valid_certificate_is_served(void **state)
{
	X509 *cert = make(&(struct spec){ .cn = "x", .issuer = root });
	X509 *own = make(&(struct spec){ .cn = "own" });
	struct server trusting = { 0 };

	(void)state;
	expect_served(&plain, &any_name, (struct client){ .cert = cert });
	/* Trusted itself, it needs no CA. */
	trust(&trusting, own);
	server_make(&trusting, "P-256");
	expect_served(&trusting, &any_name, (struct client){ .cert = own });
	server_clear(&trusting);
	X509_free(own);
	X509_free(cert);
}

static void
versions_below_1_2_ask_too(void **state)
{
	static const int below[] = { TLS1_VERSION, TLS1_1_VERSION };
	X509 *cert = make(&(struct spec){ .cn = "x", .issuer = root });
	enum tlsconn_status status;
	size_t i;

	(void)state;
	if (!lib_has_version(TLS1_VERSION)) {
		X509_free(cert);
		puts("# skip: the library has none");
		skip();
	}
	for (i = 0; i < COUNT(below); i++) {
		struct client with = { .cert = cert, .version = below[i] };
		struct client without = { .version = below[i] };

		assert_int_equal(meet(&old, &any_name, &with, &status),
		    TLSVERIFY_NOT_REFUSED);
		assert_int_equal(status, TLSCONN_OK);
		assert_int_equal(meet(&old, &any_name, &without, &status),
		    TLSVERIFY_NO_CERT);
		assert_int_equal(status, TLSCONN_FAILED);
	}
	X509_free(cert);
}

static void
no_certificate_is_refused(void **state)
{
	struct client client = { .version = TLS1_2_VERSION };
	enum tlsconn_status status;

	(void)state;
	assert_int_equal(
	    meet(&plain, &any_name, &client, &status), TLSVERIFY_NO_CERT);
	assert_int_equal(status, TLSCONN_FAILED);
	assert_int_equal(
	    ERR_GET_REASON(client.error), SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
	client.version = TLS1_3_VERSION;
	assert_int_equal(
	    meet(&plain, &any_name, &client, &status), TLSVERIFY_NO_CERT);
	assert_true(client.ok);
	assert_int_equal(ERR_GET_REASON(client.error),
	    SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED);
}

static void
expect_bad(
    struct server *server, const struct spec *spec, const char *why, int alert)
{
	X509 *cert = make(spec);

	expect_refused(server, &any_name, (struct client){ .cert = cert },
	    TLSVERIFY_BAD_CERT, why, alert);
	X509_free(cert);
}

static void
an_invalid_certificate_is_refused(void **state)
{
	(void)state;
	expect_bad(&plain,
	    &(struct spec){ .cn = "x", .issuer = root, .to = -60 },
	    why(X509_V_ERR_CERT_HAS_EXPIRED, 0),
	    SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED);
	expect_bad(&plain,
	    &(struct spec){ .cn = "x", .issuer = root, .from = 600 },
	    why(X509_V_ERR_CERT_NOT_YET_VALID, 0),
	    SSL_R_SSLV3_ALERT_BAD_CERTIFICATE);
	expect_bad(&plain, &(struct spec){ .cn = "x" },
	    why(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 0),
	    SSL_R_TLSV1_ALERT_UNKNOWN_CA);
	expect_bad(&plain, &(struct spec){ .cn = "x", .issuer = second_root },
	    why(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 0),
	    SSL_R_TLSV1_ALERT_UNKNOWN_CA);
	expect_bad(&without_any, &(struct spec){ .cn = "x", .issuer = root },
	    why(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 0),
	    SSL_R_TLSV1_ALERT_UNKNOWN_CA);
	expect_bad(&plain,
	    &(struct spec){ .cn = "x", .issuer = root, .is_forged = true },
	    why(X509_V_ERR_CERT_SIGNATURE_FAILURE, 0),
	    SSL_R_TLSV1_ALERT_DECRYPT_ERROR);
	expect_bad(&plain,
	    &(struct spec){ .cn = "x", .issuer = root, .use = "serverAuth" },
	    why(X509_V_ERR_INVALID_PURPOSE, 0),
	    SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE);
}

static void
depth_counts_intermediates(void **state)
{
	X509 *zero = make(&(struct spec){ .cn = "0", .issuer = root });
	X509 *one = make(&(struct spec){ .cn = "1", .issuer = middle });
	X509 *two = make(&(struct spec){ .cn = "2", .issuer = lower });
	X509 *const chain[] = { lower, middle };
	const struct client clients[] = { { .cert = zero },
		{ .cert = one, .chain = chain + 1, .chain_count = 1 },
		{ .cert = two, .chain = chain, .chain_count = 2 } };
	struct tlsverify verify = { .mode = TLSVERIFY_CERT };
	struct client client;
	enum tlsconn_status status;
	unsigned i, depth;

	(void)state;
	for (i = 0; i < 3; i++)
		for (depth = 0; depth < 3; depth++) {
			client = clients[i];
			client.version = versions[depth % 2];
			verify.depth = depth;
			assert_int_equal(
			    meet(&plain, &verify, &client, &status),
			    i <= depth ? TLSVERIFY_NOT_REFUSED
				       : TLSVERIFY_BAD_CERT);
			if (i > depth)
				assert_string_equal(reason,
				    why(X509_V_ERR_CERT_CHAIN_TOO_LONG,
					depth + 1));
		}
	/* Where in the chain it fails. */
	client = (struct client){ .cert = two,
		.version = TLS1_3_VERSION,
		.chain = chain,
		.chain_count = 1 };
	assert_int_equal(
	    meet(&plain, &verify, &client, &status), TLSVERIFY_BAD_CERT);
	assert_string_equal(
	    reason, why(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 1));
	X509_free(zero);
	X509_free(one);
	X509_free(two);
}

/* Which it takes is the library's business. */
static void
one_good_chain_is_enough(void **state)
{
	X509 *late = make(&(struct spec){ .cn = "middle",
	    .is_ca = true,
	    .issuer = root,
	    .from = -7200,
	    .to = -3600 });
	X509 *cert = make(&(struct spec){ .cn = "x", .issuer = middle });
	X509 *const chains[][2] = { { late, middle }, { middle, late } };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++)
		expect_served(&plain, &any_name,
		    (struct client){
			.cert = cert, .chain = chains[i], .chain_count = 2 });
	expect_refused(&plain, &any_name,
	    (struct client){
		.cert = cert, .chain = chains[0], .chain_count = 1 },
	    TLSVERIFY_BAD_CERT, why(X509_V_ERR_CERT_HAS_EXPIRED, 1),
	    SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED);
	X509_free(cert);
	X509_free(late);
}

static void
revocation_lists_decide(void **state)
{
	X509 *good = make(&(struct spec){ .cn = "good", .issuer = root });
	X509 *bad = make(&(struct spec){ .cn = "bad", .issuer = root });
	X509 *below = make(&(struct spec){ .cn = "below", .issuer = middle });
	X509 *other = make(&(struct spec){ .cn = "o", .issuer = second_root });
	struct server late = { 0 }, half = { 0 };

	(void)state;
	trust(&with_lists, root);
	trust(&with_lists, second_root);
	list(&with_lists, root, bad, 3600);
	server_make(&with_lists, "P-256");
	expect_served(&with_lists, &any_name, (struct client){ .cert = good });
	expect_refused(&with_lists, &any_name, (struct client){ .cert = bad },
	    TLSVERIFY_BAD_CERT, why(X509_V_ERR_CERT_REVOKED, 0),
	    SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED);
	/* Every issuer needs one. */
	expect_refused(&with_lists, &any_name, (struct client){ .cert = other },
	    TLSVERIFY_BAD_CERT, why(X509_V_ERR_UNABLE_TO_GET_CRL, 0),
	    SSL_R_TLSV1_ALERT_UNKNOWN_CA);
	expect_refused(&with_lists, &any_name,
	    (struct client){
		.cert = below, .chain = &middle, .chain_count = 1 },
	    TLSVERIFY_BAD_CERT, why(X509_V_ERR_UNABLE_TO_GET_CRL, 0),
	    SSL_R_TLSV1_ALERT_UNKNOWN_CA);
	/* Not only that of the client's own certificate. */
	trust(&half, root);
	list(&half, middle, NULL, 3600);
	server_make(&half, "P-256");
	expect_refused(&half, &any_name,
	    (struct client){
		.cert = below, .chain = &middle, .chain_count = 1 },
	    TLSVERIFY_BAD_CERT, why(X509_V_ERR_UNABLE_TO_GET_CRL, 1),
	    SSL_R_TLSV1_ALERT_UNKNOWN_CA);
	server_clear(&half);
	trust(&late, root);
	list(&late, root, NULL, -60);
	server_make(&late, "P-256");
	expect_refused(&late, &any_name, (struct client){ .cert = good },
	    TLSVERIFY_BAD_CERT, why(X509_V_ERR_CRL_HAS_EXPIRED, 0),
	    SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED);
	server_clear(&late);
	X509_free(good);
	X509_free(bad);
	X509_free(below);
	X509_free(other);
}

/* OpenSSL's own form says what an anchor is good for. */
static void
an_anchor_for_other_uses_is_none(void **state)
{
	X509 *cert = make(&(struct spec){ .cn = "x", .issuer = root });
	X509 *limited = X509_dup(root);
	struct server server = { 0 };
	unsigned char *der;
	int len;

	(void)state;
	assert_int_equal(
	    X509_add1_reject_object(limited, OBJ_nid2obj(NID_client_auth)), 1);
	der = lib_aux_der(limited, &len);
	add_item(&server.public.trust.cas, der, len);
	OPENSSL_free(der);
	server_make(&server, "P-256");
	expect_refused(&server, &any_name, (struct client){ .cert = cert },
	    TLSVERIFY_BAD_CERT, why(X509_V_ERR_CERT_REJECTED, 1),
	    SSL_R_SSLV3_ALERT_BAD_CERTIFICATE);
	server_clear(&server);
	X509_free(limited);
	X509_free(cert);
}

static struct tlsverify
named(const char *host)
{
	struct tlsverify verify = { .mode = TLSVERIFY_NAME,
		.depth = 1,
		.matches_name = true,
		.host = host };

	assert_int_equal(ip_parse("192.0.2.7", &verify.remote), 0);
	return verify;
}

/* Refused, whatever the reason. */
static void
expect_failure(const struct tlsverify *verify, struct client client)
{
	enum tlsconn_status status;
	size_t i;

	for (i = 0; i < COUNT(versions); i++) {
		client.version = versions[i];
		assert_int_not_equal(meet(&plain, verify, &client, &status),
		    TLSVERIFY_NOT_REFUSED);
		assert_int_equal(status, TLSCONN_FAILED);
	}
}

/*
 * NULL: the name fits; else what is shown of the certificate's.  A session
 * that is resumed gets the same answer as a handshake.
 */
static void
expect_name(const struct tlsverify *verify, X509 *cert, const char *shown)
{
	assert_int_equal(tlsverify_again(verify, cert, NULL), shown == NULL);
	if (shown == NULL)
		expect_served(&plain, verify, (struct client){ .cert = cert });
	else if (!LIB_JUDGES_AS_OPENSSL)
		expect_failure(verify, (struct client){ .cert = cert });
	else
		expect_refused(&plain, verify, (struct client){ .cert = cert },
		    TLSVERIFY_BAD_NAME, shown,
		    SSL_R_SSLV3_ALERT_BAD_CERTIFICATE);
	X509_free(cert);
}

static X509 *
named_cert(const char *cn, const char *san)
{
	return make(&(struct spec){ .cn = cn, .san = san, .issuer = root });
}

static void
names_match_or_do_not(void **state)
{
	static const struct {
		const char *cn, *san, *shown;
	} names[] = { { "x", "DNS:mail.example", NULL },
		{ "x", "DNS:other.example,DNS:MAIL.example", NULL },
		{ "mail.example", NULL, NULL },
		{ "mail.example", "email:a@b.example", NULL },
		{ "mail.example", "IP:192.0.2.7", NULL },
		/* With a dNSName, the common name says nothing. */
		{ "mail.example", "DNS:other.example", "other.example" },
		{ "other.example", NULL, "other.example" },
		{ "x", "IP:192.0.2.7", "x" },
		{ NULL, "IP:192.0.2.7", "192.0.2.7" },
		{ NULL, "IP:2001:db8::7", "2001:db8::7" },
		{ NULL, "email:a@b.example", "(no name)" },
		{ "x", "DNS:*.example", "*.example" },
		{ "x", "DNS:mail.example.", "mail.example." },
		{ "x", "DNS:mail.example.example", "mail.example.example" } };
	struct tlsverify verify = named("mail.example");
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++)
		expect_name(&verify, named_cert(names[i].cn, names[i].san),
		    names[i].shown);
}

static void
the_left_most_label_may_be_a_wildcard(void **state)
{
	struct tlsverify deep = named("a.mail.example");

	(void)state;
	expect_name(&deep, named_cert("x", "DNS:*.mail.example"), NULL);
	expect_name(&deep, named_cert("*.mail.example", NULL), NULL);
	expect_name(
	    &deep, named_cert("x", "DNS:a*.mail.example"), "a*.mail.example");
	expect_name(&deep, named_cert("x", "DNS:a.*.example"), "a.*.example");
	expect_name(&deep, named_cert("x", "DNS:*.example"), "*.example");
	expect_name(&deep, named_cert("x", "DNS:*"), "*");
}

static void
strict_names_are_never_common_names(void **state)
{
	struct tlsverify verify = named("mail.example");

	(void)state;
	verify.strict_names = true;
	expect_name(&verify, named_cert("x", "DNS:mail.example"), NULL);
	expect_name(&verify, named_cert("mail.example", NULL), "(no dNSName)");
	expect_name(
	    &verify, named_cert("mail.example", "IP:192.0.2.7"), "192.0.2.7");
	expect_name(&verify, named_cert("mail.example", "DNS:other.example"),
	    "other.example");
	expect_name(&verify, named_cert(NULL, NULL), "(no name)");
}

static void
without_a_name_the_address_counts(void **state)
{
	struct tlsverify verify = named(NULL);

	(void)state;
	expect_name(&verify, named_cert("x", "IP:192.0.2.7"), NULL);
	expect_name(
	    &verify, named_cert("x", "IP:192.0.2.8,IP:192.0.2.7"), NULL);
	expect_name(&verify, named_cert(NULL, "IP:192.0.2.8"), "192.0.2.8");
	/* The same bits in the other family are another address. */
	expect_name(
	    &verify, named_cert(NULL, "IP:::ffff:192.0.2.7"), "192.0.2.7");
	expect_name(&verify, named_cert("192.0.2.7", NULL), "192.0.2.7");
	expect_name(&verify, named_cert("x", "DNS:192.0.2.7"), "192.0.2.7");
	assert_int_equal(ip_parse("2001:db8::7", &verify.remote), 0);
	expect_name(&verify, named_cert("x", "IP:2001:db8::7"), NULL);
	expect_name(&verify, named_cert(NULL, "IP:2001:db8::8"), "2001:db8::8");
}

static void
nothing_is_matched_unless_it_is_wanted(void **state)
{
	struct tlsverify verify = named("mail.example");
	struct client client = { .version = TLS1_3_VERSION };
	enum tlsconn_status status;

	(void)state;
	verify.matches_name = false;
	expect_name(&verify, named_cert("other", "DNS:other.example"), NULL);
	verify = named("mail.example");
	verify.mode = TLSVERIFY_CERT;
	expect_name(&verify, named_cert("other", "DNS:other.example"), NULL);
	/* And one is required all the same. */
	verify = named("mail.example");
	verify.matches_name = false;
	assert_int_equal(
	    meet(&plain, &verify, &client, &status), TLSVERIFY_NO_CERT);
}

static void
expect_again(const struct tlsverify *verify, X509 *cert, X509 *above, bool fits)
{
	STACK_OF(X509) *chain = sk_X509_new_null();

	if (above != NULL)
		sk_X509_push(chain, above);
	assert_int_equal(tlsverify_again(verify, cert, chain), fits);
	sk_X509_free(chain);
}

static void
a_resumed_certificate_must_be_in_time_and_wanted(void **state)
{
	X509 *fine = make(&(struct spec){ .cn = "x", .issuer = root });
	X509 *old_one =
	    make(&(struct spec){ .cn = "x", .issuer = root, .to = -1 });
	struct tlsverify verify = named("");

	(void)state;
	expect_again(&any_name, fine, NULL, true);
	expect_again(&any_name, fine, middle, true);
	expect_again(&any_name, old_one, middle, false);
	expect_again(&any_name, fine, old_one, false);
	expect_again(&any_name, NULL, NULL, false);
	expect_again(&anybody, NULL, NULL, true);
	expect_again(&anybody, fine, NULL, false);
	expect_again(&verify, fine, NULL, false);
	X509_free(fine);
	X509_free(old_one);
}

/* dNSName of any bytes. */
static void
add_raw_name(X509 *cert, const void *bytes, int len)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();

	ASN1_STRING_set(string, bytes, len);
	GENERAL_NAME_set0_value(name, GEN_DNS, string);
	sk_GENERAL_NAME_push(names, name);
	assert_int_equal(
	    X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
}

static void
add_raw_common_name(X509 *cert, int type, const void *bytes, int len)
{
	X509_NAME_ENTRY *entry = X509_NAME_ENTRY_create_by_OBJ(
	    NULL, OBJ_nid2obj(NID_commonName), type, bytes, len);
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(cert));

	assert_non_null(entry);
	assert_int_equal(X509_NAME_add_entry(name, entry, -1, 0), 1);
	X509_set_subject_name(cert, name);
	X509_NAME_free(name);
	X509_NAME_ENTRY_free(entry);
}

static void
hostile_names_match_nobody_and_are_shown_harmless(void **state)
{
	static const char nul[] = "mail.example\0.evil.example";
	static const char lines[] = "a\nsslserver: b\033[1m%s\xff";
	struct tlsverify verify = named("mail.example");
	struct spec spec = { .issuer = root };
	char many[60000], shown[TEXT_PRINTABLE_SIZE];
	X509 *cert;

	(void)state;
	cert = begin_cert(&spec);
	add_raw_name(cert, nul, sizeof(nul) - 1);
	expect_name(&verify, sign(cert, &spec), "mail.example?.evil.example");
	cert = begin_cert(&spec);
	add_raw_common_name(cert, V_ASN1_UTF8STRING, nul, sizeof(nul) - 1);
	expect_name(&verify, sign(cert, &spec), "mail.example?.evil.example");
	cert = begin_cert(&spec);
	add_raw_name(cert, lines, sizeof(lines) - 1);
	expect_name(&verify, sign(cert, &spec), "a?sslserver: b?[1m?s??");
	memset(many, 'm', sizeof(many));
	memset(shown, 'm', 100);
	strcpy(shown + 100, "...");
	cert = begin_cert(&spec);
	add_raw_name(cert, many, sizeof(many));
	expect_name(&verify, sign(cert, &spec), shown);
	cert = begin_cert(&spec);
	add_raw_common_name(cert, V_ASN1_UTF8STRING, many, sizeof(many));
	expect_name(&verify, sign(cert, &spec), shown);
	/* Empty, and of a wrong coding. */
	cert = begin_cert(&spec);
	add_raw_name(cert, "", 0);
	expect_name(&verify, sign(cert, &spec), "(no name)");
	cert = begin_cert(&spec);
	add_raw_common_name(cert, V_ASN1_UTF8STRING, "\xc3\x28", 2);
	expect_name(&verify, sign(cert, &spec), "(no name)");
}

static void
more_than_the_maximum_is_no_chain(void **state)
{
	struct spec spec = { .cn = "x", .issuer = root };
	X509 *cert = begin_cert(&spec), *chain[200];
	char many[60000];
	struct client client = { .cert = cert, .version = TLS1_3_VERSION };
	enum tlsconn_status status;
	size_t i;

	(void)state;
	memset(many, 'm', sizeof(many));
	add_raw_name(cert, many, sizeof(many));
	sign(cert, &spec);
	/* Twice 60,000 bytes are more than 100 kilobytes. */
	client.chain = &cert;
	client.chain_count = 1;
	for (i = 0; i < 2; i++) {
		if (!LIB_LIMITS_CHAIN_SIZE)
			continue;
		client.version = versions[i];
		assert_int_equal(meet(&plain, &any_name, &client, &status),
		    TLSVERIFY_NOT_REFUSED);
		assert_int_equal(status, TLSCONN_FAILED);
		assert_string_equal(reason, "excessive message size");
	}
	X509_free(cert);
	/* Many small ones are only many. */
	cert = make(&(struct spec){ .cn = "x", .issuer = lower });
	for (i = 0; i < COUNT(chain); i++)
		chain[i] = i % 2 ? lower : middle;
	client = (struct client){
		.cert = cert, .chain = chain, .chain_count = COUNT(chain)
	};
	expect_refused(&plain, &any_name, client, TLSVERIFY_BAD_CERT,
	    why(X509_V_ERR_CERT_CHAIN_TOO_LONG, 2),
	    SSL_R_TLSV1_ALERT_UNKNOWN_CA);
	X509_free(cert);
}

static void
names_of_cas_are_told(void **state)
{
	X509 *cert = make(&(struct spec){ .cn = "x", .issuer = root });
	struct client client = { .cert = cert };
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(root));
	struct buf *row = &with_names.public.trust.names;
	enum tlsconn_status status;
	unsigned char *der = NULL;
	int len, i;

	(void)state;
	/* As many as fit. */
	for (i = 0; i < 2800; i++) {
		len = i2d_X509_NAME(name, &der);
		add_item(row, der, len);
		OPENSSL_free(der);
		der = NULL;
	}
	X509_NAME_free(name);
	assert_in_range(row->len, 55000, TLSTRUST_NAMES_MAX);
	trust(&with_names, root);
	server_make(&with_names, "P-256");
	for (i = 0; i < 2; i++) {
		client.version = versions[i];
		meet(&with_names, &any_name, &client, &status);
		if (status != TLSCONN_OK)
			fail_msg("%s", reason);
		if (LIB_ASKS_FOR_CERT)
			assert_int_equal(client.names, 2800);
		/* Without any, a client is asked all the same. */
		meet(&plain, &any_name, &client, &status);
		assert_int_equal(status, TLSCONN_OK);
		if (LIB_ASKS_FOR_CERT)
			assert_int_equal(client.names, 0);
	}
	X509_free(cert);
}

static void
an_empty_name_is_no_wish(void **state)
{
	struct tlsverify verify = named("");

	(void)state;
	assert_null(tlsconn_new(plain.ctx, 0, &verify));
}

static int
make_all(void **state)
{
	(void)state;
	root_key = make_key("P-256");
	key = make_key("P-256");
	root = make(&(struct spec){ .cn = "root", .is_ca = true });
	second_root = make(&(struct spec){ .cn = "second", .is_ca = true });
	middle = make(
	    &(struct spec){ .cn = "middle", .is_ca = true, .issuer = root });
	lower = make(
	    &(struct spec){ .cn = "lower", .is_ca = true, .issuer = middle });
	trust(&plain, root);
	server_make(&plain, "P-256");
	old.settings.tlsmin = "1.0";
	trust(&old, root);
	server_make(&old, "RSA2048");
	server_make(&without_any, "P-256");
	return 0;
}

static int
free_all(void **state)
{
	(void)state;
	server_clear(&plain);
	server_clear(&old);
	server_clear(&with_lists);
	server_clear(&with_names);
	server_clear(&without_any);
	X509_free(root);
	X509_free(second_root);
	X509_free(middle);
	X509_free(lower);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(key);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_asked_without_need),
		cmocka_unit_test(a_valid_certificate_is_served),
		cmocka_unit_test(versions_below_1_2_ask_too),
		cmocka_unit_test(no_certificate_is_refused),
		cmocka_unit_test(an_invalid_certificate_is_refused),
		cmocka_unit_test(depth_counts_intermediates),
		cmocka_unit_test(one_good_chain_is_enough),
		cmocka_unit_test(revocation_lists_decide),
		cmocka_unit_test(an_anchor_for_other_uses_is_none),
		cmocka_unit_test(names_match_or_do_not),
		cmocka_unit_test(the_left_most_label_may_be_a_wildcard),
		cmocka_unit_test(strict_names_are_never_common_names),
		cmocka_unit_test(without_a_name_the_address_counts),
		cmocka_unit_test(nothing_is_matched_unless_it_is_wanted),
		cmocka_unit_test(
		    a_resumed_certificate_must_be_in_time_and_wanted),
		cmocka_unit_test(
		    hostile_names_match_nobody_and_are_shown_harmless),
		cmocka_unit_test(more_than_the_maximum_is_no_chain),
		cmocka_unit_test(names_of_cas_are_told),
		cmocka_unit_test(an_empty_name_is_no_wish),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_all, free_all);
}
