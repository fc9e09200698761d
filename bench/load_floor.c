/*
 * load_floor: the server's side of a handshake, without all else.
 *
 * Both ends in one process with memory between them, and the clock of the
 * thread around the server's calls: no socket, no process, no context
 * switch.  What a server needs beyond it is what its design costs.
 */
#include "load_floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "load_tls.h"

struct floor {
	SSL_CTX *server_ctx, *client_ctx;
	SSL_SESSION *session; /* what the client was given last */
	bool is_resuming;
};

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static double
thread_microseconds(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) == -1)
		fail("no clock");
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct floor *floor = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(floor->session);
	floor->session = session;
	return 1;
}

static void
use_cert(SSL_CTX *ctx, const struct load_tls_settings *settings)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, settings->cert_file) != 1 ||
	    SSL_CTX_use_PrivateKey_file(
		ctx, settings->key_file, SSL_FILETYPE_PEM) != 1)
		fail(settings->cert_file);
}

static void
floor_begin(struct floor *floor, const struct load_tls_settings *settings)
{
	static const unsigned char name[] = "floor";

	memset(floor, 0, sizeof(*floor));
	floor->server_ctx = SSL_CTX_new(TLS_server_method());
	floor->client_ctx = SSL_CTX_new(TLS_client_method());
	if (floor->server_ctx == NULL || floor->client_ctx == NULL)
		fail("contexts");
	use_cert(floor->server_ctx, settings);
	if (settings->version != NULL && strcmp(settings->version, "1.2") == 0)
		SSL_CTX_set_max_proto_version(
		    floor->server_ctx, TLS1_2_VERSION);
	if (settings->ca_file != NULL) {
		use_cert(floor->client_ctx, settings);
		if (SSL_CTX_load_verify_file(
			floor->server_ctx, settings->ca_file) != 1)
			fail(settings->ca_file);
		SSL_CTX_set_verify(floor->server_ctx,
		    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	floor->is_resuming = settings->is_resuming;
	if (!floor->is_resuming) {
		SSL_CTX_set_num_tickets(floor->server_ctx, 0);
		SSL_CTX_set_options(floor->server_ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(
		    floor->server_ctx, SSL_SESS_CACHE_OFF);
		return;
	}
	SSL_CTX_set_session_id_context(
	    floor->server_ctx, name, sizeof(name) - 1);
	SSL_CTX_set_app_data(floor->client_ctx, floor);
	SSL_CTX_set_session_cache_mode(floor->client_ctx,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(floor->client_ctx, keep_session);
}

/* Tickets of TLS 1.3 come behind the handshake; the server is not timed. */
static void
take_tickets(SSL *client)
{
	char byte;

	(void)SSL_read(client, &byte, 1);
	ERR_clear_error();
}

static SSL *
client_new(struct floor *floor, BIO *end)
{
	SSL *client = SSL_new(floor->client_ctx);

	if (client == NULL ||
	    (floor->session != NULL &&
		SSL_set_session(client, floor->session) != 1))
		fail("client end");
	SSL_set_bio(client, end, end);
	SSL_set_connect_state(client);
	return client;
}

static SSL *
server_new(struct floor *floor, BIO *end)
{
	SSL *server = SSL_new(floor->server_ctx);

	if (server == NULL)
		fail("server end");
	SSL_set_bio(server, end, end);
	SSL_set_accept_state(server);
	return server;
}

/* Both in turn; the time the server took. */
static double
shake_hands(SSL *server, SSL *client)
{
	int server_done = 0, client_done = 0, rounds;
	double before, spent = 0;

	for (rounds = 0; !server_done || !client_done; rounds++) {
		if (rounds == 10)
			fail("handshake in memory");
		client_done = SSL_do_handshake(client) == 1;
		before = thread_microseconds();
		server_done = SSL_do_handshake(server) == 1;
		spent += thread_microseconds() - before;
	}
	return spent;
}

static double
memory_handshake(struct floor *floor)
{
	bool wants_resumed = floor->is_resuming && floor->session != NULL;
	BIO *server_end, *client_end;
	SSL *server, *client;
	double before, spent;

	if (BIO_new_bio_pair(&server_end, 65536, &client_end, 65536) != 1)
		fail("memory pair");
	client = client_new(floor, client_end);
	before = thread_microseconds();
	server = server_new(floor, server_end);
	spent = thread_microseconds() - before;
	spent += shake_hands(server, client);
	if (wants_resumed && !SSL_session_reused(server))
		fail("a handshake in memory was not resumed");
	if (floor->is_resuming)
		take_tickets(client);
	before = thread_microseconds();
	SSL_shutdown(server);
	SSL_free(server);
	spent += thread_microseconds() - before;
	SSL_shutdown(client);
	SSL_free(client);
	return spent;
}

double
load_floor(const struct load_tls_settings *settings, unsigned count)
{
	struct floor floor;
	double sum = 0;
	unsigned i;

	floor_begin(&floor, settings);
	for (i = 0; i < 20; i++)
		(void)memory_handshake(&floor);
	for (i = 0; i < count; i++)
		sum += memory_handshake(&floor);
	SSL_SESSION_free(floor.session);
	SSL_CTX_free(floor.server_ctx);
	SSL_CTX_free(floor.client_ctx);
	return sum / count;
}
