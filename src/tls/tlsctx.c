/*
 * tlsctx: from settings and public data to an SSL_CTX.
 *
 * Runs in the nursery, before it forks; sessions use the result.  The
 * nursery opens no file and holds no key: certificates come as DER from
 * the keeper, and key objects ask a callback (tlschoice).  What we do not
 * do is switched off here rather than left to the library: tickets that
 * hold sessions, early data, renegotiation, compression.
 */
#include "tls/tlsctx.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "tls/tlsbio.h"
#include "tls/tlscerts.h"
#include "tls/tlschoice.h"
#include "tls/tlscompat.h"
#include "tls/tlsctx_internal.h"
#include "tls/tlsfile.h"
#include "tls/tlslib.h"
#include "tls/tlsremote.h"
#include "tls/tlsresume.h"
#include "tls/tlsscheme.h"
#include "tls/tlsstore.h"

/* Forward secrecy and AEAD; DHE is used only with DHFILE. */
#define CIPHERS_DEFAULT "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
/* Below 1.2 there is nothing but CBC. */
#define CIPHERS_OLD CIPHERS_DEFAULT ":ECDHE+AES:DHE+AES"
/*
 * Never, whatever CIPHERS says.  Static RSA would need a decryption with
 * the server's key, which the keeper does not do.
 */
#define CIPHERS_REMOVED ":!kRSA:!PSK:!SRP:!aNULL:!eNULL:!aDSS"

/* A few records per recv: input of bulk transfers comes in bursts. */
#define READ_BUFFER_SIZE (64 * 1024)

struct tlsctx {
	SSL_CTX *ssl;
	struct tlschoice choice;
	struct tlsresume_cache cache;
};

/* What tlsctx_new is at, for messages. */
struct making {
	struct tlsctx *ctx;
	SSL_CTX *ssl; /* its own, or the bare one of its choice */
	const struct tls_settings *settings;
	const struct tls_public *public;
	char *error;
	size_t error_size;
};

static bool
is_set(const char *value)
{
	return value != NULL && *value != '\0';
}

/* "SUBJECT VALUE: reason", the library's.  Always -1. */
static int
blame(const struct making *making, const char *subject, const char *value)
{
	char reason[TEXT_PRINTABLE_SIZE];

	text_format(making->error, making->error_size, "%s%s%.200s: %s",
	    subject, *value == '\0' ? "" : " ", value, tlslib_reason(reason));
	return -1;
}

/*
 * Ciphers
 */

static bool
is_tls13_suite(const char *name, size_t len)
{
	static const char *const suites[] = { "TLS_AES_256_GCM_SHA384",
		"TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256",
		"TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256" };
	size_t i;

	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (strlen(suites[i]) == len &&
		    memcmp(suites[i], name, len) == 0)
			return true;
	return false;
}

static void
append_piece(char *list, const char *piece, size_t len)
{
	size_t at = strlen(list);

	if (at > 0)
		list[at++] = ':';
	memcpy(list + at, piece, len);
	list[at + len] = '\0';
}

void
tlsctx_split_ciphers(const char *ciphers, char *tls12, char *tls13)
{
	static const char separators[] = ":, \t";

	*tls12 = *tls13 = '\0';
	for (;;) {
		size_t len;

		ciphers += strspn(ciphers, separators);
		len = strcspn(ciphers, separators);
		if (len == 0)
			return;
		append_piece(
		    is_tls13_suite(ciphers, len) ? tls13 : tls12, ciphers, len);
		ciphers += len;
	}
}

/* Can any version between TLSMIN and TLSMAX use any cipher? */
static bool
has_usable_cipher(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	STACK_OF(SSL_CIPHER) *ciphers = NULL;
	int n = 0;

	if (ssl != NULL)
		ciphers = SSL_get1_supported_ciphers(ssl);
	if (ciphers != NULL)
		n = sk_SSL_CIPHER_num(ciphers);
	sk_SSL_CIPHER_free(ciphers);
	SSL_free(ssl);
	return n > 0;
}

/* Empty lists mean the default.  0, or -1: nothing usable. */
static int
apply_ciphers(SSL_CTX *ctx, const char *tls12, const char *tls13)
{
	if (*tls13 != '\0' && SSL_CTX_set_ciphersuites(ctx, tls13) != 1)
		return -1;
	if (SSL_CTX_set_cipher_list(ctx, tls12) != 1) {
		/* Then 1.3 must do, if it is there and was asked for. */
		if (*tls13 == '\0' ||
		    SSL_CTX_get_max_proto_version(ctx) != TLS1_3_VERSION ||
		    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1)
			return -1;
		/* LibreSSL has forgotten them. */
		if (SSL_CTX_set_ciphersuites(ctx, tls13) != 1)
			return -1;
	}
	return has_usable_cipher(ctx) ? 0 : -1;
}

