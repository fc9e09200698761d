/*
 * optiontable: the options of a program as one table, from which its getopt
 * strings, its messages and its --help are made.
 */
#ifndef CMD_OPTIONTABLE_H
#define CMD_OPTIONTABLE_H

#include <stddef.h>

#define OPTIONTABLE_ERROR_SIZE 256

/* Rows that a table may have. */
#define OPTIONTABLE_ROWS_MAX 100

struct optiontable_row {
	int code;	  /* the letter, or a number from 256 */
	const char *name; /* the long one */
	const char *word; /* what follows it, or NULL */
	const char *help;
};

/*
 * Take an option: shown is it as messages name it, word what follows it, or
 * NULL.  0, or -1 and one sentence in error.
 */
typedef int optiontable_apply_fn(void *target, int code, const char *shown,
    const char *word, char error[OPTIONTABLE_ERROR_SIZE]);

struct optiontable {
	const struct optiontable_row *rows;
	size_t count; /* at most OPTIONTABLE_ROWS_MAX */
	optiontable_apply_fn *apply;
};

/*
 * Give each option of the command line to table->apply.  The first word
 * that is no option ends them: optind is its place.  0, or -1 and one
 * sentence: an unknown option or one that is not typed in full, a missing
 * word or one too many, or what apply has to say.
 */
int optiontable_read(const struct optiontable *table, void *target, int argc,
    char **argv, char error[OPTIONTABLE_ERROR_SIZE]);

/* Write the rows to stdout, for --help. */
void optiontable_print(const struct optiontable *table);

/* Make error of a sentence and a word, shown printable.  Always -1. */
int optiontable_refuse(
    char error[OPTIONTABLE_ERROR_SIZE], const char *sentence, const char *word);

/* The same of an option, which is shown first.  Always -1. */
int optiontable_refuse_option(char error[OPTIONTABLE_ERROR_SIZE],
    const char *shown, const char *sentence, const char *word);

/*
 * A word as a host name, into name (of size bytes) in lower case, as names
 * are wherever we show them.  0, or -1 and a sentence: it is too long.
 */
int optiontable_host_name(const char *shown, const char *word, char *name,
    size_t size, char error[OPTIONTABLE_ERROR_SIZE]);

/* A word as a number from min to max.  0 and *n, or -1 and a sentence. */
int optiontable_number(const char *shown, const char *word, unsigned long min,
    unsigned long max, unsigned long *n, char error[OPTIONTABLE_ERROR_SIZE]);

#endif
