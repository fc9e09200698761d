/*
 * liar: stands in the place of ucspissl-nursery.  Its sessions speak no
 * TLS: each says how it ended, as CIPHERS tells: `END LENGTH' is the number
 * of an end and how long a text goes with it.
 */
#include <sys/wait.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/msg.h"
#include "serve/role.h"
#include "serve/roleconfig.h"
#include "tls/tlsfile.h"

enum { CLIENT, CONTROL, PROGRAM_IN, PROGRAM_OUT, START_FDS };

static struct role role;

/* Bytes that nobody should see in a log. */
static void
fill(char *text, size_t len)
{
	static const char bytes[] = "%s\nsslserver: ok 1\033";
	size_t i;

	for (i = 0; i < len; i++)
		text[i] = bytes[i % (sizeof(bytes) - 1)];
	text[len] = '\0';
}

__attribute__((noreturn)) static void
lie(const struct msg *start, unsigned long end, size_t len)
{
	static unsigned char body[MSG_PIECE_MAX];
	static char text[MSG_PIECE_MAX / 2];
	struct msg_writer w;
	struct msg_room *room = malloc(sizeof(*room));
	struct msg msg;
	bool more;

	fill(text, len);
	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, end);
	msg_put_number(&w, 0);
	msg_put_number(&w, 0);
	msg_put_text(&w, text);
	msg_send_bytes(
	    start->fds[CONTROL], MSG_DONE, start->conn, body, w.len, false);
	close(role.work_fd);
	/* Until the monitor has read it. */
	while (room != NULL &&
	    msg_receive(start->fds[CONTROL], room, &msg, 0, false, &more) == 1)
		if (msg.type == MSG_GO)
			break;
	_exit(0);
}

static void
begin_session(struct msg *msg)
{
	struct tls_settings settings;
	uint64_t pid;
	char *end;
	unsigned long number;

	profile_settings(&role.config.profile, &settings);
	number = strtoul(settings.ciphers, &end, 10);
	pid = (uint64_t)fork();
	if (pid == 0)
		lie(msg, number, strtoul(end, NULL, 10));
	msg_close_fds(msg);
	msg_send_bytes(
	    role.work_fd, MSG_STARTED, msg->conn, &pid, sizeof(pid), false);
	waitpid((pid_t)pid, NULL, 0);
	msg_send_bytes(
	    role.work_fd, MSG_GONE, msg->conn, &pid, sizeof(pid), false);
}

int
main(void)
{
	struct msg msg;
	bool more;

	role_begin(&role);
	if (msg_send_bytes(role.life_fd, MSG_READY, 0, NULL, 0, false) == -1)
		return 1;
	for (;;) {
		struct pollfd fds[2] = { { role.life_fd, POLLIN, 0 },
			{ role.work_fd, POLLIN, 0 } };

		if (poll(fds, 2, -1) == -1)
			continue;
		if (fds[0].revents != 0)
			role_life(&role);
		else if (msg_receive(role.work_fd, &role.room, &msg, START_FDS,
			     false, &more) != 1)
			return 0;
		else if (msg.type == MSG_START)
			begin_session(&msg);
	}
}
