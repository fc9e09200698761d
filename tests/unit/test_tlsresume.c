/*
 * test_tlsresume: clients that come back, with a cache that the test looks
 * into, and both ends in one thread.
 *
 * Where the library reads all there is, the sockets keep message borders, so
 * that sends can be counted.
 */
#include "tls/tlsresume.h"

#include <poll.h>
#include <time.h>

#include "tlsutil.h"

#include "tls/tlsconn.h"
#include "tls/tlsconn_internal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LIFETIME 7200

/* From 3.2 on OpenSSL reads record by record before there are keys. */
#if defined(HAVE_SSL_HAS_PENDING) && OPENSSL_VERSION_NUMBER < 0x30200000L
#define COUNTS_SENDS true
#else
#define COUNTS_SENDS false
#endif

/* Without that a client's chain has no place in a ticket. */
#ifdef HAVE_SSL_CTX_SET_SESSION_TICKET_CB
#define SEALS true
#else
#define SEALS false
#endif

/* LibreSSL's server resumes no TLS 1.3. */
#ifdef LIBRESSL_VERSION_NUMBER
#define RESUMES_1_3 false
static const int versions[] = { TLS1_2_VERSION };
#else
#define RESUMES_1_3 true
static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
#endif

/*
 * The cache.
 */

#define KEPT_MAX 64

static struct {
	struct tlsresume_entry kept[KEPT_MAX];
	size_t count;
	unsigned fetches, stores; /* calls */
	size_t stored;		  /* entries of the last */
	bool is_blind;		  /* find nothing */
} cache;

/* Secrets of tickets, by name. */
static struct {
	struct tlsresume_ticket made[KEPT_MAX];
	size_t count;
	unsigned asks; /* calls for new ones */
	bool is_old;   /* what is found */
	bool has_none; /* to give */
} keys;

static bool
make_tickets(void *arg, struct tlsresume_ticket tickets[TLSRESUME_ENTRIES_MAX])
{
	size_t i;

	assert_ptr_equal(arg, &cache);
	keys.asks++;
	for (i = 0; i < TLSRESUME_ENTRIES_MAX && !keys.has_none; i++) {
		memset(&tickets[i], (int)keys.count + 1, sizeof(tickets[i]));
		assert_true(keys.count < KEPT_MAX);
		keys.made[keys.count++] = tickets[i];
	}
	return !keys.has_none;
}

static size_t
fetch_secret(const unsigned char *name, unsigned char *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < keys.count && !cache.is_blind; i++)
		if (memcmp(keys.made[i].name, name, TLSRESUME_NAME_SIZE) == 0) {
			assert_true(size >= 1 + TLSRESUME_SECRET_SIZE);
			bytes[0] =
			    keys.is_old ? TLSRESUME_OLD : TLSRESUME_FRESH;
			memcpy(bytes + 1, keys.made[i].secret,
			    TLSRESUME_SECRET_SIZE);
			return 1 + TLSRESUME_SECRET_SIZE;
		}
	return 0;
}

static size_t
fetch(void *arg, const unsigned char *id, size_t id_len, unsigned char *bytes,
    size_t size)
{
	size_t i;

	assert_ptr_equal(arg, &cache);
	cache.fetches++;
	if (id_len == TLSRESUME_NAME_SIZE)
		return fetch_secret(id, bytes, size);
	assert_int_equal(id_len, TLSRESUME_ID_SIZE);
	for (i = 0; i < cache.count && !cache.is_blind; i++)
		if (memcmp(cache.kept[i].id, id, TLSRESUME_ID_SIZE) == 0) {
			assert_true(cache.kept[i].len <= size);
			memcpy(bytes, cache.kept[i].bytes, cache.kept[i].len);
			return cache.kept[i].len;
		}
	return 0;
}

static void
store(void *arg, const struct tlsresume_entry *entries, size_t count)
{
	size_t i;

	assert_ptr_equal(arg, &cache);
	cache.stores++;
	cache.stored = count;
	for (i = 0; i < count; i++) {
		struct tlsresume_entry *kept = &cache.kept[cache.count++];

		assert_true(cache.count <= KEPT_MAX);
		*kept = entries[i];
		kept->bytes = malloc(kept->len);
		memcpy(kept->bytes, entries[i].bytes, kept->len);
	}
}

