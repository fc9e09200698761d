/*
 * test_tlsinfo: the facts of real handshakes, compared with what the other
 * end and the library's own printing know; and certificates made to
 * embarrass whoever reads them.
 */
#include "tls/tlsinfo.h"

#include <poll.h>

#include "tls/tlsconn.h"
#include "tlsutil.h"

#include "base/text.h"

#define FACTS_MAX 400

/* What was told, in order. */
static struct {
	struct tlsinfo_fact all[FACTS_MAX];
	size_t count;
	size_t fails_at; /* say -1 to this one; 0: to none */
} told;

static void
told_clear(void)
{
	while (told.count > 0)
		free((void *)(uintptr_t)told.all[--told.count].bytes);
	told.fails_at = 0;
}

static int
take(void *arg, const struct tlsinfo_fact *fact)
{
	unsigned char *bytes = malloc(fact->len + 1);

	assert_true(arg == &told);
	assert_true(told.count < FACTS_MAX);
	if (told.count + 1 == told.fails_at) {
		free(bytes);
		return -1;
	}
	if (fact->len > 0)
		memcpy(bytes, fact->bytes, fact->len);
	bytes[fact->len] = '\0';
	told.all[told.count] = *fact;
	told.all[told.count++].bytes = bytes;
	return 0;
}

static const struct tlsinfo_fact *
find(enum tlsinfo_party party, enum tlsinfo_kind kind, unsigned index)
{
	size_t i;

	for (i = 0; i < told.count; i++)
		if (told.all[i].party == party && told.all[i].kind == kind &&
		    told.all[i].index == index)
			return &told.all[i];
	return NULL;
}

/* As a C string, or NULL. */
static const char *
text(enum tlsinfo_party party, enum tlsinfo_kind kind, unsigned index)
{
	const struct tlsinfo_fact *fact = find(party, kind, index);

	return fact == NULL ? NULL : fact->bytes;
}

static const char *
of_conn(enum tlsinfo_kind kind)
{
	return text(TLSINFO_CONNECTION, kind, 0);
}

static const char *
of_server(enum tlsinfo_kind kind)
{
	return text(TLSINFO_SERVER, kind, 0);
}

static const char *
part(enum tlsinfo_attribute attribute)
{
	return text(TLSINFO_SERVER, TLSINFO_S_DN_PART, attribute);
}

static void
expect(const char *got, const char *wanted)
{
	assert_non_null(got);
	assert_string_equal(got, wanted);
}

/* What the server wants of the client's certificate. */
static struct tlsverify server_wants = { .mode = TLSVERIFY_NONE };

/* A client, what it asks for and what it knows afterwards. */
struct client {
	int fd, version;
	const char *groups, *ciphers;
	char sni[32]; /* empty: none */
	bool without_ems;
	EVP_PKEY *key; /* NULL: has no certificate */
	X509 *cert, *chain[2];
	bool ok;
	char exporter[65];
	char group[64];
};

static void
client_learn(struct client *client, SSL *ssl)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	unsigned char bytes[32];

	assert_int_equal(SSL_export_keying_material(ssl, bytes, sizeof(bytes),
			     label, strlen(label), bytes, 0, 1),
	    1);
	text_hex(client->exporter, bytes, sizeof(bytes));
}

