/*
 * Master: starts and restarts roles, executes and signals programs.
 *
 * Keeps the rights sslserver was started with (root, as a rule), for one
 * reason: to change identity for programs.  It reads messages of the
 * monitor and of roles, opaque bytes a keeper sends to a nursery, and
 * nothing that came from the network.  It never waits for a process that
 * could make it wait.  No no_new_privs and no sandbox: they would pass
 * through exec to the program.
 *
 * Start: logger, first keeper, the other keepers and the nursery (with what
 * the keeper read), monitor.  Afterwards whoever dies is started again.
 */
#include "serve/master.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <poll.h>
#include <signal.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "serve/chan.h"
#include "serve/children.h"
#include "serve/events.h"
#include "serve/orphan.h"
#include "serve/pids.h"
#include "serve/privs.h"
#include "serve/program.h"
#include "serve/title.h"

#define RESTART_MS 1000		/* a role that died young waits so long */
#define KILL_MS 5000		/* from SIGTERM to SIGKILL of programs */
#define START_MS 60000		/* a role that is not ready by then is dead */
/* Messages to the monitor at once: five per connection, and the roles'. */
#define QUEUE_PER_CONNECTION 5
#define QUEUE_EXTRA 1024
/* Variables in one EXEC. */
#define OVER_MAX 256

enum role_state { ROLE_DOWN, ROLE_STARTING, ROLE_READY };

struct child {
	const char *name;
	enum role_state state;
	pid_t pid;
	int life_fd;
	struct buf partial;	/* pieces of a message that is not whole yet */
	int64_t started, retry_at;
};

/* Slots of children[]. */
enum { LOGGER, MONITOR, NURSERY, KEEPER };

/* A program between fork and exec. */
struct starting {
	pid_t pid;
	uint64_t conn;
	int exec_fd;
};

struct master {
	const struct settings *settings;
	const struct program *program;
	struct children how;
	struct child *children;		/* KEEPER + keepers of them */
	size_t child_count;
	struct chan monitor;
	struct events events;
	unsigned char *public;		/* what the first keeper read */
	size_t public_len;
	struct pids programs;
	struct starting *starting;	/* limit of them */
	size_t starting_count;
	struct pollfd *polled;
	int front_fd, listen_fd, signal_fd;
	bool is_serving;		/* front has been told */
	bool is_stopping;
	bool is_idle;			/* the monitor has no connection */
	int64_t drain_at;		/* end every connection */
	int64_t kill_at;		/* SIGKILL every program */
	struct msg_room room;
};

/* A start that cannot be: say why, and let every role see our end. */
__attribute__((noreturn))
static void
give_up(struct master *master, const char *sentence)
{
	char line[1024];
	int len;

	len = snprintf(line, sizeof(line), "sslserver: fatal: (111) %s\n",
	    sentence);
	if (len > 0)
		fd_write_all(2, line, (size_t)len < sizeof(line) ?
		    (size_t)len : sizeof(line) - 1);
	msg_send_bytes(master->front_fd, MSG_FAILED, 0, NULL, 0, true);
	_exit(111);
}

/* A role failed: fatal while starting, else try again later. */
static void
fail_role(struct master *master, struct child *child, const char *sentence)
{
	if (!master->is_serving)
		give_up(master, sentence);
	events_error(&master->events, "%s: %s", child->name, sentence);
	if (child->pid > 0)
		kill(child->pid, SIGKILL);
}

static bool
is_keeper(const struct master *master, const struct child *child)
{
	return child >= &master->children[KEEPER];
}

/* Hand the monitor one end of something, with a number. */
static void
give_monitor(struct master *master, enum msg_type type, uint64_t number,
    int fd)
{
	struct msg msg = { .type = type, .body = (unsigned char *)&number,
		.len = sizeof(number), .fds = { fd }, .fd_count = 1 };

	if (fd != -1)
		chan_send(&master->monitor, &msg);
}

