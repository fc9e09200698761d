/*
 * ticketkeys: keys that several machines share, and what is made of them.
 *
 * No session ever sees one.  Each ticket has a name, which goes with it in
 * the clear, and a secret of its own that follows from the name, a shared
 * key and the binding, see cache.h; a session is told the secrets of the
 * names it asks for, and seals or opens tickets with these.  A name is as
 * good as random to who has no key: it tells neither when it was made nor
 * with which other one.
 */
#ifndef SERVE_TICKETKEYS_H
#define SERVE_TICKETKEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/cache.h"

#define TICKETKEYS_KEY_SIZE 32
#define TICKETKEYS_MAX 64	  /* keys in a file */
#define TICKETKEYS_FILE_MAX 65536 /* its bytes */
/* How far the clocks of machines that share keys may be apart, in seconds. */
#define TICKETKEYS_SKEW TLSRESUME_SKEW

/* Secret. */
struct ticketkeys {
	unsigned char keys[TICKETKEYS_MAX][TICKETKEYS_KEY_SIZE];
	size_t count; /* the first one makes tickets */
};

/*
 * Read the text of a file: a line is a key of 64 hexadecimal digits, of
 * either case, with blanks around it; one that is blank or begins with # is
 * skipped.  0, and *keys; or -1, and in *line (from 1) which one is
 * malformed, 0: there is no key, or more than TICKETKEYS_MAX.  keys NULL:
 * only look.
 */
int ticketkeys_read(
    struct ticketkeys *keys, const char *text, size_t len, unsigned *line);

/*
 * Make a name from random bytes, and its secret; now is in seconds since
 * 1970.  There must be a key.
 */
void ticketkeys_make(const struct ticketkeys *keys,
    const unsigned char binding[CACHE_BINDING_SIZE],
    const unsigned char random[TLSRESUME_NAME_SIZE], uint32_t now,
    struct tlsresume_ticket *ticket);

/*
 * The secret of the name in *ticket: if it was made with one of the keys,
 * under this binding, and not longer than lifetime_s ago.  *is_old:
 * ticketkeys_make would use another key.
 */
bool ticketkeys_find(const struct ticketkeys *keys,
    const unsigned char binding[CACHE_BINDING_SIZE], uint32_t now,
    uint32_t lifetime_s, struct tlsresume_ticket *ticket, bool *is_old);

#endif
