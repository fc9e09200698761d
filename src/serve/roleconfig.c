/*
 * The form of CONFIG, a role's first message.
 *
 * Encoded in master, decoded in keeper and nursery.  Carries no secret:
 * names of files and numbers.
 */
#include "serve/roleconfig.h"

#include <string.h>

#include "build_id.h"
#include "serve/msg.h"

int
roleconfig_put(const struct role_config *c, struct msg_writer *w)
{
	size_t i, len;

	msg_put_text(w, c->build_id);
	msg_put_number(w, c->identity.is_set);
	msg_put_number(w, c->identity.uid);
	msg_put_number(w, c->identity.gid);
	profile_put(&c->profile, w);
	msg_put_text(w, c->root);
	msg_put_number(w, c->phrase);
	msg_put_number(w, c->limit);
	msg_put_number(w, c->idle_s);
	msg_put_number(w, c->strict_close);
	msg_put_number(w, c->session_s);
	msg_put_number(w, c->is_pooled);
	msg_put_number(w, c->seals_tickets);
	msg_put_bytes(w, c->greeting, c->greeting_len);
	msg_put_number(w, c->has_jail);
	msg_put_number(w, c->has_public);
	msg_put_number(w, c->has_phrase);
	for (i = 0; i < PROFILES_LISTS; i++)
		msg_put_number(w, c->has_list[i]);
	return msg_written(w, &len);
}

int
roleconfig_get(struct role_config *c, const struct msg *msg)
{
	struct msg_reader r;
	size_t i;

	msg_read_from(&r, msg);
	c->build_id = msg_get_text(&r);
	if (c->build_id == NULL || strcmp(c->build_id, BUILD_ID) != 0)
		return 0; /* the rest may have another form */
	c->identity.is_set = msg_get_number(&r) != 0;
	c->identity.uid = (uid_t)msg_get_number(&r);
	c->identity.gid = (gid_t)msg_get_number(&r);
	profile_get(&c->profile, &r);
	c->root = msg_get_text(&r);
	c->phrase = (enum role_phrase)msg_get_number(&r);
	c->limit = (size_t)msg_get_number(&r);
	c->idle_s = (unsigned)msg_get_number(&r);
	c->strict_close = msg_get_number(&r) != 0;
	c->session_s = (unsigned)msg_get_number(&r);
	c->is_pooled = msg_get_number(&r) != 0;
	c->seals_tickets = msg_get_number(&r) != 0;
	c->greeting = msg_get_bytes(&r, &c->greeting_len);
	c->has_jail = msg_get_number(&r) != 0;
	c->has_public = msg_get_number(&r) != 0;
	c->has_phrase = msg_get_number(&r) != 0;
	for (i = 0; i < PROFILES_LISTS; i++)
		c->has_list[i] = msg_get_number(&r) != 0;
	return msg_read_all(&r);
}
