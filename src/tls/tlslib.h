/*
 * tlslib: how everything in tls/ starts the TLS library and reads its
 * errors.
 */
#ifndef TLS_TLSLIB_H
#define TLS_TLSLIB_H

#include <stddef.h>

#include "base/text.h"

#define TLSLIB_SHA256_SIZE 32

/*
 * Start the library without reading openssl.cnf.  First call of every
 * entry into tls/; further calls cost nothing.
 */
void tlslib_start(void);

/*
 * From now on the library wipes what it frees: for a process that serves
 * several clients and whose allocator cannot do it.  Before the library has
 * allocated anything, so before tlslib_start.  0, or -1: it has already, or
 * is one that does not let us (LibreSSL).
 */
int tlslib_wipe_freed(void);

/*
 * The reason of the oldest error in the library's queue, printable, and an
 * empty queue afterwards; "unknown error" when there is none.
 */
char *tlslib_reason(char text[TEXT_PRINTABLE_SIZE]);

/* The SHA-256 of len bytes.  0, or -1. */
int tlslib_sha256(
    const void *bytes, size_t len, unsigned char digest[TLSLIB_SHA256_SIZE]);

#endif