static const struct tlsresume_cache keeper = {
	.fetch = fetch, .store = store, .arg = &cache
};
static const struct tlsresume_cache sealer = {
	.fetch = fetch, .store = store, .make = make_tickets, .arg = &cache
};

static void
cache_clear(void)
{
	while (cache.count > 0)
		free(cache.kept[--cache.count].bytes);
	memset(&cache, 0, sizeof(cache));
	memset(&keys, 0, sizeof(keys));
}

/*
 * Meeting
 */

static EVP_PKEY *key;
static X509 *root, *middle, *leaf;
static struct server plain, off, picky, sealing, picky_sealing;

/* A client, and what there was to see of a meeting. */
struct client {
	int version;
	SSL_SESSION *session; /* offered; then the last one it was given */
	const char *groups;
	bool has_cert;
	bool may_differ; /* the one we see from that */
	bool knows_no_tickets;
	X509 *extra;			/* sent behind its chain */
	const struct tlsverify *verify; /* what is wanted of it */
	/* the meeting */
	bool is_ours_ok, is_theirs_ok, is_resumed;
	unsigned tickets, sends, signatures;
	int chain; /* certificates besides the client's own; -1: none */
	bool has_peer;
};

static int
take_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct client *client = SSL_get_app_data(ssl);

	client->tickets++;
	SSL_SESSION_free(client->session);
	client->session = session;
	return 1;
}

/* The library uses a ticket once. */
static SSL_SESSION *
copy_session(SSL_SESSION *session)
{
	unsigned char *der = NULL;
	const unsigned char *at;
	int len = i2d_SSL_SESSION(session, &der);
	SSL_SESSION *copy;

	at = der;
	copy = d2i_SSL_SESSION(NULL, &at, len);
	assert_non_null(copy);
	OPENSSL_free(der);
	return copy;
}

static SSL *
make_client(struct client *client, SSL_CTX *ctx)
{
	SSL_SESSION *session;
	SSL *ssl;

	SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, take_ticket);
	if (client->has_cert) {
		SSL_CTX_use_certificate(ctx, leaf);
		SSL_CTX_use_PrivateKey(ctx, key);
		SSL_CTX_add1_chain_cert(ctx, middle);
	}
	if (client->extra != NULL)
		SSL_CTX_add1_chain_cert(ctx, client->extra);
	if (client->knows_no_tickets)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	ssl = SSL_new(ctx);
	SSL_set_app_data(ssl, client);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
	if (client->session != NULL) {
		session = copy_session(client->session);
		assert_int_equal(SSL_set_session(ssl, session), 1);
		SSL_SESSION_free(session);
	}
	SSL_set_connect_state(ssl);
	return ssl;
}

/* Everything that is under way, both ways.  Returns how much it was. */
static size_t
carry(struct client *client, SSL *ssl, int fd)
{
	static unsigned char bytes[100000];
	size_t sum = 0;
	ssize_t n;
	int len;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		client->sends++;
		BIO_write(SSL_get_rbio(ssl), bytes, (int)n);
		sum += (size_t)n;
	}
	while ((len = BIO_read(SSL_get_wbio(ssl), bytes, sizeof(bytes))) > 0) {
		(void)send(fd, bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
		sum += (size_t)len;
	}
	return sum;
}

static bool
is_waiting(enum tlsconn_status status)
{
	return status == TLSCONN_WANT_READ || status == TLSCONN_WANT_WRITE;
}

static void
shake_hands(struct client *client, struct tlsconn *conn, SSL *ssl, int fd)
{
	enum tlsconn_status status = TLSCONN_WANT_READ;
	bool has_failed = false;
	char byte;
	int idle = 0;

	while (idle < 3) {
		/* After its failure a client may send alerts for ever. */
		has_failed = has_failed ||
		    SSL_get_error(ssl, SSL_read(ssl, &byte, 1)) ==
			SSL_ERROR_SSL;
		idle = carry(client, ssl, fd) == 0 ? idle + 1 : 0;
		if (is_waiting(status))
			status = tlsconn_handshake(conn);
	}
	client->is_ours_ok = status == TLSCONN_OK;
	client->is_theirs_ok = SSL_is_init_finished(ssl);
}

