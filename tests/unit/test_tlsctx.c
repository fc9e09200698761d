/*
 * test_tlsctx: which settings are refused and in which words, what a
 * client can then negotiate, and that a jailed child can shake hands.
 */
#include "tls/tlsctx.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tls/tlsconn.h"
#include "tlsutil.h"

static struct server base, rsa;
static char error[TLSFILE_ERROR_SIZE];

/* Replace server's settings and context.  0, or -1 and the error. */
static int
configure(struct server *server, const struct tls_settings *settings)
{
	tlsctx_free(server->ctx);
	server->settings = *settings;
	server->settings.certfile = "made up";
	error[0] = '\0';
	server->ctx = tlsctx_new(
	    &server->settings, &server->public, error, sizeof(error));
	assert_int_equal(error[0] == '\0', server->ctx != NULL);
	if (server->ctx == NULL)
		return -1;
	assert_int_equal(tlsscheme_policy_init(&server->policy,
			     &server->settings, &server->public),
	    0);
	tlsctx_set_signer(server->ctx, server_sign, server);
	return 0;
}

struct answer {
	struct server *server;
	int fd;
	char reason[TLSCONN_TEXT_SIZE]; /* why the handshake failed, or "" */
};

/* The server's side in a thread; ends when the client does. */
static void *
answer_run(void *arg)
{
	struct answer *answer = arg;
	struct tlsconn *conn =
	    tlsconn_new(answer->server->ctx, answer->fd, &anybody);
	struct pollfd pollfd = { .fd = answer->fd, .events = POLLIN };
	enum tlsconn_status status;

	while ((status = tlsconn_handshake(conn)) == TLSCONN_WANT_READ)
		poll(&pollfd, 1, 30000);
	snprintf(answer->reason, sizeof(answer->reason), "%s",
	    status == TLSCONN_OK ? "" : tlsconn_reason(conn));
	/* Not every failure comes with an alert. */
	shutdown(answer->fd, SHUT_WR);
	tlsconn_free(conn);
	return NULL;
}

/* "TLSv1.2 CIPHER GROUP" of a handshake with such a client, or "". */
static const char *
negotiate(
    struct server *server, int version, const char *ciphers, const char *groups)
{
	static char facts[200];
	struct answer answer = { .server = server };
	SSL_CTX *ctx = client_make(version, ciphers, groups);
	SSL *ssl = SSL_new(ctx);
	pthread_t thread;
	int ends[2];

	tcp_pair(ends);
	answer.fd = ends[0];
	facts[0] = '\0';
	SSL_set_fd(ssl, ends[1]);
	thread = in_thread(answer_run, &answer);
	if (SSL_connect(ssl) == 1) {
		EVP_PKEY *peer = NULL;

		SSL_get_peer_tmp_key(ssl, &peer);
		snprintf(facts, sizeof(facts), "%s %s %d", SSL_get_version(ssl),
		    SSL_get_cipher_name(ssl),
		    peer == NULL ? 0 : EVP_PKEY_bits(peer));
		EVP_PKEY_free(peer);
	}
	shutdown(ends[1], SHUT_RDWR);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(ends[1]);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return facts;
}

static void
defaults_are_modern(void **state)
{
	struct tls_settings settings = { .certfile = NULL };

	(void)state;
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, 0, NULL, "X25519"),
	    "TLSv1.3 TLS_AES_256_GCM_SHA384 253");
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, NULL, NULL),
	    "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384 253");
	assert_string_equal(negotiate(&rsa, TLS1_1_VERSION, NULL, NULL), "");
	assert_string_equal(negotiate(&rsa, TLS1_VERSION, NULL, NULL), "");
	/* No CBC, no static RSA, no anonymity, no DHE without DHFILE. */
	assert_string_equal(
	    negotiate(&rsa, TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA256", NULL),
	    "");
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, "kRSA", NULL), "");
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, "aNULL", NULL), "");
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, "DHE", NULL), "");
}

