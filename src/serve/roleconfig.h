/*
 * roleconfig: what master tells an executable role at its start.
 */
#ifndef SERVE_ROLECONFIG_H
#define SERVE_ROLECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "serve/profile.h"
#include "serve/profiles.h"
#include "serve/settings.h"

struct msg;
struct msg_writer;

/* How a keeper comes by the pass phrase of -3. */
enum role_phrase {
	ROLE_PHRASE_NONE,
	ROLE_PHRASE_READ, /* from the administrator's descriptor 3 */
	ROLE_PHRASE_TAKE  /* from a keeper that has it */
};

struct role_config {
	const char *build_id;
	struct settings_identity identity;
	struct profile profile; /* that of the start */
	/* keeper */
	const char *root; /* SSL_CHROOT, or NULL */
	enum role_phrase phrase;
	/* nursery */
	size_t limit; /* sessions at once */
	unsigned idle_s;
	bool strict_close;
	unsigned session_s; /* SESSIONTIME; 0: nothing is resumed */
	bool is_pooled;	    /* sessions serve several clients, in turn */
	bool seals_tickets; /* TICKETKEYS */
	const unsigned char *greeting;
	size_t greeting_len;
	/* the descriptors that come with it, in this order */
	bool has_jail;	 /* an empty directory */
	bool has_public; /* nursery: what a keeper sealed for it */
	bool has_phrase; /* keeper: where the pass phrase comes from */
	bool has_list[PROFILES_LISTS]; /* what else profiles are made of */
};

/*
 * Encode, for master.  0, or -1 when it does not fit.  Decode: 0, also for
 * another build, of which only build_id is read; -1 when malformed.
 */
int roleconfig_put(const struct role_config *config, struct msg_writer *w);
int roleconfig_get(struct role_config *config, const struct msg *msg);

#endif
