/*
 * dance: the plain-text part of STARTTLS as a machine.
 *
 * Runs in the process that will speak TLS, jailed, on bytes that anybody on
 * the way may have written.  Pure: no allocation, no descriptor.  What the
 * protocols have in common stands in tables here: what is said in which
 * order, and what each answer must be; how an answer is read stands in
 * dance_lines.c, dance_xmpp.c and dance_records.c.  Nothing that the server
 * says here is believed beyond "TLS may begin": the program is told none of
 * it, and asks again inside TLS.
 */
#include "client/dance.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "client/dance_internal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct dance_step smtp_steps[] = {
	{ .wanted = "220" },
	{ .name = "EHLO",
	    .command = "EHLO",
	    .wanted = "250",
	    .offer = "STARTTLS" },
	{ .name = "STARTTLS", .command = "STARTTLS", .wanted = "220" },
};

static const struct dance_step imap_steps[] = {
	{ .name = NULL },
	{ .name = "CAPABILITY", .command = "CAPABILITY", .offer = "STARTTLS" },
	{ .name = "STARTTLS", .command = "STARTTLS" },
};

static const struct dance_step pop3_steps[] = {
	{ .name = NULL },
	{ .name = "CAPA", .command = "CAPA", .offer = "STLS", .is_list = true },
	{ .name = "STLS", .command = "STLS" },
};

static const struct dance_step ftp_steps[] = {
	{ .wanted = "220" },
	{ .name = "AUTH TLS", .command = "AUTH TLS", .wanted = "234" },
};

static const struct dance_step sieve_steps[] = {
	{ .offer = "STARTTLS" },
	{ .name = "STARTTLS", .command = "STARTTLS" },
};

static const struct dance_step ldap_steps[] = {
	{ .name = "StartTLS" },
};

