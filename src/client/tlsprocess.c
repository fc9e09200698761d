/*
 * The TLS process.
 *
 * Begins with the rights of the user who started sslclient: opens the files
 * that were named and reads those of CAs.  Then it gives up its rights and
 * parses them, and only then it gets the socket and reads the first byte
 * from the network.  From there on it is taken to be hostile by the process
 * that was started, which believes typed facts alone.  It lives for one
 * connection, and holds what that needs: socket, the program's pipes,
 * --report, and descriptor 2 unless -q.
 */
#include "client/tlsprocess.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <poll.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "client/helper.h"
#include "client/sessionfile.h"
#include "client/starttls.h"
#include "net/sock.h"
#include "serve/facts.h"
#include "serve/factsreport.h"
#include "serve/msg.h"
#include "serve/phrase.h"
#include "serve/privs.h"
#include "serve/sandbox.h"
#include "serve/title.h"
#include "tls/relay.h"
#include "tls/tlsconn.h"
#include "tls/tlsctx.h"
#include "tls/tlskey.h"
#include "tls/tlslib.h"
#include "tls/tlsphrase.h"

#define CONTROL_FD HELPER_CONTROL_FD
/* Until START has come. */
#define DESCRIPTORS 32
#define PHRASE_MS 55000
/* Each is a file written, and a server may give as many as it likes. */
#define KEPT_MAX 16

struct tlsprocess {
	const struct client_settings *settings;
	int report_fd, phrase_fd, store_fd;
	int server_fd, program_in, program_out;
	int64_t deadline; /* of all that comes before the program */
	struct tlsfiles files;
	struct tlstrust_files trust;
	struct tls_public public;
	struct tlskeys keys;
	struct tlsphrase *decrypter;
	struct phrase phrase;
	struct tlsctx *ctx;
	struct tlsclient client;
	unsigned char session[SESSIONFILE_MAX]; /* the file's contents */
	size_t session_len;
	size_t kept_count;
	unsigned char binding[SESSIONFILE_BINDING_SIZE];
	struct msg_room room;
};

/* Nothing has been connected: say why, and leave. */
__attribute__((noreturn)) static void
fail(const char *sentence)
{
	(void)msg_send_bytes(
	    CONTROL_FD, MSG_FAILED, 0, sentence, strlen(sentence) + 1, true);
	_exit(111);
}

/*
 * With the rights of the start
 */

/* A copy that is out of the way; -1 stays. */
static int
move(int fd)
{
	return fd == -1 ? -1 : fd_dup_above(fd, HELPER_ABOVE);
}

/* Keep what is ours, and nothing that the program will have. */
static void
arrange(struct tlsprocess *process, int control_fd)
{
	const struct client_settings *s = process->settings;
	int keep[3];

	process->store_fd = keep[2] = move(s->store_fd);
	process->report_fd = keep[0] = move(s->report_fd);
	process->phrase_fd = keep[1] =
	    move(s->reads_phrase ? SETTINGS_PHRASE_FD : -1);
	helper_arrange(s, control_fd, keep, 3);
	if ((s->report_fd != -1 && process->report_fd == -1) ||
	    (s->reads_phrase && process->phrase_fd == -1))
		fail("unable to keep the descriptors of -3 and --report");
}

static bool
is_set(const char *value)
{
	return value != NULL && *value != '\0';
}

static void
read_session(struct tlsprocess *process)
{
	const char *path = process->settings->session;
	char error[CLIENT_ERROR_SIZE];
	int len =
	    path == NULL ? 0 : sessionfile_read(path, process->session, error);

	if (len == -1)
		fail(error);
	process->session_len = (size_t)len;
}

static void
open_files(struct tlsprocess *process)
{
	const struct client_settings *s = process->settings;
	char error[TLSFILE_ERROR_SIZE];
	struct stat status;

	if ((is_set(s->tls.certfile) || is_set(s->tls.certchainfile)) &&
	    tlsfile_open(&process->files, &s->tls, NULL, error) == -1)
		fail(error);
	if (tlstrust_read(&process->trust, &s->tls, NULL, error) == -1)
		fail(error);
	read_session(process);
	if (s->phrase_file == NULL)
		return;
	process->phrase_fd = fd_open_regular(s->phrase_file, &status);
	if (process->phrase_fd != -1)
		return;
	text_format(error, sizeof(error), "unable to open -K %.300s: %s",
	    s->phrase_file, strerror(errno));
	fail(error);
}

