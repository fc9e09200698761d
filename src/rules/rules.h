/*
 * rules: the look-up of a client in a rule table, and its verdict.
 *
 * A table is a constant database (cdb) as tcprules writes it, whole in
 * memory that nobody changes while it is used.  Its bytes are not trusted:
 * no offset in it leads outside of it.  Pure functions; nothing allocates
 * or blocks.
 */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* A file cannot be longer: its offsets have 32 bits. */
#define RULES_SIZE_MAX 4294967295U

/* What a table begins with: where the rest of it lies. */
#define RULES_HEADER_SIZE 2048

/* What is known of a client.  Unknown is NULL. */
struct rules_client {
	const unsigned char *ip; /* 16 bytes, IPv4 as ::ffff:a.b.c.d */
	const char *host;	 /* lower case */
	const char *info;	 /* what IDENT said */
};

/* Its pointers lead into the table, which must stay as long. */
struct rules_verdict {
	bool is_found;	 /* a rule matched; if none did, all is allowed */
	bool is_default; /* the one with the empty address */
	bool denies;
	const unsigned char *key; /* of the rule; not terminated */
	size_t key_len;
	const unsigned char *data;
	size_t data_len;
};

/*
 * Is this a whole, sound table?  To be asked once for a new one: every
 * record can be reached, lies inside, has the hash under which it is filed,
 * and instructions that are understood.  Takes time in proportion to len,
 * whatever the bytes are.  0 or -1.
 */
int rules_check(const void *table, size_t len);

/*
 * Can a file of len bytes that begins with this header be a sound table?
 * For one that would be long to read: the header says how long a table is.
 * 0 or -1.
 */
int rules_check_header(
    const unsigned char header[RULES_HEADER_SIZE], uint64_t len);

/* Where a walk is; zeros at its begin. */
struct rules_walk {
	unsigned hash;
	size_t slot;
};

/*
 * Walk over all rules, in no order that means anything: the next one.  A
 * second rule of a key, which no look-up finds, is one of them.  Of a table
 * that passed rules_check; of others, of what can be found.  Returns whether
 * there was one.
 */
bool rules_next(const void *table, size_t len, struct rules_walk *walk,
    struct rules_verdict *rule);

/*
 * Rules that fit nobody whose host name, or user, is unknown, and those that
 * let in with a certificate, and with the client's name in it, alone.
 */
enum rules_kind {
	RULES_BY_HOST = 1,
	RULES_BY_INFO = 2,
	RULES_BY_CERT = 4,
	RULES_BY_CERT_NAME = 8,
	RULES_KINDS = 16
};

/*
 * Which of these kinds the table has, added: a sum below RULES_KINDS.  Of a
 * table that passed rules_check; of others, of what can be found.  Takes
 * time in proportion to what the rules are long.
 */
unsigned rules_kinds(const void *table, size_t len);

/*
 * Look the client up, first hit wins: info@ip, info@=host, ip, =host, IPv4
 * cut back dot by dot, prefixes from the longest, =.suffixes from the
 * longest, = for any known host, and the empty key.  Early rules are those
 * found with host and info NULL.  0 and the verdict, or -1 when the table
 * is damaged, which one that passed rules_check is not; the verdict then
 * is to deny.
 */
int rules_decide(struct rules_verdict *verdict, const void *table, size_t len,
    const struct rules_client *client);

/*
 * The next variable that the rule sets, as NAME=VALUE with its NUL, lying
 * in the table; NULL after the last.  *at is 0 for the first and is
 * advanced.
 */
const char *rules_variable(const struct rules_verdict *verdict, size_t *at);

/*
 * The rule as its file spells it, printable; NULL: no rule was found.  Returns
 * shown or a constant.
 */
const char *rules_show(
    char shown[TEXT_PRINTABLE_SIZE], const struct rules_verdict *verdict);

/*
 * The offset of the first record with this key: the one that every look-up
 * finds.  0 when there is none or the table is damaged.
 */
size_t rules_locate(
    const void *table, size_t len, const void *key, size_t key_len);

/*
 * The key of the record at that offset and, in *key_len, its length; NULL
 * when no whole record lies there.
 */
const unsigned char *rules_key_at(
    const void *table, size_t len, size_t offset, size_t *key_len);

#endif
