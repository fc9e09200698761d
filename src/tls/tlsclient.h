/*
 * tlsclient: what a client wants of one connection.
 */
#ifndef TLS_TLSCLIENT_H
#define TLS_TLSCLIENT_H

#include <stddef.h>

#include "tls/tlsverify.h"

struct ssl_st;

/* Longest ALPN list on the wire. */
#define TLSCLIENT_ALPN_MAX 1024

/* As long as RFC 8446, section 4.6.1, has a ticket live. */
#define TLSCLIENT_LIFETIME 604800

/* Take a session that may be resumed; its bytes are gone afterwards. */
typedef void tlsclient_keep_fn(
    void *arg, const unsigned char *session, size_t len);

struct tlsclient {
	/*
	 * TLSVERIFY_NAME: the server's name is host or, when that is NULL,
	 * its address remote.  With any_chain the name alone counts.
	 */
	struct tlsverify verify;
	const char *sni;	   /* sent; NULL: none */
	const unsigned char *alpn; /* tlsclient_alpn's; NULL: none */
	size_t alpn_len;
	/*
	 * What keep was given in a connection with the same wishes, to the
	 * same server; NULL: none.  The server shows no certificate in it,
	 * so that those it has shown are verified again, as verify says.  One
	 * whose certificates do not pass, whose full handshake was more than
	 * TLSCLIENT_LIFETIME seconds ago, or that cannot be read, is not used.
	 */
	const unsigned char *session;
	size_t session_len;
	tlsclient_keep_fn *keep; /* NULL: nobody wants sessions */
	void *arg;
};

/*
 * Names of protocols, separated by commas, as they travel: each behind its
 * length.  0 and *len bytes in wire, or -1: an empty name, one of more than
 * 255 bytes, or more than fit.
 */
int tlsclient_alpn(
    unsigned char wire[TLSCLIENT_ALPN_MAX], size_t *len, const char *list);

/*
 * For tlsconn: make a client's end of ssl, which tlsverify_begin has seen.
 * With keep it is the only one of its context, and *client must outlive it.
 * 0, or -1: memory is short.
 */
int tlsclient_begin(struct ssl_st *ssl, const struct tlsclient *client);

#endif
