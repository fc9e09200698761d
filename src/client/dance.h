/*
 * dance: the plain-text part of STARTTLS as a machine without input and
 * output.
 *
 * It takes the server's bytes in pieces of any size, says what to send, and
 * ends in DANCE_DONE or DANCE_FAILED.  The outcome does not depend on how
 * the bytes were cut.
 */
#ifndef CLIENT_DANCE_H
#define CLIENT_DANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "client/starttls.h"

/*
 * One line, tag or message of a server, with its end.  RFC 5321 and 2449
 * allow lines of 512 bytes, RFC 5804 and 3501 name no limit, RFC 2683
 * (3.2.1.5) wants 8,000.
 */
#define DANCE_UNIT_MAX 8192

/*
 * All that a server may say before TLS.  This bounds the number of lines
 * too; greetings of FTP servers are the longest in use, some kilobytes.
 */
#define DANCE_TOTAL_MAX 65536

/* The longest thing we say: an XMPP stream header with a host name. */
#define DANCE_OUT_SIZE 512

/* Longer than any host name in use (RFC 1035: 253). */
#define DANCE_NAME_MAX 255

enum dance_state {
	DANCE_READ,  /* call dance_take */
	DANCE_SEND,  /* send out[0..out_len), then call dance_sent */
	DANCE_DONE,  /* TLS may begin, unless more bytes are there */
	DANCE_FAILED /* why says what happened */
};

struct dance_dialect;

struct dance {
	enum dance_state state;
	char why[STARTTLS_WHY_SIZE];
	char out[DANCE_OUT_SIZE];
	size_t out_len;
	/* Nobody else's business. */
	const struct dance_dialect *dialect;
	const char *own, *host;
	size_t step, total, skip, units, unit_len;
	unsigned depth;
	char quote, code[3], said[104];
	bool is_offered, is_error;
	unsigned char unit[DANCE_UNIT_MAX];
};

/*
 * Begin.  own is this machine's name for SMTP, printable and without blanks;
 * host as for starttls.  Both must stay until the end.
 */
void dance_begin(struct dance *d, enum starttls_protocol protocol,
    const char *own, const char *host);

/*
 * In DANCE_READ: take what the server said.  Returns how many of the len
 * bytes were taken; fewer only when the state is another one now.
 */
size_t dance_take(struct dance *d, const void *bytes, size_t len);

/* In DANCE_SEND: out has been sent. */
void dance_sent(struct dance *d);

/*
 * In DANCE_SEND or DANCE_DONE: the server has said these bytes, which nobody
 * asked for; whoever is on the way may have put them there, to be taken for
 * answers or for words said inside TLS (CVE-2011-0411).  DANCE_FAILED.
 */
void dance_surplus(struct dance *d, const void *bytes, size_t len);

/*
 * The connection is over: error is the errno, ETIMEDOUT for the deadline, 0
 * for the server's end of file.  DANCE_FAILED.
 */
void dance_lost(struct dance *d, int error);

#endif
