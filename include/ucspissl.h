/*
 * ucspissl: TLS as sslserver and sslclient speak it, for C programs.
 *
 * Two nouns.  Settings are what the TLS variables of sslserver(8) say:
 * made, set, loaded once, then read-only, for any number of connections and
 * threads.  A connection is one socket with TLS on it.
 *
 * Nothing here prints, exits, catches signals or starts anything, and but
 * for what says that it blocks, nothing waits: WANT_READ and WANT_WRITE are
 * answers.  Objects of their own may be used by threads of their own
 * without locks; one object, by one thread at a time, but that loaded
 * settings may be used by all.  openssl.cnf is not read, and the TLS
 * library's default context is left alone.  A program should ignore SIGPIPE
 * if it runs ucspissl_conn_relay.
 *
 * Functions that return int say 0 for success and -1 for failure unless
 * said otherwise.  ucspissl(3) has the same in prose.
 */
#ifndef UCSPISSL_API_H
#define UCSPISSL_API_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ucspissl_settings;
struct ucspissl_conn;

/* "0.90.0"; and the TLS library that is in use. */
const char *ucspissl_version(void);
const char *ucspissl_tls_library(void);

/*
 * Settings
 */

enum ucspissl_side { UCSPISSL_SERVER, UCSPISSL_CLIENT };

/* What is wanted of the peer's certificate. */
enum ucspissl_demand {
	UCSPISSL_DEMAND_NOTHING, /* a server: do not ask for one; a client:
				  * take any.  Default of servers */
	UCSPISSL_DEMAND_CERT,	 /* one that verifies, of any name */
	UCSPISSL_DEMAND_NAME	 /* and is the peer's.  Default of clients */
};

/* Without anything set.  NULL: memory is short. */
struct ucspissl_settings *ucspissl_settings_new(void);

/*
 * Set what sslserver(8) reads from the variable name: CERTFILE,
 * CERTCHAINFILE, KEYFILE, CERTDIR, SNI, DHFILE, CIPHERS, TLSMIN, TLSMAX,
 * TLSGROUPS, ALPN, CAFILE, CADIR, CCAFILE, CCADIR, CRLFILE, VERIFYDEPTH.
 * value is copied; "" is none; NULL takes it back.  A client without CAFILE
 * and CADIR trusts whom the system trusts.  -1: there is no such variable,
 * memory is short, or the settings are loaded; see ucspissl_settings_error.
 */
int ucspissl_settings_set(
    struct ucspissl_settings *settings, const char *name, const char *value);

/* Set each of them that the environment has.  Fails as the above. */
int ucspissl_settings_environment(struct ucspissl_settings *settings);

/* The pass phrase of an encrypted key: copied, and wiped after loading. */
int ucspissl_settings_phrase(
    struct ucspissl_settings *settings, const char *bytes, size_t len);

/* The default is by side.  -1: loaded already. */
int ucspissl_settings_demand(
    struct ucspissl_settings *settings, enum ucspissl_demand demand);

/*
 * A key that is somewhere else: sign len bytes of text with the key of
 * that number (its certificate's in CERTCHAINFILE or CERTFILE, from 0), under
 * scheme, a SignatureScheme of RFC 8446 or 0xfe01 for the MD5+SHA1 of TLS
 * 1.0 and 1.1.  Returns the signature's length, at most size, or -1.  May
 * block; called within ucspissl_conn_handshake, at most once.  Of several
 * connections at once it is called at once.  With a TLS library other than
 * OpenSSL 3 text is a digest.
 */
typedef int ucspissl_sign_fn(void *arg, size_t key, unsigned scheme,
    const unsigned char *text, size_t len, unsigned char *signature,
    size_t size);

/*
 * For servers: no key is read, and KEYFILE and CERTDIR cannot be set; fn is
 * asked instead.  -1: loaded already.
 */
int ucspissl_settings_signer(
    struct ucspissl_settings *settings, ucspissl_sign_fn *fn, void *arg);

/*
 * Read all files, check everything, and make ready for connections of that
 * side; once.  Blocks on files.  -1: error says which file or variable and
 * why, in one sentence, and the settings can only be freed.
 */
int ucspissl_settings_load(
    struct ucspissl_settings *settings, enum ucspissl_side side);

/* Why the last call failed; the settings' own, "" when none has. */
const char *ucspissl_settings_error(const struct ucspissl_settings *settings);

/*
 * What is strange but no error, such as an expired certificate: the n-th
 * sentence from 0, the settings' own; NULL: there are no more.
 */
const char *ucspissl_settings_warning(
    const struct ucspissl_settings *settings, size_t n);

