/*
 * test_relay: both directions, every end, and that nothing spins.
 *
 * The relay runs in a thread; the client is another, over loopback TCP;
 * the test itself is the program at the other ends of the pipes.
 */
#include "tls/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "tlsutil.h"

static struct server server;

struct scene {
	struct relay relay;
	struct relay_result result;
	int client_fd, socket_fd;    /* the client's end, the relay's */
	int program_in, program_out; /* the relay's ends */
	int in, out;		     /* the program's: 0 and 1 */
	int cancel[2];
	int truncations, answer; /* of the callback */
	int rests[2];		 /* a byte for each */
	bool input_open_at_truncation;
	double cpu; /* seconds the relay used */
	struct timespec began, ended;
	SSL_CTX *ctx;
	SSL *ssl; /* the client */
	pthread_t thread, writer;
};

static void *
connect_client(void *arg)
{
	struct scene *scene = arg;

	assert_int_equal(SSL_connect(scene->ssl), 1);
	return NULL;
}

static void
handshake(struct tlsconn *conn, int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	while (tlsconn_handshake(conn) != TLSCONN_OK)
		assert_true(poll(&pollfd, 1, 30000) > 0);
}

static int
on_input_ended(void *arg, bool was_truncated)
{
	struct scene *scene = arg;

	if (!was_truncated)
		return 0;
	scene->truncations++;
	scene->input_open_at_truncation = scene->program_in != -1;
	return scene->answer;
}

static void
on_rest(void *arg)
{
	struct scene *scene = arg;

	assert_int_equal(fd_write_all(scene->rests[1], "r", 1), 0);
}

/* For how many rests within so many ms? */
static int
rests_within(const struct scene *scene, int ms)
{
	struct pollfd pollfd = { .fd = scene->rests[0], .events = POLLIN };
	char bytes[10];

	return poll(&pollfd, 1, ms) == 0
	    ? 0
	    : (int)read(scene->rests[0], bytes, sizeof(bytes));
}

static void *
run_relay(void *arg)
{
	struct scene *scene = arg;
	struct timespec cpu;

	clock_gettime(CLOCK_MONOTONIC, &scene->began);
	relay_run(&scene->relay, &scene->result);
	clock_gettime(CLOCK_MONOTONIC, &scene->ended);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	scene->cpu = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
	return NULL;
}

/* Everything but the relay's start, so that a test can change settings. */
static void
prepare_over(struct scene *scene, int version, const int ends[2])
{
	int in[2], out[2];
	pthread_t thread;

	memset(scene, 0, sizeof(*scene));
	scene->socket_fd = ends[0];
	scene->client_fd = ends[1];
	assert_int_equal(fd_pipe(in), 0);
	assert_int_equal(fd_pipe(out), 0);
	assert_int_equal(fd_pipe(scene->cancel), 0);
	assert_int_equal(fd_pipe(scene->rests), 0);
	scene->in = in[0];
	scene->program_in = in[1];
	scene->program_out = out[0];
	scene->out = out[1];
	scene->ctx = client_make(version, NULL, NULL);
	scene->ssl = SSL_new(scene->ctx);
	SSL_set_fd(scene->ssl, scene->client_fd);
	scene->relay.conn = tlsconn_new(server.ctx, scene->socket_fd, &anybody);
	scene->relay.client_fd = scene->socket_fd;
	scene->relay.program_in = &scene->program_in;
	scene->relay.program_out = &scene->program_out;
	scene->relay.cancel_fd = scene->cancel[0];
	scene->relay.input_ended = on_input_ended;
	scene->relay.arg = scene;
	thread = in_thread(connect_client, scene);
	handshake(scene->relay.conn, scene->socket_fd);
	pthread_join(thread, NULL);
}

static void
prepare_version(struct scene *scene, int version)
{
	int ends[2];

	tcp_pair(ends);
	prepare_over(scene, version, ends);
}

static void
prepare(struct scene *scene)
{
	prepare_version(scene, TLS1_3_VERSION);
}

static void
start(struct scene *scene)
{
	scene->thread = in_thread(run_relay, scene);
}

static void
expect_end(struct scene *scene, enum relay_end end)
{
	pthread_join(scene->thread, NULL);
	assert_int_equal(scene->result.end, end);
	if (end == RELAY_CLEAN) {
		assert_int_equal(scene->program_in, -1);
		assert_int_equal(scene->program_out, -1);
		assert_string_equal(scene->result.reason, "");
	} else {
		assert_true(strlen(scene->result.reason) > 0);
	}
}

static void
clear(struct scene *scene)
{
	SSL_free(scene->ssl);
	SSL_CTX_free(scene->ctx);
	tlsconn_free(scene->relay.conn);
	fd_close(&scene->client_fd);
	fd_close(&scene->socket_fd);
	fd_close(&scene->program_in);
	fd_close(&scene->program_out);
	fd_close(&scene->in);
	fd_close(&scene->out);
	fd_close(&scene->cancel[0]);
	fd_close(&scene->cancel[1]);
	fd_close(&scene->rests[0]);
	fd_close(&scene->rests[1]);
}

static double
seconds(const struct scene *scene)
{
	return (double)(scene->ended.tv_sec - scene->began.tv_sec) +
	    (double)(scene->ended.tv_nsec - scene->began.tv_nsec) / 1e9;
}