static void
note(struct client *client, const struct tlsconn *conn)
{
	SSL *ssl = tlsconn_ssl(conn);
	STACK_OF(X509) *chain = tlsresume_chain(ssl);
	X509 *peer = SSL_get_peer_certificate(ssl);

	client->is_resumed = SSL_session_reused(ssl);
	client->chain = chain == NULL ? -1 : sk_X509_num(chain);
	client->has_peer = peer != NULL;
	if (client->has_peer && !client->may_differ) {
		assert_int_equal(SSL_get_verify_result(ssl), X509_V_OK);
		assert_int_equal(X509_cmp(peer, leaf), 0);
	}
	if (client->chain > 0 && !client->may_differ)
		assert_int_equal(X509_cmp(sk_X509_value(chain, 0), middle), 0);
	X509_free(peer);
}

static void
meet(struct server *server, struct client *client)
{
	SSL_CTX *ctx = client_make(client->version, NULL, client->groups);
	SSL *ssl = make_client(client, ctx);
	struct tlsconn *conn;
	int ends[2];

	assert_int_equal(
	    socketpair(
		AF_UNIX, COUNTS_SENDS ? SOCK_SEQPACKET : SOCK_STREAM, 0, ends),
	    0);
	client->tickets = client->sends = 0;
	cache.fetches = cache.stores = keys.asks = 0;
	cache.stored = 0;
	server->signatures = 0;
	conn = tlsconn_new(server->ctx, ends[0],
	    client->verify == NULL ? &anybody : client->verify);
	assert_non_null(conn);
	shake_hands(client, conn, ssl, ends[1]);
	client->signatures = server->signatures;
	note(client, conn);
	tlsconn_free(conn);
	/* Or the library would not offer its session again. */
	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(ends[0]);
	close(ends[1]);
	ERR_clear_error();
}

static void
part(struct client *client)
{
	SSL_SESSION_free(client->session);
	client->session = NULL;
	cache_clear();
}

static void
expect_full(struct server *server, struct client *client)
{
	meet(server, client);
	assert_true(client->is_ours_ok);
	assert_true(client->is_theirs_ok);
	assert_false(client->is_resumed);
	assert_int_equal(client->signatures, 1);
}

static void
expect_resumed(struct server *server, struct client *client)
{
	meet(server, client);
	assert_true(client->is_ours_ok);
	assert_true(client->is_theirs_ok);
	assert_true(client->is_resumed);
	assert_int_equal(client->signatures, 0);
	assert_int_equal(cache.fetches, 1);
}

static void
a_session_goes_on_without_a_signature(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };
		unsigned made = versions[i] == TLS1_3_VERSION ? 2 : 1;

		expect_full(&plain, &client);
		assert_int_equal(cache.fetches, 0);
		assert_int_equal(cache.stores, 1);
		assert_int_equal(cache.stored, made);
		assert_int_equal(client.tickets, made);
		expect_resumed(&plain, &client);
		/* TLS 1.2 goes on with the same one. */
		assert_int_equal(cache.stored, made - 1);
		assert_int_equal(client.tickets, made - 1);
		expect_resumed(&plain, &client);
		part(&client);
	}
}

/* A client with one ticket and several connections. */
static void
an_entry_serves_more_than_once(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };
		SSL_SESSION *first;

		expect_full(&plain, &client);
		first = client.session;
		SSL_SESSION_up_ref(first);
		for (j = 0; j < 3; j++) {
			SSL_SESSION_free(client.session);
			client.session = first;
			SSL_SESSION_up_ref(first);
			expect_resumed(&plain, &client);
		}
		SSL_SESSION_free(first);
		part(&client);
	}
}

static void
what_is_not_kept_is_a_full_handshake(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		expect_full(&plain, &client);
		cache.is_blind = true;
		expect_full(&plain, &client);
		assert_int_equal(cache.fetches, 1);
		cache.is_blind = false;
		expect_resumed(&plain, &client);
		part(&client);
	}
}

