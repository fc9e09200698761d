/*
 * profile: a set of TLS variables, sorted by name.
 *
 * What is not said is NULL.  Which sets there are is said in profiles.h.
 */
#ifndef SERVE_PROFILE_H
#define SERVE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

struct msg_reader;
struct msg_writer;
struct tls_settings;

#define PROFILE_VARIABLES 18

struct profile {
	const char *values[PROFILE_VARIABLES]; /* sorted by name */
};

/* The name of variable i, which is less than PROFILE_VARIABLES. */
const char *profile_name(size_t i);

/*
 * The profile of this process's environment.  Values point into it; unset
 * is NULL.
 */
void profile_from_environment(struct profile *profile);

/* The same as the TLS half wants it; values are not copied. */
void profile_settings(
    const struct profile *profile, struct tls_settings *settings);

/*
 * Take a rule's NAME=value over what *profile says of NAME; the value is not
 * copied.  Returns whether it shapes connections: one of those that a rule
 * may set, but CCAVERIFY, VERIFYDEPTH and CCAFILE=-, which the monitor tells
 * each session (certpolicy.h).
 */
bool profile_take(struct profile *profile, const char *variable);

/* Lay what upper says over *profile. */
void profile_lay_over(struct profile *profile, const struct profile *upper);

bool profile_is_same(const struct profile *a, const struct profile *b);

void profile_put(const struct profile *profile, struct msg_writer *w);
/* Values point into the message.  Failure is marked in the reader. */
void profile_get(struct profile *profile, struct msg_reader *r);

#endif
