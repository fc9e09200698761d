/*
 * Master: starts and restarts roles, executes and signals programs.
 *
 * Keeps the rights sslserver was started with (root, as a rule), for one
 * reason: to change identity for programs.  It reads messages of the
 * monitor and of roles, and nothing that came from the network; what a
 * keeper seals for the nursery passes through as a descriptor.  It never
 * waits for a process that could make it wait.  No no_new_privs and no sandbox: they would pass
 * through exec to the program.
 *
 * Start: workers, in the framework; logger, first keeper, the other keepers
 * and the nursery (with what the keeper read), monitor.  Afterwards whoever dies is started again; and
 * keepers and nursery are made anew beside the old ones by a reload.
 */
#include "serve/master.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "serve/generation.h"
#include "serve/master_state.h"
#include "serve/privs.h"
#include "serve/programs.h"
#include "serve/roles.h"
#include "serve/ruletables.h"
#include "serve/ticketfile.h"
#include "serve/title.h"

/* Messages to the monitor at once: five per connection, and the roles'. */
#define QUEUE_PER_CONNECTION 5
#define QUEUE_EXTRA 1024
/* How soon a channel that is held is tried again. */
#define HELD_MS 100
/* What master has open besides its roles; and, of these, for programs. */
#define OWN_DESCRIPTORS 46
#define SPAWN_DESCRIPTORS 8
/* Signals, front, monitor and the watchers: what is polled first. */
#define FIXED (4 + RULE_FILES)
/* From the end of a drain to SIGKILL of what still runs. */
#define DRAIN_KILL_MS 5000

/* The role that the monitor means, which may be replaced by now: or NULL. */
static struct child *
find_role(struct master *master, enum role_kind kind, uint64_t pid)
{
	struct child *child;
	size_t i;

	for (i = 0; i < master->child_count; i++) {
		child = &master->children[i];
		if (child->kind == kind && child->pid > 0 &&
		    (uint64_t)child->pid == pid)
			return child;
	}
	return NULL;
}

/*
 * It is of no use to the monitor: a new one will be.  Unless it is dying;
 * then its status says why.
 */
static void
kill_stuck(struct master *master, const struct msg *msg)
{
	struct msg_reader r;
	struct child *child;
	uint64_t which, why;

	msg_read_from(&r, msg);
	which = msg_get_number(&r);
	why = msg_get_number(&r);
	child = find_role(master,
	    which == MSG_STUCK_RESOLVER	   ? ROLE_RESOLVER
		: which == MSG_STUCK_CACHE ? ROLE_CACHE
					   : ROLE_NURSERY,
	    msg_get_number(&r));
	if (msg_read_all(&r) == -1 || child == NULL ||
	    child->state != ROLE_READY)
		return;
	if (why != MSG_STUCK_CLOSED)
		child->fault = why == MSG_STUCK_SILENT ? "did not answer"
						       : "talked nonsense";
	kill(child->pid, SIGKILL);
}

static void
take_spent(struct master *master, const struct msg *msg)
{
	struct msg_reader r;
	uint64_t number;

	msg_read_from(&r, msg);
	number = msg_get_number(&r);
	if (msg_read_all(&r) == 0)
		generation_is_spent(master, number);
}

static void
obey_monitor(struct master *master, struct msg *msg)
{
	char sentence[1024];

	switch (msg->type) {
	case MSG_READY:
		master->children[MONITOR].state = ROLE_READY;
		roles_begin_serving(master);
		break;
	case MSG_EXEC:
		programs_exec(master, msg);
		break;
	case MSG_SIGNAL:
		programs_signal(master, msg);
		break;
	case MSG_CLOSE_INPUT:
		programs_close_input(master, msg);
		break;
	case MSG_STUCK:
		kill_stuck(master, msg);
		break;
	case MSG_KILL_SESSION:
		programs_kill_orphan(master, msg);
		break;
	case MSG_SPENT:
		take_spent(master, msg);
		break;
	case MSG_IDLE:
		master->is_idle = true;
		break;
	case MSG_FAILED:
		text_format(sentence, sizeof(sentence), "%.*s", (int)msg->len,
		    (const char *)msg->body);
		roles_fail(master, &master->children[MONITOR], sentence);
		break;
	default:
		break;
	}
}

