/*
 * Connections: tlsconn, relay and facts under the names of ucspissl.h.
 *
 * Runs in programs of others, on bytes from the network.  Thin: what is
 * done is done in tls/, here it gets names that are promised for years.
 * The numbers of both are the same, which the compiler checks.
 */
#include "lib/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "lib/settings.h"
#include "net/ip.h"
#include "tls/relay.h"
#include "tls/tlsclient.h"
#include "tls/tlsconn.h"
#include "tls/tlsvars.h"

static_assert((int)UCSPISSL_OK == TLSCONN_OK &&
	(int)UCSPISSL_WANT_READ == TLSCONN_WANT_READ &&
	(int)UCSPISSL_WANT_WRITE == TLSCONN_WANT_WRITE &&
	(int)UCSPISSL_CLOSED == TLSCONN_CLOSED &&
	(int)UCSPISSL_TRUNCATED == TLSCONN_TRUNCATED &&
	(int)UCSPISSL_RESET == TLSCONN_RESET &&
	(int)UCSPISSL_FAILED == TLSCONN_FAILED,
    "one order of statuses");
static_assert((int)UCSPISSL_NOT_REFUSED == TLSVERIFY_NOT_REFUSED &&
	(int)UCSPISSL_NO_CERT == TLSVERIFY_NO_CERT &&
	(int)UCSPISSL_BAD_CERT == TLSVERIFY_BAD_CERT &&
	(int)UCSPISSL_BAD_NAME == TLSVERIFY_BAD_NAME,
    "one order of refusals");
static_assert((int)UCSPISSL_END_CLEAN == RELAY_CLEAN &&
	(int)UCSPISSL_END_RESET == RELAY_RESET &&
	(int)UCSPISSL_END_TLS == RELAY_TLS &&
	(int)UCSPISSL_END_IDLE == RELAY_IDLE &&
	(int)UCSPISSL_END_CANCELLED == RELAY_CANCELLED,
    "one order of ends");

struct ucspissl_conn {
	struct tlsconn *tls;
	int fd;
	bool has_relayed; /* then result tells more than tls */
	struct relay_result result;
};

/* Takes tls over. */
static struct ucspissl_conn *
wrap(struct tlsconn *tls, int fd)
{
	struct ucspissl_conn *conn = NULL;

	if (tls != NULL)
		conn = calloc(1, sizeof(*conn));
	if (conn == NULL) {
		tlsconn_free(tls);
		errno = ENOMEM;
		return NULL;
	}
	conn->tls = tls;
	conn->fd = fd;
	return conn;
}

static struct ucspissl_conn *
refuse(void)
{
	errno = EINVAL;
	return NULL;
}

struct ucspissl_conn *
ucspissl_conn_server(
    struct ucspissl_settings *settings, int fd, const char *peer)
{
	struct tlsctx *ctx = settings_ctx(settings, UCSPISSL_SERVER);
	struct tlsverify verify;

	if (ctx == NULL || settings_verify(settings, peer, &verify) == -1)
		return refuse();
	return wrap(tlsconn_new(ctx, fd, &verify), fd);
}

struct ucspissl_conn *
ucspissl_conn_client(
    struct ucspissl_settings *settings, int fd, const char *peer)
{
	struct tlsctx *ctx = settings_ctx(settings, UCSPISSL_CLIENT);
	struct tlsclient client = { .sni = NULL };
	struct ip address;

	if (ctx == NULL ||
	    settings_verify(settings, peer, &client.verify) == -1)
		return refuse();
	if (peer != NULL && *peer != '\0' && ip_parse(peer, &address) == -1)
		client.sni = peer;
	/* As long as the longest name that can be sent. */
	if (client.sni != NULL && strlen(client.sni) > 255)
		return refuse();
	client.alpn = settings_alpn(settings, &client.alpn_len);
	return wrap(tlsconn_new_client(ctx, fd, &client), fd);
}

void
ucspissl_conn_free(struct ucspissl_conn *conn)
{
	if (conn == NULL)
		return;
	tlsconn_free(conn->tls);
	free(conn);
}

enum ucspissl_status
ucspissl_conn_handshake(struct ucspissl_conn *conn)
{
	return (enum ucspissl_status)tlsconn_handshake(conn->tls);
}

enum ucspissl_status
ucspissl_conn_read(
    struct ucspissl_conn *conn, void *bytes, size_t size, size_t *len)
{
	return (enum ucspissl_status)tlsconn_read(conn->tls, bytes, size, len);
}

enum ucspissl_status
ucspissl_conn_write(
    struct ucspissl_conn *conn, const void *bytes, size_t len, size_t *taken)
{
	return (enum ucspissl_status)tlsconn_write(
	    conn->tls, bytes, len, taken);
}

enum ucspissl_status
ucspissl_conn_flush(struct ucspissl_conn *conn)
{
	return (enum ucspissl_status)tlsconn_flush(conn->tls);
}

enum ucspissl_status
ucspissl_conn_close_notify(struct ucspissl_conn *conn)
{
	return (enum ucspissl_status)tlsconn_close_notify(conn->tls, false);
}

int
ucspissl_conn_pending(const struct ucspissl_conn *conn)
{
	return tlsconn_pending(conn->tls);
}

