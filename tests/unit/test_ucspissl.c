/*
 * test_ucspissl: the public library as programs see it: the header, the
 * shared object, and nothing of the inside.
 *
 * Both ends are the library's own, over a socket pair, in turn; where a
 * third view is wanted, OpenSSL's.  tlsutil makes the certificates.
 */
#include <ucspissl.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "tlsutil.h"

static char cert_path[200], key_path[200], other_path[200], old_path[200];
static EVP_PKEY *key;
static X509 *cert, *other;

static void
write_cert(char *path, const char *name, X509 *written, EVP_PKEY *with)
{
	FILE *file;

	snprintf(path, 200, "%s/%s", util_dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	if (written != NULL)
		PEM_write_X509(file, written);
	if (with != NULL)
		PEM_write_PrivateKey(file, with, NULL, NULL, 0, NULL, NULL);
	fclose(file);
}

static int
prepare(void **state)
{
	X509 *old;

	(void)state;
	dir_make();
	signal(SIGPIPE, SIG_IGN);
	key = make_key("P-256");
	cert = make_cert("localhost", key, "localhost", key);
	other = make_cert("elsewhere", key, "elsewhere", key);
	write_cert(cert_path, "cert.pem", cert, NULL);
	write_cert(key_path, "key.pem", NULL, key);
	write_cert(other_path, "other.pem", other, NULL);
	old = make_cert_dated("localhost", key, "localhost", key, -200, -100);
	write_cert(old_path, "old.pem", old, NULL);
	X509_free(old);
	return 0;
}

static int
clean_up(void **state)
{
	(void)state;
	X509_free(cert);
	X509_free(other);
	EVP_PKEY_free(key);
	dir_remove();
	return 0;
}

static struct ucspissl_settings *
load_server(void)
{
	struct ucspissl_settings *settings = ucspissl_settings_new();

	assert_non_null(settings);
	assert_int_equal(
	    ucspissl_settings_set(settings, "CERTFILE", cert_path), 0);
	assert_int_equal(
	    ucspissl_settings_set(settings, "KEYFILE", key_path), 0);
	assert_int_equal(ucspissl_settings_load(settings, UCSPISSL_SERVER), 0);
	assert_string_equal(ucspissl_settings_error(settings), "");
	assert_null(ucspissl_settings_warning(settings, 0));
	return settings;
}

static struct ucspissl_settings *
load_client(const char *cafile)
{
	struct ucspissl_settings *settings = ucspissl_settings_new();

	assert_int_equal(ucspissl_settings_set(settings, "CAFILE", cafile), 0);
	assert_int_equal(ucspissl_settings_load(settings, UCSPISSL_CLIENT), 0);
	return settings;
}

/* A client and a server over one pair of sockets. */
struct both {
	struct ucspissl_settings *server_settings, *client_settings;
	struct ucspissl_conn *server, *client;
	int fds[2];
};

static void
connect_both(struct both *both, struct ucspissl_settings *server,
    struct ucspissl_settings *client, const char *peer)
{
	both->server_settings = server;
	both->client_settings = client;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, both->fds), 0);
	both->server = ucspissl_conn_server(server, both->fds[0], NULL);
	both->client = ucspissl_conn_client(client, both->fds[1], peer);
	assert_non_null(both->server);
	assert_non_null(both->client);
}

static void
free_both(struct both *both)
{
	ucspissl_conn_free(both->server);
	ucspissl_conn_free(both->client);
	ucspissl_settings_free(both->server_settings);
	ucspissl_settings_free(both->client_settings);
	close(both->fds[0]);
	close(both->fds[1]);
}

static int
waits(enum ucspissl_status status)
{
	return status == UCSPISSL_WANT_READ || status == UCSPISSL_WANT_WRITE;
}

/* In turn, until neither waits or one has failed. */
static void
shake(struct both *both, enum ucspissl_status *server,
    enum ucspissl_status *client)
{
	int i;