static int
set_ciphers(const struct making *making, unsigned min)
{
	const char *ciphers = making->settings->ciphers;
	size_t len = is_set(ciphers) ? strlen(ciphers) : 0;
	size_t size = len + sizeof(CIPHERS_OLD) + sizeof(CIPHERS_REMOVED);
	char *tls12 = malloc(size), *tls13 = malloc(size);
	int r = -1;

	if (tls12 == NULL || tls13 == NULL) {
		text_copy(making->error, making->error_size, "out of memory");
		goto out;
	}
	tlsctx_split_ciphers(len > 0 ? ciphers : "", tls12, tls13);
	if (*tls12 == '\0')
		text_copy(tls12, size, min < 2 ? CIPHERS_OLD : CIPHERS_DEFAULT);
	text_copy(tls12 + strlen(tls12), size - strlen(tls12), CIPHERS_REMOVED);
	r = apply_ciphers(making->ssl, tls12, tls13);
	if (r == -1)
		text_format(making->error, making->error_size,
		    "no usable cipher in CIPHERS %.200s",
		    len > 0 ? ciphers : "(default)");
	ERR_clear_error();
out:
	free(tls12);
	free(tls13);
	return r;
}

/*
 * Versions and groups
 */

static int
set_versions(const struct making *making, unsigned *min)
{
	SSL_CTX *ssl = making->ssl;
	unsigned max;

	if (tls_settings_versions(making->settings, min, &max, making->error,
		making->error_size) == -1)
		return -1;
	if (SSL_CTX_set_min_proto_version(ssl, TLS1_VERSION + (int)*min) != 1 ||
	    SSL_CTX_set_max_proto_version(ssl, TLS1_VERSION + (int)max) != 1)
		return blame(making, "TLSMIN or TLSMAX", "");
	if (max < tlscompat_oldest()) {
		text_format(making->error, making->error_size,
		    "TLSMAX 1.%u: this TLS library begins with TLS 1.%u", max,
		    tlscompat_oldest());
		return -1;
	}
	/*
	 * MD5 and SHA-1 of 1.0 and 1.1 are below every level but 0.  Set
	 * before CIPHERS, whose @SECLEVEL wins.
	 */
	if (*min < 2)
		SSL_CTX_set_security_level(ssl, 0);
	return 0;
}

/* A curve the keeper would not sign for: every TLS 1.2 handshake fails. */
static bool
is_strange_curve(const char *name, size_t len)
{
	char copy[64];
	EC_GROUP *group;
	int nid;

	if (len >= sizeof(copy) || tlsscheme_knows_group(name, len))
		return false;
	memcpy(copy, name, len);
	copy[len] = '\0';
	nid = EC_curve_nist2nid(copy);
	if (nid == NID_undef)
		nid = OBJ_txt2nid(copy);
	group = nid == NID_undef ? NULL : EC_GROUP_new_by_curve_name(nid);
	EC_GROUP_free(group);
	ERR_clear_error();
	return group != NULL;
}

static int
set_groups(const struct making *making)
{
	const char *groups = making->settings->tlsgroups, *at;
	char *copy;
	size_t len;
	int ok;

	if (!is_set(groups))
		return 0;
	for (at = groups; (at += strspn(at, ":/?*"), *at) != '\0'; at += len) {
		len = strcspn(at, ":/");
		if (!is_strange_curve(at, len))
			continue;
		text_format(making->error, making->error_size,
		    "unsupported group %.*s in TLSGROUPS %.200s", (int)len, at,
		    groups);
		return -1;
	}
	copy = strdup(groups); /* the macro below casts const away */
	ok = copy != NULL && SSL_CTX_set1_groups_list(making->ssl, copy) == 1;
	free(copy);
	if (ok)
		return 0;
	ERR_clear_error();
	text_format(making->error, making->error_size,
	    "unknown group in TLSGROUPS %.200s", groups);
	return -1;
}

/*
 * Certificates, key, DH parameters
 */

/* The n-th path of those that the variable names. */
static int
blame_cert(const struct making *making, size_t n)
{
	char path[TLSFILE_PATH_SIZE];

	if (tlsfile_nth(path, tlsfile_path(making->settings), n) == -1)
		path[0] = '\0';
	return blame(making, tlsfile_variable(making->settings), path);
}

