/*
 * tlsctx: the settings of one profile, ready for handshakes.
 *
 * Built once in the nursery from public data; a session inherits it by
 * fork.  The private key is elsewhere: signatures are asked for through a
 * callback, once per handshake (libtls's idea of a signer).
 */
#ifndef TLS_TLSCTX_H
#define TLS_TLSCTX_H

#include <stdbool.h>
#include <stddef.h>

struct tls_settings;
struct tls_public;
struct tlsctx;
struct tlskey;
struct tlsresume_cache;

/* The most a client may send as its chain of certificates, in bytes. */
#define TLSCTX_CLIENT_CHAIN_MAX (100 * 1024)

/*
 * Ask for a signature with the key of that number, which is its
 * certificate's in struct tls_public, of len bytes of text under scheme
 * (enum tlsscheme).  Returns its length, at most size, or -1.  May block;
 * runs inside tlsconn_handshake.
 */
typedef int tlsctx_sign_fn(void *arg, size_t key, unsigned scheme,
    const unsigned char *text, size_t len, unsigned char *signature,
    size_t size);

/*
 * Check the settings and build a context for a server.  NULL and one
 * sentence in error (of error_size bytes) that names the variable and the
 * reason: no usable cipher in CIPHERS, a certificate that is too weak for
 * its security level, a bad SNI, TLSMIN or TLSMAX, TLSMIN
 * above TLSMAX, an unknown group in TLSGROUPS, a bad list in ALPN, DH parameters the library
 * refuses.  TLS 1.2 and 1.3 unless the settings say otherwise; below 1.2
 * the security level is 0 unless CIPHERS sets one.  No compression, no
 * renegotiation, no static-RSA key exchange, early data off; sessions can
 * be resumed as tlsresume.h says.  openssl.cnf is not read.  CAs of clients
 * come from public; whether a client is asked for a certificate is said to
 * tlsconn_new.  The certificates of public are used from where they are and
 * must outlive the context; the rest of it need not.
 */
struct tlsctx *tlsctx_new(const struct tls_settings *settings,
    const struct tls_public *public, char *error, size_t error_size);

/*
 * The same for a client, who checks servers by the CAs and lists of public.
 * Its own certificate, if public has one, is sent to servers that ask, and
 * key (NULL: none) signs here; both are the context's own copies.
 */
struct tlsctx *tlsctx_new_client(const struct tls_settings *settings,
    const struct tls_public *public, const struct tlskey *key, char *error,
    size_t error_size);

/* From now on signatures are asked for from fn(arg, ...). */
void tlsctx_set_signer(struct tlsctx *ctx, tlsctx_sign_fn *fn, void *arg);

/* From now on sessions that can be resumed are kept there. */
void tlsctx_set_cache(struct tlsctx *ctx, const struct tlsresume_cache *cache);

/*
 * Run handshakes against ourselves in memory with a throw-away key, so
 * that lazily built tables exist before the first fork.  The signer is
 * not used.  0, or -1 (harmless: only speed is lost).
 */
int tlsctx_warm_up(struct tlsctx *ctx);

/* The server's turn begins (true) or ends. */
typedef void tlsctx_turn_fn(bool begins);

/*
 * The same, and tell when it is the server that works: what it does then a
 * session does.  turn may be NULL.
 */
int tlsctx_rehearse(struct tlsctx *ctx, tlsctx_turn_fn *turn);

void tlsctx_free(struct tlsctx *ctx);

/* Version text of the TLS library in use, e.g. "OpenSSL 3.0.19 ...". */
const char *tlsctx_library(void);

#endif
