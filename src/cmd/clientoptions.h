/*
 * clientoptions: the command line of sslclient, and what its environment
 * says in its place.
 */
#ifndef CMD_CLIENTOPTIONS_H
#define CMD_CLIENTOPTIONS_H

#include <stdbool.h>

#include "client/client.h"
#include "cmd/optiontable.h"

#define CLIENTOPTIONS_ERROR_SIZE OPTIONTABLE_ERROR_SIZE

struct clientoptions {
	struct client_settings settings; /* what needs no look-up */
	char host[256], local_name[256]; /* where settings points */
	const char *host_word, *local_word;
	bool wants_help, wants_version, has_key;
};

/*
 * Read the environment and the whole command line, which wins; touches
 * nothing else.  0 and *options; or 100, a usage error, or 111, and one
 * sentence.
 */
int clientoptions_read(struct clientoptions *options, int argc, char **argv,
    char error[CLIENTOPTIONS_ERROR_SIZE]);

/* One usage line, with newline. */
const char *clientoptions_usage(void);

/* Write the table of options to descriptor 1. */
void clientoptions_help(void);

#endif
