/*
 * badnursery: stands in the place of ucspissl-nursery and makes sessions
 * that no TLS client ever took over, but that behave as if.
 *
 * Each asks for a signature, so that its facts are due, and then sends facts
 * in the way that -B names; see ways below.  keyN is no way of facts: the
 * signature asked for is that of the key with this number.  It neither gives up
 * rights nor reads a certificate.
 */
#include <sys/wait.h>

#include <signal.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "serve/facts.h"
#include "serve/msg.h"
#include "serve/role.h"
#include "tls/tlsform.h"
#include "tls/tlsscheme.h"

enum { CONTROL, CLIENT, PROGRAM_IN, PROGRAM_OUT, FDS };

static struct role role;
static int control_fd;
static uint64_t conn;
static struct buf body;

static void
put_text(const char *text)
{
	uint64_t len = strlen(text) + 1;

	buf_append(&body, &len, sizeof(len));
	buf_append_string(&body, text);
}

static void
put(enum tlsinfo_party party, enum tlsinfo_kind kind, unsigned index,
    const void *bytes, size_t len)
{
	uint64_t head[2] = {
		(uint64_t)party << 40 | (uint64_t)kind << 32 | index, len
	};

	buf_append(&body, head, sizeof(head));
	buf_append(&body, bytes, len);
}

static void
put_long(enum tlsinfo_kind kind, size_t len)
{
	char *bytes = malloc(len);

	memset(bytes, 'x', len);
	put(TLSINFO_SERVER, kind, 0, bytes, len);
	free(bytes);
}

static void
tell(enum msg_type type)
{
	msg_send_bytes(control_fd, type, conn, body.data, body.len, false);
	body.len = 0;
}

/* One piece, made by hand: only msg.c knows the form of its head. */
static void
tell_piece(enum msg_type type, size_t len, bool more)
{
	struct {
		uint16_t type, more;
		uint32_t len;
		uint64_t conn;
		unsigned char bytes[MSG_PIECE_MAX];
	} piece = { .type = (uint16_t)type,
		.more = more,
		.len = (uint32_t)len,
		.conn = conn };

	if (write(control_fd, &piece, len + 16) == -1)
		_exit(0);
}

/* What a keeper does sign, so that nobody but our facts is at fault. */
static void
ask_for_signature(uint64_t key)
{
	static const struct tlsscheme_policy neither;
	static struct msg_room room;
	struct msg msg;
	bool more;
	unsigned char text[130];
	uint64_t head[3] = { key, TLSSCHEME_ECDSA_SHA256, sizeof(text) };

	memset(text, ' ', sizeof(text));
	/* A digest cannot be told from that of another version. */
	if (tlsform_is_tls13(&neither, text, 0))
		head[2] = 32;
	memcpy(text + 64, "TLS 1.3, server CertificateVerify", 34);
	buf_append(&body, head, sizeof(head));
	buf_append(&body, text, (size_t)head[2]);
	tell(MSG_SIGN);
	msg_receive(control_fd, &room, &msg, 0, false, &more);
}

static void
wait_for(enum msg_type type)
{
	static struct msg_room room;
	struct msg msg;
	bool more;

	do
		if (msg_receive(control_fd, &room, &msg, 0, false, &more) != 1)
			_exit(0);
	while (msg.type != type);
}

static void
good(void)
{
	put(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0, "made up", 7);
	put_long(TLSINFO_S_DN, 120000);
	put_long(TLSINFO_I_DN, 120000);
}

static void
nul(void)
{
	put(TLSINFO_CONNECTION, TLSINFO_CIPHER, 0, "a\0TCPREMOTEIP=1", 15);
}

static void
newline(void)
{
	put(TLSINFO_SERVER, TLSINFO_S_DN_PART, TLSINFO_CN, "a\nb", 3);
}

static void
unknown(void)
{
	put(TLSINFO_CONNECTION, TLSINFO_KINDS, 0, "x", 1);
}

static void
twice(void)
{
	put(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0, "x", 1);
	put(TLSINFO_CONNECTION, TLSINFO_PROTOCOL, 0, "y", 1);
}

/* With -m, where certificates are a session's to tell of. */
static void
gap(void)
{
	put(TLSINFO_CONNECTION, TLSINFO_CLIENT_VERIFY, 0, "SUCCESS", 7);
	put(TLSINFO_CONNECTION, TLSINFO_CLIENT_CERT_SHA256, 0, "00", 2);
	put(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 1, "x", 1);
}

static void
large(void)
{
	put_long(TLSINFO_S_DN, TLSVARS_TEXT_MAX);
}

static void
many(void)
{
	good();
	put_long(TLSINFO_V_END, 30000);
}

/* Pieces that never end. */
static void
endless(void)
{
	for (;;)
		tell_piece(MSG_FACTS, MSG_PIECE_MAX, true);
}

