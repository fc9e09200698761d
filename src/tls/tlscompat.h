/*
 * tlscompat: what differs between the TLS libraries: OpenSSL 3, OpenSSL
 * 1.1.1 and LibreSSL.
 *
 * For tls/ alone.  Each function means the same with every library; where
 * one can only do less, that is said.  Which it is, the build finds by
 * tests of the library.  The one other difference is where a private key
 * can hide: tlsremote_*.c and tlsform_*.c, of which a build has one each.
 */
#ifndef TLS_TLSCOMPAT_H
#define TLS_TLSCOMPAT_H

#include <stdbool.h>
#include <stddef.h>

struct bio_st;
struct evp_cipher_st;
struct evp_pkey_st;
struct ossl_lib_ctx_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;
struct x509_store_ctx_st;
struct X509_VERIFY_PARAM_st;
struct tlscompat_old;
struct X509_crl_st;
struct X509_name_st;
struct X509_sig_st;
struct pkcs8_priv_key_info_st;
struct x509_st;

/* Everything but our own keys belongs to the default provider. */
#define TLSCOMPAT_PROPERTIES "?provider=default"

/*
 * The one library context of tls/, made at the first call; the default
 * one of the process is untouched.  Never freed.  NULL: memory is short,
 * or the library has no such thing (tlscompat_start tells).
 */
struct ossl_lib_ctx_st *tlscompat_library(void);

/* Make what the functions below need.  0, or -1: memory is short. */
int tlscompat_start(void);

/* As their namesakes, in our context.  NULL: memory is short. */
struct ssl_ctx_st *tlscompat_ctx_new(bool is_server);
struct x509_st *tlscompat_x509_new(void);
struct X509_crl_st *tlscompat_crl_new(void);
struct x509_store_ctx_st *tlscompat_store_ctx_new(void);

/* The oldest version that it speaks, as the x of TLS 1.x. */
unsigned tlscompat_oldest(void);

/*
 * A server's context without early data, tickets of TLS 1.3 and
 * renegotiation.  It reads as much ahead as read_size, if the library can.
 */
void tlscompat_set_behaviour(struct ssl_ctx_st *ctx, size_t read_size);

/*
 * From now on a session of ctx, a server's, is resumed only by a client that
 * asks for the same server name, or for none again (RFC 6066, section 3).
 */
void tlscompat_bind_to_name(struct ssl_ctx_st *ctx);

/* Use this prime and generator for DHE.  0, or -1: refused. */
int tlscompat_set_dh(struct ssl_ctx_st *ctx, const unsigned char *p,
    size_t p_len, const unsigned char *g, size_t g_len);

/* The same with parameters of ctx's own library context; not taken over. */
int tlscompat_use_dh(struct ssl_ctx_st *ctx, struct evp_pkey_st *dh);

/* A new key on P-256, or NULL. */
struct evp_pkey_st *tlscompat_make_key(void);

/*
 * The connection uses none of its context's certificates any more; those
 * it is given next are all it has.  bare is a context like its own, but
 * without certificates, where the library needs one for that; else NULL.
 * 0, or -1: memory is short.
 */
int tlscompat_forget_certs(struct ssl_st *server, struct ssl_ctx_st *bare);
bool tlscompat_needs_bare(void);

/* Have a client ask for ECDSA alone, if the library can. */
void tlscompat_want_ecdsa(struct ssl_st *client);

/* Signatures of a chain are at least as strong as this security level. */
void tlscompat_set_auth_level(struct X509_VERIFY_PARAM_st *param, int level);

/* Allow so many intermediate certificates in the peer's chain. */
void tlscompat_set_depth(struct ssl_st *ssl, unsigned depth);

/*
 * Tickets that hold sessions (RFC 5077, RFC 8446 section 4.6.1), sealed with
 * AES-256-CBC, then HMAC with SHA-256.
 */
enum tlscompat_secret {
	TLSCOMPAT_NO_SECRET, /* it cannot be opened, or the handshake fails */
	TLSCOMPAT_SECRET,
	TLSCOMPAT_OLD_SECRET /* as that; the client is to have a new ticket */
};