const char *
ucspissl_conn_reason(const struct ucspissl_conn *conn)
{
	return conn->has_relayed ? conn->result.reason
				 : tlsconn_reason(conn->tls);
}

int
ucspissl_conn_errno(const struct ucspissl_conn *conn)
{
	return conn->has_relayed ? conn->result.error
				 : tlsconn_errno(conn->tls);
}

enum ucspissl_refusal
ucspissl_conn_refusal(const struct ucspissl_conn *conn)
{
	return (enum ucspissl_refusal)tlsconn_refusal(conn->tls);
}

const char *
ucspissl_conn_protocol(const struct ucspissl_conn *conn)
{
	return tlsconn_protocol(conn->tls);
}

const char *
ucspissl_conn_cipher(const struct ucspissl_conn *conn)
{
	return tlsconn_cipher(conn->tls);
}

/*
 * Relay
 */

enum ucspissl_end
ucspissl_conn_relay(struct ucspissl_conn *conn, int *program_in,
    int *program_out, int idle_ms, int cancel_fd)
{
	struct relay relay = { .conn = conn->tls,
		.client_fd = conn->fd,
		.program_in = program_in,
		.program_out = program_out,
		.cancel_fd = cancel_fd,
		.idle_ms = idle_ms };

	relay_run(&relay, &conn->result);
	conn->has_relayed = true;
	return (enum ucspissl_end)conn->result.end;
}

int
ucspissl_conn_was_truncated(const struct ucspissl_conn *conn)
{
	return conn->has_relayed && conn->result.was_truncated;
}

/*
 * Facts
 */

/* Every fact as NAME=value NUL.  0, or -1: memory is short. */
static int
append_facts(const struct ucspissl_conn *conn, struct buf *block)
{
	struct tlsvars *vars = tlsvars_new();
	size_t i, count;
	int r = -1;

	if (vars == NULL || tlsinfo_walk(conn->tls, tlsvars_add, vars) == -1 ||
	    buf_append_string(block, tlsvars_interface()) == -1)
		goto out;
	count = tlsvars_fit(vars);
	for (i = 0; i < count; i++)
		if (tlsvars_append(block, tlsvars_get(vars, i)) == -1)
			goto out;
	r = 0;
out:
	tlsvars_free(vars);
	return r;
}

char *
connection_block(const struct ucspissl_conn *conn, size_t *len)
{
	struct buf block;

	buf_init(&block, TLSVARS_TEXTS_MAX + 1);
	if (append_facts(conn, &block) == -1 ||
	    buf_append(&block, "", 1) == -1) {
		buf_free(&block);
		return NULL;
	}
	*len = block.len;
	return (char *)block.data;
}

/* The text behind one of a block; "" at its end. */
static char *
next_text(char *text)
{
	return text + strlen(text) + 1;
}

int
ucspissl_conn_facts(
    const struct ucspissl_conn *conn, ucspissl_fact_fn *fn, void *arg)
{
	size_t len;
	char *block = connection_block(conn, &len), *text, *end, *value;
	int r = 0;

	if (block == NULL)
		return -1;
	for (text = block; r == 0 && *text != '\0'; text = end) {
		end = next_text(text);
		value = strchr(text, '=');
		*value++ = '\0';
		r = fn(arg, text, value, (size_t)(end - 1 - value));
	}
	free(block);
	return r == 0 ? 0 : -1;
}

/* Could a fact have set it? */
static bool
is_ours(const char *variable)
{
	static const char *const begins[] = { "SSL_SERVER_", "SSL_CLIENT_",
		"SSL_PROTOCOL=", "SSL_SESSION_ID=", "SSL_SESSION_RESUMED=",
		"SSL_CIPHER=", "SSL_CIPHER_", "SSL_VERSION_", "SSL_TLS_SNI=",
		"SSL_ALPN=", "SSL_KEX_GROUP=", "SSL_EXPORTER=" };
	size_t i;

	for (i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (text_begins(variable, begins[i]))
			return true;
	return false;
}

/* The lengths of an environment: pointers, and bytes of texts. */
static void
measure(char *const *base, char *block, size_t *count, size_t *size)
{
	char *text;

	*count = 1; /* the NULL */
	*size = 0;
	for (; base != NULL && *base != NULL; base++, ++*count)
		*size += strlen(*base) + 1;
	for (text = block; *text != '\0'; text = next_text(text), ++*count)
		*size += strlen(text) + 1;
}

static char *
put_text(char **slot, char *room, const char *text)
{
	size_t len = strlen(text) + 1;

	*slot = room;
	memcpy(room, text, len);
	return room + len;
}

char **
ucspissl_conn_environment(const struct ucspissl_conn *conn, char *const *base)
{
	size_t count, size, n = 0;
	char *block = connection_block(conn, &size), *text, *room;
	char **made = NULL;

	if (block == NULL)
		return NULL;
	measure(base, block, &count, &size);
	/* Both exist in memory already, so their sum does not overflow. */
	made = malloc(count * sizeof(*made) + size);
	if (made == NULL)
		goto out;
	room = (char *)(made + count);
	for (; base != NULL && *base != NULL; base++)
		if (!is_ours(*base))
			room = put_text(&made[n++], room, *base);
	for (text = block; *text != '\0'; text = next_text(text))
		room = put_text(&made[n++], room, text);
	made[n] = NULL;
out:
	free(block);
	return made;
}
