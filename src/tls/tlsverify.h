/*
 * tlsverify: what a server wants of the client's certificate, for one
 * connection.
 */
#ifndef TLS_TLSVERIFY_H
#define TLS_TLSVERIFY_H

#include <stdbool.h>

#include "net/ip.h"

enum tlsverify_mode {
	TLSVERIFY_NONE, /* do not ask for one */
	TLSVERIFY_CERT, /* require one that verifies, of any name (-m) */
	TLSVERIFY_NAME	/* and its name must be the client's (-z) */
};

struct tlsverify {
	enum tlsverify_mode mode;
	unsigned depth; /* intermediate certificates allowed */
	/*
	 * With TLSVERIFY_NAME: nothing is matched unless matches_name;
	 * then the looked-up name, or, when that is NULL, the address.
	 */
	bool matches_name;
	bool strict_names; /* never a common name */
	const char *host;
	struct ip remote;
};

#endif
