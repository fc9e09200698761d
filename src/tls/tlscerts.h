/*
 * tlscerts: the certificates of a server, each with its chain, by number.
 * The private key of the same number belongs to it.
 *
 * The first ones have no name: a client that asks for no name, or for one
 * that is not known, is served with one of them.  No type of the TLS
 * library is used.
 */
#ifndef TLS_TLSCERTS_H
#define TLS_TLSCERTS_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* More than that are refused. */
#define TLSCERTS_MAX (4096 + 8)

struct tlscert {
	const char *name; /* NULL: one of the first */
	const unsigned char
	    *chain; /* a row of DER, leaf first; tlstrust_next */
	size_t chain_len;
};

struct tlscerts {
	struct tlscert *all;
	size_t count;
	size_t room;
	bool is_borrowed; /* names and chains are somebody else's */
};

/*
 * Append a certificate: name is copied, *chain taken over and left empty.
 * *certs began as zeros or has been freed.  0, or -1: memory is short, and
 * *chain is as it was.
 */
int tlscerts_add(struct tlscerts *certs, const char *name, struct buf *chain);

/*
 * Room for count certificates whose names and chains the caller fills in
 * and keeps for as long as *certs is used.  0, or -1: memory is short.
 */
int tlscerts_borrow(struct tlscerts *certs, size_t count);

/* Accepts zeros. */
void tlscerts_free(struct tlscerts *certs);

#endif
