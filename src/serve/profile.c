/*
 * Sets of TLS variables, carried from master to keeper and nursery.
 *
 * Pure bookkeeping: nothing here opens what a variable names.
 */
#include "serve/profile.h"

#include <stdlib.h>
#include <string.h>

#include "serve/msg.h"
#include "tls/tlsfile.h"

/* Sorted, as later profiles are told apart by their digest. */
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
