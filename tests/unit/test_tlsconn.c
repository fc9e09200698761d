/*
 * test_tlsconn: handshakes with every kind of key and version, and each
 * status at its occasion.
 */
#include "tls/tlsconn.h"

#include <fcntl.h>
#include <poll.h>

#include "tlsutil.h"

static struct server rsa, p256, p384, ed25519, old;

/* What a client thread does, and how that went. */
struct client {
	int fd;
	int version;
	const char *ciphers, *groups;
	bool ok; /* handshake done */
	char cipher[64];
	unsigned long error;
	int (*then)(SSL *ssl); /* more to do after the handshake */
	int then_result;
};

static void *
client_run(void *arg)
{
	struct client *client = arg;
	SSL_CTX *ctx =
	    client_make(client->version, client->ciphers, client->groups);
	SSL *ssl = SSL_new(ctx);

	SSL_set_fd(ssl, client->fd);
	client->ok = SSL_connect(ssl) == 1;
	if (!client->ok)
		client->error = ERR_peek_error();
	snprintf(client->cipher, sizeof(client->cipher), "%s",
	    SSL_get_cipher_name(ssl));
	if (client->ok && client->then != NULL)
		client->then_result = client->then(ssl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return NULL;
}

/* The server's half: poll as the answers say. */
static enum tlsconn_status
settle(int fd, enum tlsconn_status status)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	if (status == TLSCONN_WANT_WRITE)
		pollfd.events = POLLOUT;
	if (status == TLSCONN_WANT_READ || status == TLSCONN_WANT_WRITE)
		assert_true(poll(&pollfd, 1, 30000) > 0);
	return status;
}

static bool
wants(enum tlsconn_status status)
{
	return status == TLSCONN_WANT_READ || status == TLSCONN_WANT_WRITE;
}

static enum tlsconn_status
handshake(struct tlsconn *conn, int fd)
{
	enum tlsconn_status status;

	do {
		status = settle(fd, tlsconn_handshake(conn));
	} while (wants(status));
	return status;
}

static enum tlsconn_status
read_some(struct tlsconn *conn, int fd, void *bytes, size_t size, size_t *len)
{
	enum tlsconn_status status;

	do {
		status = settle(fd, tlsconn_read(conn, bytes, size, len));
		assert_true((status == TLSCONN_OK) == (*len > 0));
	} while (wants(status));
	return status;
}

static void
write_all(struct tlsconn *conn, int fd, const char *bytes, size_t len)
{
	enum tlsconn_status status;
	size_t n;

	while (len > 0) {
		status = settle(fd, tlsconn_write(conn, bytes, len, &n));
		assert_true(status == TLSCONN_OK || wants(status));
		assert_true((status == TLSCONN_OK) == (n > 0));
		bytes += n;
		len -= n;
	}
	do {
		status = settle(fd, tlsconn_flush(conn));
	} while (wants(status));
	assert_int_equal(status, TLSCONN_OK);
}

/* One handshake; the status of our side. */
static enum tlsconn_status
meet(struct server *server, struct client *client, char *facts, size_t size)
{
	struct tlsconn *conn;
	enum tlsconn_status status;
	pthread_t thread;
	int ends[2];

	tcp_pair(ends);
	client->fd = ends[1];
	server->signatures = 0;
	conn = tlsconn_new(server->ctx, ends[0], &anybody);
	assert_non_null(conn);
	assert_string_equal(tlsconn_protocol(conn), "");
	assert_string_equal(tlsconn_cipher(conn), "");
	thread = in_thread(client_run, client);
	status = handshake(conn, ends[0]);
	if (status == TLSCONN_OK)
		snprintf(facts, size, "%s %s", tlsconn_protocol(conn),
		    tlsconn_cipher(conn));
	else
		snprintf(facts, size, "%s", tlsconn_reason(conn));
	close(ends[0]);
	pthread_join(thread, NULL);
	close(ends[1]);
	tlsconn_free(conn);
	return status;
}