/* Take one message.  Returns whether there was one. */
static bool
hear_monitor(struct master *master)
{
	struct msg msg;
	int r;

	r = chan_receive(&master->monitor, &master->room, &msg, MSG_FDS_MAX);
	if (r == 0)
		return false;
	if (r == -1) {
		chan_close(&master->monitor); /* its death follows */
		return false;
	}
	obey_monitor(master, &msg);
	msg_close_fds(&msg);
	return true;
}

/* Endings. */

/* Workers are ours, and end with us; programs may stay behind. */
static void
plan_end(struct master *master)
{
	long drain_s = master->settings->drain_s;

	if (drain_s == SETTINGS_NEVER && master->settings->code != NULL)
		drain_s = 0;
	if (drain_s != SETTINGS_NEVER)
		master->drain_at = clock_after(clock_now(), drain_s * 1000);
}

/* Being told again ends the wait for workers. */
static void
stop(struct master *master)
{
	if (master->is_stopping) {
		if (master->settings->code != NULL &&
		    master->drain_at != CLOCK_NEVER)
			master->drain_at = clock_now();
		return;
	}
	master->is_stopping = true;
	roles_close_listener(master);
	generation_stop(master);
	chan_send_bytes(&master->monitor, MSG_STOP, 0, NULL, 0);
	msg_send_bytes(master->front_fd, MSG_STOPPED, 0, NULL, 0, true);
	if (!master->is_serving)
		_exit(0);
	workers_stop(master);
	plan_end(master);
}

/* Everything that was read from files; a server that stops needs none. */
static void
reload(struct master *master)
{
	if (master->is_stopping)
		return;
	ruletables_reload(master);
	generation_start(master);
}

static void
hear_front(struct master *master)
{
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(master->front_fd, &master->room, &msg, 0, true, &more);
	if (r == 0)
		return;
	if (r == 1 && msg.type == MSG_RELOAD) {
		reload(master);
		return;
	}
	stop(master);
	if (r == -1)
		fd_close(&master->front_fd);
}

static void
keep_deadlines(struct master *master)
{
	int64_t now = clock_now();

	if (chan_is_held(&master->monitor))
		chan_flush(&master->monitor);
	if (now >= master->drain_at) {
		master->drain_at = CLOCK_NEVER;
		/* Each session first, so that no client takes what its
		 * program left unfinished for the end; then programs. */
		chan_send_bytes(&master->monitor, MSG_END, 0, NULL, 0);
		master->kill_at = clock_after(now, DRAIN_KILL_MS);
	}
	if (now >= master->kill_at) {
		master->kill_at = CLOCK_NEVER;
		workers_will_signal(master, 0);
		pids_signal_all(&master->programs, SIGKILL);
		if (master->is_stopping)
			workers_kill(master);
	}
	programs_keep_deadlines(master, now);
	workers_keep_deadlines(master, now);
	roles_keep_deadlines(master, now);
	generation_turn(master, now);
}

