/*
 * Sets of TLS variables, carried from master to keeper and nursery.
 *
 * Pure bookkeeping: nothing here opens what a variable names.
 */
#include "serve/profile.h"

#include <stdlib.h>
#include <string.h>

#include "rules/rulevars.h"
#include "serve/msg.h"
#include "tls/tlsfile.h"

/* Sorted, so that a digest of them is always the same. */
enum {
	ALPN,
	CADIR,
	CAFILE,
	CCADIR,
	CCAFILE,
	CCAVERIFY,
	CERTCHAINFILE,
	CERTDIR,
	CERTFILE,
	CIPHERS,
	CRLFILE,
	DHFILE,
	KEYFILE,
	SNI,
	TLSGROUPS,
	TLSMAX,
	TLSMIN,
	VERIFYDEPTH
};

static const char *const names[PROFILE_VARIABLES] = { "ALPN", "CADIR", "CAFILE",
	"CCADIR", "CCAFILE", "CCAVERIFY", "CERTCHAINFILE", "CERTDIR",
	"CERTFILE", "CIPHERS", "CRLFILE", "DHFILE", "KEYFILE", "SNI",
	"TLSGROUPS", "TLSMAX", "TLSMIN", "VERIFYDEPTH" };

/* May a rule set it, and is it a setting of the TLS library? */
static bool
shapes(size_t i)
{
	return i != CCAVERIFY && i != SNI && i != VERIFYDEPTH;
}

const char *
profile_name(size_t i)
{
	return names[i];
}

void
profile_from_environment(struct profile *profile)
{
	size_t i;

	for (i = 0; i < PROFILE_VARIABLES; i++)
		profile->values[i] = getenv(names[i]);
}

void
profile_settings(const struct profile *profile, struct tls_settings *settings)
{
	memset(settings, 0, sizeof(*settings));
	settings->alpn = profile->values[ALPN];
	settings->cadir = profile->values[CADIR];
	settings->cafile = profile->values[CAFILE];
	settings->ccadir = profile->values[CCADIR];
	settings->ccafile = profile->values[CCAFILE];
	settings->certchainfile = profile->values[CERTCHAINFILE];
	settings->certdir = profile->values[CERTDIR];
	settings->certfile = profile->values[CERTFILE];
	settings->ciphers = profile->values[CIPHERS];
	settings->crlfile = profile->values[CRLFILE];
	settings->dhfile = profile->values[DHFILE];
	settings->keyfile = profile->values[KEYFILE];
	settings->sni = profile->values[SNI];
	settings->tlsgroups = profile->values[TLSGROUPS];
	settings->tlsmax = profile->values[TLSMAX];
	settings->tlsmin = profile->values[TLSMIN];
}

bool
profile_take(struct profile *profile, const char *variable)
{
	size_t i;

	for (i = 0; i < PROFILE_VARIABLES; i++)
		if (shapes(i) && rulevars_is(variable, names[i]))
			break;
	if (i == PROFILE_VARIABLES || strcmp(variable, "CCAFILE=-") == 0)
		return false;
	profile->values[i] = strchr(variable, '=') + 1;
	return true;
}

void
profile_lay_over(struct profile *profile, const struct profile *upper)
{
	size_t i;

	for (i = 0; i < PROFILE_VARIABLES; i++)
		if (upper->values[i] != NULL)
			profile->values[i] = upper->values[i];
}

bool
profile_is_same(const struct profile *a, const struct profile *b)
{
	const char *x, *y;
	size_t i;

	for (i = 0; i < PROFILE_VARIABLES; i++) {
		x = a->values[i];
		y = b->values[i];
		if (x == NULL || y == NULL ? x != y : strcmp(x, y) != 0)
			return false;
	}
	return true;
}

void
profile_put(const struct profile *profile, struct msg_writer *w)
{
	size_t i;

	for (i = 0; i < PROFILE_VARIABLES; i++)
		msg_put_text(w, profile->values[i]);
}

void
profile_get(struct profile *profile, struct msg_reader *r)
{
	size_t i;

	for (i = 0; i < PROFILE_VARIABLES; i++)
		profile->values[i] = msg_get_text(r);
}