/* It offers one group and is sent back for another. */
static void
a_retried_hello_is_asked_for_once(void **state)
{
	struct client client = { .version = TLS1_3_VERSION,
		.groups = "X25519:P-384" };

	(void)state;
	if (!RESUMES_1_3)
		skip();
	expect_full(&picky, &client);
	expect_resumed(&picky, &client);
	assert_int_equal(client.sends, 3);
	cache.is_blind = true;
	expect_full(&picky, &client);
	assert_int_equal(cache.fetches, 1);
	part(&client);
}

static void
each_flight_is_one_send(void **state)
{
	static const unsigned full[] = { 2, 2 }, resumed[] = { 1, 2 };
	size_t i;

	(void)state;
	if (!COUNTS_SENDS)
		skip();
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		expect_full(&plain, &client);
		assert_int_equal(client.sends, full[i]);
		expect_resumed(&plain, &client);
		assert_int_equal(client.sends, resumed[i]);
		part(&client);
	}
}

static void
nothing_is_kept_where_it_is_off(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		expect_full(&off, &client);
		assert_int_equal(client.tickets, 0);
		assert_int_equal(cache.stores, 0);
		meet(&plain, &client);
		assert_true(client.tickets > 0);
		expect_full(&off, &client);
		assert_int_equal(cache.fetches, 0);
		part(&client);
	}
}

/* Without a cache the library is alone with its questions. */
static void
no_cache_is_a_full_handshake(void **state)
{
	static const struct tlsresume_cache nobody;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		expect_full(&plain, &client);
		tlsctx_set_cache(plain.ctx, &nobody);
		expect_full(&plain, &client);
		assert_int_equal(cache.fetches, 0);
		tlsctx_set_cache(plain.ctx, &keeper);
		part(&client);
	}
}

/*
 * Clients' certificates
 */

static const struct tlsverify any_name = { .mode = TLSVERIFY_CERT, .depth = 2 };
static const struct tlsverify named = { .mode = TLSVERIFY_NAME,
	.depth = 2,
	.matches_name = true,
	.host = "client.example" };
static const struct tlsverify misnamed = { .mode = TLSVERIFY_NAME,
	.depth = 2,
	.matches_name = true,
	.host = "other.example" };

static void
certificate_and_chain_go_on(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i],
			.has_cert = true,
			.verify = &any_name };
		unsigned j;

		expect_full(&plain, &client);
		assert_int_equal(client.chain, 1);
		for (j = 0; j < 3; j++) {
			expect_resumed(&plain, &client);
			assert_true(client.has_peer);
			assert_int_equal(client.chain, 1);
		}
		part(&client);
	}
}

static void
a_name_is_matched_again(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i],
			.has_cert = true,
			.verify = &named };

		expect_full(&plain, &client);
		client.verify = &misnamed;
		meet(&plain, &client);
		assert_false(client.is_ours_ok);
		assert_false(client.is_resumed);
		assert_int_equal(cache.fetches, 1);
		client.verify = &named;
		expect_resumed(&plain, &client);
		part(&client);
	}
}

/* Should binding ever fail: with another policy it is not taken either. */
static void
one_without_certificate_is_not_one_with(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		expect_full(&plain, &client);
		client.verify = &any_name;
		client.has_cert = true;
		expect_full(&plain, &client);
		client.verify = NULL;
		expect_full(&plain, &client);
		assert_int_equal(cache.fetches, 1);
		part(&client);
	}
}

/*
 * Time
 */

/* As if the last one that was kept had been made so long ago. */
static void
make_older(long seconds)
{
	struct tlsresume_entry *entry = &cache.kept[cache.count - 1];
	const unsigned char *at = entry->bytes + 4;
	unsigned char *p;
	SSL_SESSION *session =
	    d2i_SSL_SESSION(NULL, &at, (long)(entry->len - 4));
	int len;

	assert_non_null(session);
	assert_ptr_equal(at, entry->bytes + entry->len);
	SSL_SESSION_set_time(session, SSL_SESSION_get_time(session) - seconds);
	len = i2d_SSL_SESSION(session, NULL);
	assert_int_equal((size_t)len + 4, entry->len);
	p = entry->bytes + 4;
	i2d_SSL_SESSION(session, &p);
	SSL_SESSION_free(session);
}

