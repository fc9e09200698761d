/*
 * defaults: what TLS variables are that the environment does not set: build
 * options, for those who install for one purpose.
 */
#ifndef SERVE_DEFAULTS_H
#define SERVE_DEFAULTS_H

struct profile;

/* The built-in value of a variable; NULL: it has none. */
const char *defaults_of(const char *variable);

/*
 * Fill in what is unset; empty is not unset.  CERTCHAINFILE stays unset
 * beside a CERTFILE that was set, which it would beat.
 */
void defaults_apply(struct profile *profile);

#endif
