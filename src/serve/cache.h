/*
 * cache: the process that keeps sessions which clients can resume.
 *
 * It is asked and told through the monitor, which sets a binding before
 * each message and reads nothing of it.  A session is given out under the
 * binding it was put in with, and no other.
 */
#ifndef SERVE_CACHE_H
#define SERVE_CACHE_H

#include <stddef.h>

#include "tls/tlsresume.h"

/*
 * A binding: the SHA-256 of the profile, which the nursery computes, and
 * the policy about the client's certificate.
 */
#define CACHE_PROFILE_SIZE 32
#define CACHE_BINDING_SIZE (CACHE_PROFILE_SIZE + 4)

/*
 * What a session sends.  FETCH: an id, or the name of a ticket.  STORE: one
 * or two of an id and an entry.  TICKETS: nothing.  Each of these is a field
 * of bytes, see msg_put_bytes; the binding is another, before them.  FETCHED
 * answers FETCH and TICKETS: the entry as it is; enum tlsresume_age, one
 * byte, and the secret; or TLSRESUME_ENTRIES_MAX names and secrets.  Empty:
 * there is nothing.
 */
#define CACHE_FETCH_MAX (8 + TLSRESUME_ID_SIZE)
#define CACHE_STORE_MAX \
	(TLSRESUME_ENTRIES_MAX * (16 + TLSRESUME_ID_SIZE + TLSRESUME_ENTRY_MAX))

/* What an entry may have of the memory, on the average. */
#define CACHE_ENTRY_ROOM 2048
#define CACHE_ENTRIES_MAX 1000000 /* SESSIONCACHE, at most */

struct cache_settings {
	size_t entries; /* 0: none is kept */
	unsigned lifetime_s;
};

#define CACHE_TICKETS_SIZE \
	(TLSRESUME_ENTRIES_MAX * (TLSRESUME_NAME_SIZE + TLSRESUME_SECRET_SIZE))

/* Open files that a cache works with. */
#define CACHE_DESCRIPTORS 8

/*
 * The whole life of a cache whose rights are dropped; never returns.
 * master_fd is its life line: READY goes there at once, or FAILED with a
 * sentence; WORK brings (or replaces) the socket to the monitor, KEYS the
 * keys of tickets, without which there are none.  Each FETCH and each TICKETS
 * is answered by one FETCHED, in order.  It ends with the life line, not with
 * a monitor: entries stay.
 */
__attribute__((noreturn)) void cache_run(
    const struct cache_settings *settings, int master_fd);

#endif
