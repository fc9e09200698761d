/*
 * tlsconn: one TLS connection over one socket; want-read and want-write
 * are answers, never hidden loops.  Does not close the socket and does not
 * change its mode: reads and writes carry MSG_DONTWAIT.
 */
#ifndef TLS_TLSCONN_H
#define TLS_TLSCONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/tlsverify.h"

struct tlsclient;
struct tlsctx;
struct tlsconn;

#define TLSCONN_TEXT_SIZE 104

enum tlsconn_status {
	TLSCONN_OK,
	TLSCONN_WANT_READ,  /* poll for input, call again */
	TLSCONN_WANT_WRITE, /* poll for output, call again */
	TLSCONN_CLOSED,	    /* the peer sent close_notify */
	TLSCONN_TRUNCATED,  /* end of file without close_notify */
	TLSCONN_RESET,	    /* connection reset, broken pipe, timeout */
	TLSCONN_FAILED	    /* TLS error; an alert may have been queued */
};

/*
 * A server's end over client_fd, that wants of the client's certificate
 * what verify says, whose host is copied.  NULL when memory is short.
 */
struct tlsconn *tlsconn_new(
    struct tlsctx *ctx, int client_fd, const struct tlsverify *verify);

/*
 * A client's end over server_fd, that wants what client says, whose texts
 * are copied.  NULL when memory is short, or a name cannot be one.
 */
struct tlsconn *tlsconn_new_client(
    struct tlsctx *ctx, int server_fd, const struct tlsclient *client);

/*
 * Go on with the handshake.  OK when done: then the peer's certificate,
 * if one was wanted, is as it has to be.  On FAILED the alert has been sent
 * as far as the socket took it.
 */
enum tlsconn_status tlsconn_handshake(struct tlsconn *conn);

/*
 * Have tlsconn_handshake be OK before our last flight is sent, so that
 * something can be done before the peer knows: that is left to
 * tlsconn_flush, or relay_run.
 */
void tlsconn_leave_last(struct tlsconn *conn);

/*
 * After a handshake that has FAILED: was it for the peer's certificate?
 * tlsconn_reason and tlsconn_subject are then those of struct
 * tlsverify_result.
 */
enum tlsverify_refusal tlsconn_refusal(const struct tlsconn *conn);
const char *tlsconn_subject(const struct tlsconn *conn);

/*
 * Read decrypted bytes.  OK and *len > 0, or another status and *len 0.
 * Every byte received before a CLOSED, TRUNCATED or RESET has been handed
 * out first.
 */
enum tlsconn_status tlsconn_read(
    struct tlsconn *conn, void *bytes, size_t size, size_t *len);

/*
 * Encrypt and send.  OK and *len > 0 bytes taken, or another status and
 * *len 0.  After WANT_* the same bytes (or the same and more) must be
 * offered again.  Taken bytes may still wait in our buffer: see
 * tlsconn_flush.
 */
enum tlsconn_status tlsconn_write(
    struct tlsconn *conn, const void *bytes, size_t len, size_t *taken);

/* Send what waits in our buffer.  OK when nothing waits. */
enum tlsconn_status tlsconn_flush(struct tlsconn *conn);

/*
 * Queue close_notify and send it as tlsconn_flush does.  Nothing can be
 * written afterwards; reading goes on as before.  then_ends: after OK the
 * caller shuts the socket down for writing, and what was sent may wait for
 * that.
 */
enum tlsconn_status tlsconn_close_notify(struct tlsconn *conn, bool then_ends);

/* Are decrypted or received bytes waiting that poll(2) cannot see? */
int tlsconn_pending(const struct tlsconn *conn);

/*
 * Nothing is going to be sent for a while: free the buffer if it is empty.
 * The library frees its own as soon as they are.
 */
void tlsconn_rest(struct tlsconn *conn);

/* Bytes received and sent so far, as the network counts them. */
uint64_t tlsconn_moved(const struct tlsconn *conn);

/*
 * Time has passed since the last read said WANT_READ: the next one asks the
 * socket, where it might otherwise know that poll(2) must come first.
 */
void tlsconn_look_again(struct tlsconn *conn);

/*
 * Was something sent after the last bytes that came?  Then their
 * acknowledgement has gone with it.
 */
bool tlsconn_has_answered(const struct tlsconn *conn);

/*
 * Why the last call did not return OK: the library's or the system's
 * text, printable, at most 100 bytes.  Valid until the next call.
 */
const char *tlsconn_reason(const struct tlsconn *conn);

/* errno of the last RESET, else 0. */
int tlsconn_errno(const struct tlsconn *conn);

/* "TLSv1.3" and "TLS_AES_256_GCM_SHA384"; "" before the handshake. */
const char *tlsconn_protocol(const struct tlsconn *conn);
const char *tlsconn_cipher(const struct tlsconn *conn);

/* After the handshake: did the session of another connection go on? */
bool tlsconn_is_resumed(const struct tlsconn *conn);

void tlsconn_free(struct tlsconn *conn);

#endif
