/*
 * liar: stands in the place of ucspissl-nursery.  Its sessions speak no
 * TLS: each says how it ended, as CIPHERS tells: `END LENGTH' is the number
 * of an end and how long a text goes with it.  Other words are handshakes
 * that it says it has done: `sign-any' without waiting for the signature of
 * a text that is none to sign, `sign-early' without waiting for that of one
 * that is, `pieces' with facts that never end, and `facts VERIFY PARTS' with
 * a signature and these facts: SSL_CLIENT_VERIFY (`-': none), and in PARTS
 * d the digest of a client's certificate, n its name, v its version.  `cache'
 * and a row of a letter and a length each: F fetch and T tickets (an answer is
 * waited for), S store, A facts; G has a handshake signed.
 */
#include <sys/wait.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/msg.h"
#include "serve/role.h"
#include "serve/roleconfig.h"
#include "tls/tlsfile.h"
#include "tls/tlsform.h"
#include "tls/tlsinfo.h"
#include "tls/tlsscheme.h"

/* ecdsa_secp256r1_sha256, RFC 8446 4.2.3 */
#define SCHEME 0x0403

enum { CONTROL, CLIENT, PROGRAM_IN, PROGRAM_OUT, START_FDS };

static struct role role;

/* Bytes that nobody should see in a log. */
static void
fill(char *text, size_t len)
{
	static const char bytes[] = "%s\nsslserver: ok 1\033";
	size_t i;

	for (i = 0; i < len; i++)
		text[i] = bytes[i % (sizeof(bytes) - 1)];
	text[len] = '\0';
}

/* What was asked for, or its answer; none waits for it. */
static void
ask_to_sign(const struct msg *start, bool is_handshake, bool waits)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";
	unsigned char body[256], text[64 + sizeof(context) + 32];
	struct msg_room *room = malloc(sizeof(*room));
	static const struct tlsscheme_policy neither;
	struct msg_writer w;
	struct msg msg;
	bool more;
	size_t len = sizeof(text);

	memset(text, ' ', sizeof(text));
	memcpy(text + 64, context, is_handshake ? sizeof(context) : 3);
	/* A digest cannot be told from that of another version. */
	if (tlsform_is_tls13(&neither, text, 0))
		len = is_handshake ? 32 : 31;
	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, 0); /* the first key */
	msg_put_number(&w, SCHEME);
	msg_put_bytes(&w, text, len);
	msg_send_bytes(
	    start->fds[CONTROL], MSG_SIGN, start->conn, body, w.len, false);
	if (waits && room != NULL)
		msg_receive(start->fds[CONTROL], room, &msg, 0, false, &more);
	free(room);
}

static void
put_fact(struct msg_writer *w, enum tlsinfo_party party, enum tlsinfo_kind kind,
    const char *value)
{
	msg_put_number(w, (uint64_t)party << 40 | (uint64_t)kind << 32);
	msg_put_bytes(w, value, strlen(value));
}

static void
put_facts(struct msg_writer *w, const char *verify, const char *parts)
{
	if (strcmp(verify, "-") != 0)
		put_fact(w, TLSINFO_CONNECTION, TLSINFO_CLIENT_VERIFY, verify);
	if (strchr(parts, 'd') != NULL)
		put_fact(
		    w, TLSINFO_CONNECTION, TLSINFO_CLIENT_CERT_SHA256, "00");
	if (strchr(parts, 'v') != NULL)
		put_fact(w, TLSINFO_CLIENT, TLSINFO_M_VERSION, "3");
	if (strchr(parts, 'n') != NULL)
		put_fact(w, TLSINFO_CLIENT, TLSINFO_S_DN, "/CN=admin");
}

/* Until the monitor has read it all; or, told to relay, to the output's end. */
__attribute__((noreturn)) static void
leave_read(const struct msg *start)
{
	struct msg_room *room = malloc(sizeof(*room));
	struct msg msg;
	bool more;
	char c;

	close(role.work_fd);
	while (room != NULL &&
	    msg_receive(start->fds[CONTROL], room, &msg, 0, false, &more) ==
		1) {
		if (msg.type == MSG_GO)
			break;
		while (msg.type == MSG_RUN &&
		    read(start->fds[PROGRAM_OUT], &c, 1) > 0)
			continue;
		if (msg.type == MSG_RUN)
			break;
	}
	_exit(0);
}

