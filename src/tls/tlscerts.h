/*
 * tlscerts: the certificates of a server, each with its chain, by number.
 * The private key of the same number belongs to it.
 *
 * The first ones have no name: they are for a client that asks for no name,
 * or for one that is not known.  The others follow, sorted by name, perhaps
 * several of one.  A name whose first label is `_' is for all names that
 * have another one in its place.  No type of the TLS library is used.
 */
#ifndef TLS_TLSCERTS_H
#define TLS_TLSCERTS_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* More than that are refused. */
#define TLSCERTS_MAX (4096 + 8)

/* Room for a server's name: RFC 1035 allows 253 characters. */
#define TLSCERTS_NAME_SIZE 254

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

/* How many have no name. */
size_t tlscerts_nameless(const struct tlscerts *certs);

/*
 * The certificates for a server of that name, which anybody may have made
 * up: those that have just this name, in lower case, else those with `_' in
 * the place of its first label.  How many; *first is the first one's number.
 */
size_t tlscerts_find(
    const struct tlscerts *certs, const char *name, size_t *first);

/*
 * A server's name as it stands in the list: in lower case.  0, or -1: no
 * name of a server, which is made of labels of letters, digits, hyphens and
 * underscores with dots between them.
 */
int tlscerts_normal(char normal[TLSCERTS_NAME_SIZE], const char *name);

/* Accepts zeros. */
void tlscerts_free(struct tlscerts *certs);

#endif