static void
life_ends_at_its_second(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		expect_full(&plain, &client);
		make_older(LIFETIME - 60);
		expect_resumed(&plain, &client);
		part(&client);
		expect_full(&plain, &client);
		make_older(LIFETIME);
		expect_full(&plain, &client);
		assert_int_equal(cache.fetches, 1);
		part(&client);
		expect_full(&plain, &client);
		make_older(-60);
		expect_full(&plain, &client);
		part(&client);
	}
}

/* A chain of resumptions does not outlive what its first one had. */
static void
resuming_does_not_lengthen_life(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	unsigned long hint;

	(void)state;
	if (!RESUMES_1_3)
		skip();
	expect_full(&plain, &client);
	assert_int_equal(
	    SSL_SESSION_get_ticket_lifetime_hint(client.session), LIFETIME);
	make_older(LIFETIME - 100);
	expect_resumed(&plain, &client);
	hint = SSL_SESSION_get_ticket_lifetime_hint(client.session);
	assert_in_range(hint, 1, 100);
	expect_resumed(&plain, &client);
	make_older((long)hint);
	expect_full(&plain, &client);
	part(&client);
}

/*
 * What a session that was taken over may have put there
 */

/* Does len end where one of its items does?  That is another entry. */
static bool
ends_with_an_item(const struct tlsresume_entry *entry, size_t len)
{
	const struct buf row = { .data = entry->bytes, .len = len };
	const unsigned char *der;
	size_t at = 0, item;

	while ((der = tlstrust_next(&row, &at, &item)) != NULL)
		continue;
	return item == 0;
}

static void
an_entry_cut_short_is_none(void **state)
{
	struct client client = {
		.version = TLS1_3_VERSION, .has_cert = true, .verify = &any_name
	};
	struct tlsresume_entry *entry;
	SSL_SESSION *offered;
	size_t whole, step = 37;

	(void)state;
	if (!RESUMES_1_3)
		skip();
	expect_full(&plain, &client);
	entry = &cache.kept[cache.count - 1];
	offered = client.session;
	for (whole = entry->len; entry->len > step;) {
		entry->len -= step;
		if (ends_with_an_item(entry, entry->len))
			continue;
		SSL_SESSION_up_ref(offered);
		client.session = offered;
		meet(&plain, &client);
		assert_false(client.is_resumed);
		assert_true(client.is_ours_ok);
		while (cache.count > 2)
			free(cache.kept[--cache.count].bytes);
		SSL_SESSION_free(client.session);
	}
	entry->len = whole;
	client.session = offered;
	expect_resumed(&plain, &client);
	part(&client);
}

/* Some are other keys, and fail the handshake; none harms us. */
static void
damaged_entries_do_no_harm(void **state)
{
	struct client client = {
		.version = TLS1_2_VERSION, .has_cert = true, .verify = &any_name
	};
	struct tlsresume_entry *entry;
	SSL_SESSION *offered;
	size_t at;

	(void)state;
	expect_full(&plain, &client);
	entry = &cache.kept[0];
	offered = client.session;
	client.may_differ = true;
	for (at = 0; at < entry->len; at += 3) {
		entry->bytes[at] ^= (unsigned char)(1u << at % 8);
		SSL_SESSION_up_ref(offered);
		client.session = offered;
		meet(&plain, &client);
		entry->bytes[at] ^= (unsigned char)(1u << at % 8);
		while (cache.count > 1)
			free(cache.kept[--cache.count].bytes);
		SSL_SESSION_free(client.session);
	}
	client.session = offered;
	expect_resumed(&plain, &client);
	part(&client);
}

/* Two that have changed places: each is of another number. */
static void
an_entry_of_another_number_is_none(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	struct tlsresume_entry first;

	(void)state;
	if (!RESUMES_1_3)
		skip();
	expect_full(&plain, &client);
	assert_int_equal(cache.count, 2);
	first = cache.kept[0];
	cache.kept[0].bytes = cache.kept[1].bytes;
	cache.kept[0].len = cache.kept[1].len;
	cache.kept[1].bytes = first.bytes;
	cache.kept[1].len = first.len;
	expect_full(&plain, &client);
	assert_int_equal(cache.fetches, 1);
	part(&client);
}