/*
 * The other end of a ucspissl_sign_fn, where the key is, perhaps in another
 * process: sign with a key of loaded settings of a server.  Whatever the
 * text is, nothing is signed but what a TLS server signs in a handshake
 * under these settings.  The signature's length, or -1: errno EPERM
 * (refused) or EIO.
 */
int ucspissl_settings_sign(struct ucspissl_settings *settings, size_t key,
    unsigned scheme, const unsigned char *text, size_t len,
    unsigned char *signature, size_t size);

/* When no connection of them is left.  Wipes keys.  Accepts NULL. */
void ucspissl_settings_free(struct ucspissl_settings *settings);

/*
 * Connections
 */

enum ucspissl_status {
	UCSPISSL_OK,
	UCSPISSL_WANT_READ,  /* poll for input, call again */
	UCSPISSL_WANT_WRITE, /* poll for output, call again */
	UCSPISSL_CLOSED,     /* the peer has ended it properly */
	UCSPISSL_TRUNCATED,  /* end of file without close_notify: whatever
			      * came before may be cut short */
	UCSPISSL_RESET,	     /* connection reset, broken pipe, timeout */
	UCSPISSL_FAILED	     /* TLS error */
};

/*
 * TLS on fd, a connected stream socket, which stays the caller's: it is
 * neither closed nor does its mode change, and calls do not block either
 * way.  The settings have been loaded for that side and must outlive the
 * connection.
 *
 * peer is a host name or an address without zone: whose certificate is
 * wanted with UCSPISSL_DEMAND_NAME, copied.  A client sends a name as server
 * name.  NULL is for others than DEMAND_NAME.  NULL with errno: ENOMEM, or
 * EINVAL for a peer that is missing or no name.
 */
struct ucspissl_conn *ucspissl_conn_server(
    struct ucspissl_settings *settings, int fd, const char *peer);
struct ucspissl_conn *ucspissl_conn_client(
    struct ucspissl_settings *settings, int fd, const char *peer);

/*
 * Go on with the handshake.  OK when it is done; then the peer's
 * certificate is what was demanded.  FAILED: an alert has been sent.
 */
enum ucspissl_status ucspissl_conn_handshake(struct ucspissl_conn *conn);

/*
 * Read decrypted bytes.  OK and *len > 0, or another status and *len 0.
 * What was received before an end is handed out before it.
 */
enum ucspissl_status ucspissl_conn_read(
    struct ucspissl_conn *conn, void *bytes, size_t size, size_t *len);

/*
 * Encrypt and send.  OK and *taken > 0, or another status and *taken 0;
 * after a WANT_* offer the same bytes again, and perhaps more.  What was
 * taken may still have to be flushed.
 */
enum ucspissl_status ucspissl_conn_write(struct ucspissl_conn *conn,
    const void *bytes, size_t len, size_t *taken);

/* Send what waits.  OK when nothing does: before you wait for an answer. */
enum ucspissl_status ucspissl_conn_flush(struct ucspissl_conn *conn);

/* End our direction and flush; reading goes on.  OK when it is sent. */
enum ucspissl_status ucspissl_conn_close_notify(struct ucspissl_conn *conn);

/* 1: bytes wait that poll(2) cannot see: read first.  0: none do. */
int ucspissl_conn_pending(const struct ucspissl_conn *conn);

/*
 * Why the last call did not return OK: printable text, the connection's
 * own until the next call.  And the errno of the last RESET, else 0.
 */
const char *ucspissl_conn_reason(const struct ucspissl_conn *conn);
int ucspissl_conn_errno(const struct ucspissl_conn *conn);

/* Has the handshake failed because of the peer's certificate? */
enum ucspissl_refusal {
	UCSPISSL_NOT_REFUSED,
	UCSPISSL_NO_CERT,  /* there was none */
	UCSPISSL_BAD_CERT, /* it does not verify */
	UCSPISSL_BAD_NAME  /* it is somebody else's */
};
enum ucspissl_refusal ucspissl_conn_refusal(const struct ucspissl_conn *conn);

/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; "" before the handshake is done. */
const char *ucspissl_conn_protocol(const struct ucspissl_conn *conn);
const char *ucspissl_conn_cipher(const struct ucspissl_conn *conn);

/* Neither ends TLS nor closes the socket.  Accepts NULL. */
void ucspissl_conn_free(struct ucspissl_conn *conn);

/*
 * Facts: the TLS variables of sslserver(8), after the handshake
 */

/* Take one; value has len bytes and a NUL.  0; or -1: stop. */
typedef int ucspissl_fact_fn(
    void *arg, const char *name, const char *value, size_t len);

