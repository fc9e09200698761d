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
 * The profile of the start: profile_from_environment, and the built-in
 * values of what is unset; empty is not unset.  CERTCHAINFILE stays unset
 * beside a CERTFILE that was set, which it would beat.  All who number
 * profiles begin with it.
 */
void defaults_profile(struct profile *profile);

#endif
