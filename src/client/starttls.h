/*
 * starttls: lead a plain connection to the point where TLS begins.
 *
 * Nine protocols begin in plain text and have a word for "TLS from here".
 * What is said before that word is not authenticated: nothing of it is kept,
 * and not one byte of the server may wait behind its last plain answer.
 */
#ifndef CLIENT_STARTTLS_H
#define CLIENT_STARTTLS_H

#include <stdint.h>

enum starttls_protocol {
	STARTTLS_SMTP,	   /* RFC 3207 */
	STARTTLS_IMAP,	   /* RFC 3501, 6.2.1 */
	STARTTLS_POP3,	   /* RFC 2595, 4 */
	STARTTLS_FTP,	   /* RFC 4217 */
	STARTTLS_SIEVE,	   /* RFC 5804, 2.2 */
	STARTTLS_LDAP,	   /* RFC 4511, 4.14 */
	STARTTLS_XMPP,	   /* RFC 6120, 5 */
	STARTTLS_POSTGRES, /* its manual, 55.2.10: SSLRequest */
	STARTTLS_MYSQL,	   /* its manual: Protocol::SSLRequest */
	STARTTLS_PROTOCOLS
};

/* Room for why there will be no TLS. */
#define STARTTLS_WHY_SIZE 320

/* The protocol of that name, in lower case.  0 and *protocol, or -1. */
int starttls_named(const char *name, enum starttls_protocol *protocol);

/* Its name: static text. */
const char *starttls_name(enum starttls_protocol protocol);

/*
 * Speak the protocol on the connected socket fd, blocking or not, until the
 * client's next byte is the first of TLS.  host is the server as its user
 * named it (XMPP wants it), or NULL.  Blocks, until cancel_fd (-1: none) can
 * be read, or deadline (clock_now) at the latest.  Needs no file, no memory
 * but the stack's (20 kB) and poll(2) of two descriptors, so it runs where
 * TLS will be spoken.
 *
 * 0: TLS may begin; of the server everything up to the end of its answer has
 * been read and nothing was there behind it.  -1: the connection is good for
 * nothing, and why is one printable sentence that begins with the protocol's
 * name: not offered, refused (with what the server said), not understood,
 * too long (dance.h has the limits), more than was asked for, over, late, or
 * cancelled.
 */
int starttls(int fd, int cancel_fd, enum starttls_protocol protocol,
    const char *host, int64_t deadline, char why[STARTTLS_WHY_SIZE]);

#endif
