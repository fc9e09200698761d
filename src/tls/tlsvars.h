/*
 * tlsvars: the TLS variables of a program, from tlsinfo's facts: names,
 * what values may be, and what fits.
 *
 * No value that an environment or a terminal could take for something
 * else: printable ASCII, PEM with newlines, and for the parts of a
 * distinguished name UTF-8 without control characters.  Pure functions but
 * for the collection, which allocates.  Needs no TLS library.
 */
#ifndef TLS_TLSVARS_H
#define TLS_TLSVARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/tlsinfo.h"

struct buf;

/* Room for a name with its NUL. */
#define TLSVARS_NAME_SIZE 48
/* The longest NAME=value, as the system's exec permits (with a NUL). */
#define TLSVARS_TEXT_MAX 131071
/* All of them, with their NULs. */
#define TLSVARS_TEXTS_MAX (256 * 1024)
/* Never reached: so many certificates would not fit. */
#define TLSVARS_CHAIN_MAX 1000
/* How many variables there can be. */
#define TLSVARS_COUNT_MAX (TLSVARS_CHAIN_MAX + 100)

/* Is there a variable for a fact of that party, kind and index? */
bool tlsvars_exists(uint64_t party, uint64_t kind, uint64_t index);

/* The NAME=value that says who we are; it is of no fact. */
const char *tlsvars_interface(void);

/* The name of a fact that tlsvars_exists.  Returns name. */
char *tlsvars_name(
    char name[TLSVARS_NAME_SIZE], const struct tlsinfo_fact *fact);

/* Append NAME=value and a NUL.  0, or -1 as buf_append. */
int tlsvars_append(struct buf *block, const struct tlsinfo_fact *fact);

/* The length of NAME=value without its NUL. */
size_t tlsvars_text_len(const struct tlsinfo_fact *fact);

/* May a variable have this value, and is it short enough? */
bool tlsvars_is_permitted(const struct tlsinfo_fact *fact);

struct tlsvars;

/* None yet.  NULL when memory is short. */
struct tlsvars *tlsvars_new(void);

/*
 * A tlsinfo_fn: add a fact, in tlsinfo_walk's order.  One whose value or
 * length is not permitted is left out, and a certificate of the chain with
 * all behind it.  0, or -1 when memory is short.
 */
int tlsvars_add(void *vars, const struct tlsinfo_fact *fact);

/*
 * Leave out, whole, what does not fit in all: certificates of the chain
 * from the last, then the parties' own, the longer first, then the longest
 * of the others.  How many are left.
 */
size_t tlsvars_fit(struct tlsvars *vars);

/* The n-th, whose bytes are the collection's; NULL: there is none. */
const struct tlsinfo_fact *tlsvars_get(const struct tlsvars *vars, size_t n);

/* Accepts NULL. */
void tlsvars_free(struct tlsvars *vars);

#endif
