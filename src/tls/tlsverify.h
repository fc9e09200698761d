/*
 * tlsverify: what is wanted of the peer's certificate, for one connection,
 * and what became of that.  A server's words; a client's are in tlsclient.h.
 */
#ifndef TLS_TLSVERIFY_H
#define TLS_TLSVERIFY_H

#include <stdbool.h>

#include "base/text.h"
#include "net/ip.h"

struct ssl_st;
struct stack_st_X509;
struct x509_st;

/* More intermediate certificates than anybody has. */
#define TLSVERIFY_DEPTH_MAX 100

enum tlsverify_mode {
	TLSVERIFY_NONE, /* do not ask for one */
	TLSVERIFY_CERT, /* require one that verifies, of any name (-m) */
	TLSVERIFY_NAME	/* and its name must be the client's (-z) */
};

struct tlsverify {
	enum tlsverify_mode mode;
	unsigned depth; /* intermediate certificates allowed */
	/*
	 * With TLSVERIFY_NAME: nothing is matched unless matches_name;
	 * then the looked-up name, or, when that is NULL, the address.
	 */
	bool matches_name;
	bool strict_names; /* never a common name */
	bool any_chain;	   /* the name alone counts, whoever signed it */
	const char *host;
	struct ip remote;
};

enum tlsverify_refusal {
	TLSVERIFY_NOT_REFUSED,
	TLSVERIFY_NO_CERT,  /* the client has sent none */
	TLSVERIFY_BAD_CERT, /* it is not valid */
	TLSVERIFY_BAD_NAME  /* it is, but of somebody else */
};

struct tlsverify_result {
	enum tlsverify_refusal refusal;
	/*
	 * BAD_CERT: the library's reason, and at which depth unless it is
	 * the client's own certificate.  BAD_NAME: the certificate's first
	 * dNSName, else its common name, unless strict_names, else its first
	 * iPAddress, else why there is none.  Printable.
	 */
	char reason[TEXT_PRINTABLE_SIZE];
	/* BAD_CERT, BAD_NAME: the subject of the certificate that is meant. */
	char subject[TEXT_PRINTABLE_SIZE];
	const struct tlsverify *wanted;
};

/*
 * Before the handshake: have ssl ask for what verify says and refuse with an
 * alert what does not fit.  *result is filled as soon as that is known; it,
 * *verify and its host must outlive ssl.  A name matches a SAN dNSName,
 * whose left-most label may be a wildcard, and a common name only where
 * there is no dNSName; an address matches a SAN iPAddress alone.  0, or -1:
 * memory is short, or host is no name.
 */
int tlsverify_begin(struct ssl_st *ssl, const struct tlsverify *verify,
    struct tlsverify_result *result);

/*
 * The handshake has failed, and the library's errors are still there: was
 * it because no certificate came?
 */
void tlsverify_conclude(struct tlsverify_result *result);

/*
 * A certificate that was found valid before, and chain, what the client had
 * sent with it (NULL: nothing), in a session that is about to be resumed:
 * would it do for this client now?  That is a matter of dates and of its
 * name; who signed it is not asked again.  Where none is wanted, none will
 * do.
 */
bool tlsverify_again(const struct tlsverify *verify, struct x509_st *cert,
    const struct stack_st_X509 *chain);

/*
 * A server's chain, its own certificate first, of a session that is kept:
 * would a handshake of ssl, which tlsverify_begin has seen, take it now?  All
 * is asked again that a handshake asks, with the store, the lists and the
 * clock of today.  Its result is untouched.
 */
bool tlsverify_chain(struct ssl_st *ssl, struct stack_st_X509 *chain);

/* Is the certificate for the host of *verify or, when it is NULL, remote? */
bool tlsverify_has_name(const struct tlsverify *verify, struct x509_st *cert);

/* The name of a certificate, as BAD_NAME has it above. */
void tlsverify_show_name(
    char text[TEXT_PRINTABLE_SIZE], const struct x509_st *cert, bool is_strict);

#endif
