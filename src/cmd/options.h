/*
 * options: the command line of sslserver.
 */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/optiontable.h"
#include "serve/settings.h"

#define OPTIONS_ERROR_SIZE OPTIONTABLE_ERROR_SIZE

struct options {
	struct settings settings; /* what needs no look-up */
	char local_name[256];	  /* -l, where settings points */
	const char *user, *group; /* -u, -g, still words */
	bool takes_user_from_env; /* -U: what is NULL of them */
	bool sets_keepers;
	bool wants_help, wants_version;
};

/* What holds when nothing is said. */
void options_defaults(struct options *options);

/*
 * Read the whole command line; touches nothing else.  0 and *options, or
 * -1 and one sentence: an unknown option or one that is not typed in
 * full, one that this version does not have, a missing word, a malformed or
 * out-of-range number, two options that exclude each other.
 */
int options_read(struct options *options, int argc, char **argv,
    char error[OPTIONS_ERROR_SIZE]);

/* One usage line, with newline. */
const char *options_usage(void);

/* Write the table of options to descriptor 1. */
void options_help(void);

#endif