/* What the client receives until its end; -1 in *how unless clean. */
static size_t
client_reads(struct scene *scene, char *bytes, size_t size, int *how)
{
	size_t len = 0;
	int n;

	while (len < size &&
	    (n = SSL_read(scene->ssl, bytes + len, (int)(size - len))) > 0)
		len += (size_t)n;
	*how = n > 0						    ? 1
	    : SSL_get_error(scene->ssl, n) == SSL_ERROR_ZERO_RETURN ? 0
								    : -1;
	return len;
}

static void
client_half_closes_first(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct scene scene;
	char bytes[100];
	size_t i;
	int how;

	(void)state;
	for (i = 0; i < 2; i++) {
		prepare_version(&scene, versions[i]);
		start(&scene);
		SSL_write(scene.ssl, "request", 7);
		SSL_shutdown(scene.ssl);
		assert_int_equal(fd_read_all(scene.in, bytes, 100), 7);
		/* The program sees the end and answers afterwards. */
		usleep(20000);
		assert_int_equal(fd_write_all(scene.out, "answer", 6), 0);
		fd_close(&scene.out);
		assert_int_equal(client_reads(&scene, bytes, 100, &how), 6);
		assert_int_equal(how, 0);
		expect_end(&scene, RELAY_CLEAN);
		assert_false(scene.result.was_truncated);
		assert_int_equal(scene.truncations, 0);
		/* After close_notify both ways nothing is waited for. */
		assert_true(seconds(&scene) < 1.5);
		clear(&scene);
	}
}

static void
program_ends_first(void **state)
{
	struct scene scene;
	char bytes[100];
	int how;

	(void)state;
	prepare(&scene);
	scene.relay.greeting = "220 hello\r\n";
	scene.relay.greeting_len = 11;
	assert_int_equal(fd_write_all(scene.out, "text", 4), 0);
	/* It exits: both are closed. */
	fd_close(&scene.in);
	fd_close(&scene.out);
	start(&scene);
	assert_int_equal(client_reads(&scene, bytes, 100, &how), 15);
	assert_int_equal(how, 0);
	assert_memory_equal(bytes, "220 hello\r\ntext", 15);
	/* The FIN follows the close_notify. */
	assert_int_equal(recv(scene.client_fd, bytes, 1, 0), 0);
	/* Late input is not answered with a reset. */
	SSL_write(scene.ssl, "late", 4);
	usleep(50000);
	SSL_write(scene.ssl, "later", 5);
	fd_close(&scene.client_fd);
	expect_end(&scene, RELAY_CLEAN);
	assert_int_equal(scene.truncations, 0);
	assert_true(seconds(&scene) < 1.5);
	clear(&scene);
}

static void
client_that_stays_is_left_after_the_linger(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	fd_close(&scene.in);
	fd_close(&scene.out);
	start(&scene);
	expect_end(&scene, RELAY_CLEAN);
	assert_true(seconds(&scene) >= RELAY_LINGER_MS / 1000.0);
	assert_true(seconds(&scene) < RELAY_LINGER_MS / 1000.0 + 3);
	assert_true(scene.cpu < 0.2);
	clear(&scene);
}

/* Send until nothing moves any more; the program does not read. */
static void
stuff_input(struct scene *scene)
{
	static const char bytes[16384];
	int quiet = 0;

	fcntl(scene->client_fd, F_SETFL, O_NONBLOCK);
	while (quiet < 10)
		if (SSL_write(scene->ssl, bytes, sizeof(bytes)) <= 0) {
			quiet++;
			usleep(10000);
		} else {
			quiet = 0;
		}
	fcntl(scene->client_fd, F_SETFL, 0);
}

/* The program closes 1 and the client has seen that. */
static void
half_close(struct scene *scene)
{
	char bytes[10];
	int how;

	assert_int_equal(fd_write_all(scene->out, "hi", 2), 0);
	fd_close(&scene->out);
	assert_int_equal(client_reads(scene, bytes, 10, &how), 2);
	assert_int_equal(how, 0);
	assert_int_equal(recv(scene->client_fd, bytes, 1, 0), 0);
}

static unsigned char
pattern(size_t at, unsigned salt)
{
	return (unsigned char)((at * 2654435761u >> 13) + salt);
}

/* In pieces of odd size, with a change of keys before each. */
static void
client_writes(struct scene *scene, size_t size)
{
	static unsigned char bytes[7001];
	size_t at, i, n;

	for (at = 0; at < size; at += n) {
		n = size - at < sizeof(bytes) ? size - at : sizeof(bytes);
		for (i = 0; i < n; i++)
			bytes[i] = pattern(at + i, 3);
		if (SSL_version(scene->ssl) == TLS1_3_VERSION)
			lib_update_keys(scene->ssl);
		assert_int_equal(SSL_write(scene->ssl, bytes, (int)n), n);
	}
}

#define HALF_SIZE ((size_t)1024 * 1024)

/* Read fd to its end: how much of the client's pattern was there? */
static size_t
read_pattern(int fd)
{
	static unsigned char bytes[20011];
	size_t at = 0;
	ssize_t n, i;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		for (i = 0; i < n; i++)
			if (bytes[i] != pattern(at++, 3))
				return 0;
	return at;
}

static void *
program_reads_half(void *arg)
{
	struct scene *scene = arg;
	static char wrong;

	usleep(100000);
	return read_pattern(scene->in) == HALF_SIZE ? NULL : &wrong;
}

static void
input_goes_on_after_output(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct scene scene;
	pthread_t reader;
	void *wrong;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		prepare_version(&scene, versions[i]);
		start(&scene);
		half_close(&scene);
		reader = in_thread(program_reads_half, &scene);
		client_writes(&scene, HALF_SIZE);
		SSL_shutdown(scene.ssl);
		pthread_join(reader, &wrong);
		assert_null(wrong);
		expect_end(&scene, RELAY_CLEAN);
		assert_false(scene.result.was_truncated);
		assert_int_equal(scene.truncations, 0);
		/* After close_notify both ways nothing is waited for. */
		assert_true(seconds(&scene) < 1.5);
		clear(&scene);
	}
}