/* What may be out of reach later. */
static void
prepare(struct tlsprocess *process)
{
	if (process->phrase_fd != -1) {
		process->decrypter = tlsphrase_new();
		if (process->decrypter == NULL ||
		    phrase_init(&process->phrase) == -1)
			fail("no memory for the pass phrase");
	}
}

static void
drop_rights(struct tlsprocess *process)
{
	const struct privs privs = { .identity = &process->settings->identity,
		.root_fd = helper_root(),
		.descriptors = DESCRIPTORS,
		.processes = 0 };
	char error[PRIVS_ERROR_SIZE] = "unable to enter the sandbox";

	if (privs_drop(&privs, error) == -1 ||
	    sandbox_enter(SANDBOX_CLIENT) == -1)
		fail(error);
}

/*
 * Without them: files become certificates and a key
 */

static void
get_phrase(struct tlsprocess *process)
{
	const struct client_settings *s = process->settings;
	char error[256];

	if (process->phrase_fd == -1)
		return;
	if (phrase_read(&process->phrase, process->phrase_fd, false, CONTROL_FD,
		clock_after(clock_now(), PHRASE_MS)) != PHRASE_WHOLE) {
		text_format(error, sizeof(error),
		    "no pass phrase of at most %d bytes came from %.100s",
		    PHRASE_MAX,
		    s->phrase_file == NULL ? "descriptor 3 (-3)"
					   : s->phrase_file);
		fail(error);
	}
	/* The end of a line of a file is not meant. */
	if (s->phrase_file != NULL && process->phrase.len > 0 &&
	    process->phrase.bytes[process->phrase.len - 1] == '\n')
		process->phrase.bytes[--process->phrase.len] = '\0';
	fd_close(&process->phrase_fd);
	tlsphrase_set(
	    process->decrypter, process->phrase.bytes, process->phrase.len);
	process->files.phrase = process->decrypter;
}

/* tlstrust_warn_fn */
static void
warn_of_own(void *arg, const char *sentence)
{
	client_say(arg, VERBOSITY_ERRORS, "warning: %s", sentence);
}

/* tlstrust_warn_fn.  What is in the system's store is not the user's. */
static void
warn_of_cas(void *arg, const char *sentence)
{
	const struct client_settings *s = arg;

	if (s->has_own_store)
		client_say(s, VERBOSITY_ERRORS, "warning: %s", sentence);
}

static void
load_files(struct tlsprocess *process)
{
	void *settings = (void *)(uintptr_t)process->settings;
	char error[TLSFILE_ERROR_SIZE];

	if (process->files.count > 0 &&
	    tlsfile_load(&process->files, &process->public, &process->keys,
		warn_of_own, settings, error) == -1)
		fail(error);
	tlsphrase_free(process->decrypter);
	process->files.phrase = process->decrypter = NULL;
	if (process->phrase.bytes != NULL)
		phrase_wipe(&process->phrase);
	if (tlstrust_load(&process->trust, &process->public.trust, warn_of_cas,
		settings, error) == -1)
		fail(error);
	process->ctx =
	    tlsctx_new_client(&process->settings->tls, &process->public,
		tlskeys_get(&process->keys, 0), error, sizeof(error));
	if (process->ctx == NULL)
		fail(error);
}

/*
 * What a session is good for, besides what was asked for: who is trusted,
 * and who we are.  A resumed one shows no certificate of either.
 */
static void
bind_session(struct tlsprocess *process)
{
	const struct tlstrust *trust = &process->public.trust;
	const struct tlscerts *certs = &process->public.certs;
	unsigned char digest[TLSLIB_SHA256_SIZE];
	struct buf all;

	if (process->settings->session == NULL)
		return;
	buf_init(&all, SIZE_MAX);
	if (tlslib_sha256(trust->cas.data, trust->cas.len, digest) == -1 ||
	    buf_append(&all, digest, sizeof(digest)) == -1 ||
	    tlslib_sha256(trust->crls.data, trust->crls.len, digest) == -1 ||
	    buf_append(&all, digest, sizeof(digest)) == -1 ||
	    (certs->count > 0 &&
		buf_append(&all, certs->all[0].chain,
		    certs->all[0].chain_len) == -1) ||
	    tlslib_sha256(all.data, all.len, process->binding) == -1)
		fail("out of memory");
	buf_free(&all);
}

