/*
 * rulekey: how an address is spelled in a rule table.
 *
 * The one place that knows the spelling, for the writer of tables and for
 * the look-up.  Pure functions; an address is 16 bytes in network order,
 * IPv4 as ::ffff:a.b.c.d.
 */
#ifndef RULES_RULEKEY_H
#define RULES_RULEKEY_H

#include <stdbool.h>
#include <stddef.h>

/* Room for every key that is made here: a mark and 128 characters. */
#define RULEKEY_SIZE 129

/* Is it an IPv4 address in its 16 bytes? */
bool rulekey_is_v4(const unsigned char ip[16]);

/*
 * The key of one address, which is spelled as IPv4 or as IPv6, whichever the
 * caller says: dotted quad of the last four bytes, or eight groups of four upper-case
 * hex digits.  Returns its length; there is no NUL.
 */
size_t rulekey_address(
    char key[RULEKEY_SIZE], const unsigned char ip[16], bool is_v4);

/*
 * The key of the first bits of an address (IPv4: 0..32 of the last four
 * bytes, IPv6: 0..128): a mark and one character per bit, so that the key of
 * a longer prefix begins with that of a shorter one.  Returns its length,
 * which is 1 + bits; there is no NUL.
 */
size_t rulekey_prefix(char key[RULEKEY_SIZE], const unsigned char ip[16],
    bool is_v4, unsigned bits);

/* Room for an address with its prefix, as rulekey_spell writes it. */
#define RULEKEY_TEXT_SIZE 64

/*
 * The address as a person writes it, of a key that rulekey_address (IPv6)
 * or rulekey_prefix made: "2001:db8::1", "10.0.0.0/8".  0 and a C string;
 * or -1 for any other key, which is its own text.
 */
int rulekey_spell(
    char text[RULEKEY_TEXT_SIZE], const unsigned char *key, size_t len);

#endif
