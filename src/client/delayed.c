/*
 * --delayed: who waits for the program's byte when sslclient has become it.
 *
 * A helper without rights, in the place of the process that was started:
 * it holds the other end of SSLCTLFD, gives the TLS process its connection
 * when the byte comes, makes names of the facts, and has left before TLS is
 * spoken.  It reads no byte of the server's but to throw it away.  Once the
 * program has asked for TLS there is no way back: when the handshake fails
 * the socket, which the program holds as 6 and 7, is shut down, and what
 * nobody has read is dropped, before the program can see an end of file.
 */
#include "client/delayed.h"

#include <poll.h>

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "client/handshake.h"
#include "client/helper.h"
#include "net/sock.h"
#include "serve/facts.h"
#include "serve/privs.h"
#include "serve/sandbox.h"
#include "serve/title.h"

#define DESCRIPTORS 32

struct delayed {
	const struct client_settings *settings;
	struct handshake handshake;
	int server_fd, control_fd, program_in, program_out;
};

static void
give_up_rights(const struct client_settings *settings)
{
	struct privs privs = { .identity = &settings->identity,
		.root_fd = helper_root(),
		.descriptors = DESCRIPTORS,
		.processes = 0 };
	char error[PRIVS_ERROR_SIZE];

	if (privs_drop(&privs, error) == -1 ||
	    sandbox_enter(SANDBOX_CLIENT) == -1)
		_exit(111);
}

/* The program starts: here is its connection.  Else there is none. */
static void
await_connection(struct delayed *delayed)
{
	static struct msg_room room;
	struct msg msg;
	bool more;

	if (msg_receive(HELPER_CONTROL_FD, &room, &msg, DELAYED_FDS, false,
		&more) != 1 ||
	    more || msg.type != MSG_START || msg.fd_count != DELAYED_FDS)
		_exit(111);
	handshake_init(&delayed->handshake, msg.fds[DELAYED_TLS]);
	delayed->server_fd = msg.fds[DELAYED_SERVER];
	delayed->control_fd = msg.fds[DELAYED_CONTROL];
	delayed->program_in = msg.fds[DELAYED_PROGRAM_IN];
	delayed->program_out = msg.fds[DELAYED_PROGRAM_OUT];
}

/* No TLS, and nothing else either. */
__attribute__((noreturn)) static void
end(const struct delayed *delayed, int code, const char *sentence)
{
	sock_cut(delayed->server_fd);
	client_say(delayed->settings, VERBOSITY_ERRORS, "fatal: (%d) %s", code,
	    sentence);
	_exit(111);
}

/* The program's byte; 0: it closed the socket, and goes on in plain text. */
static char
await_byte(const struct delayed *delayed)
{
	char byte;
	ssize_t n;

	do
		n = read(delayed->control_fd, &byte, 1);
	while (n == -1 && errno == EINTR);
	if (n <= 0)
		return 0;
	if (byte != 'y' && byte != 'Y')
		end(delayed, 111,
		    "the program has written neither y nor Y to SSLCTLFD");
	return byte;
}

static void
shake_hands(struct delayed *delayed)
{
	struct handshake *handshake = &delayed->handshake;
	int64_t deadline = handshake_deadline(delayed->settings);
	int64_t now = clock_now();
	struct pollfd pollfd = { .fd = handshake->control_fd,
		.events = POLLIN };
	int r = 0;

	if (handshake_start(handshake, delayed->server_fd, delayed->program_in,
		delayed->program_out) == -1)
		end(delayed, 111, "the TLS process has ended");
	fd_close(&delayed->program_out);
	for (; r == 0 && now < deadline; now = clock_now())
		if (poll(&pollfd, 1, clock_poll_timeout(now, deadline)) > 0)
			r = handshake_take(handshake, delayed->settings);
	if (r == 0)
		handshake_late(handshake, delayed->settings);
	if (r != 1)
		end(delayed, handshake->code, handshake->sentence);
}

/* The TLS process goes on when its socket has ended. */
static void
answer(struct delayed *delayed, char byte)
{
	struct handshake *handshake = &delayed->handshake;
	struct buf block;

	fd_close(&handshake->control_fd);
	fd_close(&delayed->program_in);
	fd_close(&delayed->server_fd);
	if (byte != 'Y')
		return;
	buf_init(&block, FACTS_TEXTS_MAX + 1);
	if (facts_put_block(handshake->facts, handshake->facts_len, &block) ==
	    0)
		(void)fd_write_all(delayed->control_fd, block.data, block.len);
}

void
delayed_run(const struct client_settings *settings, int control_fd)
{
	static struct delayed delayed;
	char byte;

	delayed.settings = settings;
	helper_arrange(settings, control_fd, NULL, 0);
	title_set("delayed");
	helper_forget(settings);
	give_up_rights(settings);
	await_connection(&delayed);
	byte = await_byte(&delayed);
	if (byte == 0)
		_exit(0);
	shake_hands(&delayed);
	answer(&delayed, byte);
	_exit(0);
}
