/*
 * facts: the TLS variables of a program, from a session's facts.
 *
 * A session collects what tlsinfo tells it (tlsvars) and encodes what fits; the
 * monitor checks the bytes and makes names and texts of them.  No name can
 * come from a session, and no value that an environment or a terminal
 * could take for something else: printable ASCII, PEM with newlines, and
 * for the parts of a distinguished name UTF-8 without control characters.
 * Pure functions.
 */
#ifndef SERVE_FACTS_H
#define SERVE_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/tlsvars.h"

struct buf;
struct msg_writer;

/* All variables, with their NULs. */
#define FACTS_TEXTS_MAX TLSVARS_TEXTS_MAX
/* Longest body of MSG_FACTS: encoded facts, and what else is in it. */
#define FACTS_BODY_MAX (320 * 1024)

/* In the session. */

/* Append what fits, tlsvars_fit, to *body.  0, or -1 as buf_append. */
int facts_encode(struct tlsvars *vars, struct buf *body);

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
