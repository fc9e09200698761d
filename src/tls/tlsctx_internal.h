/*
 * tlsctx_internal: what tlsconn and oldapi need of a tlsctx.  Nothing outside tls/
 * includes it.
 */
#ifndef TLS_TLSCTX_INTERNAL_H
#define TLS_TLSCTX_INTERNAL_H

struct ssl_ctx_st;
struct tlsctx;
struct tlsresume_cache;

/* The library's object, still the tlsctx's. */
struct ssl_ctx_st *tlsctx_ssl(struct tlsctx *ctx);

/* As tlsctx_set_cache has it, the tlsctx's; nobody before. */
const struct tlsresume_cache *tlsctx_cache(const struct tlsctx *ctx);

/* Each piece of CIPHERS to its version; both have room for all of it. */
void tlsctx_split_ciphers(const char *ciphers, char *tls12, char *tls13);

#endif
