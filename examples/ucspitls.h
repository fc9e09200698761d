#ifndef UCSPITLS_H
#define UCSPITLS_H

#include <stdbool.h>

/*
 * UCSPI-TLS, the program's side.  sslserver -n starts a program with the
 * plain connection on descriptors 0 and 1 and three descriptors more, whose
 * numbers are in SSLCTLFD, SSLREADFD and SSLWRITEFD.  Who wants TLS writes
 * one byte to the first and goes on with the two others.
 */

/*
 * May this process ask for TLS?  False as well after it has asked.
 */
bool ucspitls_is_offered(void);

/*
 * Asks for TLS.  From then on 0 and 1 are the decrypted stream and the plain
 * connection is closed here, so that it can be used by no mistake.
 *
 * Call it when the answer that allows the client to begin has been written.
 * The caller throws away what it has read and not used: it came in plain
 * text, perhaps from somebody else, and must not be taken for a part of the
 * TLS stream (RFC 3207, section 6; CVE-2011-0411).  What it learnt from the
 * client before goes the same way.
 *
 * Does not wait for the handshake.  One that fails is an end of file on 0.
 * Returns 0, or -1 with errno; the connection is of no use then.
 */
int ucspitls_request(void);

#endif