/* A work socket between a ready role and the monitor. */
static void
connect_role(struct master *master, struct child *child)
{
	struct msg msg = { .type = MSG_WORK, .fd_count = 1 };
	int ends[2];

	if (child->state != ROLE_READY || master->monitor.fd == -1)
		return;
	if (fd_message_pair(ends) == -1) {
		fail_role(master, child, "unable to make a socket");
		return;
	}
	msg.fds[0] = ends[0];
	if (msg_send(child->life_fd, &msg, true) == -1)
		kill(child->pid, SIGKILL);
	fd_close(&ends[0]);
	if (is_keeper(master, child))
		give_monitor(master, MSG_KEEPER,
		    (uint64_t)(child - &master->children[KEEPER]), ends[1]);
	else
		give_monitor(master, MSG_NURSERY, 0, ends[1]);
}

static void
note_start(struct child *child, pid_t pid, enum role_state state)
{
	child->pid = pid;
	child->state = state;
	child->started = clock_now();
	child->retry_at = clock_after(child->started, RESTART_MS);
}

static void
start_logger(struct master *master, struct child *child)
{
	int ends[2];
	pid_t pid;

	if (fd_message_pair(ends) == -1) {
		fail_role(master, child, "unable to make a socket");
		return;
	}
	/* One direction only; full means: count the line as lost. */
	pid = children_fork_logger(&master->how, ends[0]);
	fd_close(&ends[0]);
	note_start(child, pid, pid == -1 ? ROLE_DOWN : ROLE_READY);
	if (pid == -1) {
		fd_close(&ends[1]);
		fail_role(master, child, "unable to fork");
		return;
	}
	fd_close(&master->events.fd);
	master->events.fd = ends[1];
	give_monitor(master, MSG_LOGGER, 0, fd_dup_above(ends[1], 3));
}

static void
start_executable(struct master *master, struct child *child)
{
	enum children_kind kind = is_keeper(master, child) ? CHILD_KEEPER :
	    CHILD_NURSERY;
	char sentence[128];
	pid_t pid;

	pid = children_exec(&master->how, kind, &child->life_fd);
	note_start(child, pid, pid == -1 ? ROLE_DOWN : ROLE_STARTING);
	if (pid == -1) {
		text_format(sentence, sizeof(sentence),
		    "unable to start the %s: %s", child->name,
		    strerror(errno));
		fail_role(master, child, sentence);
		return;
	}
	/* A role that is already gone says so when it is reaped. */
	if (children_configure(&master->how, kind, child->life_fd,
	    kind == CHILD_NURSERY ? master->public : NULL,
	    kind == CHILD_NURSERY ? master->public_len : 0) == -1 &&
	    errno == EMSGSIZE)
		fail_role(master, child, "certificates and settings are "
		    "too large");
}

static void
start_monitor(struct master *master, struct child *child)
{
	size_t i;
	pid_t pid;

	pid = children_fork_monitor(&master->how, &child->life_fd);
	note_start(child, pid, pid == -1 ? ROLE_DOWN : ROLE_STARTING);
	if (pid == -1) {
		fail_role(master, child, "unable to fork the monitor");
		return;
	}
	/* Its life line is its channel. */
	chan_open(&master->monitor, child->life_fd);
	child->life_fd = -1;
	master->is_idle = false;
	give_monitor(master, MSG_LOGGER, 0,
	    fd_dup_above(master->events.fd, 3));
	for (i = NURSERY; i < master->child_count; i++)
		connect_role(master, &master->children[i]);
	give_monitor(master, MSG_LISTENER, 0,
	    fd_dup_above(master->listen_fd, 3));
	if (master->is_stopping)
		chan_send_bytes(&master->monitor, MSG_STOP, 0, NULL, 0);
}

/* May this role be started now? */
static bool
is_due(const struct master *master, const struct child *child)
{
	size_t i;

	if (child->state != ROLE_DOWN || clock_now() < child->retry_at)
		return false;
	switch (child - master->children) {
	case LOGGER:
	case KEEPER:
		return true;
	case MONITOR:
		/* At zero: not while a program of the last one lives. */
		if (master->settings->only_checks ||
		    master->programs.count > 0)
			return false;
		for (i = NURSERY; i < master->child_count &&
		    !master->is_serving; i++)
			if (master->children[i].state != ROLE_READY)
				return false;
		return true;
	default:
		return master->public != NULL;
	}
}