static void
input_goes_on_while_output_is_stuck(void **state)
{
	static const char bytes[100000];
	struct scene scene;
	char *answer = malloc(8000000), got[5];
	int how;

	(void)state;
	prepare(&scene);
	start(&scene);
	/* More than the sockets hold: close_notify has to wait. */
	fcntl(scene.out, F_SETFL, O_WRONLY | O_NONBLOCK);
	while (write(scene.out, bytes, sizeof(bytes)) > 0 ||
	    poll(NULL, 0, 50) != 0 ||
	    write(scene.out, bytes, sizeof(bytes)) > 0)
		continue;
	fd_close(&scene.out);
	SSL_write(scene.ssl, "first", 5);
	assert_int_equal(fd_read_all(scene.in, got, 5), 5);
	assert_memory_equal(got, "first", 5);
	assert_true(client_reads(&scene, answer, 8000000, &how) > 100000);
	assert_int_equal(how, 0);
	SSL_write(scene.ssl, "then", 4);
	SSL_shutdown(scene.ssl);
	assert_int_equal(fd_read_all(scene.in, got, 5), 4);
	expect_end(&scene, RELAY_CLEAN);
	clear(&scene);
	free(answer);
}

/* A child that has the program's 0 alone and reports what it read there. */
static pid_t
fork_reader(struct scene *scene, int *report_fd)
{
	int report[2];
	pid_t pid;

	assert_int_equal(fd_pipe(report), 0);
	pid = fork();
	if (pid == 0) {
		int keep[] = { scene->in, report[1] };
		size_t len;

		if (fd_close_except(keep, 2) == -1)
			_exit(1);
		len = read_pattern(scene->in);
		_exit(fd_write_all(report[1], &len, sizeof(len)) == 0 ? 0 : 1);
	}
	assert_true(pid > 0);
	fd_close(&report[1]);
	*report_fd = report[0];
	return pid;
}

static void
grandchild_reads_on(void **state)
{
	struct scene scene;
	size_t len = 0;
	int fd;

	(void)state;
	prepare(&scene);
	assert_true(fork_reader(&scene, &fd) > 0);
	/* The program itself is gone. */
	fd_close(&scene.in);
	start(&scene);
	half_close(&scene);
	/* Longer than the relay would linger if nobody read. */
	usleep((RELAY_LINGER_MS + 300) * 1000);
	client_writes(&scene, HALF_SIZE);
	SSL_shutdown(scene.ssl);
	expect_end(&scene, RELAY_CLEAN);
	assert_int_equal(fd_read_all(fd, &len, sizeof(len)), sizeof(len));
	assert_int_equal(len, HALF_SIZE);
	fd_close(&fd);
	assert_true(wait(NULL) > 0);
	assert_true(scene.cpu < 1);
	clear(&scene);
}

static void
last_reader_leaves_after_output(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	start(&scene);
	half_close(&scene);
	SSL_write(scene.ssl, "unread", 6);
	usleep(50000);
	fd_close(&scene.in);
	usleep(50000);
	/* Nobody is there who could be told of this. */
	fd_close(&scene.client_fd);
	expect_end(&scene, RELAY_CLEAN);
	assert_int_equal(scene.truncations, 0);
	assert_false(scene.result.was_truncated);
	assert_true(seconds(&scene) < 1.5);
	clear(&scene);
	/* With a full pipe; the client stays. */
	prepare(&scene);
	start(&scene);
	half_close(&scene);
	stuff_input(&scene);
	fd_close(&scene.in);
	expect_end(&scene, RELAY_CLEAN);
	assert_true(scene.cpu < 0.5);
	clear(&scene);
}

/* The program has bytes to read, and then no end of file. */
static void
expect_no_end(const struct scene *scene, size_t len)
{
	struct pollfd pollfd = { .fd = scene->in, .events = POLLIN };
	char bytes[100];

	assert_int_equal(fd_read_all(scene->in, bytes, len), len);
	assert_int_equal(poll(&pollfd, 1, 0), 0);
	assert_true(scene->program_in != -1);
}

static void
client_that_never_ends_is_idle_after_output(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	scene.relay.idle_ms = 1000;
	start(&scene);
	half_close(&scene);
	usleep(600000);
	SSL_write(scene.ssl, "more", 4);
	expect_end(&scene, RELAY_IDLE);
	assert_true(seconds(&scene) >= 1.5 && seconds(&scene) < 4);
	assert_true(scene.cpu < 0.2);
	expect_no_end(&scene, 4);
	clear(&scene);
}

static void
truncation_after_output(void **state)
{
	struct scene scene;
	char bytes[10];

	(void)state;
	prepare(&scene);
	start(&scene);
	half_close(&scene);
	SSL_write(scene.ssl, "cut", 3);
	shutdown(scene.client_fd, SHUT_WR);
	assert_int_equal(fd_read_all(scene.in, bytes, 10), 3);
	expect_end(&scene, RELAY_CLEAN);
	assert_true(scene.result.was_truncated);
	assert_int_equal(scene.truncations, 1);
	assert_true(scene.input_open_at_truncation);
	assert_true(seconds(&scene) < 1.5);
	clear(&scene);
	/* --strict-close. */
	prepare(&scene);
	scene.answer = -1;
	start(&scene);
	half_close(&scene);
	SSL_write(scene.ssl, "cut", 3);
	shutdown(scene.client_fd, SHUT_WR);
	expect_end(&scene, RELAY_CANCELLED);
	expect_no_end(&scene, 3);
	clear(&scene);
}

