/*
 * factsreport: what a TLS process tells of a handshake that succeeded, the
 * body of FACTS.
 *
 * Apart from facts, because it asks the TLS library.
 */
#ifndef SERVE_FACTSREPORT_H
#define SERVE_FACTSREPORT_H

#include <stdbool.h>

struct buf;
struct tlsconn;

/*
 * Append protocol and cipher as two texts and, if they are wanted, encoded
 * facts (facts.h) to *body.  0, or -1: memory is short.
 */
int factsreport_put(
    const struct tlsconn *conn, bool wants_facts, struct buf *body);

#endif
