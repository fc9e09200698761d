/*
 * The session: handshake and relay for one client, then nothing, or
 * (sslhandle) the next one.
 *
 * Forked by the nursery, already without rights, files or key, and taken
 * to be hostile by everybody else as soon as it has read a byte.  It knows
 * its client, the program's pipes, and the monitor, which it asks for the
 * one signature and tells what happened.  It may block: it serves nobody
 * else, and the monitor keeps the deadlines that matter.  Between two
 * clients it wipes what it had of the first; that keeps them apart as long
 * as nobody has taken it over.
 */
#include "serve/session.h"

#include <sys/socket.h>

#include <poll.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "net/sock.h"
#include "serve/cache.h"
#include "serve/facts.h"
#include "serve/factsreport.h"
#include "serve/msg.h"
#include "tls/relay.h"
#include "tls/tlsconn.h"
#include "tls/tlsctx.h"

/* Room for what the monitor says; used by one message at a time. */
static struct msg_room room;

/*
 * Leave at once.  The client's socket may be the program's too (-n): it is
 * cut, so that nobody goes on in plain text, nor reads what the client sent
 * in plain text behind its question for TLS and the library has left.
 */
__attribute__((noreturn)) static void
leave(const struct session *session)
{
	sock_cut(session->client_fd);
	_exit(0);
}

/*
 * The next message of the monitor, which must be of this type.  The
 * control socket's end means that the connection is over: leave at once.
 */
static void
expect(const struct session *session, enum msg_type type, struct msg *msg)
{
	bool more;

	if (msg_receive(session->control_fd, &room, msg, 0, false, &more) !=
		1 ||
	    more || msg->type != type)
		leave(session);
}

static void
tell(const struct session *session, enum msg_type type, const void *body,
    size_t len)
{
	if (msg_send_bytes(session->control_fd, type, session->conn, body, len,
		false) == -1)
		leave(session);
}

/* tlsctx_sign_fn: through the monitor to a keeper and back. */
static int
sign(void *arg, size_t key, unsigned scheme, const unsigned char *text,
    size_t len, unsigned char *signature, size_t size)
{
	const struct session *session = arg;
	unsigned char body[MSG_SIGN_MAX];
	const unsigned char *answer;
	struct msg_writer w;
	struct msg_reader r;
	struct msg msg;
	size_t body_len, answer_len;
	uint64_t outcome;

	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, key);
	msg_put_number(&w, scheme);
	msg_put_bytes(&w, text, len);
	if (msg_written(&w, &body_len) == -1)
		return -1;
	tell(session, MSG_SIGN, body, body_len);
	expect(session, MSG_SIGNATURE, &msg);
	msg_read_from(&r, &msg);
	outcome = msg_get_number(&r);
	answer = msg_get_bytes(&r, &answer_len);
	if (msg_read_all(&r) == -1 || outcome != MSG_SIGNED ||
	    answer_len > size)
		return -1;
	memcpy(signature, answer, answer_len);
	msg_wipe(&room, &msg);
	return (int)answer_len;
}

/* tlsresume_fetch_fn: through the monitor to the cache and back. */
static size_t
fetch(void *arg, const unsigned char *id, size_t id_len, unsigned char *entry,
    size_t size)
{
	const struct session *session = arg;
	unsigned char body[CACHE_FETCH_MAX];
	struct msg_writer w;
	struct msg msg;
	size_t len;

	msg_write_to(&w, body, sizeof(body));
	msg_put_bytes(&w, id, id_len);
	tell(session, MSG_FETCH, body, w.len);
	expect(session, MSG_FETCHED, &msg);
	len = msg.len <= size ? msg.len : 0;
	memcpy(entry, msg.body, len);
	msg_wipe(&room, &msg);
	return len;
}

