/*
 * The body of FACTS.
 *
 * Runs in a session and in sslclient's TLS process, after the handshake.
 */
#include "serve/factsreport.h"

#include <stddef.h>

#include "base/buf.h"
#include "serve/facts.h"
#include "serve/msg.h"
#include "tls/tlsconn.h"

/* What a log needs. */
static int
put_summary(const struct tlsconn *conn, struct buf *body)
{
	unsigned char bytes[256];
	struct msg_writer w;
	size_t len;

	msg_write_to(&w, bytes, sizeof(bytes));
	msg_put_text(&w, tlsconn_protocol(conn));
	msg_put_text(&w, tlsconn_cipher(conn));
	if (msg_written(&w, &len) == -1)
		return -1;
	return buf_append(body, bytes, len);
}

/* What the TLS variables are made of. */
static int
put_facts(const struct tlsconn *conn, struct buf *body)
{
	struct tlsvars *vars = tlsvars_new();
	int r = -1;

	if (vars != NULL && tlsinfo_walk(conn, tlsvars_add, vars) == 0)
		r = facts_encode(vars, body);
	tlsvars_free(vars);
	return r;
}

int
factsreport_put(const struct tlsconn *conn, bool wants_facts, struct buf *body)
{
	if (put_summary(conn, body) == -1)
		return -1;
	return wants_facts ? put_facts(conn, body) : 0;
}