static void *
client_run(void *arg)
{
	struct client *client = arg;
	SSL_CTX *ctx =
	    client_make(client->version, client->ciphers, client->groups);
	SSL *ssl;

	if (client->without_ems)
		SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	ssl = SSL_new(ctx);
	if (client->key != NULL) {
		SSL_use_certificate(ssl, client->cert);
		SSL_use_PrivateKey(ssl, client->key);
		SSL_add1_chain_cert(ssl, client->chain[0]);
		SSL_add1_chain_cert(ssl, client->chain[1]);
	}
	SSL_set_fd(ssl, client->fd);
	if (client->sni[0] != '\0')
		SSL_set_tlsext_host_name(ssl, client->sni);
	client->ok = SSL_connect(ssl) == 1;
	if (client->ok)
		client_learn(client, ssl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return NULL;
}

static void
shake_hands(struct tlsconn *conn, int fd)
{
	enum tlsconn_status status;
	struct pollfd pollfd = { .fd = fd };

	while ((status = tlsconn_handshake(conn)) != TLSCONN_OK) {
		pollfd.events = status == TLSCONN_WANT_WRITE ? POLLOUT : POLLIN;
		if (status != TLSCONN_WANT_READ && status != TLSCONN_WANT_WRITE)
			fail_msg("%s", tlsconn_reason(conn));
		assert_true(poll(&pollfd, 1, 30000) > 0);
	}
}

/* The facts come in their order, and each once. */
static void
check_order(void)
{
	const struct tlsinfo_fact *a, *b;
	size_t i;

	for (i = 1; i < told.count; i++) {
		a = &told.all[i - 1];
		b = &told.all[i];
		assert_true(a->party < b->party ||
		    (a->party == b->party &&
			(a->kind < b->kind ||
			    (a->kind == b->kind && a->index < b->index))));
	}
}

/* Meet, and have everything told.  What tlsinfo_walk says. */
static int
meet_and_walk(struct server *server, struct client *client, size_t fails_at)
{
	struct tlsconn *conn;
	pthread_t thread;
	int ends[2], r;

	told_clear();
	told.fails_at = fails_at;
	tcp_pair(ends);
	client->fd = ends[1];
	conn = tlsconn_new(server->ctx, ends[0], &server_wants);
	assert_non_null(conn);
	thread = in_thread(client_run, client);
	shake_hands(conn, ends[0]);
	r = tlsinfo_walk(conn, take, &told);
	pthread_join(thread, NULL);
	tlsconn_free(conn);
	close(ends[0]);
	close(ends[1]);
	assert_true(client->ok);
	check_order();
	return r;
}

static void
meet(struct server *server, struct client *client)
{
	assert_int_equal(meet_and_walk(server, client, 0), 0);
}

static void
trust(struct server *server, X509 *cert)
{
	struct buf *cas = &server->public.trust.cas;
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);
	const unsigned char head[4] = { 0, 0, (unsigned char)(len >> 8),
		(unsigned char)len };

	buf_init(cas, TLSTRUST_MAX);
	assert_int_equal(buf_append(cas, head, sizeof(head)), 0);
	assert_int_equal(buf_append(cas, der, (size_t)len), 0);
	OPENSSL_free(der);
}

/*
 * A server whose certificate edit has had its hands on before signing; ca,
 * if any, is whom it trusts.
 */
static void
server_with(struct server *server, const char *kind, const EVP_MD *md,
    void (*edit)(X509 *cert), X509 *ca)
{
	EVP_PKEY *key = make_key(kind);
	char error[TLSFILE_ERROR_SIZE] = "";
	X509 *cert = make_cert("localhost", key, "Some CA", key);

	memset(server, 0, sizeof(*server));
	server->settings.certfile = "made up";
	if (md == EVP_sha1())
		server->settings.ciphers = "DEFAULT:@SECLEVEL=0";
	if (edit != NULL)
		edit(cert);
	assert_true(X509_sign(cert, key, md) > 0);
	public_add(&server->public, NULL, cert);
	if (ca != NULL)
		trust(server, ca);
	assert_int_equal(tlskeys_add(&server->keys, tlskey_new(key)), 0);
	server->ctx = tlsctx_new(
	    &server->settings, &server->public, error, sizeof(error));
	if (server->ctx == NULL)
		fail_msg("%s", error);
	assert_int_equal(tlsscheme_policy_init(&server->policy,
			     &server->settings, &server->public),
	    0);
	tlsctx_set_signer(server->ctx, server_sign, server);
}

/* The certificate as the library reads its PEM. */
static X509 *
own_cert(void)
{
	const struct tlsinfo_fact *pem = find(TLSINFO_SERVER, TLSINFO_CERT, 0);
	BIO *bio;
	X509 *cert;

	assert_non_null(pem);
	bio = BIO_new_mem_buf(pem->bytes, (int)pem->len);
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_non_null(cert);
	BIO_free(bio);
	return cert;
}