static void
start_what_is_due(struct master *master)
{
	struct child *child;
	size_t i;

	for (i = 0; i < master->child_count; i++) {
		child = &master->children[i];
		if (!is_due(master, child))
			continue;
		if (i == LOGGER)
			start_logger(master, child);
		else if (i == MONITOR)
			start_monitor(master, child);
		else
			start_executable(master, child);
	}
}

static void
begin_serving(struct master *master)
{
	if (master->is_serving)
		return;
	master->is_serving = true;
	msg_send_bytes(master->front_fd, MSG_READY, 0, NULL, 0, true);
	if (master->settings->only_checks)
		_exit(0);
}

static bool
all_are_ready(const struct master *master)
{
	size_t i;

	for (i = NURSERY; i < master->child_count; i++)
		if (master->children[i].state != ROLE_READY)
			return false;
	return true;
}

/* What all keepers read must be the same; the first one decides. */
static void
take_public(struct master *master, struct child *child,
    const struct msg *msg)
{
	if (master->public == NULL) {
		master->public = malloc(msg->len > 0 ? msg->len : 1);
		if (master->public == NULL)
			give_up(master, "out of memory");
		memcpy(master->public, msg->body, msg->len);
		master->public_len = msg->len;
	} else if (msg->len != master->public_len ||
	    memcmp(msg->body, master->public, msg->len) != 0) {
		fail_role(master, child, "certificate or parameter files have "
		    "changed since the start; restart sslserver to use them");
		child->state = ROLE_STARTING;
	}
}

static void
role_is_ready(struct master *master, struct child *child,
    const struct msg *msg)
{
	child->state = ROLE_READY;
	if (is_keeper(master, child))
		take_public(master, child, msg);
	connect_role(master, child);
	if (master->settings->only_checks && all_are_ready(master))
		begin_serving(master);
}

static void
take_note(struct master *master, const struct child *child,
    const struct msg *msg)
{
	const char *name, *text;
	struct msg_reader r;
	uint64_t kind;

	/* Each keeper reads the same; one of them may tell. */
	if (child != &master->children[KEEPER] &&
	    child != &master->children[NURSERY])
		return;
	msg_read_from(&r, msg);
	kind = msg_get_number(&r);
	name = msg_get_text(&r);
	text = msg_get_text(&r);
	if (msg_read_all(&r) == -1 || text == NULL)
		return;
	if (kind == MSG_NOTE_WARNING)
		events_warning(&master->events, "%s", text);
	else if (name != NULL)
		events_setting(&master->events, name, child->pid, text);
}

static void
obey_role(struct master *master, struct child *child, const struct msg *msg)
{
	char sentence[1200];

	switch (msg->type) {
	case MSG_READY:
		role_is_ready(master, child, msg);
		break;
	case MSG_NOTE:
		take_note(master, child, msg);
		break;
	case MSG_FAILED:
		text_format(sentence, sizeof(sentence), "%.*s", (int)msg->len,
		    (const char *)msg->body);
		fail_role(master, child, sentence);
		break;
	default:
		break;
	}
}

/* Take one piece; never waits for the next one of a long message. */
static void
hear_role(struct master *master, struct child *child)
{
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(child->life_fd, &master->room, &msg, 0, true, &more);
	if (r == 0)
		return;
	if (r == -1 || (child->partial.len == 0 && !more)) {
		if (r == 1)
			obey_role(master, child, &msg);
		else
			fd_close(&child->life_fd);	/* its death follows */
		return;
	}
	if (buf_append(&child->partial, msg.body, msg.len) == -1) {
		kill(child->pid, SIGKILL);
		return;
	}
	if (more)
		return;
	msg.body = child->partial.data;
	msg.len = child->partial.len;
	obey_role(master, child, &msg);
	buf_free(&child->partial);
}

/* Programs. */

static void
tell_execfailed(struct master *master, uint64_t conn, const char *reason)
{
	unsigned char body[PROGRAM_REASON_SIZE + 16];
	struct msg_writer w;
	size_t len;

	msg_write_to(&w, body, sizeof(body));
	msg_put_text(&w, reason);
	if (msg_written(&w, &len) == 0)
		chan_send_bytes(&master->monitor, MSG_EXECFAILED, conn, body,
		    len);
}

