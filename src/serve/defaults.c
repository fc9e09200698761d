/*
 * Built-in values of TLS variables.
 *
 * Runs where the environment is read: in what becomes a keeper or nursery, in
 * the monitor, which numbers profiles as these do, and for --explain.  Not for sslclient, whose own certificate is a matter
 * of its options.
 */
#include "serve/defaults.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "config.h"
#include "serve/profile.h"

/* "": there is none. */
static const struct {
	const char *name, *value;
} defaults[] = {
	{ "CADIR", DEFAULT_CADIR },
	{ "CAFILE", DEFAULT_CAFILE },
	{ "CCAFILE", DEFAULT_CCAFILE },
	{ "CERTCHAINFILE", DEFAULT_CERTCHAINFILE },
	{ "CERTFILE", DEFAULT_CERTFILE },
	{ "CIPHERS", DEFAULT_CIPHERS },
	{ "DHFILE", DEFAULT_DHFILE },
	{ "KEYFILE", DEFAULT_KEYFILE },
};

const char *
defaults_of(const char *variable)
{
	size_t i;

	for (i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (strcmp(defaults[i].name, variable) == 0)
			return defaults[i].value[0] == '\0' ? NULL
							    : defaults[i].value;
	return NULL;
}

static const char *
value_of(const struct profile *profile, const char *variable)
{
	size_t i;

	for (i = 0; i < PROFILE_VARIABLES; i++)
		if (strcmp(profile_name(i), variable) == 0)
			return profile->values[i];
	return NULL;
}

void
defaults_profile(struct profile *profile)
{
	bool has_cert;
	size_t i;

	profile_from_environment(profile);
	has_cert = value_of(profile, "CERTFILE") != NULL;
	for (i = 0; i < PROFILE_VARIABLES; i++) {
		const char *name = profile_name(i);

		if (profile->values[i] == NULL &&
		    !(has_cert && strcmp(name, "CERTCHAINFILE") == 0))
			profile->values[i] = defaults_of(name);
	}
}
