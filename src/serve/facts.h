/*
 * facts: the TLS variables of a program, from a session's facts.
 *
 * A session collects what tlsinfo tells it and encodes what fits; the
 * monitor checks the bytes and makes names and texts of them.  No name can
 * come from a session, and no value that an environment or a terminal
 * could take for something else: printable ASCII, PEM with newlines, and
 * for the parts of a distinguished name UTF-8 without control characters.
 * Pure functions; those of the session allocate.
 */
#ifndef SERVE_FACTS_H
#define SERVE_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/tlsinfo.h"

struct buf;
struct msg_writer;

/* The longest NAME=value, as the system's exec permits (with a NUL). */
#define FACTS_TEXT_MAX 131071
/* All of them, with their NULs. */
#define FACTS_TEXTS_MAX (256 * 1024)
/* Never reached: so many certificates would not fit. */
#define FACTS_CHAIN_MAX 1000
/* How many variables there can be. */
#define FACTS_COUNT_MAX (FACTS_CHAIN_MAX + 100)
/* Longest body of MSG_FACTS: encoded facts, and what else is in it. */
#define FACTS_BODY_MAX (320 * 1024)

/* In the session. */
struct facts;

/* None yet.  NULL when memory is short. */
struct facts *facts_new(void);

/*
 * A tlsinfo_fn: add a fact, in tlsinfo_walk's order.  One whose value or
 * length is not permitted is left out, and a certificate of the chain with
 * all behind it.  0, or -1 when memory is short.
 */
int facts_add(void *facts, const struct tlsinfo_fact *fact);

/*
 * Append what fits in all to *body: left out whole are certificates of the
 * chain from the last, then the parties' own, the longer first, then the
 * longest of the others.  0, or -1 as buf_append.
 */
int facts_encode(struct facts *facts, struct buf *body);

void facts_free(struct facts *facts);

/* In the monitor. */

/*
 * Are these encoded facts sound: known kinds of the right party in their
 * order, none twice, values and lengths that are permitted?  0 or -1.  No
 * facts at all are sound.
 */
int facts_check(const unsigned char *bytes, size_t len);

/*
 * Do checked facts say of the client what a handshake that succeeded can
 * say?  Where a certificate was demanded: that it is good, its digest, and
 * something of it (its name can be too long to be told); else nothing of any.
 */
bool facts_agree(const unsigned char *bytes, size_t len, bool demands_cert);

/*
 * Put the texts of checked facts, NAME=value each.  0, or -1: do not fit.
 * Where there are no facts, nothing is put.
 */
int facts_put_texts(
    const unsigned char *bytes, size_t len, struct msg_writer *w);

/*
 * Append the block that answers a program's `Y': the same texts with a NUL
 * behind each, and one more at the end; without any, two NULs.  At most
 * FACTS_TEXTS_MAX + 1 bytes.  0, or -1 as buf_append.
 */
int facts_put_block(const unsigned char *bytes, size_t len, struct buf *block);

#endif