static void
expect_end_point(const EVP_MD *md)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	X509 *cert = own_cert();
	unsigned len;

	assert_int_equal(X509_digest(cert, md, digest, &len), 1);
	text_hex(hex, digest, len);
	expect(of_conn(TLSINFO_SERVER_END_POINT), hex);
	X509_free(cert);
}

static void
tls13(void **state)
{
	struct client client = { .version = TLS1_3_VERSION,
		.sni = "www.example.org",
		.groups = "P-384" };
	struct server server;

	(void)state;
	server_with(&server, "P-256", EVP_sha384(), NULL, NULL);
	meet(&server, &client);
	expect(of_conn(TLSINFO_PROTOCOL), "TLSv1.3");
	expect(of_conn(TLSINFO_CIPHER), "TLS_AES_256_GCM_SHA384");
	expect(of_conn(TLSINFO_CIPHER_EXPORT), "false");
	expect(of_conn(TLSINFO_CIPHER_USEKEYSIZE), "256");
	expect(of_conn(TLSINFO_CIPHER_ALGKEYSIZE), "256");
	expect(
	    of_conn(TLSINFO_VERSION_LIBRARY), OpenSSL_version(OPENSSL_VERSION));
	expect(of_conn(TLSINFO_TLS_SNI), "www.example.org");
	assert_null(of_conn(TLSINFO_ALPN));
	expect(of_conn(TLSINFO_KEX_GROUP), "secp384r1");
	expect(of_conn(TLSINFO_SESSION_RESUMED), "Initial");
	expect(of_conn(TLSINFO_SESSION_ID), "");
	expect(of_conn(TLSINFO_EXPORTER), client.exporter);
	expect(of_conn(TLSINFO_CLIENT_VERIFY), "NONE");
	assert_null(of_conn(TLSINFO_CLIENT_CERT_SHA256));
	expect_end_point(EVP_sha384());
	expect(of_server(TLSINFO_M_VERSION), "3");
	expect(of_server(TLSINFO_S_DN), "/CN=localhost");
	expect(of_server(TLSINFO_S_DN_RFC2253), "CN=localhost");
	expect(of_server(TLSINFO_I_DN), "/CN=Some CA");
	expect(part(TLSINFO_CN), "localhost");
	expect(text(TLSINFO_SERVER, TLSINFO_I_DN_PART, TLSINFO_CN), "Some CA");
	expect(of_server(TLSINFO_A_SIG), "ecdsa-with-SHA384");
	expect(of_server(TLSINFO_A_KEY), "id-ecPublicKey");
	server_clear(&server);
}

static void
tls12(void **state)
{
	struct client client = { .version = TLS1_2_VERSION,
		.groups = "X25519",
		.ciphers = "ECDHE-RSA-AES128-GCM-SHA256" };
	struct server server;

	(void)state;
	server_with(&server, "RSA2048", EVP_sha256(), NULL, NULL);
	meet(&server, &client);
	expect(of_conn(TLSINFO_PROTOCOL), "TLSv1.2");
	expect(of_conn(TLSINFO_CIPHER), "ECDHE-RSA-AES128-GCM-SHA256");
	expect(of_conn(TLSINFO_CIPHER_USEKEYSIZE), "128");
	expect(of_conn(TLSINFO_CIPHER_ALGKEYSIZE), "128");
	expect(of_conn(TLSINFO_KEX_GROUP), "x25519");
	expect(of_conn(TLSINFO_SESSION_ID), "");
	if (LIB_HAS_EMS)
		expect(of_conn(TLSINFO_EXPORTER), client.exporter);
	else
		assert_null(of_conn(TLSINFO_EXPORTER));
	expect(of_server(TLSINFO_A_SIG), "sha256WithRSAEncryption");
	expect(of_server(TLSINFO_A_KEY), "rsaEncryption");
	assert_null(of_conn(TLSINFO_TLS_SNI));
	expect_end_point(EVP_sha256());
	/* Not bound to the handshake: RFC 9266, section 4.2. */
	client.without_ems = SSL_OP_NO_EXTENDED_MASTER_SECRET != 0;
	if (client.without_ems) {
		meet(&server, &client);
		assert_null(of_conn(TLSINFO_EXPORTER));
	}
	server_clear(&server);
}

