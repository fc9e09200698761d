/*
 * profile: a distinct set of TLS variables, as sorted NAME=value strings.
 *
 * Profile 0 is that of the start environment.  Only keeper and nursery
 * ever see what it says; the monitor and sessions name it by number.
 */
#ifndef SERVE_PROFILE_H
#define SERVE_PROFILE_H

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

void profile_put(const struct profile *profile, struct msg_writer *w);
/* Values point into the message.  Failure is marked in the reader. */
void profile_get(struct profile *profile, struct msg_reader *r);

#endif