static int
use_certs(const struct making *making)
{
	struct tlschoice *choice = &making->ctx->choice;
	const struct tlscerts *certs = &making->public->certs;
	size_t i, nameless = tlscerts_nameless(certs);

	if (certs->count == 0)
		return blame_cert(making, 0);
	for (i = 0; i < nameless; i++)
		if (tlschoice_use(choice, making->ssl, i) == -1)
			return blame_cert(making, i);
	return 0;
}

/* What one client in a thousand would meet is an error now. */
static int
use_names(const struct making *making)
{
	struct tlschoice *choice = &making->ctx->choice;
	const struct tlscerts *certs = &making->public->certs;
	size_t i = tlscerts_nameless(certs);
	bool has_names = i < certs->count;

	if (tls_settings_strict(making->settings, &choice->is_strict,
		making->error, making->error_size) == -1)
		return -1;
	for (; i < certs->count; i++)
		if (tlschoice_try(choice, making->ssl, i) == -1)
			return blame(making, "CERTDIR, certificate of",
			    certs->all[i].name);
	if (!has_names && !choice->is_strict)
		return 0;
	if (tlschoice_by_name(choice, making->ssl) == 0)
		return 0;
	return blame(making, "SNI", "");
}

static int
use_dh(const struct making *making)
{
	const struct tls_public *public = making->public;
	const char *path = making->settings->dhfile;
	struct tlsscheme_policy policy;

	if (public->dh == NULL)
		return 0;
	if (tlsscheme_dh(&policy, public->dh, public->dh_len) == 0 &&
	    tlscompat_set_dh(making->ssl, policy.dh_p, policy.dh_p_len,
		policy.dh_g, policy.dh_g_len) == 0)
		return 0;
	return blame(making, "DHFILE", path == NULL ? "" : path);
}

static int
use_protocols(const struct making *making)
{
	const char *list = making->settings->alpn, *what;

	if (tlschoice_by_protocol(
		&making->ctx->choice, making->ssl, list, &what) == 0)
		return 0;
	text_format(
	    making->error, making->error_size, "ALPN %.200s: %s", list, what);
	return -1;
}

/*
 * Clients' certificates
 */

static int
use_trust(const struct making *making)
{
	if (tlsstore_fill(making->ssl, &making->public->trust) == 0)
		return 0;
	return blame(making, "certificates of CAs", "");
}

/*
 * The object
 */

