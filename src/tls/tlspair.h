/*
 * tlspair: a server's certificate with its chain, and the private key that
 * belongs to it, from the PEM text of one file or two.
 *
 * Used by the keeper, when it has given up its rights.
 */
#ifndef TLS_TLSPAIR_H
#define TLS_TLSPAIR_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/tlstrust.h"

struct buf;
struct tlskey;
struct tlsphrase;

/* What was read from a file, and what sentences call that. */
struct tlspair_text {
	const char *variable, *path;
	const unsigned char *bytes;
	size_t len;
};

struct tlspair {
	struct tlspair_text cert;
	struct tlspair_text key; /* bytes NULL: it is in cert's text */
	bool is_chain;		 /* cert's text must be a chain, all of it */
	bool has_no_key;	 /* it is elsewhere: none is looked for */
	const char *no_key;	 /* why it is not in a text of its own */
	const struct tlsphrase *phrase; /* for an encrypted key, or NULL */
	const char *name; /* of the server, as in struct tlscert; or NULL */
};

/*
 * Parse and check.  *chain, empty before, becomes a row (see tlstrust_next)
 * of DER, leaf first, and *key the caller's (NULL with has_no_key).  Refused, each with a sentence
 * of its own in error (of TLSFILE_ERROR_SIZE bytes): not PEM, no
 * certificate, no key, an encrypted key without phrase or with a wrong one,
 * a chain that is not leaf first (root first is recognised by name) or does
 * not hang together, a kind of key other than RSA, ECDSA and Ed25519, key
 * and certificate that do not match.  An expired or not yet valid leaf, and
 * one that is not for name, is a warning.  0 or -1.  No copy of a key stays but that in *key.
 */
int tlspair_load(const struct tlspair *pair, struct buf *chain,
    struct tlskey **key, tlstrust_warn_fn *warn, void *arg, char *error);

#endif
