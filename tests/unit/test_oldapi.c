/*
 * test_oldapi: each function of ucspi-ssl 0.12, called as its programs do.
 *
 * A client and a server in two threads over a socket pair; both ends use
 * the old functions.
 */
#include <ucspissl_compat.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "tlsutil.h"

static char cert_path[200], key_path[200], other_path[200], chain_path[200],
    locked_path[200], dh_path[200], empty_path[200];
static EVP_PKEY *key, *other_key;
static X509 *cert;

static void
path_of(char *path, const char *name)
{
	snprintf(path, 200, "%s/%s", util_dir, name);
}

static FILE *
create(char *path, const char *name)
{
	FILE *file;

	path_of(path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	return file;
}

static void
write_files(void)
{
	FILE *file = create(cert_path, "cert.pem");

	PEM_write_X509(file, cert);
	fclose(file);
	file = create(key_path, "key.pem");
	PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	file = create(other_path, "other.pem");
	PEM_write_PrivateKey(file, other_key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	file = create(chain_path, "chain.pem");
	PEM_write_X509(file, cert);
	PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	file = create(locked_path, "locked.pem");
	PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(),
	    (unsigned char *)(uintptr_t) "secret", 6, NULL, NULL);
	fclose(file);
	fclose(create(empty_path, "empty.pem"));
	file = create(dh_path, "dh.pem");
	fputs(
	    "-----BEGIN DH PARAMETERS-----\n"
	    "MIGHAoGBAOtCfSEuweyiNyZzUL0uQ/l7OtKkW2fvKS2doz8nHlx00qjdFPj1fRTT\n"
	    "1ALlMLfvjEjF2dKLOVPUDS4vrBlfYEvypKqD8YF+RqCooLAXgfLfXNBgsnZ94rch\n"
	    "jQP0BkxDV/NQ5wCFZZ8hLxovI/G0DT17Dj7MIEgCzKmIt+mqcCKvAgEC\n"
	    "-----END DH PARAMETERS-----\n",
	    file);
	fclose(file);
}

static int
prepare(void **state)
{
	(void)state;
	dir_make();
	signal(SIGPIPE, SIG_IGN);
	key = make_key("P-256");
	other_key = make_key("P-256");
	cert = make_cert("localhost", key, "localhost", key);
	write_files();
	return 0;
}

static int
clean_up(void **state)
{
	(void)state;
	X509_free(cert);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
	dir_remove();
	return 0;
}

/*
 * Contexts and files
 */

static void
test_context(void **state)
{
	SSL_CTX *server = ssl_server(), *client = ssl_client();

	(void)state;
	assert_non_null(server);
	assert_non_null(client);
	assert_int_equal(SSL_CTX_get_min_proto_version(server), TLS1_2_VERSION);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	assert_null(ssl_context(NULL));
	ERR_clear_error();
}

static void
test_new(void **state)
{
	SSL_CTX *ctx = ssl_server();
	int fd = open("/dev/null", O_RDONLY);
	SSL *ssl = ssl_new(ctx, fd);

	(void)state;
	assert_non_null(ssl);
	assert_int_equal(SSL_get_fd(ssl), fd);
	assert_int_equal(ssl_pending(ssl), 0);
	assert_int_equal(ssl_shutdown_pending(ssl), 0);
	assert_int_equal(ssl_shutdown_sent(ssl), 0);
	assert_int_equal(ssl_close(ssl), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	ssl_free(ssl);
	SSL_CTX_free(ctx);
}

static int
say_secret(char *buf, int size, int rwflag, void *arg)
{
	(void)rwflag;
	(void)arg;
	return snprintf(buf, (size_t)size, "secret");
}

static void
test_certkey(void **state)
{
	SSL_CTX *ctx = ssl_server();

	(void)state;
	assert_int_equal(ssl_certkey(ctx, NULL, NULL, NULL), 0);
	assert_int_equal(ssl_certkey(ctx, "/nowhere", key_path, NULL), -1);
	assert_int_equal(ssl_certkey(ctx, cert_path, "/nowhere", NULL), -2);
	assert_int_equal(ssl_certkey(ctx, cert_path, cert_path, NULL), -2);
	assert_true(ssl_certkey(ctx, cert_path, other_path, NULL) < -1);
	assert_int_equal(ssl_certkey(ctx, cert_path, key_path, NULL), 0);
	assert_int_equal(ssl_certkey(ctx, chain_path, NULL, NULL), 0);
	assert_int_equal(
	    ssl_certkey(ctx, cert_path, locked_path, say_secret), 0);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

static void
test_chainfile(void **state)
{
	SSL_CTX *ctx = ssl_server();

	(void)state;
	assert_int_equal(ssl_chainfile(ctx, NULL, NULL, NULL), 0);
	assert_int_equal(ssl_chainfile(ctx, empty_path, key_path, NULL), -1);
	assert_int_equal(ssl_chainfile(ctx, cert_path, empty_path, NULL), -2);
	assert_int_equal(ssl_chainfile(ctx, chain_path, key_path, NULL), 0);
	assert_int_equal(ssl_chainfile(ctx, chain_path, NULL, NULL), 0);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

static void
test_ca(void **state)
{
	SSL_CTX *ctx = ssl_client();

	(void)state;
	assert_int_equal(ssl_ca(ctx, NULL, NULL, 1), 0);
	assert_int_equal(ssl_ca(ctx, "/nowhere", NULL, 1), 0);
	assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_NONE);
	assert_int_equal(ssl_ca(ctx, cert_path, NULL, 3), 1);
	assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_PEER);
	assert_int_equal(SSL_CTX_get_verify_depth(ctx), 3);
	assert_int_equal(ssl_ca(ctx, NULL, util_dir, 1), 1);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

static void
test_cca(void **state)
{
	SSL_CTX *ctx = ssl_server();

	(void)state;
	assert_int_equal(ssl_cca(ctx, NULL), 1);
	assert_int_equal(ssl_cca(ctx, "/nowhere"), 0);
	assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_NONE);
	assert_int_equal(ssl_cca(ctx, cert_path), 1);
	assert_int_equal(sk_X509_NAME_num(SSL_CTX_get_client_CA_list(ctx)), 1);
	assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_PEER);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

static void
test_ciphers(void **state)
{
	SSL_CTX *ctx = ssl_server();

	(void)state;
	assert_int_equal(ssl_ciphers(ctx, NULL), 1);
	assert_int_equal(ssl_ciphers(ctx, "NONSENSE"), 0);
	assert_int_equal(ssl_ciphers(ctx,
			     "TLS_AES_128_GCM_SHA256:"
			     "ECDHE-ECDSA-AES128-GCM-SHA256"),
	    1);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

static void
test_params_rsa(void **state)
{
	SSL_CTX *ctx = ssl_server();

	(void)state;
	assert_int_equal(ssl_params_rsa(ctx, SSL_RSA_LEN), 1);
	SSL_CTX_free(ctx);
}

static void
test_params_dh(void **state)
{
	SSL_CTX *ctx = ssl_server();

	(void)state;
	/* 1024 bits, which a modern level refuses. */
	SSL_CTX_set_security_level(ctx, 0);
	assert_int_equal(ssl_params_dh(ctx, NULL), 1);
	assert_int_equal(ssl_params_dh(ctx, "/nowhere"), 0);
	assert_int_equal(ssl_params_dh(ctx, cert_path), 0);
	assert_int_equal(ssl_params_dh(ctx, dh_path), 1);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

/*
 * Two ends
 */

struct both {
	SSL_CTX *server_ctx, *client_ctx;
	SSL *server, *client;
	int fds[2];
	int accepted;
	const char *ciphers;
	int demands;  /* the server asks for a certificate */
	int has_cert; /* and the client has one */
	int ca_is_known;
};

static void *
run_accept(void *arg)
{
	struct both *both = arg;

	both->accepted = ssl_timeoutaccept(both->server, 60);
	return NULL;
}

static void
connect_both(struct both *both)
{
	pthread_t thread;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, both->fds), 0);
	both->server_ctx = ssl_server();
	both->client_ctx = ssl_client();
	assert_int_equal(
	    ssl_certkey(both->server_ctx, cert_path, key_path, NULL), 0);
	if (both->has_cert)
		assert_int_equal(
		    ssl_certkey(both->client_ctx, cert_path, key_path, NULL),
		    0);
	if (both->demands)
		assert_int_equal(
		    ssl_ca(both->server_ctx, cert_path, NULL, 1), 1);
	if (both->ca_is_known)
		assert_int_equal(
		    ssl_ca(both->client_ctx, cert_path, NULL, 1), 1);
	assert_int_equal(ssl_ciphers(both->client_ctx, both->ciphers), 1);
	both->server = ssl_new(both->server_ctx, both->fds[0]);
	both->client = ssl_new(both->client_ctx, both->fds[1]);
	thread = in_thread(run_accept, both);
	assert_int_equal(ssl_timeoutconn(both->client, 60), 0);
	pthread_join(thread, NULL);
	assert_int_equal(both->accepted, 0);
}

static void
free_both(struct both *both)
{
	ssl_free(both->server);
	ssl_free(both->client);
	SSL_CTX_free(both->server_ctx);
	SSL_CTX_free(both->client_ctx);
	close(both->fds[0]);
	close(both->fds[1]);
}

/* Both, and what ssl_ciphers has chosen. */
static void
test_timeoutconn_and_accept(void **state)
{
	struct both both = { .ciphers = "TLS_AES_128_GCM_SHA256" };

	(void)state;
	connect_both(&both);
	assert_string_equal(
	    SSL_get_cipher_name(both.server), "TLS_AES_128_GCM_SHA256");
	/* The sockets block again, as they did. */
	assert_int_equal(fcntl(both.fds[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(both.fds[1], F_GETFL) & O_NONBLOCK, 0);
	free_both(&both);
}

static void
silent(int (*handshake)(SSL *, unsigned), SSL_CTX *ctx)
{
	int fds[2];
	SSL *ssl;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ssl = ssl_new(ctx, fds[0]);
	errno = 0;
	assert_int_equal(handshake(ssl, 1), -1);
	assert_int_equal(errno, ETIMEDOUT);
	/* Somebody who is no TLS peer is another matter. */
	ssl_free(ssl);
	ssl = ssl_new(ctx, fds[0]);
	assert_int_equal(write(fds[1], "220 hello there\r\n", 17), 17);
	assert_int_equal(handshake(ssl, 60), -1);
	assert_int_not_equal(errno, ETIMEDOUT);
	assert_int_equal(ssl_errno, SSL_ERROR_SSL);
	ssl_free(ssl);
	SSL_CTX_free(ctx);
	close(fds[0]);
	close(fds[1]);
	ERR_clear_error();
}

static void
test_timeouts(void **state)
{
	(void)state;
	silent(ssl_timeoutconn, ssl_client());
	silent(ssl_timeoutaccept, ssl_server());
}

static void
test_verify(void **state)
{
	struct both both = { .ca_is_known = 1, .demands = 1, .has_cert = 1 };
	stralloc name = { NULL, 0, 0 };

	(void)state;
	connect_both(&both);
	assert_int_equal(ssl_verify(both.client, NULL, NULL), 0);
	assert_int_equal(ssl_verify(both.client, "localhost", &name), 0);
	assert_int_equal(name.len, 9);
	assert_memory_equal(name.s, "localhost", 9);
	name.len = 0;
	assert_int_equal(ssl_verify(both.client, "elsewhere", &name), -3);
	assert_int_equal(name.len, 9);
	assert_int_equal(ssl_verify(both.client, "127.0.0.1", NULL), -3);
	assert_int_equal(ssl_verify(both.server, "localhost", NULL), 0);
	free(name.s);
	free_both(&both);
	both = (struct both){ .demands = 1 };
	connect_both(&both);
	assert_int_equal(ssl_verify(both.server, NULL, NULL), -1);
	/* Nobody to believe: whatever is asked, it is not valid. */
	assert_int_equal(ssl_verify(both.client, NULL, NULL), -2);
	assert_int_equal(ssl_verify(both.client, "elsewhere", NULL), -2);
	free_both(&both);
}

/* The value in a block of NAME=value NUL, or NULL. */
static const char *
value_in(const stralloc *env, const char *name)
{
	size_t len = strlen(name), at;

	for (at = 0; at < env->len; at += strlen(env->s + at) + 1)
		if (strncmp(env->s + at, name, len) == 0 &&
		    env->s[at + len] == '=')
			return env->s + at + len + 1;
	return NULL;
}

static void
test_env(void **state)
{
	struct both both = { .ca_is_known = 1, .demands = 1, .has_cert = 1 };
	stralloc env = { NULL, 0, 0 };

	(void)state;
	connect_both(&both);
	assert_int_equal(ssl_server_env(both.server, &env), 1);
	/* Where old programs look. */
	assert_string_equal(env.s, "SSL_PROTOCOL=TLSv1.3");
	assert_string_equal(value_in(&env, "SSL_CLIENT_S_DN"), "/CN=localhost");
	assert_string_equal(value_in(&env, "SSL_CLIENT_VERIFY"), "SUCCESS");
	assert_non_null(value_in(&env, "SSL_VERSION_INTERFACE"));
	env.len = 0;
	assert_int_equal(ssl_client_env(both.client, &env), 1);
	assert_string_equal(value_in(&env, "SSL_SERVER_S_DN_CN"), "localhost");
	unsetenv("SSL_SERVER_S_DN_CN");
	assert_int_equal(ssl_client_env(both.client, NULL), 1);
	assert_string_equal(getenv("SSL_SERVER_S_DN_CN"), "localhost");
	free(env.s);
	free_both(&both);
}

struct relaying {
	SSL *ssl;
	int in, out, result, error;
	unsigned timeout;
};

static void *
run_relay(void *arg)
{
	struct relaying *relaying = arg;

	relaying->result = ssl_io(
	    relaying->ssl, relaying->in, relaying->out, relaying->timeout);
	relaying->error = errno;
	return NULL;
}

static void
test_io(void **state)
{
	struct relaying relaying = { .timeout = 60 };
	struct both both = { .ciphers = NULL };
	int in[2], out[2];
	pthread_t thread;
	char bytes[10];

	(void)state;
	connect_both(&both);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	relaying.ssl = both.server;
	relaying.in = in[1];
	relaying.out = out[0];
	thread = in_thread(run_relay, &relaying);
	assert_int_equal(SSL_write(both.client, "hello", 5), 5);
	assert_int_equal(read(in[0], bytes, sizeof(bytes)), 5);
	assert_memory_equal(bytes, "hello", 5);
	assert_int_equal(write(out[1], "answer", 6), 6);
	SSL_set_mode(both.client, SSL_MODE_AUTO_RETRY);
	assert_int_equal(SSL_read(both.client, bytes, sizeof(bytes)), 6);
	close(out[1]);
	assert_int_equal(SSL_read(both.client, bytes, sizeof(bytes)), 0);
	assert_true(ssl_shutdown_pending(both.client) != 0);
	ssl_shutdown(both.client);
	assert_true(ssl_shutdown_sent(both.client) != 0);
	assert_int_equal(read(in[0], bytes, sizeof(bytes)), 0);
	pthread_join(thread, NULL);
	assert_int_equal(relaying.result, 0);
	assert_int_equal(fcntl(in[1], F_GETFD), -1);
	assert_int_equal(fcntl(out[0], F_GETFD), -1);
	close(in[0]);
	free_both(&both);
}

static void
test_io_that_idles(void **state)
{
	struct relaying relaying = { .timeout = 1 };
	struct both both = { .ciphers = NULL };
	int in[2], out[2];

	(void)state;
	connect_both(&both);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	relaying.ssl = both.server;
	relaying.in = in[1];
	relaying.out = out[0];
	run_relay(&relaying);
	assert_int_equal(relaying.result, -1);
	assert_int_equal(relaying.error, ETIMEDOUT);
	/* And the connection is the caller's again. */
	assert_int_equal(SSL_get_fd(both.server), both.fds[0]);
	close(in[0]);
	close(out[1]);
	free_both(&both);
}

/*
 * Errors
 */

static unsigned errors_seen;

static int
count_error(const char *text)
{
	assert_non_null(strstr(text, "error:"));
	errors_seen++;
	return 0;
}

static int
stop_at_once(const char *text)
{
	(void)text;
	errors_seen++;
	return 7;
}

static void
test_error(void **state)
{
	SSL_CTX *ctx = ssl_server();

	(void)state;
	ssl_errstr();
	ERR_clear_error();
	assert_int_equal(ssl_error(count_error), 0);
	assert_int_equal(errors_seen, 0);
	assert_int_equal(ssl_certkey(ctx, "/nowhere", NULL, NULL), -1);
	assert_int_equal(ssl_error(count_error), 0);
	assert_true(errors_seen > 0);
	assert_int_equal(ERR_peek_error(), 0);
	errors_seen = 0;
	assert_int_equal(ssl_certkey(ctx, "/nowhere", NULL, NULL), -1);
	assert_int_equal(ssl_error(stop_at_once), 7);
	assert_int_equal(errors_seen, 1);
	ERR_clear_error();
	SSL_CTX_free(ctx);
}

static void
test_error_str(void **state)
{
	(void)state;
	assert_string_equal(ssl_error_str(SSL_ERROR_NONE), "no error");
	assert_string_equal(
	    ssl_error_str(SSL_ERROR_ZERO_RETURN), "closed by the peer");
	assert_string_equal(ssl_error_str(-1), "unknown error");
	assert_string_equal(ssl_error_str(1000), "unknown error");
}

/* The layout that programs were compiled with. */
static void
test_stralloc(void **state)
{
	(void)state;
	assert_int_equal(offsetof(stralloc, s), 0);
	assert_int_equal(offsetof(stralloc, len), sizeof(char *));
	assert_int_equal(
	    offsetof(stralloc, a), sizeof(char *) + sizeof(unsigned));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_certkey),
		cmocka_unit_test(test_chainfile),
		cmocka_unit_test(test_ca),
		cmocka_unit_test(test_cca),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_params_rsa),
		cmocka_unit_test(test_params_dh),
		cmocka_unit_test(test_timeoutconn_and_accept),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_io_that_idles),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_error_str),
		cmocka_unit_test(test_stralloc),
	};

	return cmocka_run_group_tests(tests, prepare, clean_up);
}