static void
end_points_of_other_signatures(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	struct server server;

	(void)state;
	if (LIB_SIGNS_TEXTS) {
		server_with(&server, "ED25519", NULL, NULL, NULL);
		meet(&server, &client);
		assert_null(of_conn(TLSINFO_SERVER_END_POINT));
		expect(of_server(TLSINFO_A_SIG), "ED25519");
		expect(of_server(TLSINFO_A_KEY), "ED25519");
		server_clear(&server);
	}
	server_with(&server, "P-256", EVP_sha512(), NULL, NULL);
	meet(&server, &client);
	expect_end_point(EVP_sha512());
	server_clear(&server);
	/* Replaced, as nobody can trust it. */
	server_with(&server, "P-256", EVP_sha1(), NULL, NULL);
	meet(&server, &client);
	expect_end_point(EVP_sha256());
	server_clear(&server);
}

/* A client can send more than a name: the bytes come as they were. */
static void
names_of_servers_are_not_judged(void **state)
{
	struct client client = { .version = TLS1_3_VERSION,
		.sni = "a\nb\xff=;$(x)" };
	struct server server;

	(void)state;
	if (!LIB_TAKES_ANY_NAME) {
		puts("# skip: the library refuses such names itself");
		skip();
	}
	server_with(&server, "P-256", EVP_sha256(), NULL, NULL);
	meet(&server, &client);
	expect(of_conn(TLSINFO_TLS_SNI), "a\nb\xff=;$(x)");
	server_clear(&server);
}

static void
add_entry(X509 *cert, int nid, int type, const void *bytes, int len)
{
	X509_NAME *name = X509_get_subject_name(cert);
	X509_NAME_ENTRY *entry;

	/* By hand: the library would check lengths and alphabets. */
	entry = X509_NAME_ENTRY_new();
	assert_int_equal(
	    X509_NAME_ENTRY_set_object(entry, OBJ_nid2obj(nid)), 1);
	ASN1_STRING_set0(X509_NAME_ENTRY_get_data(entry), NULL, 0);
	assert_int_equal(
	    ASN1_STRING_set(X509_NAME_ENTRY_get_data(entry), bytes, len), 1);
	X509_NAME_ENTRY_get_data(entry)->type = type;
	if (X509_NAME_add_entry(name, entry, -1, 0) != 1)
		fail_msg("%s: %s", OBJ_nid2sn(nid),
		    ERR_error_string(ERR_peek_last_error(), NULL));
	X509_NAME_ENTRY_free(entry);
}

static void
add_text(X509 *cert, int nid, const char *value)
{
	add_entry(cert, nid, V_ASN1_UTF8STRING, value, (int)strlen(value));
}

static void
edit_all_attributes(X509 *cert)
{
	static const int nids[] = { NID_countryName, NID_stateOrProvinceName,
		NID_localityName, NID_organizationName,
		NID_organizationalUnitName, NID_title, NID_initials,
		NID_givenName, NID_surname, NID_description, NID_userId,
		NID_pkcs9_emailAddress };
	char value[8];
	size_t i;

	for (i = 0; i < sizeof(nids) / sizeof(nids[0]); i++) {
		snprintf(value, sizeof(value), "v%zu", i);
		add_text(cert, nids[i], value);
	}
	add_text(cert, NID_organizationalUnitName, "second");
	add_text(cert, NID_commonName, "last");
	add_text(cert, NID_x500UniqueIdentifier, "not this one");
}

static void
all_attributes(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	struct server server;

	(void)state;
	server_with(&server, "P-256", EVP_sha256(), edit_all_attributes, NULL);
	meet(&server, &client);
	expect(part(TLSINFO_C), "v0");
	expect(part(TLSINFO_ST), "v1");
	expect(part(TLSINFO_L), "v2");
	expect(part(TLSINFO_O), "v3");
	expect(part(TLSINFO_OU), "second");
	expect(part(TLSINFO_CN), "last");
	expect(part(TLSINFO_T), "v5");
	expect(part(TLSINFO_I), "v6");
	expect(part(TLSINFO_G), "v7");
	expect(part(TLSINFO_S), "v8");
	expect(part(TLSINFO_D), "v9");
	expect(part(TLSINFO_UID), "v10");
	expect(part(TLSINFO_EMAIL), "v11");
	expect(of_server(TLSINFO_S_DN),
	    "/CN=localhost/C=v0/ST=v1/L=v2/O=v3/OU=v4/title=v5/initials=v6"
	    "/GN=v7/SN=v8/description=v9/UID=v10/emailAddress=v11/OU=second"
	    "/CN=last/x500UniqueIdentifier=not this one");
	server_clear(&server);
}