/* Hybrid key exchange is used wherever the library has it. */
static void
hybrid_comes_first(void **state)
{
	struct tls_settings settings = { .certfile = NULL };

	(void)state;
	if (!lib_has_group("X25519MLKEM768")) {
		puts("# skip: the library has no X25519MLKEM768");
		skip();
	}
	assert_int_equal(configure(&rsa, &settings), 0);
	/* Its key has no size that the library would tell. */
	assert_string_equal(
	    negotiate(&rsa, 0, NULL, NULL), "TLSv1.3 TLS_AES_256_GCM_SHA384 0");
	assert_string_equal(negotiate(&rsa, 0, NULL, "X25519MLKEM768"),
	    "TLSv1.3 TLS_AES_256_GCM_SHA384 0");
	/* And is what TLSGROUPS may name. */
	settings.tlsgroups = "X25519MLKEM768";
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, 0, NULL, "X25519"), "");
	assert_string_equal(
	    negotiate(&rsa, 0, NULL, NULL), "TLSv1.3 TLS_AES_256_GCM_SHA384 0");
}

static void
versions_are_what_was_asked_for(void **state)
{
	struct tls_settings settings = { .tlsmax = "1.2" };

	(void)state;
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_3_VERSION, NULL, NULL), "");
	assert_int_equal(
	    strncmp(negotiate(&rsa, 0, NULL, NULL), "TLSv1.2", 7), 0);
	settings = (struct tls_settings){ .tlsmin = "1.3" };
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, NULL, NULL), "");
	if (!lib_has_version(TLS1_VERSION))
		return;
	settings = (struct tls_settings){ .tlsmin = "1.0" };
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_VERSION, NULL, NULL),
	    "TLSv1 ECDHE-RSA-AES256-SHA 253");
	/* A level in CIPHERS wins over ours. */
	settings.ciphers = "HIGH:@SECLEVEL=2";
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_VERSION, NULL, NULL), "");
}

static void
ciphers_go_where_they_belong(void **state)
{
	struct tls_settings settings = {
		.ciphers = "TLS_CHACHA20_POLY1305_SHA256 "
			   "ECDHE-RSA-AES128-GCM-SHA256, AES128-SHA"
	};

	(void)state;
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_3_VERSION, NULL, "X25519"),
	    "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256 253");
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, NULL, NULL),
	    "TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 253");
	assert_string_equal(
	    negotiate(&rsa, TLS1_2_VERSION, "AES128-SHA", NULL), "");
	/* Of a version that is not mentioned, the default. */
	settings.ciphers = "TLS_AES_128_GCM_SHA256";
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_3_VERSION, NULL, "X25519"),
	    "TLSv1.3 TLS_AES_128_GCM_SHA256 253");
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, NULL, NULL),
	    "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384 253");
	settings.ciphers = "ECDHE-RSA-CHACHA20-POLY1305";
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_3_VERSION, NULL, "X25519"),
	    "TLSv1.3 TLS_AES_256_GCM_SHA384 253");
	/* 1.2 without a cipher is 1.2 switched off. */
	settings.ciphers = "TLS_AES_128_GCM_SHA256:NONSENSE";
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, NULL, NULL), "");
	/* "ALL" is not all: */
	settings.ciphers = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, "kRSA", NULL), "");
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, "aNULL", NULL), "");
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, "eNULL", NULL), "");
}

static void
unusable_ciphers_are_an_error(void **state)
{
	static const char *const bad[] = { "NONSENSE", "AES128-SHA",
		"kRSA:aNULL:NULL", "PSK", "!ALL" };
	struct tls_settings settings = { .certfile = NULL };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		settings.ciphers = bad[i];
		assert_int_equal(configure(&base, &settings), -1);
		assert_non_null(strstr(error, "no usable cipher in CIPHERS"));
		assert_non_null(strstr(error, bad[i]));
	}
	settings.ciphers = "NONSENSE:TLS_AES_128_GCM_SHA256";
	settings.tlsmax = "1.2";
	assert_int_equal(configure(&base, &settings), -1);
	settings.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
	settings.tlsmax = "1.1";
	settings.tlsmin = "1.1";
	assert_int_equal(configure(&base, &settings), -1);
}

