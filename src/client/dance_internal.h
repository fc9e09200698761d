/*
 * dance_internal: what the protocols of the dance give its machine.  Nothing
 * but dance*.c includes it.
 */
#ifndef CLIENT_DANCE_INTERNAL_H
#define CLIENT_DANCE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

struct dance;

enum dance_verdict {
	DANCE_MORE,    /* the answer goes on */
	DANCE_GOOD,    /* it is whole, and good */
	DANCE_REFUSED, /* the server does not want to */
	DANCE_STRANGE  /* this is not the protocol */
};

/* One thing we say, or nothing, and the answer to it. */
struct dance_step {
	const char *name;    /* of what is said; NULL: the server begins */
	const char *command; /* what dance_dialect.ask makes bytes of */
	const char *wanted;  /* code of a good answer, where there are codes */
	const char *offer;   /* must be offered in it; NULL: nothing */
	bool is_list;	     /* POP3: lines up to a dot follow */
	bool is_last;	     /* MySQL: there is no answer */
};

struct dance_dialect {
	const char *name;
	const struct dance_step *steps;
	size_t count;
	/* Write what is to be said for the step to d->out. */
	void (*ask)(struct dance *d, const struct dance_step *step);
	/* Is the unit, which has just got a byte, at its end? */
	bool (*is_whole)(struct dance *d);
	/*
	 * What does the unit mean?  May set is_offered, and said, which is
	 * shown when it is a refusal or strange; else the unit is shown.
	 */
	enum dance_verdict (*judge)(
	    struct dance *d, const struct dance_step *step);
};

/* Lines (dance_lines.c).  A unit is judged without its end. */
void dance_ask_line(struct dance *d, const struct dance_step *step);
void dance_ask_ehlo(struct dance *d, const struct dance_step *step);
void dance_ask_tagged(struct dance *d, const struct dance_step *step);
bool dance_is_line(struct dance *d);
bool dance_is_literal_line(struct dance *d);
enum dance_verdict dance_judge_smtp(
    struct dance *d, const struct dance_step *step);
enum dance_verdict dance_judge_ftp(
    struct dance *d, const struct dance_step *step);
enum dance_verdict dance_judge_pop3(
    struct dance *d, const struct dance_step *step);
enum dance_verdict dance_judge_imap(
    struct dance *d, const struct dance_step *step);
enum dance_verdict dance_judge_sieve(
    struct dance *d, const struct dance_step *step);

/* Tags (dance_xmpp.c).  A unit is a tag, with the text before it. */
void dance_ask_xmpp(struct dance *d, const struct dance_step *step);
bool dance_is_tag(struct dance *d);
enum dance_verdict dance_judge_xmpp(
    struct dance *d, const struct dance_step *step);

/* Messages (dance_records.c). */
void dance_ask_ldap(struct dance *d, const struct dance_step *step);
bool dance_is_ldap(struct dance *d);
enum dance_verdict dance_judge_ldap(
    struct dance *d, const struct dance_step *step);
void dance_ask_postgres(struct dance *d, const struct dance_step *step);
bool dance_is_postgres(struct dance *d);
enum dance_verdict dance_judge_postgres(
    struct dance *d, const struct dance_step *step);
void dance_ask_mysql(struct dance *d, const struct dance_step *step);
bool dance_is_mysql(struct dance *d);
enum dance_verdict dance_judge_mysql(
    struct dance *d, const struct dance_step *step);

#endif