static void
set_behaviour(SSL_CTX *ssl)
{
	static const unsigned char context[] = "ucspi-ssl";

	SSL_CTX_set_options(
	    ssl, SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* With clients' certificates no session may cross over unmarked. */
	SSL_CTX_set_session_id_context(ssl, context, sizeof(context) - 1);
	SSL_CTX_set_max_cert_list(ssl, TLSCTX_CLIENT_CHAIN_MAX);
	/*
	 * The chain is what the file says; building one at every handshake
	 * costs, and there is no store to build it from.  Buffers are not
	 * kept: what the handshake had is used again for what is relayed.
	 */
	SSL_CTX_set_mode(ssl,
	    SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	tlscompat_set_behaviour(ssl, READ_BUFFER_SIZE);
}

/* All but certificates. */
static int
configure_bare(const struct making *making)
{
	unsigned min;

	set_behaviour(making->ssl);
	if (tlsresume_prepare(making->ssl, making->settings->session_s) == -1)
		return blame(making, "SESSIONTIME", "");
	if (making->settings->seals_tickets &&
	    making->settings->session_s > 0 &&
	    tlsresume_seal(making->ctx->ssl) == -1)
		return text_format(making->error, making->error_size,
			   "TICKETKEYS: this TLS library makes no tickets that "
			   "hold a client's certificates"),
		       -1;
	if (set_versions(making, &min) == -1 ||
	    set_ciphers(making, min) == -1 || set_groups(making) == -1 ||
	    use_protocols(making) == -1 || use_trust(making) == -1)
		return -1;
	return use_dh(making);
}

static int
configure(struct making *making)
{
	const struct tlscerts *certs = &making->public->certs;

	if (tlschoice_init(&making->ctx->choice, certs) == -1)
		return blame(making, "certificates", "");
	if (configure_bare(making) == -1 || use_certs(making) == -1 ||
	    use_names(making) == -1)
		return -1;
	if (tlscerts_nameless(certs) == certs->count || !tlscompat_needs_bare())
		return 0;
	making->ssl = making->ctx->choice.bare = tlscompat_ctx_new(true);
	if (making->ssl == NULL)
		return blame(making, "certificates", "");
	return configure_bare(making);
}

/*
 * A client's own certificate, whose key is here: it is the user's, and for
 * this one connection.
 */
static int
use_own_cert(const struct making *making, const struct tlskey *key)
{
	const struct tlscerts *certs = &making->public->certs;

	if (certs->count == 0 || key == NULL ||
	    tlschoice_own(making->ssl, &certs->all[0], key) == 0)
		return 0;
	return blame_cert(making, 0);
}

static int
configure_client(const struct making *making, const struct tlskey *key)
{
	unsigned min;

	set_behaviour(making->ssl);
	if (set_versions(making, &min) == -1 ||
	    set_ciphers(making, min) == -1 || set_groups(making) == -1 ||
	    use_trust(making) == -1)
		return -1;
	return use_own_cert(making, key);
}

static struct tlsctx *
make_empty(bool is_server)
{
	struct tlsctx *ctx = calloc(1, sizeof(*ctx));

	if (ctx != NULL && (!is_server || tlsremote_start() == 0) &&
	    tlsbio_start() == 0)
		ctx->ssl = tlscompat_ctx_new(is_server);
	if (ctx == NULL || ctx->ssl != NULL)
		return ctx;
	free(ctx);
	return NULL;
}

/* The library is there, and making->ctx. */
static int
begin(struct making *making, bool is_server)
{
	OPENSSL_init_ssl(
	    OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
	tlslib_start();
	ERR_clear_error();
	making->ctx = make_empty(is_server);
	if (making->ctx == NULL)
		return blame(making, "unable to start the TLS library", "");
	making->ssl = making->ctx->ssl;
	return 0;
}

struct tlsctx *
tlsctx_new(const struct tls_settings *settings, const struct tls_public *public,
    char *error, size_t error_size)
{
	struct making making = { NULL, NULL, settings, public, error,
		error_size };

	if (begin(&making, true) == -1)
		return NULL;
	if (configure(&making) == -1) {
		tlsctx_free(making.ctx);
		return NULL;
	}
	return making.ctx;
}

struct tlsctx *
tlsctx_new_client(const struct tls_settings *settings,
    const struct tls_public *public, const struct tlskey *key, char *error,
    size_t error_size)
{
	struct making making = { NULL, NULL, settings, public, error,
		error_size };

	if (begin(&making, false) == -1)
		return NULL;
	if (configure_client(&making, key) == -1) {
		tlsctx_free(making.ctx);
		return NULL;
	}
	return making.ctx;
}

void
tlsctx_set_signer(struct tlsctx *ctx, tlsctx_sign_fn *fn, void *arg)
{
	ctx->choice.sign = fn;
	ctx->choice.arg = arg;
}

void
tlsctx_set_cache(struct tlsctx *ctx, const struct tlsresume_cache *cache)
{
	ctx->cache = *cache;
}

const struct tlsresume_cache *
tlsctx_cache(const struct tlsctx *ctx)
{
	return &ctx->cache;
}

SSL_CTX *
tlsctx_ssl(struct tlsctx *ctx)
{
	return ctx->ssl;
}

void
tlsctx_free(struct tlsctx *ctx)
{
	if (ctx == NULL)
		return;
	SSL_CTX_free(ctx->ssl);
	tlschoice_clear(&ctx->choice);
	free(ctx);
}

const char *
tlsctx_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

/*
 * Warming up
 */

/* A key and certificate for nobody. */
struct throw_away {
	EVP_PKEY *key;
	X509 *cert;
};

static int
throw_away_make(struct throw_away *t)
{
	X509_NAME *name;

	t->key = tlscompat_make_key();
	t->cert = tlscompat_x509_new();
	if (t->key == NULL || t->cert == NULL)
		return -1;
	name = X509_get_subject_name(t->cert);
	if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)"nobody", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(t->cert, name) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(t->cert), 0) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(t->cert), 3600) == NULL ||
	    X509_set_pubkey(t->cert, t->key) != 1)
		return -1;
	return X509_sign(t->cert, t->key, EVP_sha256()) > 0 ? 0 : -1;
}

static void
throw_away_clear(struct throw_away *t)
{
	EVP_PKEY_free(t->key);
	X509_free(t->cert);
}

