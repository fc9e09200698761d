/*
 * The form of START's body.
 *
 * Encoded in the monitor, decoded in the session it is for; the nursery
 * between them passes it on unread.
 */
#include "serve/start.h"

#include <string.h>

#include "serve/msg.h"

int
start_put(const struct start *start, struct msg_writer *w)
{
	const struct tlsverify *verify = &start->verify;
	size_t len;

	msg_put_number(w, start->profile);
	msg_put_number(w, verify->mode);
	msg_put_number(w, verify->depth);
	msg_put_number(w, verify->matches_name);
	msg_put_number(w, verify->strict_names);
	msg_put_text(w, verify->host);
	msg_put_bytes(w, verify->remote.bytes, sizeof(verify->remote.bytes));
	msg_put_number(w, start->wants_facts);
	msg_put_number(w, start->stays);
	return msg_written(w, &len);
}

int
start_get(struct start *start, const struct msg *msg)
{
	struct tlsverify *verify = &start->verify;
	const unsigned char *ip;
	struct msg_reader r;
	uint64_t mode;
	size_t len;

	memset(start, 0, sizeof(*start));
	msg_read_from(&r, msg);
	start->profile = (size_t)msg_get_number(&r);
	mode = msg_get_number(&r);
	verify->mode = (enum tlsverify_mode)mode;
	verify->depth = (unsigned)msg_get_number(&r);
	verify->matches_name = msg_get_number(&r) != 0;
	verify->strict_names = msg_get_number(&r) != 0;
	verify->host = msg_get_text(&r);
	ip = msg_get_bytes(&r, &len);
	start->wants_facts = msg_get_number(&r) != 0;
	start->stays = msg_get_number(&r) != 0;
	if (msg_read_all(&r) == -1 || mode > TLSVERIFY_NAME ||
	    len != sizeof(verify->remote.bytes))
		return -1;
	memcpy(verify->remote.bytes, ip, len);
	return 0;
}