static void
wrong_versions_and_groups_are_errors(void **state)
{
	struct tls_settings settings = { .tlsmin = "1.5" };

	(void)state;
	assert_int_equal(configure(&base, &settings), -1);
	assert_non_null(strstr(error, "TLSMIN 1.5"));
	settings = (struct tls_settings){ .tlsmax = "1.1" };
	assert_int_equal(configure(&base, &settings), -1);
	assert_non_null(strstr(error, "above TLSMAX"));
	settings = (struct tls_settings){ .tlsgroups = "X25519:nonsense" };
	assert_int_equal(configure(&base, &settings), -1);
	assert_non_null(strstr(error, "TLSGROUPS X25519:nonsense"));
	settings = (struct tls_settings){ .tlsgroups = "secp256k1" };
	assert_int_equal(configure(&base, &settings), -1);
	assert_non_null(strstr(error, "TLSGROUPS"));
}

static void
groups_are_what_was_asked_for(void **state)
{
	struct tls_settings settings = { .tlsgroups = "P-384" };

	(void)state;
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_3_VERSION, NULL, NULL),
	    "TLSv1.3 TLS_AES_256_GCM_SHA384 384");
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, NULL, NULL),
	    "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384 384");
	assert_string_equal(negotiate(&rsa, 0, NULL, "X25519"), "");
	if (!lib_has_group("ffdhe2048"))
		return;
	settings.tlsgroups = "ffdhe2048";
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_3_VERSION, NULL, NULL),
	    "TLSv1.3 TLS_AES_256_GCM_SHA384 2048");
}

static void
set_dh(struct server *server, unsigned bits)
{
	free(server->public.dh);
	server->public.dh = malloc(1200);
	assert_non_null(server->public.dh);
	server->public.dh_len = lib_dh_parameters(bits, server->public.dh);
}

static void
dhfile_enables_dhe(void **state)
{
	struct tls_settings settings = { .dhfile = "made up too" };

	(void)state;
	set_dh(&rsa, 2048);
	assert_int_equal(configure(&rsa, &settings), 0);
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, "DHE", NULL),
	    "TLSv1.2 DHE-RSA-AES256-GCM-SHA384 2048");
	/* ECDHE stays the first choice. */
	assert_string_equal(negotiate(&rsa, TLS1_2_VERSION, NULL, NULL),
	    "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384 253");
	set_dh(&rsa, 1536);
	settings.ciphers = "ALL:@SECLEVEL=3";
	assert_int_equal(configure(&rsa, &settings), -1);
	free(rsa.public.dh);
	rsa.public.dh = NULL;
	settings = (struct tls_settings){ .tlsmin = NULL };
	assert_int_equal(configure(&rsa, &settings), 0);
}

static void
weak_certificates_are_errors(void **state)
{
	struct tls_settings settings = { .ciphers = "HIGH:@SECLEVEL=4" };

	(void)state;
	assert_int_equal(configure(&rsa, &settings), -1);
	assert_non_null(strstr(error, "CERTFILE made up: ee key too small"));
}