static void
edit_alphabets(X509 *cert)
{
	add_entry(cert, NID_organizationName, V_ASN1_BMPSTRING,
	    "\0K\0\xf6\x20\xac", 6);
	add_entry(
	    cert, NID_organizationalUnitName, V_ASN1_T61STRING, "M\xfcller", 6);
	add_entry(
	    cert, NID_localityName, V_ASN1_UNIVERSALSTRING, "\0\1\xf6\0", 4);
	/* The library reads no UTF8String that is none; this it does not mind. */
	add_entry(cert, NID_title, V_ASN1_IA5STRING, "\xff", 1);
	add_entry(cert, NID_description, V_ASN1_UTF8STRING, "a\0b\nc", 5);
	add_entry(cert, NID_x500UniqueIdentifier, V_ASN1_BIT_STRING, "id=7", 4);
	add_entry(cert, NID_countryName, V_ASN1_SEQUENCE, "\x30\0", 2);
	add_entry(cert, NID_givenName, V_ASN1_UTF8STRING, "", 0);
}

static void
alphabets(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	const struct tlsinfo_fact *fact;
	struct server server;

	(void)state;
	server_with(&server, "P-256", EVP_sha256(), edit_alphabets, NULL);
	meet(&server, &client);
	expect(part(TLSINFO_O), "K\xc3\xb6\xe2\x82\xac");
	expect(part(TLSINFO_OU), "M\xc3\xbcller");
	expect(part(TLSINFO_L), "\xf0\x9f\x98\x80");
	expect(part(TLSINFO_T), "\xc3\xbf");
	/* Whole, with what is in it: the taker decides. */
	fact = find(TLSINFO_SERVER, TLSINFO_S_DN_PART, TLSINFO_D);
	assert_non_null(fact);
	assert_int_equal(fact->len, 5);
	assert_memory_equal(fact->bytes, "a\0b\nc", 5);
	expect(part(TLSINFO_UID), "id=7");
	assert_null(part(TLSINFO_C));
	expect(part(TLSINFO_G), "");
	assert_non_null(strstr(of_server(TLSINFO_S_DN), "OU=M\\xFCller"));
	assert_non_null(
	    strstr(of_server(TLSINFO_S_DN), "description=a\\x00b\\x0Ac"));
	assert_non_null(strstr(of_server(TLSINFO_S_DN_RFC2253), "a\\00b\\0Ac"));
	server_clear(&server);
}

static void
edit_long_names(X509 *cert)
{
	char *value = malloc(20000);

	memset(value, '\n', 20000);
	add_entry(cert, NID_organizationName, V_ASN1_UTF8STRING, value, 20000);
	free(value);
}

static void
long_names_are_whole(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	struct server server;

	(void)state;
	server_with(&server, "P-256", EVP_sha256(), edit_long_names, NULL);
	meet(&server, &client);
	assert_int_equal(strlen(part(TLSINFO_O)), 20000);
	assert_int_equal(strlen(of_server(TLSINFO_S_DN)),
	    strlen("/CN=localhost/O=") + 4 * 20000);
	assert_int_equal(strlen(of_server(TLSINFO_S_DN_RFC2253)),
	    strlen("O=,CN=localhost") + 3 * 20000);
	server_clear(&server);
}

static void
edit_times(X509 *cert)
{
	ASN1_STRING_set(X509_getm_notBefore(cert), "20201301000000Z", -1);
	ASN1_STRING_set(X509_getm_notAfter(cert), "310102030405Z", -1);
}

static void
edit_no_times(X509 *cert)
{
	ASN1_STRING_set(X509_getm_notBefore(cert), "\n", 1);
	ASN1_STRING_set(X509_getm_notAfter(cert), "", 0);
}