static const struct dance_step xmpp_steps[] = {
	{ .name = "stream", .offer = "starttls" },
	{ .name = "starttls",
	    .command = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" },
};

static const struct dance_step postgres_steps[] = {
	{ .name = "SSLRequest" },
};

static const struct dance_step mysql_steps[] = {
	{ .offer = "TLS" },
	{ .name = "SSLRequest", .is_last = true },
};

#define STEPS(table) (table), COUNT(table)

static const struct dance_dialect dialects[STARTTLS_PROTOCOLS] = {
	[STARTTLS_SMTP] = { "smtp", STEPS(smtp_steps), dance_ask_ehlo,
	    dance_is_line, dance_judge_smtp },
	[STARTTLS_IMAP] = { "imap", STEPS(imap_steps), dance_ask_tagged,
	    dance_is_literal_line, dance_judge_imap },
	[STARTTLS_POP3] = { "pop3", STEPS(pop3_steps), dance_ask_line,
	    dance_is_line, dance_judge_pop3 },
	[STARTTLS_FTP] = { "ftp", STEPS(ftp_steps), dance_ask_line,
	    dance_is_line, dance_judge_ftp },
	[STARTTLS_SIEVE] = { "sieve", STEPS(sieve_steps), dance_ask_line,
	    dance_is_literal_line, dance_judge_sieve },
	[STARTTLS_LDAP] = { "ldap", STEPS(ldap_steps), dance_ask_ldap,
	    dance_is_ldap, dance_judge_ldap },
	[STARTTLS_XMPP] = { "xmpp", STEPS(xmpp_steps), dance_ask_xmpp,
	    dance_is_tag, dance_judge_xmpp },
	[STARTTLS_POSTGRES] = { "postgres", STEPS(postgres_steps),
	    dance_ask_postgres, dance_is_postgres, dance_judge_postgres },
	[STARTTLS_MYSQL] = { "mysql", STEPS(mysql_steps), dance_ask_mysql,
	    dance_is_mysql, dance_judge_mysql },
};

int
starttls_named(const char *name, enum starttls_protocol *protocol)
{
	enum starttls_protocol p;

	for (p = 0; p < STARTTLS_PROTOCOLS; p++) {
		if (strcmp(name, dialects[p].name) == 0) {
			*protocol = p;
			return 0;
		}
	}
	return -1;
}

const char *
starttls_name(enum starttls_protocol protocol)
{
	return dialects[protocol].name;
}

/* Failures. */

static const struct dance_step *
step_of(const struct dance *d)
{
	return &d->dialect->steps[d->step];
}

/* "smtp: the answer to EHLO" and what is wrong with it. */
static void
fail(struct dance *d, const char *what, const char *said)
{
	const char *name = step_of(d)->name;

	d->state = DANCE_FAILED;
	(void)text_format(d->why, sizeof(d->why), "%s: the %s%s %s%s",
	    d->dialect->name, name != NULL ? "answer to " : "greeting",
	    name != NULL ? name : "", what, said);
}

static void
fail_and_show(struct dance *d, const char *what)
{
	char shown[TEXT_PRINTABLE_SIZE];

	if (d->said[0] != '\0')
		fail(d, what, d->said);
	else
		fail(d, what, text_printable(shown, d->unit, d->unit_len));
}

void
dance_surplus(struct dance *d, const void *bytes, size_t len)
{
	const char *next = d->state == DANCE_DONE ? "TLS" : step_of(d)->name;
	char shown[TEXT_PRINTABLE_SIZE];

	d->state = DANCE_FAILED;
	(void)text_format(d->why, sizeof(d->why),
	    "%s: before %s came what nobody had asked for: %s",
	    d->dialect->name, next, text_printable(shown, bytes, len));
}

void
dance_lost(struct dance *d, int error)
{
	if (error == ETIMEDOUT)
		fail(d, "did not come in time", "");
	else if (error == 0)
		fail(d, "did not come: the server hung up", "");
	else
		fail(d, "did not come: ", strerror(error));
}

/* The machine. */

/* Begin the present step: say something, or wait for the greeting. */
static void
begin_step(struct dance *d)
{
	const struct dance_step *step = step_of(d);

	d->is_offered = d->is_error = false;
	d->units = d->unit_len = 0;
	d->state = DANCE_READ;
	if (step->name == NULL)
		return;
	d->dialect->ask(d, step);
	d->state = DANCE_SEND;
}

void
dance_begin(struct dance *d, enum starttls_protocol protocol, const char *own,
    const char *host)
{
	memset(d, 0, sizeof(*d));
	d->dialect = &dialects[protocol];
	d->own = own;
	d->host = host;
	begin_step(d);
}

void
dance_sent(struct dance *d)
{
	d->state = step_of(d)->is_last ? DANCE_DONE : DANCE_READ;
}

static void
end_step(struct dance *d)
{
	const char *offer = step_of(d)->offer;

	if (offer != NULL && !d->is_offered)
		fail(d, "does not offer ", offer);
	else if (d->step + 1 == d->dialect->count)
		d->state = DANCE_DONE;
	else {
		d->step++;
		begin_step(d);
	}
}

static void
judge_unit(struct dance *d)
{
	switch (d->dialect->judge(d, step_of(d))) {
	case DANCE_MORE:
		d->units++;
		d->unit_len = 0;
		break;
	case DANCE_GOOD:
		end_step(d);
		break;
	case DANCE_REFUSED:
		fail_and_show(d, "is a refusal: ");
		break;
	case DANCE_STRANGE:
		fail_and_show(d, "is not understood: ");
		break;
	}
}

static void
take_byte(struct dance *d, unsigned char byte)
{
	if (++d->total > DANCE_TOTAL_MAX) {
		fail(d, "is too long", "");
	} else if (d->skip > 0) {
		d->skip--;
	} else if (d->unit_len == sizeof(d->unit)) {
		fail_and_show(d, "is too long: ");
	} else {
		d->unit[d->unit_len++] = byte;
		if (d->dialect->is_whole(d))
			judge_unit(d);
	}
}

size_t
dance_take(struct dance *d, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	size_t i = 0;

	while (i < len && d->state == DANCE_READ)
		take_byte(d, at[i++]);
	return i;
}