static void
failures_after_output(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	start(&scene);
	half_close(&scene);
	SSL_write(scene.ssl, "gone", 4);
	usleep(50000);
	reset(scene.client_fd);
	scene.client_fd = -1;
	expect_end(&scene, RELAY_RESET);
	assert_int_equal(scene.result.error, ECONNRESET);
	expect_no_end(&scene, 4);
	clear(&scene);
	/* While its input is stuck. */
	prepare(&scene);
	start(&scene);
	half_close(&scene);
	stuff_input(&scene);
	reset(scene.client_fd);
	scene.client_fd = -1;
	expect_end(&scene, RELAY_RESET);
	clear(&scene);
	/* No TLS. */
	prepare(&scene);
	start(&scene);
	half_close(&scene);
	assert_int_equal(write(scene.client_fd, "EHLO example\r\n", 14), 14);
	expect_end(&scene, RELAY_TLS);
	expect_no_end(&scene, 0);
	clear(&scene);
}

static void
bare_fin_is_end_of_file_and_told_before(void **state)
{
	struct scene scene;
	char bytes[100];
	int how;

	(void)state;
	prepare(&scene);
	start(&scene);
	SSL_write(scene.ssl, "mail", 4);
	shutdown(scene.client_fd, SHUT_WR);
	assert_int_equal(fd_read_all(scene.in, bytes, 100), 4);
	assert_int_equal(scene.truncations, 1);
	assert_true(scene.input_open_at_truncation);
	assert_int_equal(fd_write_all(scene.out, "250 ok", 6), 0);
	fd_close(&scene.out);
	assert_int_equal(client_reads(&scene, bytes, 100, &how), 6);
	assert_int_equal(how, 0);
	expect_end(&scene, RELAY_CLEAN);
	assert_true(scene.result.was_truncated);
	clear(&scene);
}

static void
strict_close_withholds_the_end(void **state)
{
	struct scene scene;
	struct pollfd pollfd;

	(void)state;
	prepare(&scene);
	scene.answer = -1;
	start(&scene);
	shutdown(scene.client_fd, SHUT_WR);
	expect_end(&scene, RELAY_CANCELLED);
	assert_true(scene.result.was_truncated);
	assert_int_equal(scene.truncations, 1);
	pollfd = (struct pollfd){ .fd = scene.in, .events = POLLIN };
	assert_int_equal(poll(&pollfd, 1, 0), 0);
	clear(&scene);
}

static void
reset_ends_and_leaves_the_pipes(void **state)
{
	struct scene scene;
	struct pollfd pollfd;

	(void)state;
	prepare(&scene);
	start(&scene);
	usleep(20000);
	reset(scene.client_fd);
	scene.client_fd = -1;
	expect_end(&scene, RELAY_RESET);
	assert_int_equal(scene.result.error, ECONNRESET);
	assert_string_equal(scene.result.reason, "Connection reset by peer");
	pollfd = (struct pollfd){ .fd = scene.in, .events = POLLIN };
	assert_int_equal(poll(&pollfd, 1, 0), 0);
	assert_true(scene.program_in != -1 && scene.program_out != -1);
	clear(&scene);
}

static void
reset_is_seen_while_input_is_stuck(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	start(&scene);
	stuff_input(&scene);
	reset(scene.client_fd);
	scene.client_fd = -1;
	expect_end(&scene, RELAY_RESET);
	clear(&scene);
}

/* All but the program's pipe and our own bytes is still in the kernel. */
#define BEFORE 160000