/* tlsresume_make_fn: the same way. */
static bool
make_tickets(void *arg, struct tlsresume_ticket tickets[TLSRESUME_ENTRIES_MAX])
{
	const struct session *session = arg;
	const unsigned char *at;
	struct msg msg;
	size_t i;

	tell(session, MSG_TICKETS, NULL, 0);
	expect(session, MSG_FETCHED, &msg);
	if (msg.len != CACHE_TICKETS_SIZE)
		return false;
	at = msg.body;
	for (i = 0; i < TLSRESUME_ENTRIES_MAX; i++) {
		memcpy(tickets[i].name, at, sizeof(tickets[i].name));
		at += sizeof(tickets[i].name);
		memcpy(tickets[i].secret, at, sizeof(tickets[i].secret));
		at += sizeof(tickets[i].secret);
	}
	msg_wipe(&room, &msg);
	return true;
}

static void
put_entries(
    struct msg_writer *w, const struct tlsresume_entry *entries, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		msg_put_bytes(w, entries[i].id, TLSRESUME_ID_SIZE);
		msg_put_bytes(w, entries[i].bytes, entries[i].len);
	}
}

/*
 * tlsresume_store_fn: to the cache, with FACTS; nobody answers.  In memory
 * of its size, as the largest would take the stack to pages that nothing
 * else uses.
 */
static void
store(void *arg, const struct tlsresume_entry *entries, size_t count)
{
	struct session *session = arg;
	unsigned char *body;
	struct msg_writer w;

	msg_write_to(&w, NULL, CACHE_STORE_MAX);
	put_entries(&w, entries, count);
	body = malloc(w.len);
	if (body == NULL)
		return; /* it cannot be resumed, that is all */
	msg_write_to(&w, body, w.len);
	put_entries(&w, entries, count);
	session->entries = body;
	session->entries_len = w.len;
}

/*
 * The handshake's last words.  The client has not ours yet: what it learns
 * from them to come back with is in the cache before, however soon it comes.
 */
static void
tell_result(struct session *session, const struct buf *body)
{
	const struct msg entries = { .type = MSG_STORE,
		.conn = session->conn,
		.body = session->entries,
		.len = session->entries_len };
	const struct msg facts = { .type = MSG_FACTS,
		.conn = session->conn,
		.body = body->data,
		.len = body->len };
	int r;

	if (session->entries == NULL)
		r = msg_send(session->control_fd, &facts, false);
	else
		r = msg_send_both(session->control_fd, &entries, &facts);
	buf_forget(&session->entries, &session->entries_len);
	if (r == -1)
		leave(session);
}

static void
tell_end(const struct session *session, enum msg_end end, bool was_truncated,
    int error, const char *reason)
{
	unsigned char body[256];
	struct msg_writer w;
	size_t len;

	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, end);
	msg_put_number(&w, was_truncated);
	msg_put_number(&w, (uint64_t)error);
	msg_put_text(&w, reason);
	if (msg_written(&w, &len) == -1)
		_exit(111);
	tell(session, MSG_DONE, body, len);
}

/*
 * Tell how it ended.  An end in error waits for the program's SIGTERM.  Who
 * stays for nobody leaves without returning what the kernel takes anyway.
 */
static void
finish(const struct session *session, enum msg_end end, bool was_truncated,
    int error, const char *reason)
{
	struct msg msg;

	tell_end(session, end, was_truncated, error, reason);
	/*
	 * The program's input is still open: it must get its signal before
	 * an end of file, or it would take a cut stream for a whole one.
	 */
	if (end != MSG_END_CLEAN && end != MSG_END_HANDSHAKE)
		expect(session, MSG_GO, &msg);
	/* No way back into plain text, whoever else of us lives. */
	if (end == MSG_END_HANDSHAKE)
		sock_cut(session->client_fd);
	if (!session->start.stays)
		_exit(0);
}

/* Wait until the client's socket is ready.  The monitor may end it. */
static void
wait_for_client(const struct session *session, short events)
{
	struct pollfd fds[2] = { { session->client_fd, events, 0 },
		{ session->control_fd, POLLIN, 0 } };

	while (poll(fds, 2, -1) == -1 && errno == EINTR)
		continue;
	/* Nothing is due before the handshake's end: this is its end. */
	if (fds[1].revents != 0)
		leave(session);
}

