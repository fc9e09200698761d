/*
 * Options from a table.
 *
 * Runs at the start of a program, before anything else, on its command
 * line alone.  A long name must be typed in full: getopt_long would take
 * one that is cut short, and what that means could change with every new
 * option.
 */
#include "cmd/optiontable.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Room for an option as messages show it. */
#define SHOWN_SIZE 48

void
optiontable_print(const struct optiontable *table)
{
	const struct optiontable_row *row;
	size_t i;

	for (i = 0; i < table->count; i++) {
		row = &table->rows[i];
		if (row->code < 256)
			printf("  -%c, ", row->code);
		else
			printf("      ");
		printf("--%s%s%s\n        %s\n", row->name,
		    row->word == NULL ? "" : " ",
		    row->word == NULL ? "" : row->word, row->help);
	}
}

static const struct optiontable_row *
find_row(const struct optiontable *table, int code)
{
	size_t i;

	for (i = 0; i < table->count; i++)
		if (table->rows[i].code == code)
			return &table->rows[i];
	return NULL;
}

/* The row of `--name' or `--name=value', typed in full, or NULL. */
static const struct optiontable_row *
find_long(const struct optiontable *table, const char *typed)
{
	const char *name = typed + 2;
	size_t len = strcspn(name, "="), i;

	for (i = 0; i < table->count; i++)
		if (strlen(table->rows[i].name) == len &&
		    memcmp(table->rows[i].name, name, len) == 0)
			return &table->rows[i];
	return NULL;
}

/* The option as it was typed, a letter with its name. */
static void
show_option(
    char shown[SHOWN_SIZE], const struct optiontable_row *row, bool is_long)
{
	if (is_long)
		text_format(shown, SHOWN_SIZE, "--%s", row->name);
	else
		text_format(
		    shown, SHOWN_SIZE, "-%c (--%s)", row->code, row->name);
}

/* What getopt_long wants, made from the table. */
static void
fill_getopt(
    const struct optiontable *table, char *letters, struct option *longs)
{
	const struct optiontable_row *row;
	size_t i, n = 0;

	/* `+': the first word that is no option ends them. */
	letters[n++] = '+';
	letters[n++] = ':';
	for (i = 0; i < table->count; i++) {
		row = &table->rows[i];
		if (row->code < 256) {
			letters[n++] = (char)row->code;
			if (row->word != NULL)
				letters[n++] = ':';
		}
		longs[i] = (struct option){ row->name, row->word != NULL, NULL,
			row->code };
	}
	letters[n] = '\0';
	longs[i] = (struct option){ NULL, 0, NULL, 0 };
}

int
optiontable_refuse(
    char error[OPTIONTABLE_ERROR_SIZE], const char *sentence, const char *word)
{
	char shown[TEXT_PRINTABLE_SIZE];

	text_format(error, OPTIONTABLE_ERROR_SIZE, "%s%s", sentence,
	    text_printable(shown, word, strlen(word)));
	return -1;
}

int
optiontable_refuse_option(char error[OPTIONTABLE_ERROR_SIZE], const char *shown,
    const char *sentence, const char *word)
{
	char whole[SHOWN_SIZE + 128];

	text_format(whole, sizeof(whole), "%s %s", shown, sentence);
	return optiontable_refuse(error, whole, word);
}

int
optiontable_number(const char *shown, const char *word, unsigned long min,
    unsigned long max, unsigned long *n, char error[OPTIONTABLE_ERROR_SIZE])
{
	char sentence[96];

	if (text_number(word, min, max, n) == 0)
		return 0;
	text_format(sentence, sizeof(sentence),
	    "takes a whole number from %lu to %lu, not ", min, max);
	return optiontable_refuse_option(error, shown, sentence, word);
}

/* No option of that name or letter. */
static int
refuse_unknown(
    const char *typed, bool is_long, char error[OPTIONTABLE_ERROR_SIZE])
{
	char shown[OPTIONTABLE_ERROR_SIZE] = { '-', (char)optopt, '\0' };

	if (is_long)
		text_format(shown, sizeof(shown), "%.*s",
		    (int)strcspn(typed, "="), typed);
	return optiontable_refuse(error, "unknown option: ", shown);
}

/* What getopt_long made of the word typed. */
static int
take_option(const struct optiontable *table, void *target, int code,
    const char *typed, char error[OPTIONTABLE_ERROR_SIZE])
{
	bool is_long = text_begins(typed, "--");
	bool is_odd = code == '?' || code == ':';
	const struct optiontable_row *row = is_long
	    ? find_long(table, typed)
	    : find_row(table, is_odd ? optopt : code);
	char shown[SHOWN_SIZE];

	if (row == NULL)
		return refuse_unknown(typed, is_long, error);
	show_option(shown, row, is_long);
	if (is_odd)
		return optiontable_refuse_option(error, shown,
		    code == ':' ? "needs a value" : "takes no value", "");
	return table->apply(
	    target, code, shown, row->word == NULL ? NULL : optarg, error);
}

int
optiontable_read(const struct optiontable *table, void *target, int argc,
    char **argv, char error[OPTIONTABLE_ERROR_SIZE])
{
	struct option longs[OPTIONTABLE_ROWS_MAX + 1];
	char letters[2 * OPTIONTABLE_ROWS_MAX + 3];
	const char *typed;
	int code;

	if (table->count > OPTIONTABLE_ROWS_MAX)
		abort();
	fill_getopt(table, letters, longs);
	opterr = 0;
	for (;;) {
		/* Until the first call it may be 0. */
		typed = argv[optind > 0 ? optind : 1];
		code = getopt_long(argc, argv, letters, longs, NULL);
		if (code == -1)
			return 0;
		if (take_option(table, target, code, typed, error) == -1)
			return -1;
	}
}

int
optiontable_host_name(const char *shown, const char *word, char *name,
    size_t size, char error[OPTIONTABLE_ERROR_SIZE])
{
	if (text_copy(name, size, word) == -1)
		return optiontable_refuse_option(
		    error, shown, "is too long", "");
	for (; *name != '\0'; name++)
		if (*name >= 'A' && *name <= 'Z')
			*name += 'a' - 'A';
	return 0;
}