static void
no_chain_is_an_error_not_a_crash(void **state)
{
	struct tls_settings settings = { .certfile = "none" };
	struct tls_public public = { .dh = NULL };
	unsigned char junk[] = { 0, 0, 0, 3, 0x30, 1, 2 };
	struct tlscert cert = { NULL, junk, sizeof(junk) };

	(void)state;
	assert_null(tlsctx_new(&settings, &public, error, sizeof(error)));
	public.certs.all = &cert;
	public.certs.count = 1;
	assert_null(tlsctx_new(&settings, &public, error, sizeof(error)));
	assert_non_null(strstr(error, "CERTFILE none"));
	/* Cut short, or of nothing at all. */
	for (cert.chain_len = 0; cert.chain_len < sizeof(junk);
	     cert.chain_len++)
		assert_null(
		    tlsctx_new(&settings, &public, error, sizeof(error)));
	/* Which one of a list. */
	settings.certfile = "first:second";
	public.certs.all = (struct tlscert[]){ base.public.certs.all[0], cert };
	public.certs.count = 2;
	assert_null(tlsctx_new(&settings, &public, error, sizeof(error)));
	assert_non_null(strstr(error, "CERTFILE second: "));
}

/* What a client of a name sees, and what the server says of it. */
struct meeting {
	int key;       /* which one signed, or -1 */
	int alert;     /* that came, or 0 */
	char name[80]; /* the certificate's common name */
	char reason[TLSCONN_TEXT_SIZE];
};

/* Which alert has ended this handshake, or 0. */
static int
alert_of(unsigned long code)
{
	int reason =
	    ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;

	return reason > SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET
					     : 0;
}

static void
look_at_peer(struct meeting *meeting, SSL *ssl)
{
	X509 *peer = SSL_get_peer_certificate(ssl);

	X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName,
	    meeting->name, sizeof(meeting->name));
	X509_free(peer);
}

/* name NULL: it says none.  sigalgs NULL: whatever there is. */
static struct meeting
meet(struct server *server, int version, const char *name, const char *sigalgs,
    const char *groups)
{
	struct answer answer = { .server = server };
	struct meeting meeting = { .key = -1 };
	SSL_CTX *ctx = client_make(version, NULL, groups);
	char copy[300];
	pthread_t thread;
	int ends[2];
	SSL *ssl;

	if (sigalgs != NULL)
		lib_set_sigalgs(ctx, sigalgs);
	ssl = SSL_new(ctx);
	if (name != NULL) {
		snprintf(copy, sizeof(copy), "%s", name);
		assert_int_equal(SSL_set_tlsext_host_name(ssl, copy), 1);
	}
	tcp_pair(ends);
	answer.fd = ends[0];
	SSL_set_fd(ssl, ends[1]);
	thread = in_thread(answer_run, &answer);
	if (SSL_connect(ssl) == 1) {
		meeting.key = (int)server->number;
		look_at_peer(&meeting, ssl);
	}
	meeting.alert = alert_of(ERR_peek_error());
	shutdown(ends[1], SHUT_RDWR);
	pthread_join(thread, NULL);
	snprintf(meeting.reason, sizeof(meeting.reason), "%s", answer.reason);
	close(ends[0]);
	close(ends[1]);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return meeting;
}

/* The number of the key that signed for such a client, or -1. */
static int
signer(struct server *server, int version, const char *sigalgs)
{
	return meet(server, version, NULL, sigalgs, NULL).key;
}

static void
a_client_gets_the_kind_that_it_can_do(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct server all = { .settings = { .certfile = "a:b:c" } };
	int ec = LIB_SIGNS_TEXTS ? 2 : 1;
	size_t i;

	(void)state;
	if (!LIB_HAS_SIGALGS) {
		puts("# skip: clients of the library take what comes");
		skip();
	}
	server_add(&all, NULL, "RSA2048");
	if (LIB_SIGNS_TEXTS)
		server_add(&all, NULL, "ED25519");
	server_make(&all, "P-256");
	for (i = 0; i < 2; i++) {
		assert_int_equal(
		    signer(&all, versions[i], "rsa_pss_rsae_sha256"), 0);
		assert_int_equal(
		    signer(&all, versions[i], "ECDSA+SHA256:ed25519"), ec);
		assert_int_equal(signer(&all, versions[i], "ed25519"),
		    LIB_SIGNS_TEXTS ? 1 : -1);
		/* Its order of them does not matter. */
		assert_int_equal(
		    signer(&all, versions[i],
			"rsa_pss_rsae_sha256:ed25519:ECDSA+SHA256"),
		    ec);
		/* A curve it does not want, and nothing at all. */
		assert_int_equal(
		    signer(&all, versions[i], "ECDSA+SHA512:RSA+SHA256"),
		    versions[i] == TLS1_3_VERSION ? -1 : ec);
		assert_int_equal(signer(&all, versions[i], "ed448"), -1);
	}
	server_clear(&all);
}

