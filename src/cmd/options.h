/*
 * options: the command line of sslserver and sslhandle.
 */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/optiontable.h"
#include "serve/settings.h"

#define OPTIONS_ERROR_SIZE OPTIONTABLE_ERROR_SIZE
#define OPTIONS_USAGE_SIZE 512

/* What one program of the family has, and another has not. */
struct options_program {
	const char *name; /* in messages and titles */
	bool is_pooled;	  /* sslhandle: -f, -a, -A, --uses; no -n, -N */
	/* What must follow host and port, NULL-terminated; NULL: nothing. */
	const char *const *words;
	/* Called for each connection; NULL: the first of them is a program. */
	const struct worker_code *code;
};

struct options {
	const struct options_program *program;
	struct settings settings; /* what needs no look-up */
	char local_name[256];	  /* -l, where settings points */
	const char *user, *group; /* -u, -g, still words */
	bool takes_user_from_env; /* -U: what is NULL of them */
	bool sets_keepers;
	bool wants_help, wants_version;
};

/* What holds when nothing is said; program must outlive *options. */
void options_defaults(
    struct options *options, const struct options_program *program);

/*
 * Read the whole command line; touches nothing else.  0 and *options, or
 * -1 and one sentence: an unknown option or one that is not typed in
 * full, one that this program does not have, a missing word, a malformed or
 * out-of-range number, two options that exclude each other.  settings.program
 * is what follows host and port.
 */
int options_read(struct options *options, const struct options_program *program,
    int argc, char **argv, char error[OPTIONS_ERROR_SIZE]);

/* Make one usage line, with newline; returns it. */
const char *options_usage(
    const struct options_program *program, char line[OPTIONS_USAGE_SIZE]);

/* Write the table of its options to stdout. */
void options_help(const struct options_program *program);

#endif
