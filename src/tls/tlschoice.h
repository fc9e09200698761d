/*
 * tlschoice: which of a server's certificates a client gets.
 *
 * Nothing outside tls/ includes it.
 */
#ifndef TLS_TLSCHOICE_H
#define TLS_TLSCHOICE_H

#include <stddef.h>

#include "tls/tlsctx.h"

struct ssl_ctx_st;
struct tlscerts;
struct tlschoice_slot;

struct tlschoice {
	const struct tlscerts *certs;
	struct tlschoice_slot *slots; /* one for each certificate */
	tlsctx_sign_fn *sign;	      /* NULL: every signature fails */
	void *arg;
};

/*
 * Nothing given to anybody yet.  certs and *choice must outlive whatever
 * they are given to.  0, or -1: memory is short.
 */
int tlschoice_init(struct tlschoice *choice, const struct tlscerts *certs);

/*
 * Have the connections of ctx use that certificate; of several the library
 * takes one that the client can do, so that each must be of another kind.
 * 0, or -1: the library knows why.
 */
int tlschoice_use(
    struct tlschoice *choice, struct ssl_ctx_st *ctx, size_t number);

void tlschoice_clear(struct tlschoice *choice);

#endif