	*server = *client = UCSPISSL_WANT_READ;
	for (i = 0; i < 20; i++) {
		if (waits(*client))
			*client = ucspissl_conn_handshake(both->client);
		if (waits(*server))
			*server = ucspissl_conn_handshake(both->server);
	}
}

static void
shake_well(struct both *both)
{
	enum ucspissl_status server, client;

	shake(both, &server, &client);
	assert_int_equal(client, UCSPISSL_OK);
	assert_int_equal(server, UCSPISSL_OK);
}

static void
send_text(struct ucspissl_conn *conn, const char *text)
{
	size_t taken;

	assert_int_equal(
	    ucspissl_conn_write(conn, text, strlen(text), &taken), UCSPISSL_OK);
	assert_int_equal(taken, strlen(text));
	assert_int_equal(ucspissl_conn_flush(conn), UCSPISSL_OK);
}

/*
 * What comes next.  The first answer may be that nothing has: what came was
 * no data, as a session ticket, or an end that is seen at the next look.
 */
static enum ucspissl_status
read_next(struct ucspissl_conn *conn, char *bytes, size_t size, size_t *len)
{
	enum ucspissl_status status = UCSPISSL_WANT_READ;
	int i;

	for (i = 0; i < 5 && waits(status); i++)
		status = ucspissl_conn_read(conn, bytes, size, len);
	return status;
}

static void
expect_text(struct ucspissl_conn *conn, const char *text)
{
	char bytes[100] = "";
	size_t len;

	assert_int_equal(
	    read_next(conn, bytes, sizeof(bytes) - 1, &len), UCSPISSL_OK);
	bytes[len] = '\0';
	assert_string_equal(bytes, text);
}

static void
expect_end(struct ucspissl_conn *conn, enum ucspissl_status end)
{
	char byte;
	size_t len = 1;

	assert_int_equal(read_next(conn, &byte, 1, &len), end);
	assert_int_equal(len, 0);
}

/* What a client has, and what a NULL peer would take, comes and goes. */
static void
test_both_ends(void **state)
{
	struct both both;
	char byte;
	size_t len;

	(void)state;
	connect_both(&both, load_server(), load_client(cert_path), "localhost");
	assert_string_equal(ucspissl_conn_protocol(both.client), "");
	/* Nobody has said anything yet: an answer, no wait. */
	assert_int_equal(
	    ucspissl_conn_handshake(both.server), UCSPISSL_WANT_READ);
	shake_well(&both);
	assert_string_equal(ucspissl_conn_protocol(both.client), "TLSv1.3");
	assert_string_equal(ucspissl_conn_cipher(both.client),
	    ucspissl_conn_cipher(both.server));
	send_text(both.client, "question");
	expect_text(both.server, "question");
	assert_int_equal(ucspissl_conn_read(both.server, &byte, 1, &len),
	    UCSPISSL_WANT_READ);
	assert_int_equal(ucspissl_conn_pending(both.server), 0);
	/* Half-close: the other direction goes on. */
	assert_int_equal(ucspissl_conn_close_notify(both.client), UCSPISSL_OK);
	expect_end(both.server, UCSPISSL_CLOSED);
	send_text(both.server, "answer");
	expect_text(both.client, "answer");
	shutdown(both.fds[0], SHUT_WR);
	expect_end(both.client, UCSPISSL_TRUNCATED);
	assert_string_not_equal(ucspissl_conn_reason(both.client), "");
	free_both(&both);
}

static void
refused(const char *cafile, const char *peer, enum ucspissl_refusal refusal)
{
	enum ucspissl_status server, client;
	struct both both;

	connect_both(&both, load_server(), load_client(cafile), peer);
	shake(&both, &server, &client);
	assert_int_equal(client, UCSPISSL_FAILED);
	assert_int_equal(ucspissl_conn_refusal(both.client), refusal);
	assert_string_not_equal(ucspissl_conn_reason(both.client), "");
	assert_int_equal(server, UCSPISSL_FAILED);
	free_both(&both);
}

static void
test_refused_servers(void **state)
{
	(void)state;
	refused(other_path, "localhost", UCSPISSL_BAD_CERT);
	refused(cert_path, "elsewhere", UCSPISSL_BAD_NAME);
	refused(cert_path, "127.0.0.1", UCSPISSL_BAD_NAME);
}