static void
tell_outcome(struct master *master, struct starting *starting)
{
	char reason[PROGRAM_REASON_SIZE];

	if (program_outcome(&starting->exec_fd, reason) == 0)
		chan_send_bytes(&master->monitor, MSG_EXECED, starting->conn,
		    NULL, 0);
	else
		tell_execfailed(master, starting->conn, reason);
	*starting = master->starting[--master->starting_count];
}

static void
refuse_exec(struct master *master, uint64_t conn, const char *what, int error)
{
	char reason[PROGRAM_REASON_SIZE];

	text_format(reason, sizeof(reason), "%s: %s", what, strerror(error));
	tell_execfailed(master, conn, reason);
}

/* The texts of an EXEC.  Returns their number, or -1. */
static int
read_environment(const struct msg *msg, char *over[OVER_MAX])
{
	struct msg_reader r;
	const char *text;
	int count = 0;

	msg_read_from(&r, msg);
	while (r.left > 0 && count < OVER_MAX) {
		text = msg_get_text(&r);
		if (text == NULL)
			return -1;
		/* Inside our own buffer; exec takes them without const. */
		over[count++] = (char *)(uintptr_t)text;
	}
	return msg_read_all(&r) == -1 ? -1 : count;
}

static void
exec_program(struct master *master, const struct msg *msg)
{
	char *over[OVER_MAX];
	struct starting *starting;
	uint64_t number;
	int count, exec_fd;
	pid_t pid;

	count = read_environment(msg, over);
	if (msg->fd_count != 2 || count == -1 ||
	    master->starting_count == master->settings->limit) {
		refuse_exec(master, msg->conn, "unable to take descriptors",
		    msg->fd_count == 2 ? EPROTO : EMFILE);
		return;
	}
	pid = program_spawn(master->program, msg->fds[0], msg->fds[1], over,
	    (size_t)count, &exec_fd);
	if (pid == -1) {
		refuse_exec(master, msg->conn, "unable to fork", errno);
		return;
	}
	number = (uint64_t)pid;
	chan_send_bytes(&master->monitor, MSG_STARTED, msg->conn, &number,
	    sizeof(number));
	/* As large as the monitor's table, so it cannot be full. */
	if (pids_add(&master->programs, pid, msg->conn) == -1)
		kill(pid, SIGKILL);
	starting = &master->starting[master->starting_count++];
	*starting = (struct starting){ pid, msg->conn, exec_fd };
}

static void
signal_program(struct master *master, const struct msg *msg)
{
	struct msg_reader r;
	pid_t pid;
	int signo;

	msg_read_from(&r, msg);
	pid = (pid_t)msg_get_number(&r);
	signo = (int)msg_get_number(&r);
	if (msg_read_all(&r) == 0 &&
	    pids_has(&master->programs, pid, msg->conn))
		kill(pid, signo);
	chan_send_bytes(&master->monitor, MSG_SIGNALLED, msg->conn, NULL, 0);
}

static void
kill_orphan(const struct master *master, const struct msg *msg)
{
	const struct settings_identity *id = &master->settings->net_id;
	struct msg_reader r;
	uint64_t centiseconds;
	pid_t pid;

	msg_read_from(&r, msg);
	pid = (pid_t)msg_get_number(&r);
	centiseconds = msg_get_number(&r);
	if (msg_read_all(&r) == 0)
		orphan_kill(pid, id->is_set ? id->uid : getuid(),
		    (double)centiseconds / 100);
}

static void
obey_monitor(struct master *master, const struct msg *msg)
{
	char sentence[1024];

	switch (msg->type) {
	case MSG_READY:
		master->children[MONITOR].state = ROLE_READY;
		begin_serving(master);
		break;
	case MSG_EXEC:
		exec_program(master, msg);
		break;
	case MSG_SIGNAL:
		signal_program(master, msg);
		break;
	case MSG_KILL_SESSION:
		kill_orphan(master, msg);
		break;
	case MSG_IDLE:
		master->is_idle = true;
		break;
	case MSG_FAILED:
		text_format(sentence, sizeof(sentence), "%.*s", (int)msg->len,
		    (const char *)msg->body);
		fail_role(master, &master->children[MONITOR], sentence);
		break;
	default:
		break;
	}
}