/* TLS 1.2, where the client waits for our Finished. */
static void
last_flight_is_left_to_a_flush(void **state)
{
	struct client client = { .version = TLS1_2_VERSION };
	struct tlsconn *conn;
	pthread_t thread;
	uint64_t moved;
	int ends[2];

	(void)state;
	tcp_pair(ends);
	client.fd = ends[1];
	conn = tlsconn_new(p256.ctx, ends[0], &anybody);
	assert_non_null(conn);
	tlsconn_leave_last(conn);
	thread = in_thread(client_run, &client);
	assert_int_equal(handshake(conn, ends[0]), TLSCONN_OK);
	assert_string_equal(tlsconn_protocol(conn), "TLSv1.2");
	moved = tlsconn_moved(conn);
	assert_int_equal(tlsconn_flush(conn), TLSCONN_OK);
	assert_true(tlsconn_moved(conn) > moved);
	pthread_join(thread, NULL);
	assert_true(client.ok);
	tlsconn_free(conn);
	close(ends[0]);
	close(ends[1]);
}

static void
expect_meeting(struct server *server, int version, const char *ciphers,
    const char *groups, const char *facts, unsigned scheme)
{
	struct client client = {
		.version = version, .ciphers = ciphers, .groups = groups
	};
	char text[200];

	assert_int_equal(meet(server, &client, text, sizeof(text)), TLSCONN_OK);
	assert_true(client.ok);
	assert_string_equal(text, facts);
	assert_int_equal(server->signatures, 1);
	assert_int_equal(server->scheme, scheme);
}

static void
every_key_and_version_signs_once(void **state)
{
	(void)state;
	expect_meeting(&rsa, TLS1_3_VERSION, NULL, NULL,
	    "TLSv1.3 TLS_AES_256_GCM_SHA384", LIB_PSS);
	expect_meeting(&p256, TLS1_3_VERSION, NULL, NULL,
	    "TLSv1.3 TLS_AES_256_GCM_SHA384", TLSSCHEME_ECDSA_SHA256);
	expect_meeting(&p384, TLS1_3_VERSION, NULL, NULL,
	    "TLSv1.3 TLS_AES_256_GCM_SHA384", TLSSCHEME_ECDSA_SHA384);
	if (LIB_SIGNS_TEXTS)
		expect_meeting(&ed25519, TLS1_3_VERSION, NULL, NULL,
		    "TLSv1.3 TLS_AES_256_GCM_SHA384", TLSSCHEME_ED25519);
	expect_meeting(&rsa, TLS1_2_VERSION, NULL, NULL,
	    "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384", LIB_PSS);
	expect_meeting(&p256, TLS1_2_VERSION, NULL, NULL,
	    "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384", LIB_ECDSA);
	expect_meeting(&p384, TLS1_2_VERSION, NULL, NULL,
	    "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384", LIB_ECDSA);
	if (LIB_SIGNS_TEXTS)
		expect_meeting(&ed25519, TLS1_2_VERSION, NULL, "P-256",
		    "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384", TLSSCHEME_ED25519);
}