/* tlsclient_keep_fn */
static void
keep_session(void *arg, const unsigned char *session, size_t len)
{
	struct tlsprocess *process = arg;

	if (process->kept_count++ < KEPT_MAX)
		sessionfile_keep(
		    process->store_fd, process->binding, session, len);
}

/*
 * With the connection
 */

static void
get_ready(struct tlsprocess *process)
{
	struct msg msg;
	bool more;

	if (msg_send_bytes(CONTROL_FD, MSG_READY, 0, NULL, 0, false) == -1 ||
	    msg_receive(CONTROL_FD, &process->room, &msg, TLSPROCESS_FDS, false,
		&more) != 1 ||
	    more || msg.type != MSG_START || msg.fd_count != TLSPROCESS_FDS)
		_exit(111); /* nobody wants a connection any more */
	process->server_fd = msg.fds[TLSPROCESS_SERVER];
	process->program_in = msg.fds[TLSPROCESS_PROGRAM_IN];
	process->program_out = msg.fds[TLSPROCESS_PROGRAM_OUT];
	/* 0 to 3 are taken: no descriptor can be made any more. */
	if (privs_limit_session(CONTROL_FD + 1) == -1)
		_exit(111);
}

/* No connection: tell why, and leave. */
__attribute__((noreturn)) static void
refuse(enum tlsverify_refusal refusal, bool was_truncated, const char *reason,
    const char *subject)
{
	unsigned char body[1024];
	struct msg_writer w;
	size_t len;

	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, refusal);
	msg_put_number(&w, was_truncated);
	msg_put_text(&w, reason);
	msg_put_text(&w, subject);
	if (msg_written(&w, &len) == 0)
		(void)msg_send_bytes(CONTROL_FD, MSG_DONE, 0, body, len, false);
	_exit(111);
}

int
tlsprocess_get_failure(
    struct tlsprocess_failure *failure, const struct msg *msg)
{
	const char *reason, *subject;
	struct msg_reader r;
	uint64_t refusal;

	msg_read_from(&r, msg);
	refusal = msg_get_number(&r);
	failure->was_truncated = msg_get_number(&r) != 0;
	reason = msg_get_text(&r);
	subject = msg_get_text(&r);
	if (msg_read_all(&r) == -1 || refusal > TLSVERIFY_BAD_NAME ||
	    reason == NULL || subject == NULL)
		return -1;
	failure->refusal = (enum tlsverify_refusal)refusal;
	text_copy(failure->reason, sizeof(failure->reason), reason);
	text_clean(failure->reason);
	text_printable(failure->subject, subject, strlen(subject));
	return 0;
}

/* Until the socket is ready, nobody wants the connection, or it is late. */
static void
wait_for_server(const struct tlsprocess *process, short events)
{
	struct pollfd fds[2] = { { process->server_fd, events, 0 },
		{ CONTROL_FD, POLLIN, 0 } };
	int64_t now;

	do {
		now = clock_now();
		/* A peer that always has a byte more is late too. */
		if (now >= process->deadline)
			refuse(TLSVERIFY_NOT_REFUSED, false,
			    "handshake timeout", "");
	} while (poll(fds, 2, clock_poll_timeout(now, process->deadline)) <= 0);
	if (fds[1].revents != 0)
		_exit(111);
}

static void
shake_hands(const struct tlsprocess *process, struct tlsconn *conn)
{
	for (;;) {
		enum tlsconn_status status = tlsconn_handshake(conn);

		switch (status) {
		case TLSCONN_OK:
			return;
		case TLSCONN_WANT_READ:
			wait_for_server(process, POLLIN);
			break;
		case TLSCONN_WANT_WRITE:
			wait_for_server(process, POLLOUT);
			break;
		default:
			/* The alert is out; what is unread may reset. */
			shutdown(process->server_fd, SHUT_WR);
			refuse(tlsconn_refusal(conn),
			    status == TLSCONN_TRUNCATED, tlsconn_reason(conn),
			    tlsconn_subject(conn));
		}
	}
}

static struct tlsverify
make_verify(const struct client_settings *s)
{
	struct tlsverify verify = { .mode = TLSVERIFY_NONE,
		.matches_name = s->matches_name,
		.strict_names = s->strict_names,
		.any_chain = !s->verifies_chain,
		.host = s->host,
		.remote = s->ip.ip };

	/* Few stores of one's own have long chains; 0.12 allowed one. */
	verify.depth = s->has_own_store ? 1 : 9;
	if (s->depth != CLIENT_DEPTH_DEFAULT)
		verify.depth = (unsigned)s->depth;
	if (s->matches_name)
		verify.mode = TLSVERIFY_NAME;
	else if (s->verifies_chain)
		verify.mode = TLSVERIFY_CERT;
	return verify;
}