static void
fails(struct ucspissl_settings *settings, enum ucspissl_side side,
    const char *word)
{
	assert_int_equal(ucspissl_settings_load(settings, side), -1);
	assert_non_null(strstr(ucspissl_settings_error(settings), word));
	/* And there is no second try, nor a connection. */
	assert_int_equal(ucspissl_settings_load(settings, side), -1);
	assert_null(ucspissl_conn_server(settings, 0, NULL));
	assert_int_equal(errno, EINVAL);
	ucspissl_settings_free(settings);
}

static int
no_signer(void *arg, size_t number, unsigned scheme, const unsigned char *text,
    size_t len, unsigned char *signature, size_t size)
{
	(void)arg;
	(void)number;
	(void)scheme;
	(void)text;
	(void)len;
	(void)signature;
	(void)size;
	return -1;
}

static struct ucspissl_settings *
with(const char *name, const char *value)
{
	struct ucspissl_settings *settings = ucspissl_settings_new();

	ucspissl_settings_set(settings, "CERTFILE", cert_path);
	ucspissl_settings_set(settings, "KEYFILE", key_path);
	assert_int_equal(ucspissl_settings_set(settings, name, value), 0);
	return settings;
}

static void
test_settings_that_fail(void **state)
{
	struct ucspissl_settings *settings;

	(void)state;
	fails(with("CERTFILE", "/nowhere"), UCSPISSL_SERVER, "/nowhere");
	fails(with("KEYFILE", cert_path), UCSPISSL_SERVER, "no private key");
	fails(with("CIPHERS", "NONSENSE"), UCSPISSL_SERVER, "CIPHERS");
	fails(with("VERIFYDEPTH", "x"), UCSPISSL_SERVER, "VERIFYDEPTH");
	fails(with("TLSMIN", "2"), UCSPISSL_SERVER, "TLSMIN");
	fails(with("ALPN", "a,,b"), UCSPISSL_CLIENT, "ALPN");
	settings = with("CERTFILE", cert_path);
	assert_int_equal(
	    ucspissl_settings_signer(settings, no_signer, NULL), 0);
	fails(settings, UCSPISSL_SERVER, "KEYFILE beside");
	settings = ucspissl_settings_new();
	assert_int_equal(ucspissl_settings_set(settings, "PATH", "x"), -1);
	assert_non_null(strstr(ucspissl_settings_error(settings), "PATH"));
	ucspissl_settings_free(settings);
	ucspissl_settings_free(NULL);
	ucspissl_conn_free(NULL);
}

static void
test_what_is_loaded_stays(void **state)
{
	struct ucspissl_settings *settings = load_server();

	(void)state;
	assert_int_equal(ucspissl_settings_set(settings, "SNI", ""), -1);
	assert_int_equal(
	    ucspissl_settings_demand(settings, UCSPISSL_DEMAND_CERT), -1);
	assert_int_equal(
	    ucspissl_settings_signer(settings, no_signer, NULL), -1);
	/* A server's are no client's. */
	assert_null(ucspissl_conn_client(settings, 0, "localhost"));
	assert_int_equal(errno, EINVAL);
	ucspissl_settings_free(settings);
}

static void
test_a_warning(void **state)
{
	struct ucspissl_settings *settings = with("CERTFILE", old_path);

	(void)state;
	assert_int_equal(ucspissl_settings_load(settings, UCSPISSL_SERVER), 0);
	assert_non_null(
	    strstr(ucspissl_settings_warning(settings, 0), "has expired"));
	assert_null(ucspissl_settings_warning(settings, 1));
	ucspissl_settings_free(settings);
}

