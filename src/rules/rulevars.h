/*
 * rulevars: variables of a rule that mean something to sslserver.
 *
 * The one place that knows them, for the server, which refuses clients of a
 * rule that it cannot follow, and for tcprules and tcprulescheck, which say
 * so before.  Pure functions.
 */
#ifndef RULES_RULEVARS_H
#define RULES_RULEVARS_H

#include <stdbool.h>

/*
 * Read MAXCONIP ("n"), and MAXCONNET ("n/bits", 0 to 128 bits).  n may be
 * 0: no limit.  0, or -1: malformed, and nothing was changed.
 */
int rulevars_read_source(const char *value, unsigned long *n);
int rulevars_read_network(
    const char *value, unsigned long *n, unsigned long *bits);

/* The same of VERIFYDEPTH: how many intermediates. */
#define RULEVARS_DEPTH_MAX 100
int rulevars_read_depth(const char *value, unsigned long *depth);

/* Is this NAME=VALUE one of NAME? */
bool rulevars_is(const char *variable, const char *name);

/* Is it one that names CAs of clients' certificates, and does it name any? */
bool rulevars_names_cas(const char *variable);

/*
 * Why sslserver refuses the clients of an allowing rule with this
 * NAME=VALUE: a part of a sentence; NULL: it does not.
 */
const char *rulevars_refusal(const char *variable);

/*
 * What sslserver does with this NAME=VALUE where its writer may have meant
 * something else: a sentence; NULL: that is hardly so.
 */
const char *rulevars_doubt(const char *variable);

#endif