__attribute__((noreturn)) static void
send_pieces(const struct msg *start)
{
	static unsigned char body[2 * MSG_PIECE_MAX + 1];
	struct msg msg = { .type = MSG_FACTS,
		.conn = start->conn,
		.body = body,
		.len = sizeof(body) };
	size_t from = 0;

	msg_send_piece(start->fds[CONTROL], &msg, &from, false);
	leave_read(start);
}

__attribute__((noreturn)) static void
lie_of_handshake(const struct msg *start, const char *how)
{
	unsigned char body[1024];
	char verify[64] = "-", parts[8] = "";
	struct msg_writer w;

	ask_to_sign(
	    start, strcmp(how, "sign-any") != 0, strncmp(how, "sign-", 5) != 0);
	if (strcmp(how, "pieces") == 0)
		send_pieces(start);
	sscanf(how, "facts %63s %7s", verify, parts);
	msg_write_to(&w, body, sizeof(body));
	msg_put_text(&w, "TLSv1.3");
	msg_put_text(&w, "TLS_AES_256_GCM_SHA384");
	put_facts(&w, verify, parts);
	msg_send_bytes(
	    start->fds[CONTROL], MSG_FACTS, start->conn, body, w.len, false);
	leave_read(start);
}

__attribute__((noreturn)) static void
lie(const struct msg *start, unsigned long end, size_t len)
{
	static unsigned char body[MSG_PIECE_MAX];
	static char text[MSG_PIECE_MAX / 2];
	struct msg_writer w;

	fill(text, len);
	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, end);
	msg_put_number(&w, 0);
	msg_put_number(&w, 0);
	msg_put_text(&w, text);
	msg_send_bytes(
	    start->fds[CONTROL], MSG_DONE, start->conn, body, w.len, false);
	/* Nothing is said to one whose handshake has failed. */
	_exit(0);
}

static enum msg_type
type_of(char letter)
{
	switch (letter) {
	case 'F':
		return MSG_FETCH;
	case 'S':
		return MSG_STORE;
	case 'T':
		return MSG_TICKETS;
	default:
		return MSG_FACTS;
	}
}

/* Zeros, of the lengths that the script says. */
__attribute__((noreturn)) static void
recite(const struct msg *start, const char *script)
{
	static unsigned char body[MSG_PIECE_MAX];
	struct msg_room *room = malloc(sizeof(*room));
	enum msg_type type;
	struct msg msg;
	bool more;
	char *end;

	for (; *script != '\0'; script = end + strspn(end, " ")) {
		if (*script == 'G') {
			ask_to_sign(start, true, true);
			strtoul(script + 1, &end, 10);
			continue;
		}
		type = type_of(*script);
		msg_send_bytes(start->fds[CONTROL], type, start->conn, body,
		    strtoul(script + 1, &end, 10), false);
		if (room == NULL ||
		    ((type == MSG_FETCH || type == MSG_TICKETS) &&
			msg_receive(start->fds[CONTROL], room, &msg, 0, false,
			    &more) != 1))
			break;
	}
	leave_read(start);
}

static void
begin_session(struct msg *msg)
{
	struct tls_settings settings;
	uint64_t pid;
	char *end;
	unsigned long number;

	profile_settings(&role.config.profile, &settings);
	number = strtoul(settings.ciphers, &end, 10);
	pid = (uint64_t)fork();
	if (pid == 0 && strncmp(settings.ciphers, "cache ", 6) == 0)
		recite(msg, settings.ciphers + 6);
	if (pid == 0 && end == settings.ciphers)
		lie_of_handshake(msg, settings.ciphers);
	if (pid == 0)
		lie(msg, number, strtoul(end, NULL, 10));
	msg_close_fds(msg);
	msg_send_bytes(
	    role.work_fd, MSG_STARTED, msg->conn, &pid, sizeof(pid), false);
	waitpid((pid_t)pid, NULL, 0);
	msg_send_bytes(
	    role.work_fd, MSG_GONE, msg->conn, &pid, sizeof(pid), false);
}

int
main(void)
{
	struct msg msg;
	bool more;

	role_begin(&role);
	if (msg_send_bytes(role.life_fd, MSG_READY, 0, NULL, 0, false) == -1)
		return 1;
	for (;;) {
		struct pollfd fds[2] = { { role.life_fd, POLLIN, 0 },
			{ role.work_fd, POLLIN, 0 } };

		if (poll(fds, 2, -1) == -1)
			continue;
		if (fds[0].revents != 0)
			role_life(&role);
		else if (msg_receive(role.work_fd, &role.room, &msg, START_FDS,
			     false, &more) != 1)
			return 0;
		else if (msg.type == MSG_START)
			begin_session(&msg);
	}
}