static const int both_versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

#define ANY_KEY (-2)

static void
expect_name(
    struct server *server, const char *asked, int key, const char *shown)
{
	struct meeting meeting;
	size_t i;

	for (i = 0; i < 2; i++) {
		meeting = meet(server, both_versions[i], asked, NULL, NULL);
		assert_string_equal(meeting.reason, "");
		assert_true(key == ANY_KEY || meeting.key == key);
		assert_string_equal(meeting.name, shown);
	}
	/* Asked twice, after a retry request. */
	meeting = meet(server, TLS1_3_VERSION, asked, NULL, "P-256:X25519");
	assert_true(key == ANY_KEY || meeting.key == key);
}

static void
expect_refusal(struct server *server, const char *asked, const char *reason)
{
	struct meeting meeting;
	size_t i;

	for (i = 0; i < 2; i++) {
		meeting = meet(server, both_versions[i], asked, NULL, NULL);
		assert_int_equal(meeting.key, -1);
		assert_int_equal(meeting.alert, SSL_AD_UNRECOGNIZED_NAME);
		assert_string_equal(meeting.reason, reason);
	}
}

static void
add_names(struct server *server)
{
	server_add(server, "_.example.org", "P-256");
	server_add(server, "a.example.org", "P-384");
	server_add(server, "a.example.org", "RSA2048");
	server->settings.certdir = "made up";
}

static void
a_client_gets_the_name_it_asks_for(void **state)
{
	struct server all = { .settings = {
				  .certfile = "a", .tlsgroups = "X25519" } };
	struct meeting meeting;

	(void)state;
	server_add(&all, NULL, "RSA2048");
	add_names(&all);
	server_start(&all);
	expect_name(&all, NULL, 0, "localhost");
	expect_name(&all, "b.example.org", 1, "_.example.org");
	/* Without a wish of the client's some libraries take the other. */
	expect_name(&all, "A.EXAMPLE.org", LIB_HAS_SIGALGS ? 2 : ANY_KEY,
	    "a.example.org");
	expect_name(&all, "example.org", 0, "localhost");
	expect_name(&all, "b.a.example.org", 0, "localhost");
	if (LIB_TAKES_ANY_NAME)
		expect_name(&all, "not a name", 0, "localhost");
	if (!LIB_HAS_SIGALGS) {
		server_clear(&all);
		return;
	}
	/* Which of the two that have the name. */
	meeting = meet(
	    &all, TLS1_3_VERSION, "a.example.org", "rsa_pss_rsae_sha256", NULL);
	assert_int_equal(meeting.key, 3);
	/* Another name's certificate would be worse than none. */
	meeting = meet(
	    &all, TLS1_3_VERSION, "b.example.org", "rsa_pss_rsae_sha256", NULL);
	assert_int_equal(meeting.key, -1);
	assert_string_not_equal(meeting.reason, "");
	server_clear(&all);
}

static void
a_strict_server_knows_whom_it_serves(void **state)
{
	struct server all = { .settings = {
				  .certfile = "a", .sni = "strict" } };

	(void)state;
	server_add(&all, NULL, "P-256");
	add_names(&all);
	server_start(&all);
	expect_name(&all, NULL, 0, "localhost");
	expect_name(&all, "b.example.org", 1, "_.example.org");
	expect_name(&all, "LOCALHOST", 0, "localhost");
	expect_refusal(&all, "example.com", "unknown server name example.com");
	if (LIB_TAKES_ANY_NAME) {
		expect_refusal(&all, "x%\n", "unknown server name x??");
		expect_refusal(
		    &all, ".localhost", "unknown server name .localhost");
	}
	assert_int_equal(tlsctx_warm_up(all.ctx), 0);
	expect_refusal(&all, "example.com", "unknown server name example.com");
	server_clear(&all);
}