/* Or does the library refuse to read such a certificate? */
static bool
can_be_read(void (*edit)(X509 *cert))
{
	EVP_PKEY *key = make_key("P-256");
	X509 *cert = make_cert("localhost", key, "Some CA", key), *again;
	unsigned char *der = NULL;
	const unsigned char *at;
	int len;

	edit(cert);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	len = i2d_X509(cert, &der);
	at = der;
	again = len > 0 ? d2i_X509(NULL, &at, len) : NULL;
	OPENSSL_free(der);
	X509_free(cert);
	EVP_PKEY_free(key);
	ERR_clear_error();
	len = again != NULL;
	X509_free(again);
	return len;
}

static void
times_that_are_none(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	struct server server;

	(void)state;
	if (!can_be_read(edit_times) || !can_be_read(edit_no_times)) {
		puts("# skip: the library reads no such certificate");
		skip();
	}
	server_with(&server, "P-256", EVP_sha256(), edit_times, NULL);
	meet(&server, &client);
	assert_null(of_server(TLSINFO_V_START));
	expect(of_server(TLSINFO_V_END), "Jan  2 03:04:05 2031 GMT");
	server_clear(&server);
	server_with(&server, "P-256", EVP_sha256(), edit_no_times, NULL);
	meet(&server, &client);
	assert_null(of_server(TLSINFO_V_START));
	assert_null(of_server(TLSINFO_V_END));
	expect(of_server(TLSINFO_A_SIG), "ecdsa-with-SHA256");
	server_clear(&server);
}

static size_t serial_len;
static int serial_sign;

static void
edit_serial(X509 *cert)
{
	ASN1_INTEGER *serial = X509_get_serialNumber(cert);
	unsigned char *bytes = malloc(serial_len);

	memset(bytes, 0x7b, serial_len);
	ASN1_STRING_set(serial, bytes, (int)serial_len);
	serial->type = serial_sign < 0 ? V_ASN1_NEG_INTEGER : V_ASN1_INTEGER;
	free(bytes);
}

static void
meet_serial(size_t len, int sign)
{
	struct client client = { .version = TLS1_3_VERSION };
	struct server server;

	serial_len = len;
	serial_sign = sign;
	server_with(&server, "P-256", EVP_sha256(), edit_serial, NULL);
	meet(&server, &client);
	server_clear(&server);
}

static void
serials(void **state)
{
	const char *digits;

	(void)state;
	meet_serial(1, 1);
	expect(of_server(TLSINFO_M_SERIAL), "123");
	expect(of_server(TLSINFO_M_SERIAL_HEX), "7B");
	meet_serial(3, -1);
	expect(of_server(TLSINFO_M_SERIAL), "-8092539");
	expect(of_server(TLSINFO_M_SERIAL_HEX), "-7B7B7B");
	meet_serial(1024, 1);
	assert_int_equal(strlen(of_server(TLSINFO_M_SERIAL)), 2466);
	meet_serial(30000, 1);
	assert_null(of_server(TLSINFO_M_SERIAL));
	assert_int_equal(strlen(of_server(TLSINFO_M_SERIAL_HEX)), 60000);
	for (digits = of_server(TLSINFO_M_SERIAL_HEX); *digits != '\0';
	     digits += 2)
		assert_memory_equal(digits, "7B", 2);
}

static void
edit_to_nothing(X509 *cert)
{
	X509_NAME *none = X509_NAME_new();

	X509_set_subject_name(cert, none);
	X509_set_issuer_name(cert, none);
	X509_NAME_free(none);
	X509_set_version(cert, X509_VERSION_1);
}

static void
no_name_at_all(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	struct server server;
	unsigned i;

	(void)state;
	server_with(&server, "P-256", EVP_sha256(), edit_to_nothing, NULL);
	meet(&server, &client);
	expect(of_server(TLSINFO_M_VERSION), "1");
	expect(of_server(TLSINFO_S_DN), "");
	expect(of_server(TLSINFO_S_DN_RFC2253), "");
	expect(of_server(TLSINFO_I_DN), "");
	for (i = 0; i < TLSINFO_ATTRIBUTES; i++)
		assert_null(part((enum tlsinfo_attribute)i));
	server_clear(&server);
}