/* One who is asked for a name needs one. */
static void
test_missing_peer(void **state)
{
	struct ucspissl_settings *settings = load_client(cert_path);

	(void)state;
	assert_null(ucspissl_conn_client(settings, 0, NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(ucspissl_conn_client(settings, 0, ""));
	assert_int_equal(errno, EINVAL);
	ucspissl_settings_free(settings);
}

/*
 * Client certificates
 */

static void
client_cert(enum ucspissl_demand demand, const char *peer, int has_cert,
    enum ucspissl_refusal refusal)
{
	struct ucspissl_settings *server = with("CAFILE", cert_path);
	struct ucspissl_settings *client = with("CAFILE", cert_path);
	enum ucspissl_status s, c;
	struct both both;

	if (!has_cert) {
		ucspissl_settings_set(client, "CERTFILE", NULL);
		ucspissl_settings_set(client, "KEYFILE", NULL);
	}
	assert_int_equal(ucspissl_settings_demand(server, demand), 0);
	assert_int_equal(ucspissl_settings_load(server, UCSPISSL_SERVER), 0);
	assert_int_equal(ucspissl_settings_load(client, UCSPISSL_CLIENT), 0);
	both.server_settings = server;
	both.client_settings = client;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, both.fds), 0);
	both.server = ucspissl_conn_server(server, both.fds[0], peer);
	both.client = ucspissl_conn_client(client, both.fds[1], "localhost");
	assert_non_null(both.server);
	shake(&both, &s, &c);
	assert_int_equal(
	    s, refusal == UCSPISSL_NOT_REFUSED ? UCSPISSL_OK : UCSPISSL_FAILED);
	assert_int_equal(ucspissl_conn_refusal(both.server), refusal);
	free_both(&both);
}

static void
test_client_certificates(void **state)
{
	(void)state;
	client_cert(UCSPISSL_DEMAND_CERT, NULL, 1, UCSPISSL_NOT_REFUSED);
	client_cert(UCSPISSL_DEMAND_CERT, NULL, 0, UCSPISSL_NO_CERT);
	client_cert(UCSPISSL_DEMAND_NAME, "localhost", 1, UCSPISSL_NOT_REFUSED);
	client_cert(UCSPISSL_DEMAND_NAME, "elsewhere", 1, UCSPISSL_BAD_NAME);
}

/*
 * A key that is elsewhere
 */

struct key_process {
	struct ucspissl_settings *settings;
	unsigned asked;
};

static int
ask(void *arg, size_t number, unsigned scheme, const unsigned char *text,
    size_t len, unsigned char *signature, size_t size)
{
	struct key_process *process = arg;

	process->asked++;
	return ucspissl_settings_sign(
	    process->settings, number, scheme, text, len, signature, size);
}

static struct ucspissl_settings *
load_keyless(ucspissl_sign_fn *fn, void *arg)
{
	struct ucspissl_settings *settings = ucspissl_settings_new();

	ucspissl_settings_set(settings, "CERTFILE", cert_path);
	assert_int_equal(ucspissl_settings_signer(settings, fn, arg), 0);
	assert_int_equal(ucspissl_settings_load(settings, UCSPISSL_SERVER), 0);
	return settings;
}