static void
a_strict_server_may_have_names_alone(void **state)
{
	struct server all = { .settings = { .sni = "strict" } };

	(void)state;
	add_names(&all);
	server_start(&all);
	expect_name(&all, "b.example.org", 0, "_.example.org");
	expect_refusal(&all, NULL, "no server name");
	expect_refusal(&all, "localhost", "unknown server name localhost");
	assert_int_equal(tlsctx_warm_up(all.ctx), 0);
	expect_name(&all, "b.example.org", 0, "_.example.org");
	server_clear(&all);
}

static void
strict_without_names_is_the_certificate_s_own(void **state)
{
	struct server all = { .settings = {
				  .certfile = "a", .sni = "strict" } };

	(void)state;
	server_make(&all, "P-256");
	expect_name(&all, NULL, 0, "localhost");
	expect_name(&all, "localhost", 0, "localhost");
	expect_refusal(&all, "example", "unknown server name example");
	server_clear(&all);
}

static void
named_certificates_are_checked_at_start(void **state)
{
	struct server all = { .settings = { .certfile = "a",
				  .ciphers = "HIGH:@SECLEVEL=3" } };

	(void)state;
	server_add(&all, NULL, "RSA3072");
	server_add(&all, "weak.example", "RSA2048");
	assert_null(
	    tlsctx_new(&all.settings, &all.public, error, sizeof(error)));
	assert_non_null(
	    strstr(error, "CERTDIR, certificate of weak.example: "));
	all.settings.sni = "yes";
	assert_null(
	    tlsctx_new(&all.settings, &all.public, error, sizeof(error)));
	assert_string_equal(error, "SNI yes: must be strict");
	tlskeys_free(&all.keys);
	tls_public_free(&all.public);
}

/* What a client that offers this wire form agrees on; "": not at all. */
static const char *
agree(struct server *server, int version, const char *offered, size_t len)
{
	static char text[300];
	struct answer answer = { .server = server };
	SSL_CTX *ctx = client_make(version, NULL, NULL);
	SSL *ssl = SSL_new(ctx);
	const unsigned char *chosen;
	unsigned chosen_len;
	pthread_t thread;
	int ends[2], alert;

	if (len > 0)
		assert_int_equal(
		    SSL_set_alpn_protos(
			ssl, (const unsigned char *)offered, (unsigned)len),
		    0);
	tcp_pair(ends);
	answer.fd = ends[0];
	SSL_set_fd(ssl, ends[1]);
	thread = in_thread(answer_run, &answer);
	if (SSL_connect(ssl) == 1) {
		SSL_get0_alpn_selected(ssl, &chosen, &chosen_len);
		snprintf(text, sizeof(text), "agreed %.*s", (int)chosen_len,
		    (const char *)chosen);
	}
	alert = alert_of(ERR_peek_error());
	shutdown(ends[1], SHUT_RDWR);
	pthread_join(thread, NULL);
	if (answer.reason[0] != '\0')
		snprintf(
		    text, sizeof(text), "alert %d: %s", alert, answer.reason);
	close(ends[0]);
	close(ends[1]);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return text;
}