static void
every_group_of_tls12_is_signed_for(void **state)
{
	static const char *const groups[] = { "X25519", "P-256", "P-384",
		"X448", "P-521" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (i < LIB_GROUPS)
			expect_meeting(&rsa, TLS1_2_VERSION, NULL, groups[i],
			    "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384", LIB_PSS);
}

static void
versions_below_1_2_work_where_asked_for(void **state)
{
	(void)state;
	if (!lib_has_version(TLS1_VERSION)) {
		puts("# skip: the library has none");
		skip();
	}
	expect_meeting(&old, TLS1_VERSION, NULL, NULL,
	    "TLSv1 ECDHE-RSA-AES256-SHA", TLSSCHEME_RSA_PKCS1_MD5_SHA1);
	expect_meeting(&old, TLS1_1_VERSION, NULL, NULL,
	    "TLSv1.1 ECDHE-RSA-AES256-SHA", TLSSCHEME_RSA_PKCS1_MD5_SHA1);
	expect_meeting(&old, TLS1_3_VERSION, NULL, NULL,
	    "TLSv1.3 TLS_AES_256_GCM_SHA384", LIB_PSS);
}

static void
unwanted_offers_fail_with_a_reason(void **state)
{
	struct client client = { .version = TLS1_1_VERSION };
	char text[200];

	(void)state;
	if (lib_has_version(TLS1_1_VERSION)) {
		assert_int_equal(
		    meet(&rsa, &client, text, sizeof(text)), TLSCONN_FAILED);
		assert_false(client.ok);
		assert_string_equal(text, "unsupported protocol");
		/* The alert reached the client. */
		assert_int_equal(ERR_GET_REASON(client.error),
		    SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	}
	client.version = TLS1_2_VERSION;
	client.ciphers = "kRSA";
	assert_int_equal(
	    meet(&rsa, &client, text, sizeof(text)), TLSCONN_FAILED);
	assert_string_equal(text, "no shared cipher");
	assert_int_equal(rsa.signatures, 0);
}

static void
refused_signature_ends_the_handshake(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	char text[200];

	(void)state;
	p256.refuses = true;
	assert_int_equal(
	    meet(&p256, &client, text, sizeof(text)), TLSCONN_FAILED);
	assert_string_equal(text, "no signature from the key process");
	client.version = TLS1_2_VERSION;
	assert_int_equal(
	    meet(&p256, &client, text, sizeof(text)), TLSCONN_FAILED);
	p256.refuses = false;
	assert_false(client.ok);
	assert_string_equal(text, "no signature from the key process");
}

/* A connection after its handshake. */
struct meeting {
	struct client client;
	struct tlsconn *conn;
	pthread_t thread;
	int fd;
};

static void
open_meeting(struct meeting *meeting, int version, int (*then)(SSL *))
{
	int ends[2];

	tcp_pair(ends);
	memset(meeting, 0, sizeof(*meeting));
	meeting->client.version = version;
	meeting->client.then = then;
	meeting->client.fd = ends[1];
	meeting->fd = ends[0];
	meeting->conn = tlsconn_new(p256.ctx, ends[0], &anybody);
	meeting->thread = in_thread(client_run, &meeting->client);
	assert_int_equal(handshake(meeting->conn, meeting->fd), TLSCONN_OK);
}

static void
close_meeting(struct meeting *meeting)
{
	pthread_join(meeting->thread, NULL);
	assert_true(meeting->client.ok);
	close(meeting->client.fd);
	close(meeting->fd);
	tlsconn_free(meeting->conn);
}

static const int both[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* Send, close the sending side properly, then read to the end. */
static int
half_close(SSL *ssl)
{
	char bytes[100];
	int n, sum = 0;

	SSL_write(ssl, "hello", 5);
	SSL_shutdown(ssl);
	while ((n = SSL_read(ssl, bytes, sizeof(bytes))) > 0)
		sum += n;
	return SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN ? sum : -1;
}

static void
closed_after_the_last_byte_and_output_still_flows(void **state)
{
	struct meeting m;
	char bytes[100];
	size_t i, len;

	(void)state;
	for (i = 0; i < 2; i++) {
		open_meeting(&m, both[i], half_close);
		assert_int_equal(
		    read_some(m.conn, m.fd, bytes, sizeof(bytes), &len),
		    TLSCONN_OK);
		assert_int_equal(len, 5);
		assert_int_equal(
		    read_some(m.conn, m.fd, bytes, sizeof(bytes), &len),
		    TLSCONN_CLOSED);
		write_all(m.conn, m.fd, "goodbye", 7);
		assert_int_equal(
		    tlsconn_close_notify(m.conn, false), TLSCONN_OK);
		assert_int_equal(
		    tlsconn_close_notify(m.conn, false), TLSCONN_OK);
		close_meeting(&m);
		assert_int_equal(m.client.then_result, 7);
	}
}

/* Send, then a bare FIN; go on reading. */
static int
bare_fin(SSL *ssl)
{
	char bytes[100];
	int n, sum = 0;

	SSL_write(ssl, "hello", 5);
	shutdown(SSL_get_fd(ssl), SHUT_WR);
	while ((n = SSL_read(ssl, bytes, sizeof(bytes))) > 0)
		sum += n;
	return SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN ? sum : -1;
}

static void
what_was_sent_last_is_known(void **state)
{
	struct meeting m;
	char bytes[100];
	size_t i, len;

	(void)state;
	for (i = 0; i < 2; i++) {
		open_meeting(&m, both[i], half_close);
		/* With 1.2 the last flight is ours. */
		if (both[i] == TLS1_2_VERSION)
			assert_true(tlsconn_has_answered(m.conn));
		assert_int_equal(
		    read_some(m.conn, m.fd, bytes, sizeof(bytes), &len),
		    TLSCONN_OK);
		assert_int_equal(
		    read_some(m.conn, m.fd, bytes, sizeof(bytes), &len),
		    TLSCONN_CLOSED);
		assert_false(tlsconn_has_answered(m.conn));
		write_all(m.conn, m.fd, "goodbye", 7);
		assert_true(tlsconn_has_answered(m.conn));
		assert_int_equal(
		    tlsconn_close_notify(m.conn, false), TLSCONN_OK);
		close_meeting(&m);
	}
}

static void
truncated_after_the_last_byte_and_output_still_flows(void **state)
{
	struct meeting m;
	char bytes[100];
	size_t i, len;

	(void)state;
	for (i = 0; i < 2; i++) {
		open_meeting(&m, both[i], bare_fin);
		assert_int_equal(
		    read_some(m.conn, m.fd, bytes, 3, &len), TLSCONN_OK);
		assert_int_equal(tlsconn_pending(m.conn), 1);
		assert_int_equal(
		    read_some(m.conn, m.fd, bytes, 3, &len), TLSCONN_OK);
		assert_int_equal(len, 2);
		assert_int_equal(
		    read_some(m.conn, m.fd, bytes, 3, &len), TLSCONN_TRUNCATED);
		assert_string_equal(
		    tlsconn_reason(m.conn), "unexpected end of file");
		assert_int_equal(
		    read_some(m.conn, m.fd, bytes, 3, &len), TLSCONN_TRUNCATED);
		write_all(m.conn, m.fd, "goodbye", 7);
		assert_int_equal(
		    tlsconn_close_notify(m.conn, false), TLSCONN_OK);
		close_meeting(&m);
		assert_int_equal(m.client.then_result, 7);
	}
}

/* Half a record, then the end. */
static int
cut_record(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);
	static const char head[] = { 23, 3, 3, 0, 100, 1, 2, 3 };

	if (write(fd, head, sizeof(head)) != sizeof(head))
		return -1;
	return shutdown(fd, SHUT_WR);
}

static void
cut_record_is_truncation_too(void **state)
{
	struct meeting m;
	char bytes[100];
	size_t len;

	(void)state;
	open_meeting(&m, TLS1_3_VERSION, cut_record);
	assert_int_equal(read_some(m.conn, m.fd, bytes, sizeof(bytes), &len),
	    TLSCONN_TRUNCATED);
	close_meeting(&m);
}

static int
garbage(SSL *ssl)
{
	static const char bytes[] = "GET / HTTP/1.0\r\n\r\n";
	char byte;
	int n;

	if (write(SSL_get_fd(ssl), bytes, sizeof(bytes)) <= 0)
		return -1;
	n = SSL_read(ssl, &byte, 1);
	return SSL_get_error(ssl, n) == SSL_ERROR_SSL ? 0 : -1;
}

static void
garbage_fails_and_is_answered_by_an_alert(void **state)
{
	struct meeting m;
	char bytes[100];
	size_t i, len;

	(void)state;
	for (i = 0; i < 2; i++) {
		open_meeting(&m, both[i], garbage);
		assert_int_equal(
		    read_some(m.conn, m.fd, bytes, sizeof(bytes), &len),
		    TLSCONN_FAILED);
		assert_true(strlen(tlsconn_reason(m.conn)) > 0);
		assert_int_equal(tlsconn_errno(m.conn), 0);
		close_meeting(&m);
		assert_int_equal(m.client.then_result, 0);
	}
}

static int
hello(SSL *ssl)
{
	return SSL_write(ssl, "hello", 5);
}

static void
reset_has_its_errno(void **state)
{
	struct meeting m;
	char bytes[100];
	size_t len;

	(void)state;
	open_meeting(&m, TLS1_3_VERSION, hello);
	pthread_join(m.thread, NULL);
	assert_int_equal(
	    read_some(m.conn, m.fd, bytes, sizeof(bytes), &len), TLSCONN_OK);
	reset(m.client.fd);
	assert_int_equal(
	    read_some(m.conn, m.fd, bytes, sizeof(bytes), &len), TLSCONN_RESET);
	assert_int_equal(tlsconn_errno(m.conn), ECONNRESET);
	assert_string_equal(tlsconn_reason(m.conn), "Connection reset by peer");
	assert_int_equal(tlsconn_write(m.conn, "x", 1, &len), TLSCONN_RESET);
	assert_int_equal(tlsconn_flush(m.conn), TLSCONN_RESET);
	close(m.fd);
	tlsconn_free(m.conn);
}

/* The client has spoken and left; what we send finds that out. */
static void
what_had_come_is_read_after_a_failed_send(void **state)
{
	struct meeting m;
	char bytes[100];
	size_t len;

	(void)state;
	open_meeting(&m, TLS1_3_VERSION, hello);
	pthread_join(m.thread, NULL);
	wait_until_sent(m.client.fd);
	reset(m.client.fd);
	assert_int_equal(tlsconn_write(m.conn, "x", 1, &len), TLSCONN_OK);
	assert_int_equal(tlsconn_flush(m.conn), TLSCONN_RESET);
	assert_int_equal(tlsconn_errno(m.conn), ECONNRESET);
	assert_int_equal(tlsconn_write(m.conn, "x", 1, &len), TLSCONN_RESET);
	assert_int_equal(
	    read_some(m.conn, m.fd, bytes, sizeof(bytes), &len), TLSCONN_OK);
	assert_int_equal(len, 5);
	assert_memory_equal(bytes, "hello", 5);
	assert_int_equal(tlsconn_close_notify(m.conn, false), TLSCONN_RESET);
	close(m.fd);
	tlsconn_free(m.conn);
}

/* Reads nothing for a while, then all; expects 8 MiB of a pattern. */
#define BULK ((size_t)8 * 1024 * 1024)

static int
slow_reader(SSL *ssl)
{
	static unsigned char bytes[50000];
	size_t at = 0;
	int n, i;

	usleep(100000);
	while ((n = SSL_read(ssl, bytes, sizeof(bytes))) > 0)
		for (i = 0; i < n; i++)
			if (bytes[i] != (unsigned char)(at++ * 31 >> 3))
				return -1;
	return at == BULK ? 0 : -2;
}

static void
full_socket_is_want_write_and_nothing_is_lost(void **state)
{
	struct meeting m;
	char *bytes = malloc(BULK);
	size_t i, n, waits = 0;
	int room = 30000;

	(void)state;
	for (i = 0; i < BULK; i++)
		bytes[i] = (char)(i * 31 >> 3);
	open_meeting(&m, TLS1_3_VERSION, slow_reader);
	setsockopt(m.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	for (i = 0; i < BULK; i += n)
		if (settle(
			m.fd, tlsconn_write(m.conn, bytes + i, BULK - i, &n)) ==
		    TLSCONN_WANT_WRITE)
			waits++;
	while (settle(m.fd, tlsconn_close_notify(m.conn, false)) != TLSCONN_OK)
		waits++;
	assert_true(waits > 0);
	assert_true(tlsconn_moved(m.conn) > BULK);
	close_meeting(&m);
	assert_int_equal(m.client.then_result, 0);
	free(bytes);
}

/* The peer asks for new keys, both ways, between data. */
static int
new_keys(SSL *ssl)
{
	char byte = 0;
	int i;

	for (i = 0; i < 5; i++) {
		SSL_write(ssl, "a", 1);
		if (lib_update_keys(ssl) != 1)
			return -1;
		SSL_write(ssl, "b", 1);
		if (SSL_read(ssl, &byte, 1) != 1 || byte != 'c')
			return -2;
	}
	SSL_shutdown(ssl);
	return 0;
}

static void
key_updates_pass_unseen(void **state)
{
	struct meeting m;
	char bytes[2];
	size_t i, j, len;

	(void)state;
	open_meeting(&m, TLS1_3_VERSION, new_keys);
	for (i = 0; i < 5; i++) {
		for (j = 0; j < 2; j += len)
			assert_int_equal(
			    read_some(m.conn, m.fd, bytes + j, 2 - j, &len),
			    TLSCONN_OK);
		assert_memory_equal(bytes, "ab", 2);
		write_all(m.conn, m.fd, "c", 1);
	}
	assert_int_equal(
	    read_some(m.conn, m.fd, bytes, 2, &len), TLSCONN_CLOSED);
	close_meeting(&m);
	assert_int_equal(m.client.then_result, 0);
}

static int
renegotiate(SSL *ssl)
{
	char byte;

	if (SSL_renegotiate(ssl) != 1)
		return -1;
	SSL_do_handshake(ssl);
	return SSL_read(ssl, &byte, 1) == 1 ? -1 : 0;
}

static void
renegotiation_gets_no_second_signature(void **state)
{
	struct meeting m;
	char byte;
	size_t len;

	(void)state;
	open_meeting(&m, TLS1_2_VERSION, renegotiate);
	p256.signatures = 0;
	(void)read_some(m.conn, m.fd, &byte, 1, &len);
	assert_int_equal(p256.signatures, 0);
	shutdown(m.fd, SHUT_RDWR);
	close_meeting(&m);
	assert_int_equal(m.client.then_result, 0);
}

/* The socket's mode is the owner's: blocking here, and nothing blocks. */
static void
mode_of_the_socket_stays(void **state)
{
	struct meeting m;
	char byte;
	size_t len;

	(void)state;
	open_meeting(&m, TLS1_3_VERSION, NULL);
	assert_int_equal(fcntl(m.fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(
	    tlsconn_read(m.conn, &byte, 1, &len), TLSCONN_WANT_READ);
	assert_int_equal(
	    tlsconn_read(m.conn, &byte, 1, &len), TLSCONN_WANT_READ);
	assert_int_equal(tlsconn_pending(m.conn), 0);
	close_meeting(&m);
}

static int
set_up(void **state)
{
	(void)state;
	old.settings.tlsmin = "1.0";
	server_make(&rsa, "RSA2048");
	server_make(&p256, "P-256");
	server_make(&p384, "P-384");
	if (LIB_SIGNS_TEXTS)
		server_make(&ed25519, "ED25519");
	server_make(&old, "RSA2048");
	assert_int_equal(tlsctx_warm_up(p256.ctx), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	server_clear(&rsa);
	server_clear(&p256);
	server_clear(&p384);
	server_clear(&ed25519);
	server_clear(&old);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_and_version_signs_once),
		cmocka_unit_test(last_flight_is_left_to_a_flush),
		cmocka_unit_test(every_group_of_tls12_is_signed_for),
		cmocka_unit_test(versions_below_1_2_work_where_asked_for),
		cmocka_unit_test(unwanted_offers_fail_with_a_reason),
		cmocka_unit_test(refused_signature_ends_the_handshake),
		cmocka_unit_test(
		    closed_after_the_last_byte_and_output_still_flows),
		cmocka_unit_test(what_was_sent_last_is_known),
		cmocka_unit_test(
		    truncated_after_the_last_byte_and_output_still_flows),
		cmocka_unit_test(cut_record_is_truncation_too),
		cmocka_unit_test(garbage_fails_and_is_answered_by_an_alert),
		cmocka_unit_test(reset_has_its_errno),
		cmocka_unit_test(what_had_come_is_read_after_a_failed_send),
		cmocka_unit_test(full_socket_is_want_write_and_nothing_is_lost),
		cmocka_unit_test(key_updates_pass_unseen),
		cmocka_unit_test(renegotiation_gets_no_second_signature),
		cmocka_unit_test(mode_of_the_socket_stays),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
