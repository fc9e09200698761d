/*
 * The dance of XMPP (RFC 6120): tags of an XML stream.
 *
 * Pure functions on one tag of an untrusted server, see dance.c.  This is no
 * XML parser: it finds tags, counts how deep they are nested and reads their
 * names, as the few that matter have no other meaning elsewhere.  Comments,
 * document types and processing instructions are forbidden in a stream (11.1)
 * and so are refused; a tag ends at the first > that is not in quotes.
 */
#include "client/dance.h"

#include <string.h>

#include "base/text.h"
#include "client/dance_internal.h"

#define SAFE_BYTES \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-"

struct tag {
	const unsigned char *name; /* without prefix */
	size_t len;
	bool is_end;   /* </name> */
	bool is_empty; /* <name/> */
};

/* Can host stand between quotes as it is? */
static bool
is_safe(const char *host)
{
	size_t len = strlen(host);

	return len > 0 && len <= DANCE_NAME_MAX &&
	    strspn(host, SAFE_BYTES) == len;
}

/* The stream header (4.7), without `to' where the name cannot be one. */
void
dance_ask_xmpp(struct dance *d, const struct dance_step *step)
{
	bool names_host = d->host != NULL && is_safe(d->host);

	if (step->command != NULL)
		(void)text_copy(d->out, sizeof(d->out), step->command);
	else
		(void)text_format(d->out, sizeof(d->out),
		    "<?xml version='1.0'?><stream:stream xmlns='jabber:client'"
		    " xmlns:stream='http://etherx.jabber.org/streams'"
		    " version='1.0'%s%s%s>",
		    names_host ? " to='" : "", names_host ? d->host : "",
		    names_host ? "'" : "");
	d->out_len = strlen(d->out);
}

/*
 * Between tags: text, which is of no meaning inside an element, and nothing
 * but blanks outside.
 */
static bool
is_stray(struct dance *d, char byte)
{
	if (byte == '<')
		d->quote = '<';
	else if (d->depth < 2 && memchr(" \t\r\n", byte, 4) == NULL)
		return true;
	else
		d->unit_len = 0;
	return false;
}

/* quote is '<' inside a tag, or the quote that is open there. */
bool
dance_is_tag(struct dance *d)
{
	char byte = (char)d->unit[d->unit_len - 1];

	if (d->quote == '\0')
		return is_stray(d, byte);
	if (d->quote != '<') {
		if (byte == d->quote)
			d->quote = '<';
	} else if (byte == '\'' || byte == '"') {
		d->quote = byte;
	} else if (byte == '>') {
		d->quote = '\0';
		return true;
	}
	return false;
}

static bool
ends_name(unsigned char c)
{
	return c <= ' ' || c == '/' || c == '>';
}

static struct tag
read_tag(const struct dance *d)
{
	size_t at = 1, end;
	struct tag tag = { 0 };

	tag.is_end = d->unit[at] == '/';
	tag.is_empty = !tag.is_end && d->unit[d->unit_len - 2] == '/';
	at += tag.is_end;
	/* The tag's > is not far. */
	for (end = at; !ends_name(d->unit[end]); end++)
		if (d->unit[end] == ':')
			at = end + 1;
	tag.name = d->unit + at;
	tag.len = end - at;
	return tag;
}

static bool
is_named(const struct tag *tag, const char *name)
{
	return tag->len == strlen(name) &&
	    memcmp(tag->name, name, tag->len) == 0;
}

/* The stream's own tag, perhaps after an XML declaration. */
static enum dance_verdict
judge_outside(struct dance *d, const struct tag *tag)
{
	if (d->units == 0 && is_named(tag, "?xml"))
		return DANCE_MORE;
	if (!is_named(tag, "stream") || tag->is_end || tag->is_empty)
		return DANCE_STRANGE;
	d->depth = 1;
	return DANCE_MORE;
}

/* An element of the stream begins, or the stream ends. */
static enum dance_verdict
judge_element(
    struct dance *d, const struct dance_step *step, const struct tag *tag)
{
	bool is_answer =
	    is_named(tag, step->offer != NULL ? "features" : "proceed");

	if (tag->is_end || is_named(tag, "failure"))
		return DANCE_REFUSED;
	if (is_named(tag, "error")) {
		/* The first element in it says which. */
		d->is_error = true;
		return tag->is_empty ? DANCE_REFUSED : DANCE_MORE;
	}
	if (!is_answer)
		return DANCE_STRANGE;
	if (tag->is_empty)
		return DANCE_GOOD;
	d->depth = 2;
	return DANCE_MORE;
}

enum dance_verdict
dance_judge_xmpp(struct dance *d, const struct dance_step *step)
{
	struct tag tag;

	if (d->unit[0] != '<')
		return DANCE_STRANGE;
	tag = read_tag(d);
	if (d->is_error)
		return DANCE_REFUSED;
	if (d->depth == 0)
		return judge_outside(d, &tag);
	if (d->unit[1] == '!' || d->unit[1] == '?')
		return DANCE_STRANGE;
	if (d->depth == 1)
		return judge_element(d, step, &tag);
	if (d->depth == 2 && !tag.is_end && step->offer != NULL &&
	    is_named(&tag, step->offer))
		d->is_offered = true;
	if (tag.is_end)
		d->depth--;
	else if (!tag.is_empty)
		d->depth++;
	return d->depth == 1 ? DANCE_GOOD : DANCE_MORE;
}