static void
reap(struct master *master)
{
	uint64_t conn;
	size_t i;
	pid_t pid;
	int status;

	while (sig_next() != 0)
		reaper_signalled(&master->reaper, master->programs.count);
	while ((pid = reaper_next(
		    &master->reaper, master->programs.count, &status)) > 0) {
		if (ruletables_reaped(master, pid, status) ||
		    workers_reaped(master, pid, status))
			continue;
		if (pids_remove(&master->programs, pid, &conn) == 0) {
			programs_died(master, pid, conn, status);
			continue;
		}
		/* What the monitor said last comes before its death. */
		while (pid == master->children[MONITOR].pid &&
		    master->monitor.fd != -1 && hear_monitor(master))
			continue;
		for (i = 0; i < master->child_count; i++)
			if (master->children[i].pid == pid)
				roles_died(
				    master, &master->children[i], status);
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
	p[n++] = (struct pollfd){ master->monitor.fd,
		POLLIN | (chan_is_waiting(&master->monitor) ? POLLOUT : 0), 0 };
	for (i = 0; i < RULE_FILES; i++)
		p[n++] = (struct pollfd){ master->rulefiles[i].watcher.fd,
			POLLIN, 0 };
	p[n++] = (struct pollfd){ master->ticket_file.watcher.fd, POLLIN, 0 };
	/* Few of them are there: poll(2) may not see more than are open. */
	master->heard_count = 0;
	for (i = 0; i < master->child_count; i++)
		if (master->children[i].life_fd != -1) {
			master->heard[master->heard_count++] =
			    &master->children[i];
			p[n++] = (struct pollfd){ master->children[i].life_fd,
				POLLIN, 0 };
		}
	for (i = 0; i < master->starting_count; i++)
		p[n++] = (struct pollfd){ master->starting[i].start.exec_fd,
			POLLIN, 0 };
	return n + workers_collect(master, &p[n]);
}

static int
timeout(const struct master *master)
{
	int64_t next = generation_deadline(master), now = clock_now();
	const struct child *child;
	size_t i;

	if (workers_deadline(master, now) < next)
		next = workers_deadline(master, now);
	if (chan_is_held(&master->monitor) && clock_after(now, HELD_MS) < next)
		next = clock_after(now, HELD_MS);
	if (master->tell_at < next)
		next = master->tell_at;
	if (master->look_at < next)
		next = master->look_at;
	if (reaper_deadline(&master->reaper) < next)
		next = reaper_deadline(&master->reaper);
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
		    clock_after(child->started, ROLE_START_MS) < next)
			next = clock_after(child->started, ROLE_START_MS);
	}
	return clock_poll_timeout(now, next);
}

static void
turn(struct master *master)
{
	struct pollfd *p = master->polled;
	size_t n, i, first, workers;

	n = collect(master);
	if (poll(p, n, timeout(master)) == -1)
		return;
	first = FIXED + master->heard_count;
	workers = first + master->starting_count;
	workers_hear(master, &p[workers]);
	/* From the end, as programs_tell_outcome moves the last one forward. */
	for (i = workers; i-- > first;)
		if (p[i].revents != 0)
			programs_tell_outcome(
			    master, &master->starting[i - first]);
	if (p[2].revents & POLLOUT)
		chan_flush(&master->monitor);
	if (p[2].revents & ~POLLOUT)
		hear_monitor(master);
	for (i = 0; i < RULE_FILES; i++)
		if (p[3 + i].revents != 0)
			ruletables_hear(master, i);
	if (p[FIXED - 1].revents != 0)
		ticketfile_hear(master);
	for (i = 0; i < master->heard_count; i++)
		if (p[FIXED + i].revents != 0 &&
		    p[FIXED + i].fd == master->heard[i]->life_fd)
			roles_hear(master, master->heard[i]);
	if (p[0].revents != 0 ||
	    clock_now() >= reaper_deadline(&master->reaper))
		reap(master);
	if (p[1].revents != 0)
		hear_front(master);
}

/* One descriptor for each program: see programs.h. */
static bool
keeps_inputs(const struct settings *settings)
{
	return settings->strict_close || settings->is_delayed;
}

/* Without generations but two: the newest, and one that is coming. */
static size_t
descriptors_needed(const struct master *master)
{
	const struct settings *settings = master->settings;

	return GENERATIONS + OWN_DESCRIPTORS +
	    GENERATIONS_MIN * generation_descriptors(settings->keepers) +
	    (keeps_inputs(settings) ? settings->limit : 0) +
	    (settings->code != NULL ? settings->limit : 0);
}

/* What is not needed: half for more generations, half for more programs. */
static void
share_descriptors(struct master *master, rlim_t left)
{
	rlim_t each = generation_descriptors(master->settings->keepers);
	rlim_t more = left / 2 / each;

	if (more > GENERATIONS_MAX - GENERATIONS_MIN)
		more = GENERATIONS_MAX - GENERATIONS_MIN;
	master->generation_limit = GENERATIONS_MIN + (size_t)more;
	left = left - more * each + SPAWN_DESCRIPTORS;
	master->starting_limit = master->settings->limit;
	if (left < master->starting_limit)
		master->starting_limit = (size_t)left;
}

/*
 * Master's own limit is the program's, so it is not raised.  poll(2) fails
 * for more descriptors than it says, and so must we before.
 */