/* Give fn each of them.  -1: memory is short, or fn has stopped. */
int ucspissl_conn_facts(
    const struct ucspissl_conn *conn, ucspissl_fact_fn *fn, void *arg);

/*
 * An environment for execve(2): that of base (NULL: nothing), in which no
 * variable begins with SSL_ that facts could have set, and the facts.  One
 * free(3) frees all.  NULL: memory is short.
 */
char **ucspissl_conn_environment(
    const struct ucspissl_conn *conn, char *const *base);

/*
 * Relay
 */

enum ucspissl_end {
	UCSPISSL_END_CLEAN, /* all output is sent, all input was read */
	UCSPISSL_END_RESET,
	UCSPISSL_END_TLS,      /* TLS error */
	UCSPISSL_END_IDLE,     /* no byte in either direction for idle_ms */
	UCSPISSL_END_CANCELLED /* cancel_fd became readable */
};

/*
 * Carry bytes between the connection, after its handshake, and two pipes,
 * until both directions have ended; blocks in poll(2) only.  The peer's end
 * becomes that of *program_in while output still flows; that of
 * *program_out becomes close_notify and FIN.  idle_ms 0: no limit; cancel_fd
 * -1: none.  After CLEAN both are closed and -1; after any other end they
 * are open still, so that a program can be told before its input ends.
 */
enum ucspissl_end ucspissl_conn_relay(struct ucspissl_conn *conn,
    int *program_in, int *program_out, int idle_ms, int cancel_fd);

/* 1: the relay has seen the peer leave without close_notify.  0: not. */
int ucspissl_conn_was_truncated(const struct ucspissl_conn *conn);

/*
 * UCSPI-TLS, a program's side: TLS in the middle of a connection
 */

/* 1: SSLCTLFD, SSLREADFD and SSLWRITEFD are set.  0: not. */
int ucspissl_request_possible(void);

/*
 * Ask for TLS, after the answer in plain text has been written and flushed:
 * descriptors 0 and 1 become those of TLS.  What has been read before must
 * not be mistaken for what comes inside TLS: *buffered, the length of the
 * program's own buffer (NULL: has none), becomes 0, and what stdin has
 * buffered is thrown away.  The control descriptor and the three variables
 * are gone afterwards.  facts, if not NULL, becomes the block of TLS
 * variables, NAME=value with a NUL each and one more NUL, of *facts_len
 * bytes, for free(3); to read it blocks until the handshake is done.  -1
 * with errno: ENOTCONN (nobody offers TLS), ECONNABORTED (the handshake has
 * failed, seen only with facts), or another; the connection must end then.
 * Not for a thread beside others: it changes the environment.
 */
int ucspissl_request(size_t *buffered, char **facts, size_t *facts_len);

/*
 * UCSPI-TLS, the other side: for who offers TLS to a program
 */

struct ucspissl_offer {
	int control_fd;	 /* ours: what the program wishes */
	int program_in;	 /* ours: decrypted input goes here */
	int program_out; /* ours: its output comes from here */
	int theirs[3];	 /* SSLCTLFD, SSLREADFD, SSLWRITEFD */
};

enum ucspissl_wish {
	UCSPISSL_WISH_NONE,	 /* nothing yet: poll control_fd for input */
	UCSPISSL_WISH_TLS,	 /* start TLS */
	UCSPISSL_WISH_TLS_FACTS, /* start TLS, then ucspissl_offer_facts */
	UCSPISSL_WISH_PLAIN,	 /* plain text to the end */
	UCSPISSL_WISH_BAD	 /* another byte, or an error: end it */
};

/* Make pipes and control socket, close-on-exec.  -1 with errno. */
int ucspissl_offer_open(struct ucspissl_offer *offer);

/*
 * In the process that is to be the program, alone in it: let its three
 * through exec, set the three variables, close ours.  -1 with errno.
 */
int ucspissl_offer_enter(struct ucspissl_offer *offer);

/* In the other one, after fork: close what is the program's. */
void ucspissl_offer_keep(struct ucspissl_offer *offer);

/* What does the program wish?  Does not block, and reads one byte at most. */
enum ucspissl_wish ucspissl_offer_wish(const struct ucspissl_offer *offer);

/*
 * The answer to TLS_FACTS, after the handshake; blocks until the program
 * has read enough of it.  -1 with errno.
 */
int ucspissl_offer_facts(
    const struct ucspissl_offer *offer, const struct ucspissl_conn *conn);

/* Close what is open. */
void ucspissl_offer_close(struct ucspissl_offer *offer);

#ifdef __cplusplus
}
#endif

#endif
