/*
 * Dances of lines: SMTP, FTP, POP3, IMAP and ManageSieve.
 *
 * Pure functions on one line of an untrusted server, see dance.c.  A line is
 * a range of bytes and may hold any of them: it is compared, never made a
 * string.  Keywords are compared without case, as each of the RFCs wants.  A
 * line that ends without CR is taken: old FTP servers do that.  Strings that
 * IMAP and ManageSieve send by their length ({12}) are skipped, so that none
 * of their content can pass for an answer.
 */
#include "client/dance.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "client/dance_internal.h"

/* What we say. */

void
dance_ask_line(struct dance *d, const struct dance_step *step)
{
	(void)text_format(d->out, sizeof(d->out), "%s\r\n", step->command);
	d->out_len = strlen(d->out);
}

/* RFC 5321, 4.1.1.1: the client tells its name, or address. */
void
dance_ask_ehlo(struct dance *d, const struct dance_step *step)
{
	if (step->offer == NULL) {
		dance_ask_line(d, step);
		return;
	}
	(void)text_format(d->out, sizeof(d->out), "%s %.*s\r\n", step->command,
	    DANCE_NAME_MAX, d->own);
	d->out_len = strlen(d->out);
}

/* RFC 3501, 2.2.1: each command has a tag, its answer too. */
void
dance_ask_tagged(struct dance *d, const struct dance_step *step)
{
	(void)text_format(
	    d->out, sizeof(d->out), "a%zu %s\r\n", d->step, step->command);
	d->out_len = strlen(d->out);
}

/* Lines. */

static void
trim_end(struct dance *d)
{
	if (d->unit_len > 0 && d->unit[d->unit_len - 1] == '\n')
		d->unit_len--;
	if (d->unit_len > 0 && d->unit[d->unit_len - 1] == '\r')
		d->unit_len--;
}

bool
dance_is_line(struct dance *d)
{
	if (d->unit[d->unit_len - 1] != '\n')
		return false;
	trim_end(d);
	return true;
}

static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/*
 * The number in {12} or {12+} at the end of the line; SIZE_MAX where there
 * is none.  One of more digits than DANCE_TOTAL_MAX has is too long anyway.
 */
static size_t
literal_size(const struct dance *d)
{
	size_t at = d->unit_len, size = 0, unit = 1;

	if (at == 0 || d->unit[--at] != '}')
		return SIZE_MAX;
	if (at > 0 && d->unit[at - 1] == '+')
		at--;
	while (at > 0 && is_digit(d->unit[at - 1])) {
		if (unit > DANCE_TOTAL_MAX)
			return DANCE_TOTAL_MAX;
		size += unit * (size_t)(d->unit[--at] - '0');
		unit *= 10;
	}
	return unit > 1 && at > 0 && d->unit[at - 1] == '{' ? size : SIZE_MAX;
}

bool
dance_is_literal_line(struct dance *d)
{
	size_t size;

	if (!dance_is_line(d))
		return false;
	size = literal_size(d);
	if (size == SIZE_MAX)
		return true;
	/* The line goes on behind it; in the place of its end. */
	d->unit[d->unit_len++] = ' ';
	d->skip = size;
	return false;
}

