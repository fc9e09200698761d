/*
 * certpolicy: is a client asked for a certificate, and which one will do?
 *
 * Options first, then CCAFILE and CCAVERIFY of the start, then those of the
 * rules that let it in, -y before -x.
 */
#ifndef SERVE_CERTPOLICY_H
#define SERVE_CERTPOLICY_H

#include <stdbool.h>

#include "serve/msg.h"
#include "tls/tlsverify.h"

#define CERTPOLICY_DEPTH 1 /* VERIFYDEPTH where nothing is said */

struct certpolicy {
	enum tlsverify_mode mode;
	unsigned depth;
	bool matches_name; /* with TLSVERIFY_NAME: names are looked up */
	bool strict_names;
	enum tlsverify_mode off_mode; /* what CCAFILE=- has turned off */
};

/* What a rule, or the environment, says of it. */
struct certpolicy_change {
	bool is_off;		  /* CCAFILE=- */
	bool is_not_off;	  /* CCAFILE of another value */
	bool is_on;		  /* CCAVERIFY, not empty */
	enum tlsverify_mode mode; /* then */
	bool has_depth;
	unsigned depth;
};

/*
 * Take NAME=value into *change, which began as zeros.  1: taken; 0: not
 * about this; -1: a VERIFYDEPTH
 * that is no number up to TLSVERIFY_DEPTH_MAX.
 */
int certpolicy_take(struct certpolicy_change *change, const char *variable);

/*
 * CCAVERIFY turns on, also where CCAFILE=- beside it turns off; another
 * CCAFILE takes the place of a CCAFILE=- before.
 */
void certpolicy_apply(
    struct certpolicy *policy, const struct certpolicy_change *change);

/*
 * The same from CCAFILE, CCAVERIFY and VERIFYDEPTH of this process's
 * environment; empty ones say nothing.  0, or -1: a bad VERIFYDEPTH.
 */
int certpolicy_from_environment(struct certpolicy *policy);

/* For a session, of a client of that name (NULL: unknown) and address. */
struct tlsverify certpolicy_verify(
    const struct certpolicy *policy, const char *host, const struct ip *remote);

/* Can a session that was told so have ended that way? */
bool certpolicy_permits(const struct certpolicy *policy, enum msg_end end);

#endif