/* It makes every chain too long. */
static X509 *
make_long_cert(void)
{
	X509 *cert = X509_dup(middle);
	X509_NAME *subject = X509_NAME_dup(X509_get_subject_name(middle));
	char name[60];
	int i;

	for (i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "unit %d of a long name", i);
		X509_NAME_add_entry_by_txt(subject, "OU", MBSTRING_ASC,
		    (const unsigned char *)name, -1, -1, 0);
	}
	X509_set_subject_name(cert, subject);
	X509_NAME_free(subject);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_true(i2d_X509(cert, NULL) > TLSRESUME_ENTRY_MAX);
	return cert;
}

/* The most that fits, and a chain that does not. */
static void
a_long_chain_is_not_kept(void **state)
{
	struct client client = {
		.version = TLS1_3_VERSION, .has_cert = true, .verify = &any_name
	};

	(void)state;
	if (!RESUMES_1_3)
		skip();
	client.extra = make_long_cert();
	expect_full(&plain, &client);
	assert_int_equal(client.chain, 2);
	assert_int_equal(cache.stores, 0);
	X509_free(client.extra);
	client.extra = NULL;
	expect_full(&plain, &client);
	assert_int_equal(cache.stored, 2);
	part(&client);
}

/*
 * Tickets
 */

static void
expect_made(const struct client *client, unsigned tickets)
{
	assert_int_equal(client->tickets, tickets);
	assert_int_equal(keys.asks, tickets > 0);
	assert_int_equal(cache.stores, 0);
}

static void
a_sealed_session_goes_on(void **state)
{
	size_t i, j;

	(void)state;
	if (!SEALS)
		skip();
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };
		unsigned made = versions[i] == TLS1_3_VERSION ? 2 : 1;

		expect_full(&sealing, &client);
		assert_int_equal(cache.fetches, 0);
		expect_made(&client, made);
		for (j = 0; j < 3; j++) {
			expect_resumed(&sealing, &client);
			/* TLS 1.2 goes on with the same one. */
			expect_made(&client, made - 1);
		}
		part(&client);
	}
}

/* Each has a secret of its own. */
static void
two_tickets_have_two_names(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	const unsigned char *first;
	size_t len;

	(void)state;
	if (!SEALS)
		skip();
	expect_full(&sealing, &client);
	first = lib_ticket(client.session, &len);
	/* The client keeps the second one. */
	assert_memory_equal(first, keys.made[1].name, TLSRESUME_NAME_SIZE);
	assert_memory_not_equal(first, keys.made[0].name, TLSRESUME_NAME_SIZE);
	part(&client);
}

static void
one_with_an_old_key_is_replaced(void **state)
{
	size_t i;

	(void)state;
	if (!SEALS)
		skip();
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		expect_full(&sealing, &client);
		keys.is_old = true;
		expect_resumed(&sealing, &client);
		/* In TLS 1.2 the client's library tells nobody of it. */
		assert_int_equal(keys.asks, 1);
		part(&client);
	}
}

static void
one_without_its_key_is_a_full_handshake(void **state)
{
	size_t i;

	(void)state;
	if (!SEALS)
		skip();
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		expect_full(&sealing, &client);
		cache.is_blind = true;
		expect_full(&sealing, &client);
		assert_int_equal(cache.fetches, 1);
		assert_true(client.tickets > 0);
		cache.is_blind = false;
		expect_resumed(&sealing, &client);
		part(&client);
	}
}

/* Then a ticket is one that nobody can open. */
static void
without_keys_all_is_well(void **state)
{
	size_t i;

	(void)state;
	if (!SEALS)
		skip();
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		keys.has_none = true;
		expect_full(&sealing, &client);
		expect_full(&sealing, &client);
		assert_int_equal(cache.fetches, 1);
		keys.has_none = false;
		expect_full(&sealing, &client);
		expect_resumed(&sealing, &client);
		part(&client);
	}
}

