/*
 * tlscompat: OpenSSL 3, OpenSSL 1.1.1 and LibreSSL behind one set of names.
 *
 * Runs in keeper, nursery and sessions.  A guard stands for a function, a
 * macro or the shape of a part that the library has or has not (config.h);
 * none for a version number, but one for LibreSSL's way to count, which no
 * test of a build can see.  HAVE_PROVIDERS is OpenSSL 3's way to have
 * more than one context, whose objects must be made by newer functions.
 */
#include "tls/tlscompat.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "config.h"
#include "tls/tlslib.h"

#ifdef HAVE_PROVIDERS
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#endif

/*
 * Contexts, and what is made in them
 */

#ifdef HAVE_PROVIDERS
/* One for the process: contexts cost 100 kB, and profiles share it. */
static OSSL_LIB_CTX *library;

OSSL_LIB_CTX *
tlscompat_library(void)
{
	if (library != NULL)
		return library;
	tlslib_start();
	library = OSSL_LIB_CTX_new();
	if (library != NULL && OSSL_PROVIDER_load(library, "default") == NULL) {
		OSSL_LIB_CTX_free(library);
		library = NULL;
	}
	return library;
}

int
tlscompat_start(void)
{
	return tlscompat_library() == NULL ? -1 : 0;
}

SSL_CTX *
tlscompat_ctx_new(bool is_server)
{
	return SSL_CTX_new_ex(tlscompat_library(), TLSCOMPAT_PROPERTIES,
	    is_server ? TLS_server_method() : TLS_client_method());
}

X509 *
tlscompat_x509_new(void)
{
	return X509_new_ex(tlscompat_library(), TLSCOMPAT_PROPERTIES);
}

X509_CRL *
tlscompat_crl_new(void)
{
	return X509_CRL_new_ex(tlscompat_library(), TLSCOMPAT_PROPERTIES);
}

X509_STORE_CTX *
tlscompat_store_ctx_new(void)
{
	return X509_STORE_CTX_new_ex(tlscompat_library(), TLSCOMPAT_PROPERTIES);
}

EVP_PKEY *
tlscompat_make_key(void)
{
	return EVP_PKEY_Q_keygen(
	    tlscompat_library(), TLSCOMPAT_PROPERTIES, "EC", "P-256");
}

static EVP_PKEY *
make_dh(const BIGNUM *p, const BIGNUM *g)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(
	    tlscompat_library(), "DH", TLSCOMPAT_PROPERTIES);
	EVP_PKEY *dh = NULL;

	if (bld != NULL && ctx != NULL &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_FFC_P, p) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_FFC_G, g) == 1 &&
	    (params = OSSL_PARAM_BLD_to_param(bld)) != NULL &&
	    EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &dh, EVP_PKEY_KEY_PARAMETERS, params) != 1)
		dh = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return dh;
}

static int
use_dh(SSL_CTX *ctx, BIGNUM *p, BIGNUM *g)
{
	EVP_PKEY *dh = make_dh(p, g);

	BN_free(p);
	BN_free(g);
	if (dh != NULL && SSL_CTX_set0_tmp_dh_pkey(ctx, dh) == 1)
		return 0;
	EVP_PKEY_free(dh);
	return -1;
}

int
tlscompat_use_dh(SSL_CTX *ctx, EVP_PKEY *dh)
{
	if (EVP_PKEY_up_ref(dh) != 1)
		return -1;
	if (SSL_CTX_set0_tmp_dh_pkey(ctx, dh) == 1)
		return 0;
	EVP_PKEY_free(dh);
	return -1;
}

const char *
tlscompat_curve(const EVP_PKEY *pkey, char *name, size_t size)
{
	return EVP_PKEY_get_group_name(pkey, name, size, NULL) == 1 ? name
								    : NULL;
}

#else /* one context for all */

struct ossl_lib_ctx_st *
tlscompat_library(void)
{
	return NULL;
}

int
tlscompat_start(void)
{
	tlslib_start();
	return 0;
}

#ifdef LIBRESSL_VERSION_NUMBER
/* Where an SSL keeps the number of its group; the same for every one. */
static int group_place = -1;

struct span {
	const unsigned char *at;
	size_t left;
};

/* What is not there is skipped, and is 0. */
static void
skip(struct span *span, size_t count)
{
	if (count > span->left)
		count = span->left;
	span->at += count;
	span->left -= count;
}

