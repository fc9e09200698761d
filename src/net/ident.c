/*
 * IDENT: one question to the client's machine.
 *
 * Runs in the resolver.  The other side is whoever connected to us: what it
 * says is worth as much as the client's machine is trusted, and is read as
 * hostile.  A reply is one line of at most 1,000 bytes; a machine that says
 * nothing costs a socket and some bytes of memory until the deadline.
 */
#include "net/ident.h"

#include <sys/socket.h>

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "net/sock.h"

#define BLANKS " \t"
#define FIELD_SIZE 16

struct ident {
	struct ev_loop *loop;
	int fd;
	ev_io io;
	ev_timer deadline;
	ident_answer *answer;
	void *arg;
	uint16_t remote_port, local_port;
	size_t len;
	char reply[IDENT_REPLY_MAX];
};

/* The reply. */

/*
 * The next field of *line, up to the separator, without blanks around it.
 * 0, or -1 when there is no separator or the field is too long.
 */
static int
next_field(
    char field[FIELD_SIZE], const char **line, const char *end, char separator)
{
	const char *from = *line;
	const char *to = memchr(from, separator, (size_t)(end - from));

	if (to == NULL)
		return -1;
	*line = to + 1;
	while (from < to && strchr(BLANKS, *from) != NULL && *from != '\0')
		from++;
	while (from < to && strchr(BLANKS, to[-1]) != NULL && to[-1] != '\0')
		to--;
	if (to - from >= FIELD_SIZE ||
	    memchr(from, '\0', (size_t)(to - from)) != NULL)
		return -1;
	memcpy(field, from, (size_t)(to - from));
	field[to - from] = '\0';
	return 0;
}

static int
is_port(const char *field, uint16_t port)
{
	unsigned long number;

	return text_number(field, 0, 65535, &number) == 0 && number == port;
}

int
ident_parse(char info[IDENT_INFO_SIZE], const char *line, size_t len,
    uint16_t remote_port, uint16_t local_port)
{
	const char *end = line + len;
	char field[FIELD_SIZE];
	size_t i = 0;

	if (next_field(field, &line, end, ',') == -1 ||
	    !is_port(field, remote_port) ||
	    next_field(field, &line, end, ':') == -1 ||
	    !is_port(field, local_port) ||
	    next_field(field, &line, end, ':') == -1 ||
	    strcmp(field, "USERID") != 0)
		return -1;
	/* The operating system, perhaps with a character set: any length. */
	line = memchr(line, ':', (size_t)(end - line));
	if (line == NULL)
		return -1;
	for (line++; line < end && (*line == ' ' || *line == '\t'); line++)
		continue;
	if (line == end || end - line >= IDENT_INFO_SIZE)
		return -1;
	for (; line < end; line++)
		info[i++] = *line >= ' ' && *line < 0x7f ? *line : '?';
	info[i] = '\0';
	return 0;
}

/* The connection. */

static void
finish(struct ident *ident, const char *info)
{
	ident_answer *answer = ident->answer;
	void *arg = ident->arg;
	char copy[IDENT_INFO_SIZE];

	if (info != NULL)
		text_copy(copy, sizeof(copy), info);
	ident_forget(ident);
	answer(arg, info != NULL ? copy : NULL);
}

static void
on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	finish(timer->data, NULL);
}

/* A whole line is there: its end is at len, perhaps after CR. */
static void
take_line(struct ident *ident, size_t len)
{
	char info[IDENT_INFO_SIZE];

	if (len > 0 && ident->reply[len - 1] == '\r')
		len--;
	finish(ident,
	    ident_parse(info, ident->reply, len, ident->remote_port,
		ident->local_port) == 0
		? info
		: NULL);
}

static void
on_reply(struct ev_loop *loop, ev_io *io, int revents)
{
	struct ident *ident = io->data;
	char *end, *from = ident->reply + ident->len;
	ssize_t got;

	(void)loop;
	(void)revents;
	got = recv(ident->fd, from, sizeof(ident->reply) - ident->len, 0);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		finish(ident, NULL);
		return;
	}
	ident->len += (size_t)got;
	end = memchr(from, '\n', (size_t)got);
	if (end != NULL)
		take_line(ident, (size_t)(end - ident->reply));
	else if (ident->len == sizeof(ident->reply))
		finish(ident, NULL); /* too long */
}

/* The question fits into the empty buffer of a new connection. */
static void
on_connected(struct ev_loop *loop, ev_io *io, int revents)
{
	struct ident *ident = io->data;
	char question[32];

	(void)revents;
	text_format(question, sizeof(question), "%u , %u\r\n",
	    (unsigned)ident->remote_port, (unsigned)ident->local_port);
	/* Fails as connecting did. */
	if (send(ident->fd, question, strlen(question), MSG_NOSIGNAL) !=
	    (ssize_t)strlen(question)) {
		finish(ident, NULL);
		return;
	}
	ev_io_stop(loop, io);
	ev_io_init(io, on_reply, ident->fd, EV_READ);
	ev_io_start(loop, io);
}

/* One that cannot begin is answered by the loop, at once. */
static void
start(struct ident *ident, int64_t deadline)
{
	int64_t left = ident->fd == -1 ? 0 : deadline - clock_now();

	ev_io_init(&ident->io, on_connected, ident->fd, EV_WRITE);
	ident->io.data = ident;
	if (ident->fd != -1)
		ev_io_start(ident->loop, &ident->io);
	ev_timer_init(&ident->deadline, on_deadline,
	    left > 0 ? (double)left / 1000 : 0, 0);
	ident->deadline.data = ident;
	if (ident->fd != -1 && deadline == CLOCK_NEVER)
		return;
	/* The loop's clock may be late: a turn can be long. */
	ev_now_update(ident->loop);
	ev_timer_start(ident->loop, &ident->deadline);
}

struct ident *
ident_ask_port(struct ev_loop *loop, const struct ip_endpoint *local,
    const struct ip_endpoint *remote, uint16_t port, int64_t deadline,
    ident_answer *answer, void *arg)
{
	struct ident *ident = calloc(1, sizeof(*ident));
	struct ip_endpoint server = *remote;

	if (ident == NULL)
		return NULL;
	server.port = port;
	ident->loop = loop;
	ident->answer = answer;
	ident->arg = arg;
	ident->remote_port = remote->port;
	ident->local_port = local->port;
	ident->fd = sock_connect_from(local, &server);
	start(ident, deadline);
	return ident;
}

struct ident *
ident_ask(struct ev_loop *loop, const struct ip_endpoint *local,
    const struct ip_endpoint *remote, int64_t deadline, ident_answer *answer,
    void *arg)
{
	return ident_ask_port(
	    loop, local, remote, IDENT_PORT, deadline, answer, arg);
}

void
ident_forget(struct ident *ident)
{
	if (ident == NULL)
		return;
	ev_io_stop(ident->loop, &ident->io);
	ev_timer_stop(ident->loop, &ident->deadline);
	fd_close(&ident->fd);
	free(ident);
}
