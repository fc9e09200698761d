/*
 * tlschoice: which of a server's certificates, and which protocol inside
 * TLS, a client gets.
 *
 * Nothing outside tls/ includes it.
 */
#ifndef TLS_TLSCHOICE_H
#define TLS_TLSCHOICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "tls/tlsctx.h"

struct ssl_ctx_st;
struct ssl_st;
struct tlscert;
struct tlscerts;
struct tlskey;
struct tlschoice_slot;

struct tlschoice {
	const struct tlscerts *certs;
	struct tlschoice_slot *slots; /* one for each certificate */
	size_t count;
	/* Ours; see tlscompat_forget_certs.  NULL: it is not needed. */
	struct ssl_ctx_st *bare;
	bool is_strict;		  /* names that are not known are refused */
	bool is_blind;		  /* names do not matter, for a while */
	unsigned char *protocols; /* each behind its length; NULL: none */
	size_t protocols_len;
	tlsctx_sign_fn *sign; /* NULL: every signature fails */
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

/*
 * Have the connections of ctx, a client's, use a certificate and its key,
 * which is in this process.  0, or -1: the library knows why.
 */
int tlschoice_own(struct ssl_ctx_st *ctx, const struct tlscert *cert,
    const struct tlskey *key);

/*
 * Could a connection of ctx use it?  Nothing of it stays.  0, or -1: the
 * library knows why.
 */
int tlschoice_try(
    struct tlschoice *choice, struct ssl_ctx_st *ctx, size_t number);

/*
 * From now on the connections of ctx use the certificates of the name that
 * the client asks for.  Where there are none, they use what tlschoice_use
 * gave them; if is_strict, or if it gave them nothing, they refuse the
 * client with the alert unrecognized_name (RFC 6066, section 3), unless it
 * asks for a name that one of these certificates is for, or for none.  0,
 * or -1: memory is short.
 */
int tlschoice_by_name(struct tlschoice *choice, struct ssl_ctx_st *ctx);

/*
 * From now on the connections of ctx agree on the first protocol of list
 * that the client offers too (ALPN, RFC 7301); names are separated by
 * commas, NULL and "" are none.  Where there is no such protocol the client
 * is refused with the alert no_application_protocol; one that offers none is
 * served.  0, or -1 and a part of a sentence in what (memory is short, or a
 * name of the list is empty, longer than 255 bytes or not printable ASCII).
 */
int tlschoice_by_protocol(struct tlschoice *choice, struct ssl_ctx_st *ctx,
    const char *list, const char **what);

/* A handshake has failed: for name or protocol?  Then say so in text. */
bool tlschoice_refused(
    const struct ssl_st *ssl, char text[TEXT_PRINTABLE_SIZE]);

void tlschoice_clear(struct tlschoice *choice);

#endif