static char
upper(unsigned char c)
{
	return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

/* Does word (in upper case) stand at offset at, and end there? */
static bool
has_word(const struct dance *d, size_t at, const char *word)
{
	size_t len = strlen(word), i;

	if (at > d->unit_len || d->unit_len - at < len)
		return false;
	for (i = 0; i < len; i++)
		if (upper(d->unit[at + i]) != word[i])
			return false;
	return at + len == d->unit_len || d->unit[at + len] == ' ';
}

/* Is word one of those from offset at on? */
static bool
lists_word(const struct dance *d, size_t at, const char *word)
{
	for (; at < d->unit_len; at++)
		if ((at == 0 || d->unit[at - 1] == ' ') &&
		    has_word(d, at, word))
			return true;
	return false;
}

/* SMTP and FTP. */

/* Three digits, and a blank, a hyphen or nothing behind them? */
static bool
has_code(const struct dance *d)
{
	return d->unit_len >= 3 && is_digit(d->unit[0]) &&
	    is_digit(d->unit[1]) && is_digit(d->unit[2]) &&
	    (d->unit_len == 3 || d->unit[3] == ' ' || d->unit[3] == '-');
}

static bool
goes_on(const struct dance *d)
{
	return d->unit_len > 3 && d->unit[3] == '-';
}

static enum dance_verdict
judge_code(const struct dance *d, const struct dance_step *step)
{
	return memcmp(d->unit, step->wanted, 3) == 0 ? DANCE_GOOD
						     : DANCE_REFUSED;
}

/* RFC 5321, 4.2.1: each line has the code, a hyphen if others follow. */
enum dance_verdict
dance_judge_smtp(struct dance *d, const struct dance_step *step)
{
	if (!has_code(d) || (d->units > 0 && memcmp(d->unit, d->code, 3) != 0))
		return DANCE_STRANGE;
	memcpy(d->code, d->unit, 3);
	/* The first line of the answer to EHLO is the server's name. */
	if (d->units > 0 && step->offer != NULL && has_word(d, 4, step->offer))
		d->is_offered = true;
	return goes_on(d) ? DANCE_MORE : judge_code(d, step);
}

/*
 * RFC 959, 4.2: the lines between the first and the last may hold anything.
 * An answer of 1yz is a preliminary one: another follows.
 */
enum dance_verdict
dance_judge_ftp(struct dance *d, const struct dance_step *step)
{
	bool is_inside = d->code[0] != '\0';

	if (!is_inside && !has_code(d))
		return DANCE_STRANGE;
	if (!is_inside)
		memcpy(d->code, d->unit, 3);
	if (!has_code(d) || goes_on(d) || memcmp(d->unit, d->code, 3) != 0)
		return DANCE_MORE;
	d->code[0] = '\0';
	return d->unit[0] == '1' ? DANCE_MORE : judge_code(d, step);
}

/* POP3 (RFC 1939, 3; RFC 2449, 5). */

enum dance_verdict
dance_judge_pop3(struct dance *d, const struct dance_step *step)
{
	if (d->units > 0) {
		if (has_word(d, 0, step->offer))
			d->is_offered = true;
		return has_word(d, 0, ".") ? DANCE_GOOD : DANCE_MORE;
	}
	if (has_word(d, 0, "+OK"))
		return step->is_list ? DANCE_MORE : DANCE_GOOD;
	return has_word(d, 0, "-ERR") ? DANCE_REFUSED : DANCE_STRANGE;
}

/* IMAP (RFC 3501, 7). */

/*
 * PREAUTH would mean that the connection is logged in already: TLS cannot
 * begin then, and whoever takes part without it is in the hands of others.
 */
static enum dance_verdict
judge_greeting(const struct dance *d)
{
	if (has_word(d, 0, "* OK"))
		return DANCE_GOOD;
	return has_word(d, 0, "* PREAUTH") || has_word(d, 0, "* BYE")
	    ? DANCE_REFUSED
	    : DANCE_STRANGE;
}

enum dance_verdict
dance_judge_imap(struct dance *d, const struct dance_step *step)
{
	char tag[8];
	size_t len;

	if (step->name == NULL)
		return judge_greeting(d);
	if (has_word(d, 0, "* BYE"))
		return DANCE_REFUSED;
	if (step->offer != NULL && has_word(d, 0, "* CAPABILITY") &&
	    lists_word(d, 2, step->offer))
		d->is_offered = true;
	if (has_word(d, 0, "*"))
		return DANCE_MORE;
	(void)text_format(tag, sizeof(tag), "A%zu", d->step);
	len = strlen(tag);
	if (!has_word(d, 0, tag))
		return DANCE_STRANGE;
	if (has_word(d, len + 1, "OK"))
		return DANCE_GOOD;
	return has_word(d, len + 1, "NO") || has_word(d, len + 1, "BAD")
	    ? DANCE_REFUSED
	    : DANCE_STRANGE;
}

/* ManageSieve (RFC 5804, 1.2 and 1.7). */

enum dance_verdict
dance_judge_sieve(struct dance *d, const struct dance_step *step)
{
	/* Capabilities are strings; those of the greeting come unasked. */
	if (d->unit_len > 0 && (d->unit[0] == '"' || d->unit[0] == '{')) {
		if (has_word(d, 0, "\"STARTTLS\""))
			d->is_offered = true;
		return step->offer != NULL ? DANCE_MORE : DANCE_STRANGE;
	}
	if (has_word(d, 0, "OK"))
		return DANCE_GOOD;
	return has_word(d, 0, "NO") || has_word(d, 0, "BYE") ? DANCE_REFUSED
							     : DANCE_STRANGE;
}