static void
hear_monitor(struct master *master)
{
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(master->monitor.fd, &master->room, &msg, 2, true,
	    &more);
	if (r == 0)
		return;
	if (r == -1 || more) {
		chan_close(&master->monitor);	/* its death follows */
		return;
	}
	obey_monitor(master, &msg);
	msg_close_fds(&msg);
}

/* Endings. */

static void
stop(struct master *master)
{
	if (master->is_stopping)
		return;
	master->is_stopping = true;
	/*
	 * Shut down, not only closed: the monitor holds it too, and the
	 * port must be free now, whatever the monitor is doing.
	 */
	if (master->listen_fd != -1)
		shutdown(master->listen_fd, SHUT_RDWR);
	fd_close(&master->listen_fd);
	chan_send_bytes(&master->monitor, MSG_STOP, 0, NULL, 0);
	msg_send_bytes(master->front_fd, MSG_STOPPED, 0, NULL, 0, true);
	if (!master->is_serving)
		_exit(0);
	if (master->settings->drain_s != SETTINGS_NEVER)
		master->drain_at = clock_after(clock_now(),
		    master->settings->drain_s * 1000);
}

static void
hear_front(struct master *master)
{
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(master->front_fd, &master->room, &msg, 0, true,
	    &more);
	if (r == 0)
		return;
	stop(master);
	if (r == -1)
		fd_close(&master->front_fd);
}

static void
end_programs(struct master *master)
{
	pids_signal_all(&master->programs, SIGTERM);
	pids_signal_all(&master->programs, SIGCONT);
	master->kill_at = clock_after(clock_now(), KILL_MS);
}

static void
keep_deadlines(struct master *master)
{
	int64_t now = clock_now();
	struct child *child;
	size_t i;

	if (now >= master->drain_at) {
		master->drain_at = CLOCK_NEVER;
		chan_send_bytes(&master->monitor, MSG_END, 0, NULL, 0);
		end_programs(master);
	}
	if (now >= master->kill_at) {
		master->kill_at = CLOCK_NEVER;
		pids_signal_all(&master->programs, SIGKILL);
	}
	for (i = 0; i < master->child_count; i++) {
		child = &master->children[i];
		if (child->state == ROLE_STARTING && child->pid > 0 &&
		    now >= clock_after(child->started, START_MS)) {
			child->started = now;
			fail_role(master, child, "not ready in time");
			kill(child->pid, SIGKILL);
		}
	}
}

static void
role_died(struct master *master, struct child *child, int status)
{
	char sentence[160];

	text_format(sentence, sizeof(sentence), "%s %ld ended by %s %d",
	    child->name, (long)child->pid,
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	/* What it said last explains it better than its status. */
	while (child->life_fd != -1)
		hear_role(master, child);
	buf_free(&child->partial);
	if (!master->is_serving)
		give_up(master, sentence);
	if (!master->is_stopping || child != &master->children[LOGGER])
		events_warning(&master->events, "%s", sentence);
	fd_close(&child->life_fd);
	child->state = ROLE_DOWN;
	child->pid = 0;
	if (child == &master->children[MONITOR]) {
		chan_close(&master->monitor);
		end_programs(master);
	}
	if (child == &master->children[LOGGER])
		fd_close(&master->events.fd);
}

static void
program_died(struct master *master, pid_t pid, uint64_t conn, int status)
{
	uint64_t number = (uint64_t)status;
	size_t i;

	/* How it began comes before how it ended. */
	for (i = 0; i < master->starting_count; i++)
		if (master->starting[i].pid == pid) {
			tell_outcome(master, &master->starting[i]);
			break;
		}
	chan_send_bytes(&master->monitor, MSG_EXITED, conn, &number,
	    sizeof(number));
}

static void
reap(struct master *master)
{
	uint64_t conn;
	size_t i;
	pid_t pid;
	int status;

	while (sig_next() != 0)
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pids_remove(&master->programs, pid, &conn) == 0) {
			program_died(master, pid, conn, status);
			continue;
		}
		for (i = 0; i < master->child_count; i++)
			if (master->children[i].pid == pid)
				role_died(master, &master->children[i],
				    status);
	}
}

/* The loop. */