static void
test_signer(void **state)
{
	struct key_process process = { load_server(), 0 };
	unsigned char signature[600];
	struct both both;

	(void)state;
	connect_both(&both, load_keyless(ask, &process), load_client(cert_path),
	    "localhost");
	shake_well(&both);
	assert_int_equal(process.asked, 1);
	/* Nothing but handshakes is signed, by no key but those there. */
	errno = 0;
	assert_int_equal(ucspissl_settings_sign(process.settings, 0, 0x0403,
			     (const unsigned char *)"a cheque", 8, signature,
			     sizeof(signature)),
	    -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(
	    ucspissl_settings_sign(process.settings, 1, 0x0403,
		(const unsigned char *)"", 0, signature, sizeof(signature)),
	    -1);
	/* The one without a key has none to sign with. */
	assert_int_equal(
	    ucspissl_settings_sign(both.server_settings, 0, 0x0403,
		(const unsigned char *)"", 0, signature, sizeof(signature)),
	    -1);
	free_both(&both);
	ucspissl_settings_free(process.settings);
}

static void
test_signer_that_refuses(void **state)
{
	enum ucspissl_status server, client;
	struct both both;

	(void)state;
	connect_both(&both, load_keyless(no_signer, NULL),
	    load_client(cert_path), "localhost");
	shake(&both, &server, &client);
	assert_int_equal(server, UCSPISSL_FAILED);
	assert_int_equal(client, UCSPISSL_FAILED);
	free_both(&both);
}

/*
 * Facts
 */

struct seen {
	unsigned count;
	char sni[100];
	int stops;
};

static int
note(void *arg, const char *name, const char *value, size_t len)
{
	struct seen *seen = arg;

	seen->count++;
	assert_int_equal(strlen(value), len);
	if (strcmp(name, "SSL_TLS_SNI") == 0)
		snprintf(seen->sni, sizeof(seen->sni), "%s", value);
	return seen->stops ? -1 : 0;
}

static const char *
value_in(char **environment, const char *name)
{
	size_t len = strlen(name);

	for (; *environment != NULL; environment++)
		if (strncmp(*environment, name, len) == 0 &&
		    (*environment)[len] == '=')
			return *environment + len + 1;
	return NULL;
}

static void
test_facts(void **state)
{
	char *base[] = { (char[]){ "HOME=/" },
		(char[]){ "SSL_CLIENT_S_DN=/CN=a liar" },
		(char[]){ "SSL_CERT_FILE=/x" }, NULL };
	struct seen seen = { 0, "", 0 }, stopped = { 0, "", 1 };
	char **environment;
	struct both both;

	(void)state;
	connect_both(&both, load_server(), load_client(cert_path), "localhost");
	shake_well(&both);
	assert_int_equal(ucspissl_conn_facts(both.server, note, &seen), 0);
	assert_true(seen.count > 20);
	assert_string_equal(seen.sni, "localhost");
	assert_int_equal(ucspissl_conn_facts(both.server, note, &stopped), -1);
	assert_int_equal(stopped.count, 1);
	environment = ucspissl_conn_environment(both.server, base);
	assert_non_null(environment);
	assert_string_equal(value_in(environment, "HOME"), "/");
	assert_string_equal(value_in(environment, "SSL_CERT_FILE"), "/x");
	assert_null(value_in(environment, "SSL_CLIENT_S_DN"));
	assert_string_equal(value_in(environment, "SSL_PROTOCOL"), "TLSv1.3");
	assert_string_equal(
	    value_in(environment, "SSL_SERVER_S_DN"), "/CN=localhost");
	free(environment);
	environment = ucspissl_conn_environment(both.client, NULL);
	assert_string_equal(
	    value_in(environment, "SSL_SERVER_S_DN_CN"), "localhost");
	free(environment);
	free_both(&both);
}

/*
 * Threads: settings are shared, connections are not
 */

struct thread {
	struct ucspissl_settings *server, *client;
	unsigned done;
};

static void *
run_handshakes(void *arg)
{
	struct thread *thread = arg;
	enum ucspissl_status server, client;
	char **environment;
	struct both both;
	unsigned i;

	for (i = 0; i < 25; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, both.fds) == -1)
			break;
		both.server =
		    ucspissl_conn_server(thread->server, both.fds[0], NULL);
		both.client = ucspissl_conn_client(
		    thread->client, both.fds[1], "localhost");
		shake(&both, &server, &client);
		environment = ucspissl_conn_environment(both.server, NULL);
		if (server == UCSPISSL_OK && client == UCSPISSL_OK &&
		    environment != NULL)
			thread->done++;
		free(environment);
		ucspissl_conn_free(both.server);
		ucspissl_conn_free(both.client);
		close(both.fds[0]);
		close(both.fds[1]);
	}
	return NULL;
}

