/*
 * The policy about clients' certificates.
 *
 * Pure functions, but for the reading of the environment at the start.
 * The monitor decides with them for each connection; the session checks
 * the certificate, and what it reports is held against the same policy.
 */
#include "serve/certpolicy.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rules/rulevars.h"

_Static_assert(RULEVARS_DEPTH_MAX == TLSVERIFY_DEPTH_MAX, "one longest chain");

static int
take_depth(struct certpolicy_change *change, const char *value)
{
	unsigned long depth;

	if (rulevars_read_depth(value, &depth) == -1)
		return -1;
	change->has_depth = true;
	change->depth = (unsigned)depth;
	return 1;
}

static int
take_verify(struct certpolicy_change *change, const char *value)
{
	/* Empty is unset: to turn it off takes a word that says so. */
	change->is_on = *value != '\0';
	change->mode =
	    strcmp(value, "z") == 0 ? TLSVERIFY_NAME : TLSVERIFY_CERT;
	return 1;
}

int
certpolicy_take(struct certpolicy_change *change, const char *variable)
{
	const char *value = strchr(variable, '=');

	if (value == NULL)
		return 0;
	value++;
	if (text_begins(variable, "VERIFYDEPTH="))
		return take_depth(change, value);
	if (text_begins(variable, "CCAVERIFY="))
		return take_verify(change, value);
	if (!text_begins(variable, "CCAFILE="))
		return 0;
	change->is_off = strcmp(value, "-") == 0;
	change->is_not_off = !change->is_off;
	return 1;
}

void
certpolicy_apply(
    struct certpolicy *policy, const struct certpolicy_change *change)
{
	if (change->is_on)
		policy->mode = change->mode;
	else if (change->is_off && policy->mode != TLSVERIFY_NONE) {
		policy->off_mode = policy->mode;
		policy->mode = TLSVERIFY_NONE;
	} else if (change->is_not_off && policy->mode == TLSVERIFY_NONE)
		policy->mode = policy->off_mode;
	if (change->has_depth)
		policy->depth = change->depth;
}

int
certpolicy_from_environment(struct certpolicy *policy)
{
	const char *ccafile = getenv("CCAFILE");
	const char *ccaverify = getenv("CCAVERIFY");
	const char *depth = getenv("VERIFYDEPTH");
	struct certpolicy_change change = { .is_off = ccafile != NULL &&
		    strcmp(ccafile, "-") == 0 };

	if (ccaverify != NULL)
		take_verify(&change, ccaverify);
	if (depth != NULL && *depth != '\0' && take_depth(&change, depth) == -1)
		return -1;
	certpolicy_apply(policy, &change);
	return 0;
}

struct tlsverify
certpolicy_verify(
    const struct certpolicy *policy, const char *host, const struct ip *remote)
{
	return (struct tlsverify){ .mode = policy->mode,
		.depth = policy->depth,
		.matches_name =
		    policy->mode == TLSVERIFY_NAME && policy->matches_name,
		.strict_names = policy->strict_names,
		.host = host,
		.remote = *remote };
}

bool
certpolicy_permits(const struct certpolicy *policy, enum msg_end end)
{
	switch (end) {
	case MSG_END_NO_CERT:
	case MSG_END_BAD_CERT:
		return policy->mode != TLSVERIFY_NONE;
	case MSG_END_BAD_NAME:
		return policy->mode == TLSVERIFY_NAME && policy->matches_name;
	default:
		return true;
	}
}