static enum msg_end
end_of_handshake(const struct tlsconn *conn)
{
	switch (tlsconn_refusal(conn)) {
	case TLSVERIFY_NO_CERT:
		return MSG_END_NO_CERT;
	case TLSVERIFY_BAD_CERT:
		return MSG_END_BAD_CERT;
	case TLSVERIFY_BAD_NAME:
		return MSG_END_BAD_NAME;
	case TLSVERIFY_NOT_REFUSED:
	default:
		return MSG_END_HANDSHAKE;
	}
}

/*
 * The handshake has failed.  In TLS 1.3 a client of whom a certificate was
 * wanted has finished its own half before we judge it, and may have sent
 * more already: to close now would reset the connection, and it would never
 * read the alert that says why.
 */
static void
give_up(struct session *session, const struct tlsconn *conn)
{
	tell_end(session, end_of_handshake(conn), false, tlsconn_errno(conn),
	    tlsconn_reason(conn));
	fd_close(&session->program_out);
	/*
	 * With -n the program may see its end of file only when there is no
	 * way back into plain text: its input is closed by our exit.
	 */
	if (session->start.verify.mode != TLSVERIFY_NONE &&
	    shutdown(session->client_fd, SHUT_WR) == 0)
		sock_linger(session->client_fd, -1, RELAY_LINGER_MS, false);
	if (!session->start.stays)
		leave(session);
	sock_cut(session->client_fd);
}

/* false: it has failed, and that is told. */
static bool
shake_hands(struct session *session, struct tlsconn *conn)
{
	for (;;) {
		switch (tlsconn_handshake(conn)) {
		case TLSCONN_OK:
			return true;
		case TLSCONN_WANT_READ:
			wait_for_client(session, POLLIN);
			break;
		case TLSCONN_WANT_WRITE:
			wait_for_client(session, POLLOUT);
			break;
		case TLSCONN_TRUNCATED:
			finish(session, MSG_END_HANDSHAKE, true, 0,
			    tlsconn_reason(conn));
			return false;
		default:
			give_up(session, conn);
			return false;
		}
	}
}

/* What ends a connection before it is one. */
static void
lack_memory(const struct session *session)
{
	finish(session, MSG_END_HANDSHAKE, false, ENOMEM, "out of memory");
}

/* false: as above. */
static bool
tell_facts(struct session *session, const struct tlsconn *conn)
{
	struct buf body;
	int r;

	buf_init(&body, FACTS_BODY_MAX);
	r = factsreport_put(conn, session->start.wants_facts, &body);
	if (r == 0) {
		tell_result(session, &body);
		explicit_bzero(body.data, body.len);
	} else
		lack_memory(session);
	buf_free(&body);
	return r == 0;
}

/*
 * The monitor wants an end: the client sees its connection break off, which
 * no close_notify makes look whole, and the program has its signal before
 * its end of file.
 */
static void
cut(struct session *session)
{
	shutdown(session->client_fd, SHUT_RDWR);
	fd_close(&session->client_fd);
	finish(session, MSG_END_CUT, false, 0, "server is stopping");
}

/* Something came from the monitor while we relayed: END, or its own end. */
static void
leave_client(struct session *session)
{
	struct msg msg;

	expect(session, MSG_END, &msg);
	cut(session);
}

/* false: the monitor wants an end instead, and that is told. */
static bool
wait_for_program(struct session *session)
{
	struct msg msg;
	bool more;

	if (msg_receive(session->control_fd, &room, &msg, 0, false, &more) !=
		1 ||
	    more)
		leave(session);
	if (msg.type == MSG_END) {
		cut(session);
		return false;
	}
	if (msg.type != MSG_RUN)
		leave(session);
	return true;
}

/*
 * Relay's report that the client's direction has ended.  With
 * --strict-close the monitor holds the program's input open too, so that
 * even the death of this process is not an end of file: it has to know.
 */
static int
on_input_ended(void *arg, bool was_truncated)
{
	const struct session *session = arg;
	struct msg msg;

	if (was_truncated)
		tell(session, MSG_TRUNCATED, NULL, 0);
	else if (session->strict_close)
		tell(session, MSG_INPUT_ENDED, NULL, 0);
	if (was_truncated && session->strict_close)
		expect(session, MSG_GO, &msg);
	return 0;
}

