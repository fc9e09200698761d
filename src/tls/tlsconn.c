/*
 * tlsconn: libssl's answers, in words that leave nothing to guess.
 *
 * Runs in a session, on bytes from the network.  An end of file without
 * close_notify is kept from libssl (tlsbio), because it would end the
 * connection in both directions, while a client that has only closed its
 * sending side may still wait for output.
 */
#include "tls/tlsconn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/text.h"
#include "tls/tlsbio.h"
#include "tls/tlschoice.h"
#include "tls/tlsclient.h"
#include "tls/tlscompat.h"
#include "tls/tlsconn_internal.h"
#include "tls/tlsctx_internal.h"
#include "tls/tlslib.h"
#include "tls/tlsresume.h"

/* The most one record carries. */
#define RECORD_MAX 16384

struct tlsconn {
	SSL *ssl;
	bool is_starved; /* the last read found nothing to do */
	bool leaves_last;
	int error; /* errno if the last status was RESET, else 0 */
	char reason[TLSCONN_TEXT_SIZE];
	struct tlsverify_result verified;
	struct tlsresume resume;
	struct tlsbio io;
};

static struct tlsconn *
make(struct tlsctx *ctx, int fd, const struct tlsverify *verify)
{
	struct tlsconn *conn = malloc(sizeof(*conn));
	BIO *bio;

	if (conn == NULL)
		return NULL;
	conn->is_starved = conn->leaves_last = false;
	conn->error = 0;
	conn->reason[0] = '\0';
	tlsbio_init(&conn->io, fd);
	conn->io.is_held = true;
	conn->ssl = SSL_new(tlsctx_ssl(ctx));
	bio = conn->ssl == NULL ? NULL : tlsbio_new(&conn->io);
	if (bio == NULL ||
	    tlsresume_begin(
		&conn->resume, conn->ssl, verify, tlsctx_cache(ctx)) == -1 ||
	    tlsverify_begin(conn->ssl, &conn->resume.verify, &conn->verified) ==
		-1) {
		BIO_free(bio);
		SSL_free(conn->ssl);
		free(conn);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_bio(conn->ssl, bio, bio);
	return conn;
}

struct tlsconn *
tlsconn_new(struct tlsctx *ctx, int client_fd, const struct tlsverify *verify)
{
	struct tlsconn *conn = make(ctx, client_fd, verify);

	if (conn != NULL)
		SSL_set_accept_state(conn->ssl);
	return conn;
}

struct tlsconn *
tlsconn_new_client(
    struct tlsctx *ctx, int server_fd, const struct tlsclient *client)
{
	struct tlsconn *conn = make(ctx, server_fd, &client->verify);

	if (conn == NULL)
		return NULL;
	if (tlsclient_begin(conn->ssl, client) == -1) {
		tlsconn_free(conn);
		return NULL;
	}
	return conn;
}

/* All but what is the library's. */
static void
discard(struct tlsconn *conn)
{
	conn->io.len = 0; /* nobody sends it any more */
	tlsbio_rest(&conn->io);
	explicit_bzero(conn, sizeof(*conn));
	free(conn);
}

void
tlsconn_free(struct tlsconn *conn)
{
	if (conn == NULL)
		return;
	SSL_free(conn->ssl);
	tlsresume_end(&conn->resume);
	discard(conn);
}

struct tlsconn *
tlsconn_adopt(SSL *ssl, int fd)
{
	struct tlsconn *conn = calloc(1, sizeof(*conn));
	BIO *bio;

	if (conn == NULL)
		return NULL;
	tlsbio_init(&conn->io, fd);
	conn->ssl = ssl;
	bio = tlsbio_new(&conn->io);
	if (bio == NULL) {
		free(conn);
		return NULL;
	}
	SSL_set_bio(ssl, bio, bio);
	SSL_set_mode(ssl,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return conn;
}

void
tlsconn_release(struct tlsconn *conn)
{
	/* What fails leaves no BIO: later calls fail, and crash nothing. */
	if (SSL_set_fd(conn->ssl, conn->io.fd) != 1) {
		SSL_set_bio(conn->ssl, NULL, NULL);
		ERR_clear_error();
	}
	discard(conn);
}

static void
begin(struct tlsconn *conn)
{
	conn->error = 0;
	conn->reason[0] = '\0';
	ERR_clear_error();
}

static enum tlsconn_status
say(struct tlsconn *conn, enum tlsconn_status status, const char *reason)
{
	text_printable(conn->reason, reason, strlen(reason));
	return status;
}

static int
any_error(const struct tlsbio *io)
{
	return io->error != 0 ? io->error : io->send_error;
}

static enum tlsconn_status
say_reset(struct tlsconn *conn, int error)
{
	conn->error = error;
	return say(conn, TLSCONN_RESET, strerror(error));
}

static enum tlsconn_status
fail(struct tlsconn *conn)
{
	/* What the library does not know of it has not failed at. */
	int error = conn->io.is_mute ? conn->io.error : any_error(&conn->io);

	tlsverify_conclude(&conn->verified);
	/* That a refused client has gone meanwhile does not matter. */
	if (error != 0 && conn->verified.refusal == TLSVERIFY_NOT_REFUSED)
		return say_reset(conn, error);
	if (!tlschoice_refused(conn->ssl, conn->reason))
		tlslib_reason(conn->reason);
	if (conn->verified.reason[0] != '\0')
		text_copy(
		    conn->reason, sizeof(conn->reason), conn->verified.reason);
	/* The alert, as far as the socket takes it. */
	(void)tlsbio_flush(&conn->io);
	return TLSCONN_FAILED;
}

/* What the library's last answer means. */
static enum tlsconn_status
conclude(struct tlsconn *conn, int answer)
{
	switch (SSL_get_error(conn->ssl, answer)) {
	case SSL_ERROR_NONE:
		return TLSCONN_OK;
	case SSL_ERROR_ZERO_RETURN:
		return say(conn, TLSCONN_CLOSED, "closed by the peer");
	case SSL_ERROR_WANT_READ:
		if (conn->io.is_ended)
			return say(
			    conn, TLSCONN_TRUNCATED, "unexpected end of file");
		return say(conn, TLSCONN_WANT_READ, "no input yet");
	case SSL_ERROR_WANT_WRITE:
		return say(conn, TLSCONN_WANT_WRITE, "no room for output");
	default:
		return fail(conn);
	}
}

enum tlsconn_status
tlsconn_handshake(struct tlsconn *conn)
{
	enum tlsconn_status status;

	begin(conn);
	status = conclude(conn, SSL_do_handshake(conn->ssl));
	if (status == TLSCONN_WANT_READ && conn->io.len > 0)
		return say(conn, TLSCONN_WANT_WRITE, "no room for output");
	if (status != TLSCONN_OK)
		return status;
	/*
	 * Before the last flight leaves: what the client learns from it to
	 * resume is there when it comes back, however soon that is.
	 */
	tlsresume_conclude(&conn->resume);
	conn->io.is_held = false;
	return conn->leaves_last ? TLSCONN_OK : tlsconn_flush(conn);
}

void
tlsconn_leave_last(struct tlsconn *conn)
{
	conn->leaves_last = true;
}

enum tlsconn_status
tlsconn_read(struct tlsconn *conn, void *bytes, size_t size, size_t *len)
{
	enum tlsconn_status status;

	begin(conn);
	*len = 0;
	status = conclude(conn, SSL_read_ex(conn->ssl, bytes, size, len));
	conn->is_starved = status == TLSCONN_WANT_READ;
	return status;
}

enum tlsconn_status
tlsconn_write(
    struct tlsconn *conn, const void *bytes, size_t len, size_t *taken)
{
	*taken = 0;
	if (any_error(&conn->io) != 0)
		return say_reset(conn, any_error(&conn->io));
	/* Encrypt only what has a place to go. */
	if (tlsbio_room(&conn->io) < TLSBIO_RECORD) {
		enum tlsconn_status status = tlsconn_flush(conn);

		if (status == TLSCONN_RESET ||
		    tlsbio_room(&conn->io) < TLSBIO_RECORD)
			return status;
	}
	begin(conn);
	if (len > RECORD_MAX)
		len = RECORD_MAX;
	return conclude(conn, SSL_write_ex(conn->ssl, bytes, len, taken));
}

enum tlsconn_status
tlsconn_flush(struct tlsconn *conn)
{
	begin(conn);
	switch (tlsbio_flush(&conn->io)) {
	case 0:
		return TLSCONN_OK;
	case 1:
		return say(conn, TLSCONN_WANT_WRITE, "no room for output");
	default:
		return say_reset(conn, any_error(&conn->io));
	}
}

enum tlsconn_status
tlsconn_close_notify(struct tlsconn *conn, bool then_ends)
{
	bool is_sent = SSL_get_shutdown(conn->ssl) & SSL_SENT_SHUTDOWN;
	int answer;

	begin(conn);
	/* Without a handshake there is nothing to close. */
	if (is_sent || !SSL_is_init_finished(conn->ssl))
		return tlsconn_flush(conn);
	if (tlsbio_room(&conn->io) < TLSBIO_RECORD &&
	    tlsbio_flush(&conn->io) != 0)
		return tlsconn_flush(conn);
	conn->io.is_last = then_ends; /* the library flushes */
	answer = SSL_shutdown(conn->ssl);
	if (answer < 0) {
		conn->io.is_last = false;
		return conclude(conn, answer);
	}
	/*
	 * Nothing may follow it, but the library would still answer a
	 * KeyUpdate, and the socket may be shut down by then.
	 */
	conn->io.is_mute = true;
	return tlsconn_flush(conn);
}

int
tlsconn_pending(const struct tlsconn *conn)
{
	return SSL_pending(conn->ssl) > 0 ||
	    (!conn->is_starved && tlscompat_has_pending(conn->ssl));
}

void
tlsconn_look_again(struct tlsconn *conn)
{
	conn->io.is_drained = false;
}

void
tlsconn_rest(struct tlsconn *conn)
{
	tlsbio_rest(&conn->io);
}

bool
tlsconn_has_answered(const struct tlsconn *conn)
{
	return conn->io.is_answered;
}

uint64_t
tlsconn_moved(const struct tlsconn *conn)
{
	return conn->io.moved;
}

enum tlsverify_refusal
tlsconn_refusal(const struct tlsconn *conn)
{
	return conn->verified.refusal;
}

const char *
tlsconn_subject(const struct tlsconn *conn)
{
	return conn->verified.subject;
}

const char *
tlsconn_reason(const struct tlsconn *conn)
{
	return conn->reason;
}

int
tlsconn_errno(const struct tlsconn *conn)
{
	return conn->error;
}

SSL *
tlsconn_ssl(const struct tlsconn *conn)
{
	return conn->ssl;
}

const char *
tlsconn_protocol(const struct tlsconn *conn)
{
	return SSL_is_init_finished(conn->ssl) ? SSL_get_version(conn->ssl)
					       : "";
}

const char *
tlsconn_cipher(const struct tlsconn *conn)
{
	return SSL_is_init_finished(conn->ssl) ? SSL_get_cipher_name(conn->ssl)
					       : "";
}

bool
tlsconn_is_resumed(const struct tlsconn *conn)
{
	return SSL_session_reused(conn->ssl) == 1;
}
