/*
 * Variables of a rule that mean something to sslserver.
 *
 * Runs in the monitor, for each client of a rule with variables, in
 * sslserver's start, for the environment, and in tcprules and tcprulescheck.
 * Values are those of whoever wrote the rules: to be understood wholly or
 * not at all, because a limit that is read as another one, or a certificate
 * that is not the one the rule names, lets in whom it should not.
 */
#include "rules/rulevars.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"

#define CONNECTIONS_MAX 1000000000UL
#define BITS_MAX 128

static const char *const ca_names[] = { "CAFILE", "CADIR", "CCAFILE",
	"CCADIR" };

int
rulevars_read_source(const char *value, unsigned long *n)
{
	return text_number(value, 0, CONNECTIONS_MAX, n);
}

int
rulevars_read_network(const char *value, unsigned long *n, unsigned long *bits)
{
	const char *slash = strchr(value, '/');
	unsigned long connections;
	char number[16];

	if (slash == NULL ||
	    text_format(number, sizeof(number), "%.*s", (int)(slash - value),
		value) == -1 ||
	    text_number(number, 0, CONNECTIONS_MAX, &connections) == -1 ||
	    text_number(slash + 1, 0, BITS_MAX, bits) == -1)
		return -1;
	*n = connections;
	return 0;
}

int
rulevars_read_depth(const char *value, unsigned long *depth)
{
	return text_number(value, 0, RULEVARS_DEPTH_MAX, depth);
}

bool
rulevars_is(const char *variable, const char *name)
{
	size_t len = strlen(name);

	return strncmp(variable, name, len) == 0 && variable[len] == '=';
}

bool
rulevars_names_cas(const char *variable)
{
	const char *value = strchr(variable, '=') + 1;
	size_t i;

	/* CCAFILE=- turns something off, and names no file. */
	if (*value == '\0' || strcmp(variable, "CCAFILE=-") == 0)
		return false;
	for (i = 0; i < sizeof(ca_names) / sizeof(ca_names[0]); i++)
		if (rulevars_is(variable, ca_names[i]))
			return true;
	return false;
}

/* TLSMIN and TLSMAX; empty is unset. */
static bool
is_version(const char *value)
{
	return *value == '\0' ||
	    (strncmp(value, "1.", 2) == 0 && value[2] >= '0' &&
		value[2] <= '3' && value[3] == '\0');
}

const char *
rulevars_refusal(const char *variable)
{
	const char *value = strchr(variable, '=') + 1;
	unsigned long n, bits;

	if (rulevars_is(variable, "MAXCONIP") &&
	    rulevars_read_source(value, &n) == -1)
		return "it is no number of connections (0: no limit)";
	if (rulevars_is(variable, "MAXCONNET") &&
	    rulevars_read_network(value, &n, &bits) == -1)
		return "it is not n/bits";
	if (rulevars_is(variable, "VERIFYDEPTH") &&
	    rulevars_read_depth(value, &n) == -1)
		return "it is no number of intermediates";
	if ((rulevars_is(variable, "TLSMIN") ||
		rulevars_is(variable, "TLSMAX")) &&
	    !is_version(value))
		return "it is not 1.0, 1.1, 1.2 or 1.3";
	return NULL;
}

const char *
rulevars_doubt(const char *variable)
{
	if (strcmp(variable, "CCAVERIFY=Z") == 0)
		return "CCAVERIFY=Z asks for any certificate; for the name "
		       "write z";
	return NULL;
}