static enum msg_end
end_of(enum relay_end end)
{
	switch (end) {
	case RELAY_CLEAN:
		return MSG_END_CLEAN;
	case RELAY_RESET:
		return MSG_END_RESET;
	case RELAY_IDLE:
		return MSG_END_IDLE;
	case RELAY_TLS:
	default:
		return MSG_END_TLS;
	}
}

static void
on_rest(void *arg)
{
	(void)arg;
	arena_rest();
}

static void
relay(struct session *session, struct tlsconn *conn)
{
	struct relay_result result;
	struct relay how = { .conn = conn,
		.client_fd = session->client_fd,
		.program_in = &session->program_in,
		.program_out = &session->program_out,
		.cancel_fd = session->control_fd,
		.idle_ms = (int)session->idle_s * 1000,
		.is_new_pipe = true,
		.leaves_ends = true,
		.greeting = (const char *)session->greeting,
		.greeting_len = session->greeting_len,
		.input_ended = on_input_ended,
		.rest = on_rest,
		.arg = session };

	/* Who speaks first has spoken while the program was started. */
	tlsconn_look_again(conn);
	relay_run(&how, &result);
	if (result.end == RELAY_CANCELLED)
		leave_client(session);
	else
		finish(session, end_of(result.end), result.was_truncated,
		    result.error, result.reason);
}

static void
serve_client(struct session *session)
{
	const struct tlsresume_cache cache = { .fetch = fetch,
		.store = store,
		.make = make_tickets,
		.arg = session };
	struct tlsctx *ctx = session->ctxs[session->start.profile];
	struct tlsconn *conn;

	tlsctx_set_signer(ctx, sign, session);
	tlsctx_set_cache(ctx, &cache);
	conn = tlsconn_new(ctx, session->client_fd, &session->start.verify);
	if (conn == NULL) {
		lack_memory(session);
		return;
	}
	tlsconn_leave_last(conn);
	if (shake_hands(session, conn) && tell_facts(session, conn)) {
		/* What does not go, or never will, is the relay's to tell. */
		(void)tlsconn_flush(conn);
		/* Otherwise it went with tickets, or with our Finished. */
		if (!tlsconn_has_answered(conn))
			sock_acknowledge(session->client_fd);
		if (wait_for_program(session))
			relay(session, conn);
	}
	tlsconn_free(conn);
}

/* Nothing of the client stays: no descriptor, no byte. */
static void
forget_client(struct session *session)
{
	const int keep[] = { 0, 1, 2, session->control_fd };

	/* What the relay has left, too; there is nothing else. */
	if (fd_close_except(keep, sizeof(keep) / sizeof(keep[0])) == -1)
		_exit(111);
	session->client_fd = session->program_in = session->program_out = -1;
	buf_forget(&session->entries, &session->entries_len);
	explicit_bzero(&session->start, sizeof(session->start));
	explicit_bzero(session->start_body, sizeof(session->start_body));
	(void)arena_wipe_freed();
	arena_wipe_stack();
}

/* Take the next client.  The monitor may have none for us: leave. */
static void
take_next(struct session *session)
{
	struct msg msg;
	bool more;

	tell(session, MSG_VACANT, NULL, 0);
	if (msg_receive(session->control_fd, &room, &msg, START_NEXT_FDS, false,
		&more) != 1)
		_exit(0);
	if (more || msg.type != MSG_START || msg.fd_count != START_NEXT_FDS ||
	    session_begin(session, &msg) == -1)
		_exit(111);
	msg_wipe(&room, &msg);
	session->client_fd = msg.fds[START_CLIENT - 1];
	session->program_in = msg.fds[START_PROGRAM_IN - 1];
	session->program_out = msg.fds[START_PROGRAM_OUT - 1];
}

int
session_begin(struct session *session, const struct msg *start)
{
	struct msg copy = *start;

	if (start->len > sizeof(session->start_body))
		return -1;
	memcpy(session->start_body, start->body, start->len);
	copy.body = session->start_body;
	session->conn = start->conn;
	if (start_get(&session->start, &copy) == -1 ||
	    session->start.profile >= session->profile_count)
		return -1;
	return 0;
}

void
session_run(struct session *session)
{
	for (;;) {
		serve_client(session);
		forget_client(session);
		take_next(session);
	}
}