static void
the_server_s_first_protocol_is_agreed_on(void **state)
{
	struct tls_settings settings = { .alpn = "h2,http/1.1" };
	char list[600];
	size_t i;

	(void)state;
	assert_int_equal(configure(&base, &settings), 0);
	for (i = 0; i < 2; i++) {
		int v = both_versions[i];

		assert_string_equal(
		    agree(&base, v, "\x8http/1.1\x2h2", 12), "agreed h2");
		assert_string_equal(agree(&base, v, "\x4spdy\x8http/1.1", 14),
		    "agreed http/1.1");
		assert_string_equal(agree(&base, v, NULL, 0), "agreed ");
		/* Neither parts of names nor other cases. */
		assert_string_equal(
		    agree(&base, v, "\x1h\x3h2c\x2H2\x8HTTP/1.1", 18),
		    "alert 120: no application protocol");
	}
	settings.alpn = "";
	assert_int_equal(configure(&base, &settings), 0);
	assert_string_equal(
	    agree(&base, TLS1_3_VERSION, "\x2h2", 3), "agreed ");
	/* The longest name there can be. */
	memset(list, 'a', 255);
	strcpy(list + 255, ",b");
	settings.alpn = list;
	assert_int_equal(configure(&base, &settings), 0);
	assert_string_equal(agree(&base, TLS1_3_VERSION,
				"\x1"
				"b",
				2),
	    "agreed b");
	memmove(list + 1, list, sizeof(list) - 1);
	*list = (char)255;
	assert_int_equal(
	    strlen(agree(&base, TLS1_3_VERSION, list, 256)), 255 + 7);
}

static void
wrong_protocols_are_errors(void **state)
{
	static const char *const bad[][2] = { { ",", "is empty" },
		{ "h2,", "is empty" }, { ",h2", "is empty" },
		{ "h2,,http/1.1", "is empty" }, { "h2, http/1.1", "a blank" },
		{ "h2\t", "a blank" }, { "h\xc3\xa4", "not printable" } };
	struct tls_settings settings = { .alpn = NULL };
	char list[300];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		settings.alpn = bad[i][0];
		assert_int_equal(configure(&base, &settings), -1);
		assert_non_null(strstr(error, "ALPN "));
		assert_non_null(strstr(error, bad[i][1]));
	}
	memset(list, 'a', 256);
	list[256] = '\0';
	settings.alpn = list;
	assert_int_equal(configure(&base, &settings), -1);
	assert_non_null(strstr(error, "longer than 255"));
	settings.alpn = NULL;
	assert_int_equal(configure(&base, &settings), 0);
}

static void
warm_up_leaves_no_trace(void **state)
{
	struct tls_settings settings = { .certfile = NULL };

	(void)state;
	assert_int_equal(configure(&base, &settings), 0);
	base.signatures = 0;
	assert_int_equal(tlsctx_warm_up(base.ctx), 0);
	assert_int_equal(base.signatures, 0);
	assert_int_equal(
	    strncmp(negotiate(&base, 0, NULL, NULL), "TLSv1.3", 7), 0);
	assert_int_equal(base.signatures, 1);
	settings.tlsmin = "1.3";
	assert_int_equal(configure(&base, &settings), 0);
	assert_int_equal(tlsctx_warm_up(base.ctx), 0);
	settings = (struct tls_settings){ .tlsmax = "1.2" };
	assert_int_equal(configure(&base, &settings), 0);
	assert_int_equal(tlsctx_warm_up(base.ctx), 0);
}

/* A session's circumstances, as far as this user may make them. */
static void
enter_jail(void)
{
	struct rlimit none = { 0, 0 }, few = { 8, 8 };
	int fd;

	for (fd = 9; fd < 100; fd++)
		close(fd);
	if (geteuid() == 0 && (chroot(util_dir) == -1 || chdir("/") == -1))
		_exit(2);
	if (geteuid() == 0 && (setgid(65534) == -1 || setuid(65534) == -1))
		_exit(3);
	if (setrlimit(RLIMIT_NPROC, &none) == -1 ||
	    setrlimit(RLIMIT_NOFILE, &few) == -1 ||
	    setrlimit(RLIMIT_FSIZE, &none) == -1)
		_exit(4);
}