/* Loads its own, at the same time as the others. */
static void *
run_loading(void *arg)
{
	struct thread *thread = arg;
	unsigned i;

	for (i = 0; i < 5; i++) {
		struct ucspissl_settings *settings = ucspissl_settings_new();

		ucspissl_settings_set(settings, "CERTFILE", cert_path);
		ucspissl_settings_set(settings, "KEYFILE", key_path);
		if (ucspissl_settings_load(settings, UCSPISSL_SERVER) == 0)
			thread->done++;
		ucspissl_settings_free(settings);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct thread threads[3] = { { NULL, NULL, 0 } };
	struct ucspissl_settings *server = load_server();
	struct ucspissl_settings *client = load_client(cert_path);
	pthread_t ids[3];
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		threads[i].server = server;
		threads[i].client = client;
		assert_int_equal(
		    pthread_create(&ids[i], NULL,
			i < 2 ? run_handshakes : run_loading, &threads[i]),
		    0);
	}
	for (i = 0; i < 3; i++)
		pthread_join(ids[i], NULL);
	assert_int_equal(threads[0].done, 25);
	assert_int_equal(threads[1].done, 25);
	assert_int_equal(threads[2].done, 5);
	ucspissl_settings_free(server);
	ucspissl_settings_free(client);
}

/*
 * Relay
 */

static void
test_relay(void **state)
{
	int in[2], out[2], status;
	struct both both;
	pid_t pid;

	(void)state;
	connect_both(&both, load_server(), load_client(cert_path), "localhost");
	shake_well(&both);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	send_text(both.client, "to the program");
	assert_int_equal(ucspissl_conn_close_notify(both.client), UCSPISSL_OK);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("/bin/cat", "cat", (char *)NULL);
		_exit(111);
	}
	close(in[0]);
	close(out[1]);
	assert_int_equal(
	    ucspissl_conn_relay(both.server, &in[1], &out[0], 60000, -1),
	    UCSPISSL_END_CLEAN);
	assert_int_equal(in[1], -1);
	assert_int_equal(out[0], -1);
	assert_int_equal(ucspissl_conn_was_truncated(both.server), 0);
	assert_string_equal(ucspissl_conn_reason(both.server), "");
	expect_text(both.client, "to the program");
	expect_end(both.client, UCSPISSL_CLOSED);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	free_both(&both);
}

static void
test_relay_that_is_cancelled(void **state)
{
	int in[2], out[2], cancel[2];
	struct both both;

	(void)state;
	connect_both(&both, load_server(), load_client(cert_path), "localhost");
	shake_well(&both);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(cancel), 0);
	close(cancel[1]);
	assert_int_equal(
	    ucspissl_conn_relay(both.server, &in[1], &out[0], 0, cancel[0]),
	    UCSPISSL_END_CANCELLED);
	/* So that a program can be told before its input ends. */
	assert_int_not_equal(in[1], -1);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
	close(cancel[0]);
	free_both(&both);
}

/*
 * UCSPI-TLS
 */

/* The program: reads too much, asks, and tells what it sees, by its exit. */
__attribute__((noreturn)) static void
be_program(struct ucspissl_offer *offer, int plain_fd, int wants_facts)
{
	char bytes[100], *facts = NULL;
	size_t buffered, len;

	dup2(plain_fd, 0);
	dup2(plain_fd, 1);
	if (ucspissl_offer_enter(offer) == -1 || !ucspissl_request_possible())
		_exit(1);
	/* stdin takes all that is there, and we have one byte of it. */
	if (getchar() != 'S')
		_exit(2);
	buffered = 1;
	if (ucspissl_request(&buffered, wants_facts ? &facts : NULL, &len) ==
	    -1)
		_exit(errno == ECONNABORTED ? 10 : 3);
	if (buffered != 0 || ucspissl_request_possible() ||
	    getenv("SSLCTLFD") != NULL)
		_exit(4);
	if (wants_facts &&
	    (len < 100 || strncmp(facts, "SSL_VERSION_INTERFACE=", 22) != 0 ||
		facts[len - 1] != '\0' || facts[len - 2] != '\0'))
		_exit(5);
	free(facts);
	len = fread(bytes, 1, 6, stdin);
	_exit(len == 6 && memcmp(bytes, "inside", 6) == 0 ? 0 : 6);
}