static unsigned
number(struct span *span, size_t width)
{
	unsigned value = 0;
	size_t i;

	for (i = 0; i < width && i < span->left; i++)
		value = value << 8 | span->at[i];
	skip(span, width);
	return value;
}

/* That of a ServerHello: RFC 8446, sections 4.1.3 and 4.2.8; 0: of none. */
static unsigned
group_of(const unsigned char *hello, size_t len)
{
	struct span span = { hello, len };
	unsigned type, size;

	skip(&span, 4 + 2 + 32); /* header, version, random */
	skip(&span, number(&span, 1));
	skip(&span, 2 + 1 + 2); /* cipher, compression, length of the rest */
	while (span.left > 0) {
		type = number(&span, 2);
		size = number(&span, 2);
		if (type == TLSEXT_TYPE_key_share)
			return number(&span, 2);
		skip(&span, size);
	}
	return 0;
}

/* The library has no function that tells; its messages pass here. */
static void
on_message(int is_sent, int version, int type, const void *bytes, size_t len,
    SSL *ssl, void *arg)
{
	const unsigned char *message = bytes;

	(void)is_sent;
	(void)version;
	(void)arg;
	if (type != SSL3_RT_HANDSHAKE || len == 0 ||
	    message[0] != SSL3_MT_SERVER_HELLO)
		return;
	(void)SSL_set_ex_data(
	    ssl, group_place, (void *)(uintptr_t)group_of(message, len));
}

static void
watch_groups(SSL_CTX *ctx)
{
	if (group_place == -1)
		group_place = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (ctx != NULL && group_place != -1)
		SSL_CTX_set_msg_callback(ctx, on_message);
}

static unsigned
watched_group(const SSL *ssl)
{
	return group_place == -1
	    ? 0
	    : (unsigned)(uintptr_t)SSL_get_ex_data(ssl, group_place);
}
#else
static void
watch_groups(SSL_CTX *ctx)
{
	(void)ctx;
}

static unsigned
watched_group(const SSL *ssl)
{
	(void)ssl;
	return 0;
}
#endif

SSL_CTX *
tlscompat_ctx_new(bool is_server)
{
	SSL_CTX *ctx =
	    SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());

	watch_groups(ctx);
	return ctx;
}

X509 *
tlscompat_x509_new(void)
{
	return X509_new();
}

X509_CRL *
tlscompat_crl_new(void)
{
	return X509_CRL_new();
}

X509_STORE_CTX *
tlscompat_store_ctx_new(void)
{
	return X509_STORE_CTX_new();
}

EVP_PKEY *
tlscompat_make_key(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY *key = NULL;

	if (ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1) ==
		1 &&
	    EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_NAMED_CURVE) == 1 &&
	    EVP_PKEY_keygen(ctx, &key) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static int
use_dh(SSL_CTX *ctx, BIGNUM *p, BIGNUM *g)
{
	DH *dh = DH_new();
	int r = -1;

	if (dh == NULL || DH_set0_pqg(dh, p, NULL, g) != 1) {
		BN_free(p);
		BN_free(g);
	} else if (SSL_CTX_set_tmp_dh(ctx, dh) == 1) {
		r = 0;
	}
	DH_free(dh);
	return r;
}

int
tlscompat_use_dh(SSL_CTX *ctx, EVP_PKEY *dh)
{
	return SSL_CTX_set_tmp_dh(ctx, EVP_PKEY_get0_DH(dh)) == 1 ? 0 : -1;
}

const char *
tlscompat_curve(const EVP_PKEY *pkey, char *name, size_t size)
{
	/* Neither is changed, but older libraries know no const here. */
	const EC_KEY *key = EVP_PKEY_get0_EC_KEY((EVP_PKEY *)(uintptr_t)pkey);
	const EC_GROUP *group = key == NULL ? NULL : EC_KEY_get0_group(key);
	const char *known = NULL;

	if (group != NULL)
		known = OBJ_nid2sn(EC_GROUP_get_curve_name(group));
	if (known == NULL || text_copy(name, size, known) == -1)
		return NULL;
	return name;
}
#endif

int
tlscompat_set_dh(SSL_CTX *ctx, const unsigned char *p, size_t p_len,
    const unsigned char *g, size_t g_len)
{
	BIGNUM *prime = BN_bin2bn(p, (int)p_len, NULL);
	BIGNUM *generator = BN_bin2bn(g, (int)g_len, NULL);

	if (prime != NULL && generator != NULL)
		return use_dh(ctx, prime, generator);
	BN_free(prime);
	BN_free(generator);
	return -1;
}