/* Shake hands over fd in a jailed child; its process id. */
static pid_t
jailed_server(struct server *server, int fd)
{
	struct answer answer = { .server = server, .fd = 3 };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (fd != 3)
		dup2(fd, 3);
	enter_jail();
	answer_run(&answer);
	_exit(server->signatures == 1 ? 0 : 1);
}

/* A number that the server has chosen: its key share, if it is told. */
static void
get_random(SSL *ssl, unsigned char random[32])
{
	static const unsigned char none[32];
	unsigned char point[256];
	EVP_PKEY *peer = NULL;

	assert_int_equal(SSL_get_server_random(ssl, random, 32), 32);
	if (memcmp(random, none, 32) != 0)
		return;
	/* LibreSSL does not tell it after TLS 1.3. */
	assert_int_equal(SSL_get_peer_tmp_key(ssl, &peer), 1);
	assert_true(lib_public_point(peer, point) >= 32);
	memcpy(random, point + 1, 32);
	EVP_PKEY_free(peer);
}

/* Two children of one parent: both work, and share no random numbers. */
static void
jailed_children_shake_hands_with_their_own_random(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_settings settings = { .certfile = NULL };
	unsigned char randoms[2][32];
	size_t i, j;

	(void)state;
	assert_int_equal(configure(&base, &settings), 0);
	tlsctx_warm_up(base.ctx);
	for (j = 0; j < 2; j++) {
		for (i = 0; i < 2; i++) {
			SSL_CTX *ctx = client_make(versions[j], NULL, "P-256");
			SSL *ssl = SSL_new(ctx);
			int ends[2], status;
			pid_t pid;

			tcp_pair(ends);
			base.signatures = 0;
			pid = jailed_server(&base, ends[0]);
			assert_true(pid > 0);
			close(ends[0]);
			SSL_set_fd(ssl, ends[1]);
			assert_int_equal(SSL_connect(ssl), 1);
			get_random(ssl, randoms[i]);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_int_equal(status, 0);
			close(ends[1]);
			SSL_free(ssl);
			SSL_CTX_free(ctx);
		}
		assert_memory_not_equal(randoms[0], randoms[1], 32);
	}
}

static void
library_has_a_name(void **state)
{
	(void)state;
	assert_non_null(strstr(tlsctx_library(), "SSL"));
}

static int
set_up(void **state)
{
	(void)state;
	dir_make();
	chmod(util_dir, 0755);
	server_make(&base, "P-256");
	server_make(&rsa, "RSA2048");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	server_clear(&base);
	server_clear(&rsa);
	tlsctx_free(NULL);
	dir_remove();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_modern),
		cmocka_unit_test(hybrid_comes_first),
		cmocka_unit_test(versions_are_what_was_asked_for),
		cmocka_unit_test(ciphers_go_where_they_belong),
		cmocka_unit_test(unusable_ciphers_are_an_error),
		cmocka_unit_test(wrong_versions_and_groups_are_errors),
		cmocka_unit_test(groups_are_what_was_asked_for),
		cmocka_unit_test(dhfile_enables_dhe),
		cmocka_unit_test(weak_certificates_are_errors),
		cmocka_unit_test(no_chain_is_an_error_not_a_crash),
		cmocka_unit_test(a_client_gets_the_kind_that_it_can_do),
		cmocka_unit_test(a_client_gets_the_name_it_asks_for),
		cmocka_unit_test(a_strict_server_knows_whom_it_serves),
		cmocka_unit_test(a_strict_server_may_have_names_alone),
		cmocka_unit_test(strict_without_names_is_the_certificate_s_own),
		cmocka_unit_test(named_certificates_are_checked_at_start),
		cmocka_unit_test(the_server_s_first_protocol_is_agreed_on),
		cmocka_unit_test(wrong_protocols_are_errors),
		cmocka_unit_test(warm_up_leaves_no_trace),
		cmocka_unit_test(
		    jailed_children_shake_hands_with_their_own_random),
		cmocka_unit_test(library_has_a_name),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