static enum ucspissl_wish
await_wish(const struct ucspissl_offer *offer)
{
	struct pollfd wait = { .fd = offer->control_fd, .events = POLLIN };
	enum ucspissl_wish wish;

	while ((wish = ucspissl_offer_wish(offer)) == UCSPISSL_WISH_NONE)
		poll(&wait, 1, -1);
	return wish;
}

static int
exit_of(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static pid_t
start_program(struct ucspissl_offer *offer, int plain_fd, int wants_facts)
{
	pid_t pid;

	assert_int_equal(ucspissl_offer_open(offer), 0);
	assert_int_equal(ucspissl_offer_wish(offer), UCSPISSL_WISH_NONE);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		be_program(offer, plain_fd, wants_facts);
	ucspissl_offer_keep(offer);
	return pid;
}

static void
delayed(int wants_facts)
{
	struct ucspissl_offer offer;
	struct both both;
	pid_t pid;

	connect_both(&both, load_server(), load_client(cert_path), "localhost");
	pid = start_program(&offer, both.fds[0], wants_facts);
	assert_int_equal(write(both.fds[1], "STARTTLS and more", 17), 17);
	assert_int_equal(await_wish(&offer),
	    wants_facts ? UCSPISSL_WISH_TLS_FACTS : UCSPISSL_WISH_TLS);
	shake_well(&both);
	if (wants_facts)
		assert_int_equal(ucspissl_offer_facts(&offer, both.server), 0);
	send_text(both.client, "inside");
	assert_int_equal(ucspissl_conn_close_notify(both.client), UCSPISSL_OK);
	assert_int_equal(ucspissl_conn_relay(both.server, &offer.program_in,
			     &offer.program_out, 60000, -1),
	    UCSPISSL_END_CLEAN);
	assert_int_equal(exit_of(pid), 0);
	ucspissl_offer_close(&offer);
	free_both(&both);
}

static void
test_delayed(void **state)
{
	(void)state;
	delayed(0);
	delayed(1);
}

/* A handshake that fails is told to who waits for facts. */
static void
test_delayed_that_fails(void **state)
{
	struct ucspissl_offer offer;
	struct both both;
	pid_t pid;

	(void)state;
	connect_both(&both, load_server(), load_client(cert_path), "localhost");
	pid = start_program(&offer, both.fds[0], 1);
	assert_int_equal(write(both.fds[1], "STARTTLS", 8), 8);
	assert_int_equal(await_wish(&offer), UCSPISSL_WISH_TLS_FACTS);
	ucspissl_offer_close(&offer);
	assert_int_equal(exit_of(pid), 10);
	free_both(&both);
}

static void
test_wishes(void **state)
{
	struct ucspissl_offer offer;

	(void)state;
	assert_int_equal(ucspissl_offer_open(&offer), 0);
	assert_int_equal(write(offer.theirs[0], "x", 1), 1);
	assert_int_equal(await_wish(&offer), UCSPISSL_WISH_BAD);
	close(offer.theirs[0]);
	offer.theirs[0] = -1;
	assert_int_equal(await_wish(&offer), UCSPISSL_WISH_PLAIN);
	ucspissl_offer_close(&offer);
	/* Nobody offers anything here. */
	assert_int_equal(ucspissl_request_possible(), 0);
	assert_int_equal(ucspissl_request(NULL, NULL, NULL), -1);
	assert_int_equal(errno, ENOTCONN);
}

static void
test_versions(void **state)
{
	(void)state;
	assert_true(ucspissl_version()[0] >= '0');
	assert_non_null(strstr(ucspissl_tls_library(), "SSL"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ends),
		cmocka_unit_test(test_refused_servers),
		cmocka_unit_test(test_settings_that_fail),
		cmocka_unit_test(test_what_is_loaded_stays),
		cmocka_unit_test(test_a_warning),
		cmocka_unit_test(test_missing_peer),
		cmocka_unit_test(test_client_certificates),
		cmocka_unit_test(test_signer),
		cmocka_unit_test(test_signer_that_refuses),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_relay_that_is_cancelled),
		cmocka_unit_test(test_delayed),
		cmocka_unit_test(test_delayed_that_fails),
		cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, prepare, clean_up);
}