struct tlscompat_tickets {
	/*
	 * The keys of both, 32 bytes each, in *secret, and for a new ticket
	 * 16 bytes of a name; else those belong to the name.
	 */
	enum tlscompat_secret (*secret)(struct ssl_st *ssl, unsigned char *name,
	    bool is_new, const unsigned char **secret);
	/* Before one is sealed: true, or the handshake fails. */
	bool (*close)(struct ssl_st *ssl, struct ssl_session_st *session);
	/* After one was opened: is it to be resumed? */
	bool (*open)(struct ssl_st *ssl, struct ssl_session_st *session);
};

/*
 * Have the tickets of ctx made so; the same *tickets, which must stay, for
 * every context of the process.  0, or -1: the library cannot, or memory is
 * short.
 */
int tlscompat_set_tickets(
    struct ssl_ctx_st *ctx, const struct tlscompat_tickets *tickets);

/* Data of ours in a session; none: NULL and 0.  It copies; it lends. */
bool tlscompat_set_ticket_data(
    struct ssl_session_st *session, const unsigned char *data, size_t len);
void tlscompat_ticket_data(
    struct ssl_session_st *session, unsigned char **data, size_t *len);

/*
 * Has the library read bytes that it has not handed out?  false where it
 * reads record by record and so keeps none.
 */
bool tlscompat_has_pending(const struct ssl_st *ssl);

/*
 * The curve of an EC key by its short name ("prime256v1"), written to name;
 * NULL: it has none.
 */
const char *tlscompat_curve(
    const struct evp_pkey_st *pkey, char *name, size_t size);

/*
 * As PEM_read_bio, wiping what is read on the way.  true: the block is the
 * caller's, for tlscompat_pem_free.
 */
bool tlscompat_pem_read(struct bio_st *bio, char **name, char **header,
    unsigned char **data, long *len);

/* Wipe and free; NULL is accepted. */
void tlscompat_pem_free(
    char *name, char *header, unsigned char *data, long len);

/*
 * What old encryptions of private keys need: with OpenSSL 3 the legacy
 * provider, a file of its own, in a context of its own.  NULL: out of
 * memory; else why_not (TEXT_PRINTABLE_SIZE bytes) is "", or why there is
 * none of it.
 */
struct tlscompat_old *tlscompat_old_new(char *why_not);
void tlscompat_old_free(struct tlscompat_old *old);

/* As PKCS8_decrypt, with old ciphers. */
struct pkcs8_priv_key_info_st *tlscompat_old_pkcs8(struct tlscompat_old *old,
    const struct X509_sig_st *sig, const char *phrase, size_t len);

/*
 * A cipher that can be used, of one that is known by name; NULL: it is not
 * to be had.  For tlscompat_old_cipher_free.
 */
const struct evp_cipher_st *tlscompat_old_cipher(
    struct tlscompat_old *old, const struct evp_cipher_st *known);
void tlscompat_old_cipher_free(const struct evp_cipher_st *cipher);

/* Does an error's reason say that an algorithm is not to be had? */
bool tlscompat_is_unsupported(unsigned long code);

/*
 * Facts of a connection.
 *
 * The certificate that the client has sent, which stays the connection's;
 * NULL: none.
 */
struct x509_st *tlscompat_peer(const struct ssl_st *ssl);

/*
 * Has this end signed in the handshake?  Of a client: has its certificate
 * been asked for and sent?  true where the library does not tell.
 */
bool tlscompat_has_signed(const struct ssl_st *ssl);

/* The group of the key exchange, as TLS calls it; NULL: none, or unknown. */
const char *tlscompat_group(struct ssl_st *ssl);

/*
 * Is the master secret bound to the handshake (RFC 7627, always so in TLS
 * 1.3)?  false where the library does not do that.
 */
bool tlscompat_is_bound(struct ssl_st *ssl);

/* The digest of a certificate's signature, as a NID; NID_undef: unknown. */
int tlscompat_signature_digest(struct x509_st *cert);

/* As X509_NAME_get_index_by_NID. */
int tlscompat_name_index(const struct X509_name_st *name, int nid, int last);

/* The errno value that an error code stands for, or 0. */
int tlscompat_system_error(unsigned long code);

#endif