/*
 * Behaviour of a server
 */

unsigned
tlscompat_oldest(void)
{
#ifdef LIBRESSL_VERSION_NUMBER
	return 2; /* and lets older ones be set */
#else
	return 0;
#endif
}

void
tlscompat_set_behaviour(SSL_CTX *ctx, size_t read_size)
{
#ifdef SSL_OP_NO_RENEGOTIATION
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
#else
	SSL_CTX_set_options(ctx, SSL_OP_NO_CLIENT_RENEGOTIATION);
#endif
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_max_early_data(ctx, 0);
#ifdef HAVE_SSL_CTX_SET_RECV_MAX_EARLY_DATA
	SSL_CTX_set_recv_max_early_data(ctx, 0);
#endif
	/*
	 * Without SSL_has_pending nobody could tell what has been read
	 * ahead, and would wait for it at the socket.
	 */
#ifdef HAVE_SSL_HAS_PENDING
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, read_size);
#else
	(void)read_size;
#endif
}

#ifdef HAVE_SSL_CTX_SET_CLIENT_HELLO_CB
/*
 * The library resumes a session of TLS 1.2 whatever name is asked for, and
 * says afterwards that it was the session's.  A session's context is looked
 * at in all versions, so the name as it was sent goes in there.
 */
static int
on_hello(SSL *ssl, int *alert, void *arg)
{
	static const unsigned char none[] = "";
	unsigned char context[TLSLIB_SHA256_SIZE];
	const unsigned char *name;
	size_t len;

	(void)arg;
	if (SSL_client_hello_get0_ext(
		ssl, TLSEXT_TYPE_server_name, &name, &len) != 1) {
		name = none;
		len = 0;
	}
	if (tlslib_sha256(name, len, context) == 0 &&
	    SSL_set_session_id_context(ssl, context, sizeof(context)) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}
#endif

void
tlscompat_bind_to_name(SSL_CTX *ctx)
{
#ifdef HAVE_SSL_CTX_SET_CLIENT_HELLO_CB
	SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
#else
	/* LibreSSL ends a handshake that would resume another name's. */
	(void)ctx;
#endif
}

void
tlscompat_set_auth_level(X509_VERIFY_PARAM *param, int level)
{
#ifdef HAVE_X509_VERIFY_PARAM_SET_AUTH_LEVEL
	X509_VERIFY_PARAM_set_auth_level(param, level);
#else
	/* Kept private; its handshakes do it. */
	(void)param;
	(void)level;
#endif
}

void
tlscompat_set_depth(SSL *ssl, unsigned depth)
{
#ifdef LIBRESSL_VERSION_NUMBER
	/* Its verifier counts the client's own, and takes 0 for no limit. */
	depth++;
#endif
	SSL_set_verify_depth(ssl, (int)depth);
}

bool
tlscompat_has_pending(const SSL *ssl)
{
#ifdef HAVE_SSL_HAS_PENDING
	return SSL_has_pending(ssl);
#else
	(void)ssl;
	return false;
#endif
}

#ifdef HAVE_SSL_CERTS_CLEAR
int
tlscompat_forget_certs(SSL *server, SSL_CTX *bare)
{
	(void)bare;
	SSL_certs_clear(server);
	return 0;
}

bool
tlscompat_needs_bare(void)
{
	return false;
}
#else
int
tlscompat_forget_certs(SSL *server, SSL_CTX *bare)
{
	return SSL_set_SSL_CTX(server, bare) == bare ? 0 : -1;
}

bool
tlscompat_needs_bare(void)
{
	return true;
}
#endif

void
tlscompat_want_ecdsa(SSL *client)
{
#ifdef SSL_set1_sigalgs_list
	char list[] = "ECDSA+SHA256";

	(void)SSL_set1_sigalgs_list(client, list);
#else
	(void)client;
#endif
}

/*
 * Tickets
 */

#ifdef HAVE_SSL_CTX_SET_SESSION_TICKET_CB
#define IV_SIZE 16
#define KEY_SIZE 32 /* of either kind */

/* The library's callback has no argument. */
static const struct tlscompat_tickets *tickets;

#ifdef HAVE_PROVIDERS
/* Fetched once: by the old name it would come from another context. */
static EVP_CIPHER *ticket_cipher;

static bool
has_ticket_cipher(void)
{
	if (ticket_cipher == NULL)
		ticket_cipher = EVP_CIPHER_fetch(
		    tlscompat_library(), "AES-256-CBC", TLSCOMPAT_PROPERTIES);
	return ticket_cipher != NULL;
}

static bool
set_mac(EVP_MAC_CTX *mac, const unsigned char *key)
{
	unsigned char bytes[KEY_SIZE];
	char digest[] = "SHA256";
	OSSL_PARAM params[3] = {
		OSSL_PARAM_construct_octet_string(
		    OSSL_MAC_PARAM_KEY, bytes, sizeof(bytes)),
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	bool is_set;

	memcpy(bytes, key, sizeof(bytes));
	is_set = EVP_MAC_CTX_set_params(mac, params) == 1;
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return is_set;
}
#else
#define ticket_cipher EVP_aes_256_cbc()

static bool
has_ticket_cipher(void)
{
	return true;
}

static bool
set_mac(HMAC_CTX *mac, const unsigned char *key)
{
	return HMAC_Init_ex(mac, key, KEY_SIZE, EVP_sha256(), NULL) == 1;
}
#endif

/* 2: the client is to get a new one; 1; 0: not to be opened; or -1. */
static int
#ifdef HAVE_PROVIDERS
use_secret(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
#else
use_secret(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, HMAC_CTX *mac, int is_new)
#endif
{
	const unsigned char *secret = NULL;
	enum tlscompat_secret found =
	    tickets->secret(ssl, name, is_new != 0, &secret);

	if (found == TLSCOMPAT_NO_SECRET)
		return is_new ? -1 : 0;
	if ((is_new && getentropy(iv, IV_SIZE) == -1) ||
	    EVP_CipherInit_ex(
		cipher, ticket_cipher, NULL, secret, iv, is_new) != 1 ||
	    !set_mac(mac, secret + KEY_SIZE))
		return -1;
	return found == TLSCOMPAT_OLD_SECRET ? 2 : 1;
}

static int
on_close(SSL *ssl, void *arg)
{
	(void)arg;
	return tickets->close(ssl, SSL_get_session(ssl));
}

/* Whoever shows none that is of use gets a new one. */
static SSL_TICKET_RETURN
on_open(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
    size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
	(void)name;
	(void)name_len;
	(void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (!tickets->open(ssl, session))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	/* In TLS 1.3 a ticket is best used once: RFC 8446, appendix C.4. */
	return status == SSL_TICKET_SUCCESS &&
		SSL_version(ssl) != TLS1_3_VERSION
	    ? SSL_TICKET_RETURN_USE
	    : SSL_TICKET_RETURN_USE_RENEW;
}

int
tlscompat_set_tickets(SSL_CTX *ctx, const struct tlscompat_tickets *how)
{
	if (!has_ticket_cipher())
		return -1;
	tickets = how;
#ifdef HAVE_PROVIDERS
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, use_secret);
#else
	SSL_CTX_set_tlsext_ticket_key_cb(ctx, use_secret);
#endif
	return SSL_CTX_set_session_ticket_cb(ctx, on_close, on_open, NULL) == 1
	    ? 0
	    : -1;
}

bool
tlscompat_set_ticket_data(
    SSL_SESSION *session, const unsigned char *data, size_t len)
{
	return SSL_SESSION_set1_ticket_appdata(session, data, len) == 1;
}

void
tlscompat_ticket_data(SSL_SESSION *session, unsigned char **data, size_t *len)
{
	void *found = NULL;

	*len = 0;
	(void)SSL_SESSION_get0_ticket_appdata(session, &found, len);
	*data = found;
}

#else /* none: the chain of a client would be lost */

int
tlscompat_set_tickets(SSL_CTX *ctx, const struct tlscompat_tickets *how)
{
	(void)ctx;
	(void)how;
	return -1;
}

bool
tlscompat_set_ticket_data(
    SSL_SESSION *session, const unsigned char *data, size_t len)
{
	(void)session;
	(void)data;
	(void)len;
	return false;
}

void
tlscompat_ticket_data(SSL_SESSION *session, unsigned char **data, size_t *len)
{
	(void)session;
	*data = NULL;
	*len = 0;
}
#endif

/*
 * PEM
 */

#ifdef HAVE_PEM_READ_BIO_EX
bool
tlscompat_pem_read(
    BIO *bio, char **name, char **header, unsigned char **data, long *len)
{
	/* "Secure": its temporary buffers are wiped as well. */
	return PEM_read_bio_ex(bio, name, header, data, len,
		   PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) == 1;
}

void
tlscompat_pem_free(char *name, char *header, unsigned char *data, long len)
{
	OPENSSL_secure_free(name);
	OPENSSL_secure_free(header);
	if (data != NULL)
		OPENSSL_secure_clear_free(data, (size_t)len);
}
#else /* LibreSSL: wipes every buffer that it frees */
bool
tlscompat_pem_read(
    BIO *bio, char **name, char **header, unsigned char **data, long *len)
{
	return PEM_read_bio(bio, name, header, data, len) == 1;
}

void
tlscompat_pem_free(char *name, char *header, unsigned char *data, long len)
{
	free(name);
	free(header);
	if (data != NULL)
		OPENSSL_cleanse(data, (size_t)len);
	free(data);
}
#endif

/*
 * Old encryptions of private keys
 */

#ifdef HAVE_PROVIDERS
struct tlscompat_old {
	OSSL_LIB_CTX *ctx;
	OSSL_PROVIDER *standard, *legacy;
};

struct tlscompat_old *
tlscompat_old_new(char *why_not)
{
	struct tlscompat_old *old = calloc(1, sizeof(*old));

	if (old == NULL)
		return NULL;
	old->ctx = OSSL_LIB_CTX_new();
	if (old->ctx != NULL)
		old->standard = OSSL_PROVIDER_load(old->ctx, "default");
	if (old->standard == NULL) {
		tlscompat_old_free(old);
		return NULL;
	}
	ERR_clear_error();
	*why_not = '\0';
	old->legacy = OSSL_PROVIDER_load(old->ctx, "legacy");
	if (old->legacy == NULL)
		tlslib_reason(why_not);
	ERR_clear_error();
	return old;
}

void
tlscompat_old_free(struct tlscompat_old *old)
{
	if (old == NULL)
		return;
	if (old->legacy != NULL)
		OSSL_PROVIDER_unload(old->legacy);
	if (old->standard != NULL)
		OSSL_PROVIDER_unload(old->standard);
	OSSL_LIB_CTX_free(old->ctx);
	free(old);
}

PKCS8_PRIV_KEY_INFO *
tlscompat_old_pkcs8(struct tlscompat_old *old, const X509_SIG *sig,
    const char *phrase, size_t len)
{
	return PKCS8_decrypt_ex(sig, phrase, (int)len, old->ctx, NULL);
}

const EVP_CIPHER *
tlscompat_old_cipher(struct tlscompat_old *old, const EVP_CIPHER *known)
{
	return EVP_CIPHER_fetch(old->ctx, EVP_CIPHER_get0_name(known), NULL);
}

void
tlscompat_old_cipher_free(const EVP_CIPHER *cipher)
{
	EVP_CIPHER_free((EVP_CIPHER *)(uintptr_t)cipher);
}
#else /* there are no new and old ones */
struct tlscompat_old {
	char nothing;
};

struct tlscompat_old *
tlscompat_old_new(char *why_not)
{
	*why_not = '\0';
	return calloc(1, sizeof(struct tlscompat_old));
}

void
tlscompat_old_free(struct tlscompat_old *old)
{
	free(old);
}

PKCS8_PRIV_KEY_INFO *
tlscompat_old_pkcs8(struct tlscompat_old *old, const X509_SIG *sig,
    const char *phrase, size_t len)
{
	(void)old;
	return PKCS8_decrypt(sig, phrase, (int)len);
}

const EVP_CIPHER *
tlscompat_old_cipher(struct tlscompat_old *old, const EVP_CIPHER *known)
{
	(void)old;
	return known;
}

void
tlscompat_old_cipher_free(const EVP_CIPHER *cipher)
{
	(void)cipher;
}
#endif

/*
 * Facts of a connection
 */

X509 *
tlscompat_peer(const SSL *ssl)
{
	X509 *peer = SSL_get_peer_certificate(ssl);

	/* The session holds it as well. */
	X509_free(peer);
	return peer;
}

#ifdef HAVE_PROVIDERS
const char *
tlscompat_group(SSL *ssl)
{
	long group = SSL_get_negotiated_group(ssl);

	/* DHE with parameters of our own has no name. */
	return group == NID_undef ? NULL : SSL_group_to_name(ssl, (int)group);
}
#else
/* By the library's number, or by IANA's, unless that is 0. */
static const char *
group_name(int nid, unsigned iana)
{
	static const struct {
		int nid;
		unsigned iana;
		const char *name;
	} groups[] = {
		{ EVP_PKEY_X25519, 29, "x25519" },
		{ NID_X9_62_prime256v1, 23, "secp256r1" },
		{ NID_secp384r1, 24, "secp384r1" },
		{ NID_secp521r1, 25, "secp521r1" },
#ifdef EVP_PKEY_X448
		{ EVP_PKEY_X448, 30, "x448" },
#endif
#ifdef NID_X25519MLKEM768
		{ NID_X25519MLKEM768, 4588, "X25519MLKEM768" },
#endif
		{ NID_brainpoolP256r1, 26, "brainpoolP256r1" },
		{ NID_brainpoolP384r1, 27, "brainpoolP384r1" },
		{ NID_brainpoolP512r1, 28, "brainpoolP512r1" },
	};
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (iana == 0 ? groups[i].nid == nid : groups[i].iana == iana)
			return groups[i].name;
	return NULL;
}

/* By the kind of key that the client sent, which is kept with TLS 1.3. */
const char *
tlscompat_group(SSL *ssl)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	unsigned iana = watched_group(ssl);
	EVP_PKEY *key = NULL;
	int nid = NID_undef;

	if (iana != 0)
		return group_name(NID_undef, iana);
	if (SSL_get_peer_tmp_key(ssl, &key) == 1) {
		EC_KEY *ec = EVP_PKEY_get0_EC_KEY(key);

		nid = ec == NULL
		    ? EVP_PKEY_id(key)
		    : EC_GROUP_get_curve_name(EC_KEY_get0_group(ec));
	} else if (cipher != NULL &&
	    SSL_CIPHER_get_kx_nid(cipher) == NID_kx_ecdhe) {
		/* What a server chooses: the first that both have. */
		nid = (int)SSL_get_shared_group(ssl, 0);
	}
	EVP_PKEY_free(key);
	ERR_clear_error();
	return group_name(nid, 0);
}
#endif

bool
tlscompat_has_signed(const SSL *ssl)
{
#ifdef SSL_CTRL_GET_SIGNATURE_NID
	int nid = NID_undef;

	/* A macro that casts const away. */
	return SSL_get_signature_nid((SSL *)(uintptr_t)ssl, &nid) == 1 &&
	    nid != NID_undef;
#else
	(void)ssl;
	return true;
#endif
}

bool
tlscompat_is_bound(SSL *ssl)
{
	if (SSL_version(ssl) >= TLS1_3_VERSION)
		return true;
#ifdef SSL_get_extms_support
	return SSL_get_extms_support(ssl) == 1;
#else
	return false;
#endif
}

int
tlscompat_signature_digest(X509 *cert)
{
	int nid = NID_undef;

#ifdef HAVE_X509_GET_SIGNATURE_INFO
	if (X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1)
		nid = NID_undef;
#else
	if (OBJ_find_sigid_algs(X509_get_signature_nid(cert), &nid, NULL) != 1)
		nid = NID_undef;
#endif
	ERR_clear_error();
	return nid;
}

int
tlscompat_name_index(const X509_NAME *name, int nid, int last)
{
	/* 1.1.1 has no const here. */
	return X509_NAME_get_index_by_NID(
	    (X509_NAME *)(uintptr_t)name, nid, last);
}

/*
 * Errors
 */

bool
tlscompat_is_unsupported(unsigned long code)
{
#ifdef ERR_R_UNSUPPORTED
	return ERR_GET_REASON(code) == ERR_R_UNSUPPORTED ||
	    ERR_GET_REASON(code) == ERR_R_FETCH_FAILED;
#else
	(void)code;
	return false;
#endif
}

int
tlscompat_system_error(unsigned long code)
{
#ifdef ERR_SYSTEM_ERROR
	return ERR_SYSTEM_ERROR(code) ? ERR_GET_REASON(code) : 0;
#else
	return ERR_GET_LIB(code) == ERR_LIB_SYS ? ERR_GET_REASON(code) : 0;
#endif
}