/* What the protocol says in plain text first. */
static void
dance(const struct tlsprocess *process)
{
	const struct client_settings *s = process->settings;
	char why[STARTTLS_WHY_SIZE];

	if (s->has_starttls &&
	    starttls(process->server_fd, CONTROL_FD, s->starttls, s->host,
		process->deadline, why) == -1)
		refuse(TLSVERIFY_NOT_REFUSED, false, why, "");
}

static struct tlsconn *
greet(struct tlsprocess *process)
{
	const struct client_settings *s = process->settings;
	struct tlsclient *client = &process->client;
	struct tlsconn *conn;

	client->verify = make_verify(s);
	client->sni = s->sends_sni ? s->host : NULL;
	client->alpn = s->alpn_len > 0 ? s->alpn : NULL;
	client->alpn_len = s->alpn_len;
	if (process->store_fd != -1) {
		client->keep = keep_session;
		client->arg = process;
		client->session = sessionfile_get(process->session,
		    process->session_len, s->session_asked, process->binding,
		    &client->session_len);
	}
	conn = tlsconn_new_client(process->ctx, process->server_fd, client);
	if (conn == NULL)
		refuse(TLSVERIFY_NOT_REFUSED, false, "out of memory", "");
	shake_hands(process, conn);
	return conn;
}

static void
tell_facts(const struct tlsprocess *process, const struct tlsconn *conn)
{
	const struct client_settings *s = process->settings;
	uint64_t is_resumed = tlsconn_is_resumed(conn);
	struct buf body;

	buf_init(&body, FACTS_BODY_MAX);
	if (buf_append(&body, &is_resumed, sizeof(is_resumed)) == -1 ||
	    factsreport_put(conn, client_wants_facts(s), &body) == -1)
		refuse(TLSVERIFY_NOT_REFUSED, false, "out of memory", "");
	if (msg_send_bytes(
		CONTROL_FD, MSG_FACTS, 0, body.data, body.len, false) == -1)
		_exit(111);
	buf_free(&body);
}

/* The socket ends with the exec, or with the process that failed at it. */
static void
wait_for_program(struct tlsprocess *process)
{
	struct msg msg;
	bool more;

	if (msg_receive(CONTROL_FD, &process->room, &msg, 0, false, &more) == 1)
		_exit(111);
}

static void
report(const struct tlsprocess *process, bool was_whole)
{
	const char *line = was_whole ? "end\n" : "truncated\n";

	if (process->report_fd != -1)
		(void)fd_write_all(process->report_fd, line, strlen(line));
}

/* RELAY_CANCELLED cannot be: there is nobody left to cancel. */
static void
relay(struct tlsprocess *process, struct tlsconn *conn)
{
	const struct client_settings *s = process->settings;
	struct relay_result result;
	struct relay how = { .conn = conn,
		.client_fd = process->server_fd,
		.program_in = &process->program_in,
		.program_out = &process->program_out,
		.cancel_fd = -1,
		.keeps_input = true,
		.idle_ms = (int)s->idle_s * 1000 };

	relay_run(&how, &result);
	if (result.end != RELAY_CLEAN)
		client_say(s, VERBOSITY_ERRORS,
		    "error: (111) unable to speak TLS with %s: %s%s", s->shown,
		    result.reason, result.was_truncated ? " truncated" : "");
	else if (result.was_truncated)
		client_say(s, VERBOSITY_ERRORS,
		    "warning: %s ended the connection without close_notify: "
		    "truncated",
		    s->shown);
	report(process, result.end == RELAY_CLEAN && !result.was_truncated);
}

void
tlsprocess_run(const struct client_settings *settings, int control_fd)
{
	static struct tlsprocess process;
	struct tlsconn *conn;

	process.settings = settings;
	arrange(&process, control_fd);
	title_set("session");
	open_files(&process);
	helper_forget(settings);
	prepare(&process);
	drop_rights(&process);
	get_phrase(&process);
	load_files(&process);
	bind_session(&process);
	get_ready(&process);
	process.deadline =
	    clock_after(clock_now(), client_handshake_ms(settings));
	dance(&process);
	conn = greet(&process);
	sock_acknowledge(process.server_fd);
	tell_facts(&process, conn);
	wait_for_program(&process);
	relay(&process, conn);
	_exit(0);
}