static void
a_retried_ticket_is_asked_for_once(void **state)
{
	struct client client = { .version = TLS1_3_VERSION,
		.groups = "X25519:P-384" };

	(void)state;
	if (!SEALS)
		skip();
	expect_full(&picky_sealing, &client);
	expect_resumed(&picky_sealing, &client);
	part(&client);
}

static void
certificates_are_sealed_too(void **state)
{
	size_t i;

	(void)state;
	if (!SEALS)
		skip();
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i],
			.has_cert = true,
			.verify = &named };
		unsigned j;

		expect_full(&sealing, &client);
		for (j = 0; j < 3; j++) {
			expect_resumed(&sealing, &client);
			assert_true(client.has_peer);
			assert_int_equal(client.chain, 1);
		}
		client.verify = &misnamed;
		meet(&sealing, &client);
		assert_false(client.is_ours_ok);
		assert_false(client.is_resumed);
		client.verify = NULL;
		expect_full(&sealing, &client);
		client.verify = &any_name;
		expect_full(&sealing, &client);
		part(&client);
	}
}

/* What is left of its life goes on, in whole seconds. */
static void
a_ticket_for_another_lives_no_longer(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };

	(void)state;
	if (!SEALS)
		skip();
	expect_full(&sealing, &client);
	assert_int_equal(
	    SSL_SESSION_get_ticket_lifetime_hint(client.session), LIFETIME);
	assert_int_equal(poll(NULL, 0, 1100), 0);
	expect_resumed(&sealing, &client);
	assert_in_range(SSL_SESSION_get_ticket_lifetime_hint(client.session), 1,
	    LIFETIME - 1);
	part(&client);
}

/* Any byte of it. */
static void
a_damaged_ticket_is_none(void **state)
{
	size_t i, at, len;

	(void)state;
	if (!SEALS)
		skip();
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };
		SSL_SESSION *offered;
		const unsigned char *ticket;
		unsigned char *bytes;

		expect_full(&sealing, &client);
		offered = client.session;
		ticket = lib_ticket(offered, &len);
		bytes = (unsigned char *)(uintptr_t)ticket;
		for (at = 0; at < len; at += 5) {
			bytes[at] ^= (unsigned char)(1u << at % 8);
			SSL_SESSION_up_ref(offered);
			client.session = offered;
			expect_full(&sealing, &client);
			bytes[at] ^= (unsigned char)(1u << at % 8);
			SSL_SESSION_free(client.session);
			keys.count = TLSRESUME_ENTRIES_MAX;
		}
		client.session = offered;
		expect_resumed(&sealing, &client);
		part(&client);
	}
}

/* Those are still remembered by number. */
static void
who_knows_no_tickets_is_kept(void **state)
{
	struct client client = { .version = TLS1_2_VERSION,
		.knows_no_tickets = true };

	(void)state;
	if (!SEALS)
		skip();
	expect_full(&sealing, &client);
	assert_int_equal(cache.stored, 1);
	assert_int_equal(keys.asks, 0);
	expect_resumed(&sealing, &client);
	part(&client);
}

static void
flights_with_tickets_are_one_send(void **state)
{
	static const unsigned full[] = { 2, 2 }, resumed[] = { 1, 2 };
	size_t i;

	(void)state;
	if (!SEALS)
		skip();
	for (i = 0; i < COUNT(versions); i++) {
		struct client client = { .version = versions[i] };

		expect_full(&sealing, &client);
		assert_int_equal(client.sends, full[i]);
		expect_resumed(&sealing, &client);
		assert_int_equal(client.sends, resumed[i]);
		part(&client);
	}
}

/* One that would be as long is sealed without it, and of no use. */
static void
a_long_chain_is_not_sealed(void **state)
{
	struct client client = {
		.version = TLS1_3_VERSION, .has_cert = true, .verify = &any_name
	};
	size_t len;

	(void)state;
	if (!SEALS)
		skip();
	client.extra = make_long_cert();
	expect_full(&sealing, &client);
	lib_ticket(client.session, &len);
	assert_in_range(len, 1, 4000);
	expect_full(&sealing, &client);
	assert_int_equal(cache.fetches, 1);
	X509_free(client.extra);
	client.extra = NULL;
	expect_full(&sealing, &client);
	expect_resumed(&sealing, &client);
	part(&client);
}