static size_t
collect(struct master *master)
{
	struct pollfd *p = master->polled;
	size_t n = 0, i;

	p[n++] = (struct pollfd){ master->signal_fd, POLLIN, 0 };
	p[n++] = (struct pollfd){ master->front_fd, POLLIN, 0 };
	p[n++] = (struct pollfd){ master->monitor.fd, POLLIN |
		(chan_is_waiting(&master->monitor) ? POLLOUT : 0), 0 };
	for (i = 0; i < master->child_count; i++)
		p[n++] = (struct pollfd){ master->children[i].life_fd,
			POLLIN, 0 };
	for (i = 0; i < master->starting_count; i++)
		p[n++] = (struct pollfd){ master->starting[i].exec_fd,
			POLLIN, 0 };
	return n;
}

static int
timeout(const struct master *master)
{
	int64_t next = CLOCK_NEVER, now = clock_now();
	const struct child *child;
	size_t i;

	if (master->drain_at < next)
		next = master->drain_at;
	if (master->kill_at < next)
		next = master->kill_at;
	for (i = 0; i < master->child_count; i++) {
		child = &master->children[i];
		if (child->state == ROLE_DOWN && child->retry_at > now &&
		    child->retry_at < next)
			next = child->retry_at;
		if (child->state == ROLE_STARTING &&
		    clock_after(child->started, START_MS) < next)
			next = clock_after(child->started, START_MS);
	}
	return clock_poll_timeout(now, next);
}

static void
turn(struct master *master)
{
	struct pollfd *p = master->polled;
	size_t n, i;

	n = collect(master);
	if (poll(p, n, timeout(master)) == -1)
		return;
	/* From the end, as tell_outcome moves the last one forward. */
	for (i = n; i-- > 3 + master->child_count; )
		if (p[i].revents != 0)
			tell_outcome(master, &master->starting[i - 3 -
			    master->child_count]);
	if (p[2].revents & POLLOUT)
		chan_flush(&master->monitor);
	if (p[2].revents & ~POLLOUT)
		hear_monitor(master);
	for (i = 0; i < master->child_count; i++)
		if (p[3 + i].revents != 0 &&
		    p[3 + i].fd == master->children[i].life_fd)
			hear_role(master, &master->children[i]);
	if (p[0].revents != 0)
		reap(master);
	if (p[1].revents != 0)
		hear_front(master);
}

static void
prepare(struct master *master)
{
	const struct settings *settings = master->settings;
	char error[CHILDREN_ERROR_SIZE];
	size_t i;

	master->child_count = KEEPER + settings->keepers;
	master->children = calloc(master->child_count,
	    sizeof(*master->children));
	master->starting = calloc(settings->limit, sizeof(*master->starting));
	master->polled = calloc(3 + master->child_count + settings->limit,
	    sizeof(*master->polled));
	chan_init(&master->monitor, settings->limit * QUEUE_PER_CONNECTION +
	    QUEUE_EXTRA);
	if (master->children == NULL || master->starting == NULL ||
	    master->polled == NULL ||
	    pids_init(&master->programs, settings->limit) == -1)
		give_up(master, "out of memory");
	for (i = 0; i < master->child_count; i++) {
		master->children[i].life_fd = -1;
		buf_init(&master->children[i].partial, MSG_BODY_MAX);
		master->children[i].name = i == LOGGER ? "logger" :
		    i == MONITOR ? "monitor" : i == NURSERY ? "nursery" :
		    "keeper";
	}
	events_init(&master->events, -1, settings->verbosity);
	master->drain_at = master->kill_at = CLOCK_NEVER;
	if (children_prepare(&master->how, settings, error) == -1)
		give_up(master, error);
	master->signal_fd = sig_pipe();
	if (master->signal_fd == -1 || sig_catch(SIGCHLD) == -1)
		give_up(master, "unable to catch signals");
}

void
master_run(const struct settings *settings, const struct program *program,
    int front_fd, int listen_fd)
{
	static struct master master;

	master.settings = settings;
	master.program = program;
	master.front_fd = front_fd;
	master.listen_fd = listen_fd;
	title_set("master");
	privs_hide();
	sig_ignore_terminal();
	prepare(&master);
	while (!(master.is_stopping && master.is_idle &&
	    master.programs.count == 0)) {
		start_what_is_due(&master);
		turn(&master);
		keep_deadlines(&master);
	}
	_exit(0);
}
