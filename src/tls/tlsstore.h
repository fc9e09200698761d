/*
 * tlsstore: what a keeper found of CAs and revocation lists, as the TLS
 * library wants it.  Nothing outside tls/ includes it.
 */
#ifndef TLS_TLSSTORE_H
#define TLS_TLSSTORE_H

struct ssl_ctx_st;
struct tlstrust;

/*
 * Give ctx the anchors and revocation lists to check clients by, and the
 * names to tell them; whether a client is asked at all is a connection's
 * own.  With any revocation list, every certificate of a chain needs one
 * of its issuer.  What a look-up would do lazily is done now, before the
 * first fork.  0, or -1: malformed, or memory is short.
 */
int tlsstore_fill(struct ssl_ctx_st *ctx, const struct tlstrust *trust);

#endif