/*
 * Beginning
 */

static X509 *
make_ca(const char *name, X509 *issuer)
{
	X509 *ca = make_cert(name, key, issuer == NULL ? name : "root", key);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

	X509_add_ext(ca, extension, -1);
	X509_EXTENSION_free(extension);
	assert_true(X509_sign(ca, key, EVP_sha256()) > 0);
	return ca;
}

static void
trust(struct server *server, X509 *cert)
{
	unsigned char length[4] = { 0 }, *der = NULL;
	int len = i2d_X509(cert, &der);

	buf_init(&server->public.trust.cas, TLSTRUST_MAX);
	length[2] = (unsigned char)(len >> 8);
	length[3] = (unsigned char)len;
	buf_append(&server->public.trust.cas, length, sizeof(length));
	buf_append(&server->public.trust.cas, der, (size_t)len);
	OPENSSL_free(der);
}

static void
make_server(
    struct server *server, unsigned session_s, bool seals, const char *groups)
{
	server->settings.session_s = session_s;
	server->settings.seals_tickets = seals;
	server->settings.tlsgroups = groups;
	trust(server, root);
	server_make(server, "P-256");
	tlsctx_set_cache(server->ctx, seals ? &sealer : &keeper);
}

static int
set_up(void **state)
{
	(void)state;
	key = make_key("P-256");
	root = make_ca("root", NULL);
	middle = make_ca("middle", root);
	leaf = make_cert("client.example", key, "middle", key);
	make_server(&plain, LIFETIME, false, NULL);
	make_server(&off, 0, false, NULL);
	make_server(&picky, LIFETIME, false, "P-384");
	if (SEALS) {
		make_server(&sealing, LIFETIME, true, NULL);
		make_server(&picky_sealing, LIFETIME, true, "P-384");
		assert_int_equal(tlsctx_warm_up(sealing.ctx), 0);
	}
	/* No handshake of ours is in it. */
	assert_int_equal(tlsctx_warm_up(plain.ctx), 0);
	assert_int_equal(cache.count, 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	server_clear(&plain);
	server_clear(&off);
	server_clear(&picky);
	if (SEALS) {
		server_clear(&sealing);
		server_clear(&picky_sealing);
	}
	X509_free(root);
	X509_free(middle);
	X509_free(leaf);
	EVP_PKEY_free(key);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_goes_on_without_a_signature),
		cmocka_unit_test(an_entry_serves_more_than_once),
		cmocka_unit_test(what_is_not_kept_is_a_full_handshake),
		cmocka_unit_test(a_retried_hello_is_asked_for_once),
		cmocka_unit_test(each_flight_is_one_send),
		cmocka_unit_test(nothing_is_kept_where_it_is_off),
		cmocka_unit_test(no_cache_is_a_full_handshake),
		cmocka_unit_test(certificate_and_chain_go_on),
		cmocka_unit_test(a_name_is_matched_again),
		cmocka_unit_test(one_without_certificate_is_not_one_with),
		cmocka_unit_test(life_ends_at_its_second),
		cmocka_unit_test(resuming_does_not_lengthen_life),
		cmocka_unit_test(an_entry_cut_short_is_none),
		cmocka_unit_test(damaged_entries_do_no_harm),
		cmocka_unit_test(an_entry_of_another_number_is_none),
		cmocka_unit_test(a_long_chain_is_not_kept),
		cmocka_unit_test(a_sealed_session_goes_on),
		cmocka_unit_test(two_tickets_have_two_names),
		cmocka_unit_test(one_with_an_old_key_is_replaced),
		cmocka_unit_test(one_without_its_key_is_a_full_handshake),
		cmocka_unit_test(without_keys_all_is_well),
		cmocka_unit_test(a_retried_ticket_is_asked_for_once),
		cmocka_unit_test(certificates_are_sealed_too),
		cmocka_unit_test(a_ticket_for_another_lives_no_longer),
		cmocka_unit_test(a_damaged_ticket_is_none),
		cmocka_unit_test(who_knows_no_tickets_is_kept),
		cmocka_unit_test(flights_with_tickets_are_one_send),
		cmocka_unit_test(a_long_chain_is_not_sealed),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
