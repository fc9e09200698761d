/*
 * The beginning of an executable role.
 *
 * Runs in keeper and nursery, still with master's rights, and trusts
 * master alone.
 */
#include "serve/role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "build_id.h"
#include "tls/tlsfile.h"

/* The descriptors of CONFIG: the jail first, if there is one. */
static void
take_fds(struct role *role, const struct msg *msg)
{
	role->jail_fd = msg->fd_count > 0 ? msg->fds[0] : -1;
	role->work_fd = -1;
}

void
role_begin(struct role *role)
{
	struct msg msg;
	int r;

	role->life_fd = ROLE_LIFE_FD;
	buf_init(&role->whole, MSG_BODY_MAX);
	if (sig_ignore_terminal() == -1)
		role_fail(role, "unable to ignore signals");
	r = msg_receive_whole(
	    role->life_fd, &role->room, &role->whole, &msg, 1, false);
	if (r != 1 && errno == 0)
		_exit(0);
	if (r != 1 || msg.type != MSG_CONFIG)
		role_fail(role, "no settings from sslserver");
	/* room is used again; what config points to must stay. */
	if (msg.body != role->whole.data) {
		role->whole.len = 0;
		if (buf_append(&role->whole, msg.body, msg.len) == -1)
			role_fail(role, "out of memory");
		msg.body = role->whole.data;
	}
	take_fds(role, &msg);
	if (roleconfig_get(&role->config, &msg) == -1)
		role_fail(role, "malformed settings from sslserver");
	if (role->config.build_id == NULL ||
	    strcmp(role->config.build_id, BUILD_ID) != 0)
		role_fail(role,
		    "this is build " BUILD_ID ", which is not sslserver's");
}

void
role_fail(const struct role *role, const char *sentence)
{
	msg_send_bytes(role->life_fd, MSG_FAILED, 0, sentence,
	    strlen(sentence) + 1, false);
	_exit(111);
}

static void
note(const struct role *role, enum msg_note kind, const char *name,
    const char *text)
{
	unsigned char body[2048];
	struct msg_writer w;
	size_t len;

	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, kind);
	msg_put_text(&w, name);
	msg_put_text(&w, text);
	if (msg_written(&w, &len) == 0)
		msg_send_bytes(role->life_fd, MSG_NOTE, 0, body, len, false);
}

void
role_warn(const struct role *role, const char *sentence)
{
	note(role, MSG_NOTE_WARNING, NULL, sentence);
}

void
role_setting(const struct role *role, const char *name, const char *value)
{
	note(role, MSG_NOTE_SETTING, name, value);
}

void
role_life(struct role *role)
{
	struct msg msg;
	bool more;

	if (msg_receive(role->life_fd, &role->room, &msg, 1, false, &more) != 1)
		_exit(0);
	if (msg.type != MSG_WORK || msg.fd_count != 1)
		role_fail(role, "unexpected message from sslserver");
	fd_close(&role->work_fd);
	role->work_fd = msg.fds[0];
}

int
role_public_put(const struct tls_public *public, struct msg_writer *w)
{
	size_t i, len;

	msg_put_number(w, public->chain_count);
	for (i = 0; i < public->chain_count; i++)
		msg_put_bytes(w, public->chain[i], public->chain_len[i]);
	msg_put_bytes(w, public->dh, public->dh_len);
	msg_put_number(w, public->dh_bits);
	return msg_written(w, &len);
}

static unsigned char *
copy_of(const unsigned char *bytes, size_t len)
{
	unsigned char *copy = malloc(len > 0 ? len : 1);

	if (copy != NULL && len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

int
role_public_get(
    struct tls_public *public, const unsigned char *bytes, size_t len)
{
	const struct msg body = { .body = bytes, .len = len };
	const unsigned char *part;
	struct msg_reader r;
	uint64_t count;
	size_t i;

	memset(public, 0, sizeof(*public));
	msg_read_from(&r, &body);
	count = msg_get_number(&r);
	if (count > TLSFILE_CHAIN_MAX)
		return -1;
	for (i = 0; i < count; i++) {
		part = msg_get_bytes(&r, &public->chain_len[i]);
		public->chain[i] = copy_of(part, public->chain_len[i]);
		if (public->chain[i] == NULL)
			goto bad;
		public->chain_count++;
	}
	part = msg_get_bytes(&r, &public->dh_len);
	if (public->dh_len > 0 &&
	    (public->dh = copy_of(part, public->dh_len)) == NULL)
		goto bad;
	public->dh_bits = (unsigned)msg_get_number(&r);
	if (msg_read_all(&r) == 0)
		return 0;
bad:
	tls_public_free(public);
	return -1;
}
