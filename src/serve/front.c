/*
 * Front: signals in, exit code out, nothing else.
 *
 * The process a supervisor knows.  It keeps the rights it was started with
 * and reads two things: its signals and short messages of master.  As
 * process 1 of a container it also reaps what nobody else does.
 */
#include "serve/front.h"

#include <sys/wait.h>

#include <poll.h>
#include <signal.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "net/ip.h"
#include "serve/msg.h"
#include "serve/privs.h"
#include "serve/settings.h"

/* Master answers STOP at once; if it cannot, we leave all the same. */
#define STOP_MS 900

#define EXIT_NOT_YET (-1)
#define FRONT_DESCRIPTORS 16

struct front {
	const struct settings *settings;
	const struct ip_endpoint *bound;
	int master_fd;
	bool is_stopping;
	bool is_draining;
	int code; /* how it ends once it is stopping */
	int64_t leave_at;
};

static void
print_address(const struct front *front)
{
	char line[128], ip[IP_TEXT_SIZE];

	text_format(line, sizeof(line), "%s : %u [%zu/%zu]\n",
	    ip_format(ip, &front->bound->ip), front->bound->port,
	    front->settings->limit,
	    limits_shown(&front->settings->limits, front->settings->limit));
	fd_write_all(1, line, strlen(line));
}

static void
begin_serving(const struct front *front)
{
	if (front->settings->prints_address && !front->settings->only_checks)
		print_address(front);
	fd_set_null(1);
}

static void
begin_stop(struct front *front)
{
	front->is_stopping = true;
	/* Workers end with us; programs may stay behind. */
	front->is_draining = front->settings->drain_s != SETTINGS_NEVER ||
	    front->settings->code != NULL;
}

static void
say_gone(const struct front *front)
{
	char line[128];

	text_format(line, sizeof(line),
	    "%s: fatal: (111) the master process ended unexpectedly\n",
	    front->settings->program_name);
	fd_write_all(2, line, strlen(line));
}

static int
hear_master(struct front *front)
{
	static struct msg_room room;
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(front->master_fd, &room, &msg, 0, true, &more);
	if (r == 0)
		return EXIT_NOT_YET;
	if (r == -1 && front->is_stopping)
		return front->code;
	if (r == -1) {
		say_gone(front);
		return 111;
	}
	switch (msg.type) {
	case MSG_READY:
		begin_serving(front);
		return front->settings->only_checks ? 0 : EXIT_NOT_YET;
	case MSG_STOPPED:
		if (!front->is_stopping) {
			begin_stop(front);
			front->code = 111; /* master has said why */
		}
		front->leave_at = CLOCK_NEVER;
		return front->is_draining ? EXIT_NOT_YET : front->code;
	case MSG_FAILED: /* master has said why */
		return 111;
	default:
		return EXIT_NOT_YET;
	}
}

/* SIGTERM or SIGINT; the second one ends a drain, but not us before workers. */
static int
stop(struct front *front)
{
	if (front->is_stopping && front->settings->code != NULL) {
		(void)msg_send_bytes(
		    front->master_fd, MSG_STOP, 0, NULL, 0, true);
		return EXIT_NOT_YET;
	}
	if (front->is_stopping)
		return front->is_draining ? front->code : EXIT_NOT_YET;
	begin_stop(front);
	front->leave_at = clock_after(clock_now(), STOP_MS);
	if (msg_send_bytes(front->master_fd, MSG_STOP, 0, NULL, 0, true) == -1)
		return 0;
	return EXIT_NOT_YET;
}

/* Master may be too busy to take it: one is as good as several. */
static void
reload(const struct front *front)
{
	if (!front->is_stopping)
		(void)msg_send_bytes(
		    front->master_fd, MSG_RELOAD, 0, NULL, 0, true);
}

static int
take_signals(struct front *front)
{
	int signo, code = EXIT_NOT_YET;

	while (code == EXIT_NOT_YET && (signo = sig_next()) != 0) {
		if (signo == SIGTERM || signo == SIGINT)
			code = stop(front);
		else if (signo == SIGHUP)
			reload(front);
		else if (signo == SIGCHLD)
			while (waitpid(-1, NULL, WNOHANG) > 0)
				continue;
	}
	return code;
}

static int
prepare_signals(void)
{
	int signal_fd = sig_pipe();

	if (signal_fd == -1 || sig_ignore_terminal() == -1 ||
	    sig_catch(SIGTERM) == -1 || sig_catch(SIGINT) == -1 ||
	    sig_catch(SIGHUP) == -1 || sig_catch(SIGCHLD) == -1 ||
	    sig_unblock(SIGHUP) == -1)
		return -1;
	return signal_fd;
}

int
front_run(const struct settings *settings, const struct ip_endpoint *bound,
    int master_fd)
{
	/* It stays who it is: a supervisor may want to signal it. */
	static const struct settings_identity same = { .is_set = false };
	const struct privs privs = { .identity = &same,
		.root_fd = -1,
		.descriptors = FRONT_DESCRIPTORS,
		.processes = 0 };
	char error[PRIVS_ERROR_SIZE];
	struct front front = { .settings = settings,
		.bound = bound,
		.master_fd = master_fd,
		.leave_at = CLOCK_NEVER };
	int signal_fd = prepare_signals(), code = EXIT_NOT_YET;
	struct pollfd fds[2] = { { signal_fd, POLLIN, 0 },
		{ master_fd, POLLIN, 0 } };
	int64_t now;

	if (signal_fd == -1 || privs_drop(&privs, error) == -1)
		return 111;
	while (code == EXIT_NOT_YET) {
		now = clock_now();
		if (now >= front.leave_at)
			return front.code;
		if (poll(fds, 2, clock_poll_timeout(now, front.leave_at)) ==
			-1 &&
		    errno != EINTR)
			return 111;
		if (fds[0].revents != 0)
			code = take_signals(&front);
		if (code == EXIT_NOT_YET && fds[1].revents != 0)
			code = hear_master(&front);
	}
	return code;
}