static void
check_descriptors(struct master *master)
{
	rlim_t need = (rlim_t)descriptors_needed(master);
	char sentence[128];
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		roles_give_up(master, "unable to read the limit of open files");
	/* More than anybody can use, and safe to count with. */
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > INT_MAX)
		limit.rlim_cur = INT_MAX;
	if (limit.rlim_cur < need) {
		text_format(sentence, sizeof(sentence),
		    "%s needs %lu open files, the limit is %lu",
		    master->settings->program_name, (unsigned long)need,
		    (unsigned long)limit.rlim_cur);
		roles_give_up(master, sentence);
	}
	share_descriptors(master, limit.rlim_cur - need);
}

static void
prepare_children(struct master *master)
{
	static const char *const names[] = { [ROLE_LOGGER] = "logger",
		[ROLE_MONITOR] = "monitor",
		[ROLE_RESOLVER] = "resolver",
		[ROLE_CACHE] = "cache",
		[ROLE_NURSERY] = "nursery",
		[ROLE_KEEPER] = "keeper" };
	size_t i;

	master->children[LOGGER].kind = ROLE_LOGGER;
	master->children[MONITOR].kind = ROLE_MONITOR;
	master->children[RESOLVER].kind = ROLE_RESOLVER;
	master->children[CACHE].kind = ROLE_CACHE;
	generation_prepare(master, &master->children[GENERATIONS]);
	for (i = 0; i < master->child_count; i++) {
		master->children[i].life_fd = -1;
		master->children[i].name = names[master->children[i].kind];
	}
}

static void
prepare(struct master *master)
{
	const struct settings *settings = master->settings;
	char error[CHILDREN_ERROR_SIZE];

	master->child_count =
	    GENERATIONS + generation_children(settings->keepers);
	check_descriptors(master);
	master->children =
	    calloc(master->child_count, sizeof(*master->children));
	master->heard = calloc(master->child_count, sizeof(*master->heard));
	master->starting = calloc(settings->limit, sizeof(*master->starting));
	/* Programs that start, or workers. */
	master->polled = calloc(FIXED + master->child_count + settings->limit,
	    sizeof(*master->polled));
	chan_init(&master->monitor,
	    settings->limit * QUEUE_PER_CONNECTION + QUEUE_EXTRA);
	if (master->children == NULL || master->heard == NULL ||
	    master->starting == NULL || master->polled == NULL ||
	    pids_init(&master->programs, settings->limit) == -1 ||
	    workers_prepare(master) == -1)
		roles_give_up(master, "out of memory");
	prepare_children(master);
	events_init(
	    &master->events, settings->program_name, -1, settings->verbosity);
	reaper_init(&master->reaper);
	master->drain_at = master->kill_at = CLOCK_NEVER;
	master->tell_at = CLOCK_NEVER;
	ruletables_prepare(master);
	/* Nobody to ask for: ready as it is. */
	if (!settings->wants_resolver)
		master->children[RESOLVER].state = ROLE_READY;
	if (settings->session_s == 0)
		master->children[CACHE].state = ROLE_READY;
	if (children_prepare(&master->how, settings, error) == -1)
		roles_give_up(master, error);
	master->signal_fd = sig_pipe();
	if (master->signal_fd == -1 || sig_catch(SIGCHLD) == -1)
		roles_give_up(master, "unable to catch signals");
}

void
master_run(const struct settings *settings, const struct program *program,
    int front_fd, int listen_fd, int phrase_fd)
{
	static struct master master;

	master.settings = settings;
	master.program = program;
	master.front_fd = front_fd;
	master.listen_fd = listen_fd;
	master.phrase_fd = phrase_fd;
	title_set("master");
	privs_hide();
	if (sig_ignore_terminal() == -1 || sig_unblock(SIGHUP) == -1)
		_exit(111);
	prepare(&master);
	workers_start_due(&master);
	generation_start(&master);
	generation_turn(&master, clock_now());
	while (!(master.is_stopping && master.is_idle &&
	    master.programs.count == 0 && !workers_are_there(&master))) {
		workers_start_due(&master);
		roles_start_due(&master);
		ruletables_look(&master);
		turn(&master);
		if (master.must_stop)
			stop(&master);
		keep_deadlines(&master);
	}
	events_report_lost(&master.events);
	_exit(0);
}
