/*
 * ruletext: a line of rule text, read strictly, and the records it makes.
 *
 * Pure but for memory; prints nothing.  Lines are those that the tools in
 * use understand, which make the same records of them, and those with
 * prefixes and IPv6 addresses.
 */
#ifndef RULES_RULETEXT_H
#define RULES_RULETEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "rules/rulekey.h"

/* Longest line; an address and its variables are far shorter. */
#define RULETEXT_LINE_MAX 16777216

enum ruletext_kind {
	RULETEXT_DEFAULT, /* the empty address */
	RULETEXT_ADDRESS, /* one address */
	RULETEXT_DOTTED,  /* the first numbers of an IPv4 address: "10.1." */
	RULETEXT_PREFIX,  /* the first bits of an address */
	RULETEXT_HOST,	  /* "=host" */
	RULETEXT_SUFFIX,  /* "=.suffix" and "=" */
	RULETEXT_IDENT,	  /* "info@ip" and "info@=host" */
	RULETEXT_OTHER,	  /* no client can have it; never says why */
};

/* One record of the table.  Pointers are good until the next call. */
struct ruletext_record {
	const char *key; /* not terminated */
	size_t key_len;
	const unsigned char *data;
	size_t data_len;
	enum ruletext_kind kind;
	unsigned char ip[16]; /* of ADDRESS, DOTTED, PREFIX */
	unsigned bits;	      /* how many of its 32 or 128 bits count */
	const char *never;    /* why no client can have it, or NULL */
};

struct ruletext {
	const char *address; /* in the line */
	size_t address_len;
	struct buf data; /* for all records of the line */
	struct buf key;	 /* of the record made last */
	unsigned marks;	 /* which special bytes the address has */
	bool is_range;
	size_t range_at, range_end; /* where in the address it stands */
	unsigned next, last; /* numbers of the range; next > last: done */
	char prefix[RULEKEY_SIZE];
};

void ruletext_init(struct ruletext *text);
void ruletext_free(struct ruletext *text);

/*
 * Read one line of len bytes, without or with its newline; it must stay
 * until ruletext_next has given all its records.  1: a rule, whose
 * records ruletext_next gives.  0: a comment or nothing.  -1: *error is one
 * sentence that says what cannot be understood, or NULL with errno when
 * memory is short.
 */
int ruletext_read(
    struct ruletext *text, const char *line, size_t len, const char **error);

/*
 * The next record of the line: several for a range, none when it is empty,
 * else one.  1, 0 after the last, or -1 as ruletext_read.
 */
int ruletext_next(
    struct ruletext *text, struct ruletext_record *record, const char **error);

#endif