/* A signature of the right length that no client would believe. */
static int
sign_nothing(void *arg, size_t key, unsigned scheme, const unsigned char *text,
    size_t len, unsigned char *signature, size_t size)
{
	(void)arg;
	(void)key;
	(void)scheme;
	(void)text;
	(void)len;
	memset(signature, 0, size);
	return (int)size;
}

/* The server's turn begins or ends. */
static void
tell_turn(tlsctx_turn_fn *turn, bool begins)
{
	if (turn != NULL)
		turn(begins);
}

static int
turn_server(SSL *server, tlsctx_turn_fn *turn)
{
	int r;

	tell_turn(turn, true);
	r = SSL_do_handshake(server);
	tell_turn(turn, false);
	return r;
}

/* One record each way: the ciphers' tables are lazy as well. */
static int
exchange(SSL *server, SSL *client, tlsctx_turn_fn *turn)
{
	unsigned char byte = 0;
	int r;

	if (SSL_write(client, &byte, 1) != 1)
		return -1;
	tell_turn(turn, true);
	r = SSL_read(server, &byte, 1) == 1 && SSL_write(server, &byte, 1) == 1
	    ? 0
	    : -1;
	tell_turn(turn, false);
	return r;
}

/* Both ends in turn, until both are done or one has failed. */
static int
shake_hands(SSL *server, SSL *client, tlsctx_turn_fn *turn)
{
	int round, s = 0, c = 0;

	for (round = 0; round < 20 && (s != 1 || c != 1); round++) {
		if (c != 1 && (c = SSL_do_handshake(client)) != 1 &&
		    SSL_get_error(client, c) != SSL_ERROR_WANT_READ)
			return -1;
		if (s != 1 && (s = turn_server(server, turn)) != 1 &&
		    SSL_get_error(server, s) != SSL_ERROR_WANT_READ)
			return -1;
	}
	if (s != 1 || c != 1)
		return -1;
	return exchange(server, client, turn);
}

static SSL *
new_server(SSL_CTX *ctx, tlsctx_turn_fn *turn)
{
	SSL *server;

	tell_turn(turn, true);
	server = SSL_new(ctx);
	tell_turn(turn, false);
	return server;
}

/*
 * One handshake.  With a throw-away key it succeeds; without (NULL) it
 * goes as far as the client's check of our made-up signature, by the way
 * of our own certificate and key object.
 */
static int
warm_one(struct tlsctx *ctx, SSL_CTX *client_ctx, const struct throw_away *t,
    int version, tlsctx_turn_fn *turn)
{
	SSL *server = new_server(ctx->ssl, turn), *client = SSL_new(client_ctx);
	BIO *a = NULL, *b = NULL;
	int r = -1;

	if (server == NULL || client == NULL ||
	    BIO_new_bio_pair(&a, 0, &b, 0) != 1)
		goto out;
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	SSL_set_max_proto_version(client, version);
	SSL_set_min_proto_version(client, version);
	if (t != NULL) {
		tlscompat_want_ecdsa(client);
		if (SSL_use_certificate(server, t->cert) != 1 ||
		    SSL_use_PrivateKey(server, t->key) != 1)
			goto out;
	}
	r = shake_hands(server, client, turn);
out:
	SSL_free(server);
	SSL_free(client);
	ERR_clear_error();
	return r;
}

int
tlsctx_rehearse(struct tlsctx *ctx, tlsctx_turn_fn *turn)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	tlsctx_sign_fn *sign = ctx->choice.sign;
	void *arg = ctx->choice.arg;
	struct throw_away t = { NULL, NULL };
	SSL_CTX *client;
	size_t i;
	int r = -1;

	/* Counts: generators of random numbers notice a fork here. */
	tell_turn(turn, true);
	client = tlscompat_ctx_new(false);
	tell_turn(turn, false);
	if (client == NULL || throw_away_make(&t) == -1)
		goto out;
	tell_turn(turn, true);
	tlsctx_set_signer(ctx, sign_nothing, NULL);
	tell_turn(turn, false);
	ctx->choice.is_blind = true;
	for (i = 0; i < 2; i++) {
		/* A version or cipher that is switched off fails here. */
		if (warm_one(ctx, client, &t, versions[i], turn) == 0)
			r = 0;
		warm_one(ctx, client, NULL, versions[i], turn);
	}
	tlsctx_set_signer(ctx, sign, arg);
	ctx->choice.is_blind = false;
out:
	throw_away_clear(&t);
	SSL_CTX_free(client);
	ERR_clear_error();
	return r;
}

int
tlsctx_warm_up(struct tlsctx *ctx)
{
	return tlsctx_rehearse(ctx, NULL);
}