/* The program reads what there was, and the end; it can write no more. */
static void
expect_kept_input(struct scene *scene, enum relay_end end)
{
	static char bytes[BEFORE + 1];
	size_t i;

	assert_int_equal(fd_read_all(scene->in, bytes, sizeof(bytes)), BEFORE);
	for (i = 0; i < BEFORE; i++)
		assert_int_equal(bytes[i], 'x');
	expect_end(scene, end);
	assert_int_equal(scene->program_in, -1);
	assert_int_equal(fd_write_all(scene->out, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_true(scene->cpu < 0.5);
}

static void
say_before(struct scene *scene)
{
	static char bytes[BEFORE];

	memset(bytes, 'x', sizeof(bytes));
	prepare(scene);
	scene->relay.keeps_input = true;
	start(scene);
	assert_int_equal(
	    SSL_write(scene->ssl, bytes, sizeof(bytes)), sizeof(bytes));
	wait_until_sent(scene->client_fd);
}

static void
what_came_before_a_reset_is_kept(void **state)
{
	struct scene scene;

	(void)state;
	say_before(&scene);
	reset(scene.client_fd);
	scene.client_fd = -1;
	/* It is seen while the program does not read, or when it writes. */
	(void)fd_write_all(scene.out, "late", 4);
	usleep(50000);
	expect_kept_input(&scene, RELAY_RESET);
	clear(&scene);
}

static void
what_came_before_garbage_is_kept(void **state)
{
	struct scene scene;

	(void)state;
	say_before(&scene);
	assert_int_equal(write(scene.client_fd, "EHLO example\r\n", 14), 14);
	expect_kept_input(&scene, RELAY_TLS);
	clear(&scene);
}

/* Both directions have come to their end then, but not as they should. */
static void
failures_after_output_are_kept_too(void **state)
{
	struct scene scene;
	char bytes[10];
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		prepare(&scene);
		scene.relay.keeps_input = true;
		start(&scene);
		half_close(&scene);
		SSL_write(scene.ssl, "said", 4);
		wait_until_sent(scene.client_fd);
		if (i == 0) {
			assert_int_equal(
			    write(scene.client_fd, "EHLO example\r\n", 14), 14);
		} else {
			reset(scene.client_fd);
			scene.client_fd = -1;
		}
		assert_int_equal(fd_read_all(scene.in, bytes, 10), 4);
		expect_end(&scene, i == 0 ? RELAY_TLS : RELAY_RESET);
		assert_int_equal(scene.program_in, -1);
		clear(&scene);
	}
}

static void
garbage_is_a_tls_end(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	start(&scene);
	assert_int_equal(write(scene.client_fd, "EHLO example\r\n", 14), 14);
	expect_end(&scene, RELAY_TLS);
	assert_int_equal(scene.result.error, 0);
	assert_true(scene.program_in != -1);
	clear(&scene);
}

static void
idleness_ends_and_bytes_put_it_off(void **state)
{
	struct scene scene;
	char byte;
	int i;

	(void)state;
	prepare(&scene);
	scene.relay.idle_ms = 400;
	start(&scene);
	for (i = 0; i < 3; i++) {
		usleep(250000);
		SSL_write(scene.ssl, "i", 1);
		usleep(250000);
		assert_int_equal(fd_write_all(scene.out, "o", 1), 0);
	}
	expect_end(&scene, RELAY_IDLE);
	assert_string_equal(scene.result.reason, "idle timeout");
	/* 6 * 250 + 400 ms, less the start of the thread. */
	assert_true(seconds(&scene) >= 1.8 && seconds(&scene) < 4);
	assert_true(scene.cpu < 0.2);
	/* A cut stream does not end with a close_notify. */
	assert_int_equal(SSL_read(scene.ssl, &byte, 1), 1);
	fd_close(&scene.socket_fd);
	while ((i = SSL_read(scene.ssl, &byte, 1)) == 1)
		continue;
	assert_int_not_equal(
	    SSL_get_error(scene.ssl, i), SSL_ERROR_ZERO_RETURN);
	clear(&scene);
}

/* A byte each way. */
static void
exchange(struct scene *scene)
{
	char byte;

	SSL_write(scene->ssl, "i", 1);
	assert_int_equal(fd_read_all(scene->in, &byte, 1), 1);
	assert_int_equal(byte, 'i');
	assert_int_equal(fd_write_all(scene->out, "o", 1), 0);
	assert_int_equal(SSL_read(scene->ssl, &byte, 1), 1);
	assert_int_equal(byte, 'o');
}

static void
who_has_nothing_to_do_rests_once(void **state)
{
	struct scene scene;
	int i;

	(void)state;
	prepare(&scene);
	scene.relay.rest = on_rest;
	start(&scene);
	for (i = 0; i < 2; i++) {
		exchange(&scene);
		assert_int_equal(rests_within(&scene, 20000), 1);
		assert_int_equal(rests_within(&scene, 1500), 0);
	}
	exchange(&scene);
	fd_close(&scene.out);
	SSL_shutdown(scene.ssl);
	expect_end(&scene, RELAY_CLEAN);
	assert_true(scene.cpu < 0.2);
	clear(&scene);
}

/* What the program has not taken yet, and what the client has not. */
static void
a_rest_loses_nothing(void **state)
{
	static unsigned char bytes[(size_t)8 << 20], got[100000];
	struct scene scene;
	size_t sent = 0, at = 0, i;
	ssize_t n;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = pattern(i, 9);
	prepare(&scene);
	scene.relay.rest = on_rest;
	start(&scene);
	fcntl(scene.out, F_SETFL, O_NONBLOCK);
	while (rests_within(&scene, 0) == 0) {
		n = write(scene.out, bytes + sent, sizeof(bytes) - sent);
		if (n > 0)
			sent += (size_t)n;
		else
			usleep(10000);
		assert_true(sent < sizeof(bytes));
	}
	fd_close(&scene.out);
	while (at < sent) {
		n = SSL_read(scene.ssl, got, sizeof(got));
		assert_true(n > 0);
		assert_memory_equal(got, bytes + at, (size_t)n);
		at += (size_t)n;
	}
	SSL_shutdown(scene.ssl);
	expect_end(&scene, RELAY_CLEAN);
	clear(&scene);
	prepare(&scene);
	scene.relay.rest = on_rest;
	start(&scene);
	fcntl(scene.client_fd, F_SETFL, O_NONBLOCK);
	for (at = sent = 0; rests_within(&scene, 0) == 0;) {
		int len = SSL_write(scene.ssl, bytes + sent, 10000);

		if (len > 0)
			sent += (size_t)len;
		else
			usleep(10000);
		assert_true(sent < sizeof(bytes) - 10000);
	}
	while (at < sent) {
		n = read(scene.in, got, sizeof(got));
		assert_true(n > 0);
		assert_memory_equal(got, bytes + at, (size_t)n);
		at += (size_t)n;
	}
	fd_close(&scene.cancel[1]);
	expect_end(&scene, RELAY_CANCELLED);
	clear(&scene);
}

static void
idleness_counts_while_a_direction_is_stuck(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	scene.relay.idle_ms = 300;
	start(&scene);
	stuff_input(&scene);
	expect_end(&scene, RELAY_IDLE);
	clear(&scene);
}

static void
cancelling_leaves_the_pipes(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	start(&scene);
	usleep(20000);
	fd_close(&scene.cancel[1]);
	expect_end(&scene, RELAY_CANCELLED);
	assert_true(scene.program_in != -1 && scene.program_out != -1);
	clear(&scene);
}

static bool
never_waits(int fd)
{
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

/* What fits for sure is written as it is; all that follows does not wait. */
static void
new_pipe_is_left_as_it_is_for_a_while(void **state)
{
	static char bytes[5000];
	struct scene scene;

	(void)state;
	prepare(&scene);
	scene.relay.is_new_pipe = true;
	start(&scene);
	SSL_write(scene.ssl, bytes, 3000);
	assert_int_equal(fd_read_all(scene.in, bytes, 3000), 3000);
	assert_false(never_waits(scene.program_in));
	/* All in all, though the pipe is empty: it counts what it has given. */
	SSL_write(scene.ssl, bytes, 2000);
	assert_int_equal(fd_read_all(scene.in, bytes, 2000), 2000);
	assert_true(never_waits(scene.program_in));
	stuff_input(&scene);
	reset(scene.client_fd);
	scene.client_fd = -1;
	expect_end(&scene, RELAY_RESET);
	clear(&scene);
}

static void
other_pipe_is_never_waited_for(void **state)
{
	struct scene scene;
	char byte;

	(void)state;
	prepare(&scene);
	start(&scene);
	SSL_write(scene.ssl, "x", 1);
	assert_int_equal(fd_read_all(scene.in, &byte, 1), 1);
	assert_true(never_waits(scene.program_in));
	fd_close(&scene.in);
	fd_close(&scene.out);
	SSL_shutdown(scene.ssl);
	expect_end(&scene, RELAY_CLEAN);
	clear(&scene);
}

/* Both ends of the program are closed: ours may be, or may be left. */
static void
ends_are_left_to_the_caller(void **state)
{
	struct scene scene;
	int in, out, leaves;

	(void)state;
	for (leaves = 0; leaves < 2; leaves++) {
		prepare(&scene);
		in = scene.program_in;
		out = scene.program_out;
		scene.relay.leaves_ends = leaves;
		fd_close(&scene.in);
		fd_close(&scene.out);
		start(&scene);
		/* Had the client ended before that, it would have been told. */
		while (
		    __atomic_load_n(&scene.program_in, __ATOMIC_RELAXED) != -1)
			usleep(1000);
		SSL_shutdown(scene.ssl);
		expect_end(&scene, RELAY_CLEAN);
		assert_int_equal(fcntl(in, F_GETFD) != -1, leaves);
		assert_int_equal(fcntl(out, F_GETFD) != -1, leaves);
		if (leaves) {
			fd_close(&in);
			fd_close(&out);
		}
		clear(&scene);
	}
}

/* More than one read gives, and no writer from the beginning on. */
static void
all_that_a_program_left_is_sent(void **state)
{
	static char sent[200000], got[sizeof(sent) + 1];
	struct scene scene;
	size_t i;
	int how;

	(void)state;
	for (i = 0; i < sizeof(sent); i++)
		sent[i] = (char)pattern(i, 7);
	prepare(&scene);
#ifdef F_SETPIPE_SZ
	if (fcntl(scene.out, F_SETPIPE_SZ, 1 << 18) == -1)
#endif
	{
		clear(&scene);
		skip();
	}
	assert_int_equal(fd_write_all(scene.out, sent, sizeof(sent)), 0);
	fd_close(&scene.in);
	fd_close(&scene.out);
	start(&scene);
	assert_int_equal(
	    client_reads(&scene, got, sizeof(got), &how), sizeof(sent));
	assert_int_equal(how, 0);
	assert_memory_equal(sent, got, sizeof(sent));
	fd_close(&scene.client_fd);
	expect_end(&scene, RELAY_CLEAN);
	clear(&scene);
}

static void
program_that_closes_its_input_still_answers(void **state)
{
	static const char bytes[16384];
	struct scene scene;
	char answer[10];
	int i, how;

	(void)state;
	prepare(&scene);
	fd_close(&scene.in);
	start(&scene);
	/* Far more than any buffer: it is thrown away. */
	for (i = 0; i < 600; i++)
		assert_int_equal(
		    SSL_write(scene.ssl, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(fd_write_all(scene.out, "done", 4), 0);
	fd_close(&scene.out);
	assert_int_equal(client_reads(&scene, answer, 10, &how), 4);
	assert_int_equal(how, 0);
	fd_close(&scene.client_fd);
	expect_end(&scene, RELAY_CLEAN);
	clear(&scene);
}

/* What costs CPU time when nothing happens?  Half a second of each state. */
static void
expect_quiet(struct scene *scene)
{
	usleep(700000);
	fd_close(&scene->cancel[1]);
	expect_end(scene, RELAY_CANCELLED);
	/* A loop would use all of it; sanitizers are slow, not that slow. */
	assert_true(scene->cpu < 0.25);
	clear(scene);
}

static void
no_quiet_state_spins(void **state)
{
	struct scene scene;
	static const char bytes[16384];

	(void)state;
	/* Nothing at all. */
	prepare(&scene);
	start(&scene);
	expect_quiet(&scene);
	/* The client has half-closed, with close_notify and with a FIN. */
	prepare(&scene);
	start(&scene);
	SSL_shutdown(scene.ssl);
	expect_quiet(&scene);
	prepare(&scene);
	start(&scene);
	shutdown(scene.client_fd, SHUT_WR);
	expect_quiet(&scene);
	/* And is gone altogether. */
	prepare(&scene);
	start(&scene);
	SSL_shutdown(scene.ssl);
	fd_close(&scene.client_fd);
	expect_quiet(&scene);
	/* The program has closed its input, before and after some bytes. */
	prepare(&scene);
	fd_close(&scene.in);
	start(&scene);
	expect_quiet(&scene);
	prepare(&scene);
	fd_close(&scene.in);
	start(&scene);
	SSL_write(scene.ssl, bytes, sizeof(bytes));
	expect_quiet(&scene);
	/* Half a record from the client. */
	prepare(&scene);
	start(&scene);
	assert_int_equal(write(scene.client_fd, "\27\3\3\0\100abc", 8), 8);
	expect_quiet(&scene);
}

/* Write until nothing moves any more; the client does not read. */
static void
stuff_output(struct scene *scene)
{
	static const char bytes[65536];
	int quiet = 0;

	fcntl(scene->out, F_SETFL, O_WRONLY | O_NONBLOCK);
	while (quiet < 10)
		if (write(scene->out, bytes, sizeof(bytes)) <= 0) {
			quiet++;
			usleep(10000);
		} else {
			quiet = 0;
		}
}

/* Seconds of processor time the relay takes in more than half a second. */
static double
cpu_while_waiting(const struct scene *scene)
{
	struct timespec begin, now;
	clockid_t clock;

	assert_int_equal(pthread_getcpuclockid(scene->thread, &clock), 0);
	clock_gettime(clock, &begin);
	usleep(700000);
	clock_gettime(clock, &now);
	return (double)(now.tv_sec - begin.tv_sec) +
	    (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
}

static void
no_stuck_state_spins(void **state)
{
	struct scene scene;
	int ends[2];

	(void)state;
	/* The program does not read. */
	prepare(&scene);
	start(&scene);
	stuff_input(&scene);
	assert_true(cpu_while_waiting(&scene) < 0.1);
	fd_close(&scene.cancel[1]);
	expect_end(&scene, RELAY_CANCELLED);
	clear(&scene);
	/* The client does not read; the program has written and gone. */
	prepare(&scene);
	start(&scene);
	stuff_output(&scene);
	fd_close(&scene.out);
	assert_true(cpu_while_waiting(&scene) < 0.1);
	fd_close(&scene.cancel[1]);
	expect_end(&scene, RELAY_CANCELLED);
	clear(&scene);
	/*
	 * A socket that reports a hangup for as long as it has unread
	 * input, which TCP does not.
	 */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	prepare_over(&scene, TLS1_3_VERSION, ends);
	start(&scene);
	stuff_input(&scene);
	fd_close(&scene.client_fd);
	assert_true(cpu_while_waiting(&scene) < 0.1);
	fd_close(&scene.cancel[1]);
	expect_end(&scene, RELAY_CANCELLED);
	clear(&scene);
	/* Both, and the client has gone half way. */
	prepare(&scene);
	start(&scene);
	stuff_input(&scene);
	stuff_output(&scene);
	shutdown(scene.client_fd, SHUT_WR);
	assert_true(cpu_while_waiting(&scene) < 0.1);
	fd_close(&scene.cancel[1]);
	expect_end(&scene, RELAY_CANCELLED);
	clear(&scene);
}

/* Over ends, half-closed, with a full pipe; the client leaves, or not. */
static void
try_stuck_after_output(const int ends[2], bool leaves)
{
	struct scene scene;
	char bytes[1000];
	ssize_t n;

	prepare_over(&scene, TLS1_3_VERSION, ends);
	start(&scene);
	half_close(&scene);
	stuff_input(&scene);
	if (leaves)
		fd_close(&scene.client_fd);
	assert_true(cpu_while_waiting(&scene) < 0.1);
	if (leaves) {
		/* Both FINs: nothing of what was sent may be lost. */
		while ((n = read(scene.in, bytes, sizeof(bytes))) > 0)
			continue;
		assert_int_equal(n, 0);
		expect_end(&scene, RELAY_CLEAN);
		assert_true(scene.result.was_truncated);
	} else {
		fd_close(&scene.cancel[1]);
		expect_end(&scene, RELAY_CANCELLED);
	}
	clear(&scene);
}

static void
no_state_after_output_spins(void **state)
{
	struct scene scene;
	int ends[2], leaves;

	(void)state;
	prepare(&scene);
	start(&scene);
	half_close(&scene);
	assert_true(cpu_while_waiting(&scene) < 0.1);
	expect_quiet(&scene);
	for (leaves = 0; leaves < 2; leaves++) {
		tcp_pair(ends);
		try_stuck_after_output(ends, leaves);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		try_stuck_after_output(ends, leaves);
	}
}

/* Both directions at once, each with a pattern of its own. */
#define BULK ((size_t)20 * 1024 * 1024)

static void *
program_writes(void *arg)
{
	struct scene *scene = arg;
	static unsigned char bytes[30011];
	size_t at = 0, i, n;

	while (at < BULK) {
		n = BULK - at < sizeof(bytes) ? BULK - at : sizeof(bytes);
		for (i = 0; i < n; i++)
			bytes[i] = pattern(at + i, 1);
		if (fd_write_all(scene->out, bytes, n) == -1)
			break;
		at += n;
	}
	return NULL;
}

/* NULL if all came and all was right. */
static void *
program_reads(void *arg)
{
	struct scene *scene = arg;
	static unsigned char bytes[20011];
	static char wrong;
	size_t at = 0;
	ssize_t n, i;

	while ((n = read(scene->in, bytes, sizeof(bytes))) > 0)
		for (i = 0; i < n; i++)
			if (bytes[i] != pattern(at++, 2))
				return &wrong;
	/* The end of output would end the connection: after input's. */
	pthread_join(scene->writer, NULL);
	fd_close(&scene->out);
	return at == BULK ? NULL : &wrong;
}

/* One client in one thread: write what goes, read what comes. */
static void
client_exchanges(struct scene *scene)
{
	static unsigned char out[16384], in[16384];
	struct pollfd pollfd = { .fd = scene->client_fd };
	size_t sent = 0, got = 0;
	bool ended = false;
	int i, n, len = 0;

	fcntl(scene->client_fd, F_SETFL, O_NONBLOCK);
	while (!ended) {
		pollfd.events = POLLIN;
		if (sent < BULK) {
			if (len == 0) {
				len = BULK - sent < sizeof(out)
				    ? (int)(BULK - sent)
				    : (int)sizeof(out);
				for (i = 0; i < len; i++)
					out[i] = pattern(sent + (size_t)i, 2);
			}
			n = SSL_write(scene->ssl, out, len);
			if (n > 0) {
				sent += (size_t)n;
				len = 0;
				pollfd.events = 0;
				if (sent == BULK)
					SSL_shutdown(scene->ssl);
			} else {
				pollfd.events |= POLLOUT;
			}
		}
		while ((n = SSL_read(scene->ssl, in, sizeof(in))) > 0)
			for (i = 0; i < n; i++)
				assert_int_equal(in[i], pattern(got++, 1));
		ended = SSL_get_error(scene->ssl, n) == SSL_ERROR_ZERO_RETURN;
		assert_true(ended ||
		    SSL_get_error(scene->ssl, n) == SSL_ERROR_WANT_READ);
		if (!ended && pollfd.events != 0)
			assert_true(poll(&pollfd, 1, 20000) > 0);
	}
	assert_int_equal(got, BULK);
	/* Our own end may still be on its way. */
	fcntl(scene->client_fd, F_SETFL, 0);
	assert_int_equal(sent, BULK);
}

static void
both_ways_at_once_intact(void **state)
{
	struct scene scene;
	pthread_t reader;
	void *wrong;

	(void)state;
	prepare(&scene);
	start(&scene);
	scene.writer = in_thread(program_writes, &scene);
	reader = in_thread(program_reads, &scene);
	client_exchanges(&scene);
	pthread_join(reader, &wrong);
	fd_close(&scene.client_fd);
	expect_end(&scene, RELAY_CLEAN);
	assert_null(wrong);
	clear(&scene);
}

static void
key_updates_in_a_stream(void **state)
{
	struct scene scene;
	char bytes[10];
	int i;

	(void)state;
	prepare(&scene);
	start(&scene);
	for (i = 0; i < 20; i++) {
		lib_update_keys(scene.ssl);
		assert_int_equal(SSL_write(scene.ssl, "ab", 2), 2);
		assert_int_equal(fd_read_all(scene.in, bytes, 2), 2);
		assert_int_equal(fd_write_all(scene.out, "cd", 2), 0);
		assert_int_equal(SSL_read(scene.ssl, bytes, 2), 2);
	}
	SSL_shutdown(scene.ssl);
	assert_int_equal(fd_read_all(scene.in, bytes, 2), 0);
	fd_close(&scene.out);
	expect_end(&scene, RELAY_CLEAN);
	clear(&scene);
}

static int
set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	server_make(&server, "P-256");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	server_clear(&server);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_half_closes_first),
		cmocka_unit_test(program_ends_first),
		cmocka_unit_test(client_that_stays_is_left_after_the_linger),
		cmocka_unit_test(input_goes_on_after_output),
		cmocka_unit_test(input_goes_on_while_output_is_stuck),
		cmocka_unit_test(grandchild_reads_on),
		cmocka_unit_test(last_reader_leaves_after_output),
		cmocka_unit_test(client_that_never_ends_is_idle_after_output),
		cmocka_unit_test(truncation_after_output),
		cmocka_unit_test(failures_after_output),
		cmocka_unit_test(bare_fin_is_end_of_file_and_told_before),
		cmocka_unit_test(strict_close_withholds_the_end),
		cmocka_unit_test(reset_ends_and_leaves_the_pipes),
		cmocka_unit_test(reset_is_seen_while_input_is_stuck),
		cmocka_unit_test(what_came_before_a_reset_is_kept),
		cmocka_unit_test(what_came_before_garbage_is_kept),
		cmocka_unit_test(failures_after_output_are_kept_too),
		cmocka_unit_test(garbage_is_a_tls_end),
		cmocka_unit_test(idleness_ends_and_bytes_put_it_off),
		cmocka_unit_test(who_has_nothing_to_do_rests_once),
		cmocka_unit_test(a_rest_loses_nothing),
		cmocka_unit_test(idleness_counts_while_a_direction_is_stuck),
		cmocka_unit_test(cancelling_leaves_the_pipes),
		cmocka_unit_test(new_pipe_is_left_as_it_is_for_a_while),
		cmocka_unit_test(other_pipe_is_never_waited_for),
		cmocka_unit_test(ends_are_left_to_the_caller),
		cmocka_unit_test(all_that_a_program_left_is_sent),
		cmocka_unit_test(program_that_closes_its_input_still_answers),
		cmocka_unit_test(no_quiet_state_spins),
		cmocka_unit_test(no_stuck_state_spins),
		cmocka_unit_test(no_state_after_output_spins),
		cmocka_unit_test(both_ways_at_once_intact),
		cmocka_unit_test(key_updates_in_a_stream),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