static void
expect_pem(unsigned index, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	const struct tlsinfo_fact *fact =
	    find(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, index);
	char *pem;
	long len;

	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	len = BIO_get_mem_data(bio, &pem);
	assert_non_null(fact);
	assert_int_equal(fact->len, len);
	assert_memory_equal(fact->bytes, pem, fact->len);
	BIO_free(bio);
}

/* The second certificate of the chain has nothing to do with the first. */
static void
certificates_of_clients(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct client client = { .key = make_key("P-256") };
	EVP_PKEY *ca_key = make_key("RSA2048");
	X509 *ca = make_cert("Client CA", ca_key, "Client CA", ca_key);
	unsigned char digest[32];
	struct server server;
	char hex[65];
	size_t i;

	(void)state;
	/* Without extensions it needs none to be a CA. */
	X509_set_version(ca, X509_VERSION_1);
	assert_true(X509_sign(ca, ca_key, EVP_sha256()) > 0);
	client.cert = make_cert("Joe", client.key, "Client CA", ca_key);
	client.chain[0] = ca;
	client.chain[1] = make_cert("Other", client.key, "Other", client.key);
	X509_digest(client.cert, EVP_sha256(), digest, NULL);
	text_hex(hex, digest, sizeof(digest));
	server_wants = (struct tlsverify){ .mode = TLSVERIFY_CERT, .depth = 1 };
	server_with(&server, "P-256", EVP_sha256(), NULL, ca);
	for (i = 0; i < 2; i++) {
		client.version = versions[i];
		meet(&server, &client);
		expect(of_conn(TLSINFO_CLIENT_VERIFY), "SUCCESS");
		expect(of_conn(TLSINFO_CLIENT_CERT_SHA256), hex);
		expect(text(TLSINFO_CLIENT, TLSINFO_S_DN, 0), "/CN=Joe");
		expect(text(TLSINFO_CLIENT, TLSINFO_I_DN, 0), "/CN=Client CA");
		expect(text(TLSINFO_CLIENT, TLSINFO_A_SIG, 0),
		    "sha256WithRSAEncryption");
		expect(
		    text(TLSINFO_CLIENT, TLSINFO_A_KEY, 0), "id-ecPublicKey");
		expect_pem(0, client.chain[0]);
		expect_pem(1, client.chain[1]);
		assert_null(find(TLSINFO_CLIENT, TLSINFO_CERT_CHAIN, 2));
	}
	server_wants.mode = TLSVERIFY_NONE;
	meet(&server, &client);
	expect(of_conn(TLSINFO_CLIENT_VERIFY), "NONE");
	assert_null(find(TLSINFO_CLIENT, TLSINFO_S_DN, 0));
	server_clear(&server);
	EVP_PKEY_free(client.key);
	EVP_PKEY_free(ca_key);
	X509_free(client.cert);
	X509_free(client.chain[1]);
	X509_free(ca);
}

/* Whoever takes the facts can stop at any of them. */
static void
taker_has_the_last_word(void **state)
{
	struct client client = { .version = TLS1_3_VERSION };
	struct server server;
	size_t all, i;

	(void)state;
	server_with(&server, "P-256", EVP_sha256(), NULL, NULL);
	meet(&server, &client);
	all = told.count;
	assert_true(all > 20);
	for (i = 1; i <= all; i++) {
		assert_int_equal(meet_and_walk(&server, &client, i), -1);
		assert_int_equal(told.count, i - 1);
	}
	server_clear(&server);
}

static int
finish(void **state)
{
	(void)state;
	told_clear();
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls13),
		cmocka_unit_test(tls12),
		cmocka_unit_test(end_points_of_other_signatures),
		cmocka_unit_test(names_of_servers_are_not_judged),
		cmocka_unit_test(all_attributes),
		cmocka_unit_test(alphabets),
		cmocka_unit_test(long_names_are_whole),
		cmocka_unit_test(times_that_are_none),
		cmocka_unit_test(serials),
		cmocka_unit_test(no_name_at_all),
		cmocka_unit_test(certificates_of_clients),
		cmocka_unit_test(taker_has_the_last_word),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