static void
empty(void)
{
	for (;;)
		tell_piece(MSG_FACTS, 0, true);
}

/* Something else between the pieces. */
static void
mixed(void)
{
	tell_piece(MSG_FACTS, MSG_PIECE_MAX, true);
	tell_piece(MSG_TRUNCATED, 0, false);
}

__attribute__((noreturn)) static void
wait_for_end(void)
{
	for (;;)
		pause();
}

/* Of this message there is never more. */
static void
pieces(void)
{
	tell_piece(MSG_DONE, MSG_PIECE_MAX, true);
	wait_for_end();
}

/* Before they are due, and not the whole of them. */
static void
early(void)
{
	tell_piece(MSG_FACTS, MSG_PIECE_MAX, true);
	wait_for_end();
}

/* And after that. */
static void
again(void)
{
	good();
	tell(MSG_FACTS);
	wait_for(MSG_RUN);
	tell_piece(MSG_FACTS, MSG_PIECE_MAX, true);
	wait_for_end();
}

/* A client that it has done nothing for is not one that it has left. */
static void
hasty(void)
{
	body.len = 0;
	tell(MSG_VACANT);
	wait_for_end();
}

/* As one does that is through with its client and can take another. */
static void
become_vacant(void)
{
	unsigned char bytes[64];
	struct msg_writer w;

	tell(MSG_FACTS);
	wait_for(MSG_RUN);
	msg_write_to(&w, bytes, sizeof(bytes));
	msg_put_number(&w, MSG_END_CLEAN);
	msg_put_number(&w, 0);
	msg_put_number(&w, 0);
	msg_put_text(&w, NULL);
	buf_append(&body, bytes, w.len);
	tell(MSG_DONE);
	tell(MSG_VACANT);
}

/* But it is said once. */
static void
vacant(void)
{
	become_vacant();
	tell(MSG_VACANT);
	wait_for_end();
}

/* And there is nothing to say any more. */
static void
talker(void)
{
	become_vacant();
	tell_piece(MSG_FACTS, 0, true);
	wait_for_end();
}

static const struct {
	const char *name;
	void (*way)(void);
} ways[] = { { "good", good }, { "early", early }, { "again", again },
	{ "nul", nul }, { "newline", newline }, { "unknown", unknown },
	{ "twice", twice }, { "gap", gap }, { "large", large },
	{ "many", many }, { "endless", endless }, { "empty", empty },
	{ "mixed", mixed }, { "pieces", pieces }, { "hasty", hasty },
	{ "vacant", vacant }, { "talker", talker } };

/* That of -B keyN, or the first. */
static uint64_t
wanted_key(void)
{
	char name[32] = "";

	if (role.config.greeting_len < sizeof(name))
		memcpy(name, role.config.greeting, role.config.greeting_len);
	return strncmp(name, "key", 3) == 0 ? strtoull(name + 3, NULL, 10) : 0;
}

static bool
is_asked_for(const char *name)
{
	return strlen(name) == role.config.greeting_len &&
	    memcmp(name, role.config.greeting, strlen(name)) == 0;
}

__attribute__((noreturn)) static void
be_session(const struct msg *start)
{
	uint64_t key = wanted_key();
	size_t i;

	control_fd = start->fds[CONTROL];
	conn = start->conn;
	buf_init(&body, MSG_BODY_MAX);
	if (!is_asked_for("early"))
		ask_for_signature(key);
	put_text("TLSv1.3");
	put_text("made up");
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (is_asked_for(ways[i].name))
			ways[i].way();
	tell(MSG_FACTS);
	wait_for_end();
}

static void
reply(enum msg_type type, uint64_t number, pid_t pid)
{
	uint64_t value = (uint64_t)pid;

	msg_send_bytes(
	    role.work_fd, type, number, &value, sizeof(value), false);
}

static void
serve(struct msg *msg)
{
	struct msg_reader r;
	pid_t pid;

	if (msg->type == MSG_START && msg->fd_count == FDS) {
		pid = fork();
		if (pid == 0)
			be_session(msg);
		msg_close_fds(msg);
		reply(MSG_STARTED, msg->conn, pid);
	} else if (msg->type == MSG_KILL) {
		msg_read_from(&r, msg);
		pid = (pid_t)msg_get_number(&r);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		reply(MSG_GONE, msg->conn, pid);
	}
}

int
main(void)
{
	struct msg msg;
	bool more;

	role_begin(&role);
	msg_send_bytes(role.life_fd, MSG_READY, 0, NULL, 0, false);
	while (role.work_fd == -1)
		role_life(&role);
	while (
	    msg_receive(role.work_fd, &role.room, &msg, FDS, false, &more) == 1)
		serve(&msg);
	return 0;
}
