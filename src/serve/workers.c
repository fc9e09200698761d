/*
 * The framework's children.  Runs in master, as root as a rule.
 *
 * Each is forked from master before keepers and nursery are, takes the
 * identity of the program and then waits at its channel.  A client comes to
 * it as the monitor's EXEC, unread; it answers DONE.  To the monitor it looks
 * like a program: STARTED, EXECED, EXITED, all with the worker's pid.
 *
 * What a worker says is not trusted: it runs a function of somebody else, as
 * a user who may not be ours.  Nonsense, and it is killed.  One that was sent
 * a signal gets no other client, so that a late one cannot reach a stranger.
 */
#include "serve/workers.h"

#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "compat/compat.h"
#include "serve/events.h"
#include "serve/master_state.h"
#include "serve/program.h"
#include "serve/programs.h"
#include "serve/role.h"
#include "serve/roles.h"
#include "serve/worker.h"

/* One that dies sooner, without a client, is replaced later each time. */
#define YOUNG_MS 1000
#define RETRY_MAX_MS 64000
/* How soon a channel that is held is tried again. */
#define HELD_MS 100

/* Whoever is not idle is looked at in every turn, and few are. */
static void
be_active(struct workers *workers, struct worker_slot *slot)
{
	slot->place = workers->active_count;
	workers->active[workers->active_count++] = slot;
}

static void
be_idle(struct workers *workers, struct worker_slot *slot)
{
	struct worker_slot *last = workers->active[--workers->active_count];

	workers->active[slot->place] = last;
	last->place = slot->place;
	slot->state = WORKER_IDLE;
	slot->next = workers->idle;
	workers->idle = slot;
}

/* No longer idle. */
static void
wake(struct workers *workers, struct worker_slot *slot)
{
	struct worker_slot **link = &workers->idle;

	while (*link != slot)
		link = &(*link)->next;
	*link = slot->next;
	be_active(workers, slot);
}

int
workers_prepare(struct master *master)
{
	struct workers *workers = &master->workers;
	size_t i;

	if (master->settings->code == NULL)
		return 0;
	workers->count = master->settings->limit;
	workers->all = calloc(workers->count, sizeof(*workers->all));
	workers->active = calloc(workers->count, sizeof(workers->active[0]));
	workers->heard = calloc(workers->count, sizeof(workers->heard[0]));
	if (workers->all == NULL || workers->active == NULL ||
	    workers->heard == NULL)
		return -1;
	for (i = 0; i < workers->count; i++) {
		chan_init(&workers->all[i].chan, 2);
		be_active(workers, &workers->all[i]);
	}
	return 0;
}

/* Starting. */

/* In the child: what master has heard is not for the program's user. */
__attribute__((noreturn)) static void
become_worker(struct master *master, int channel_fd)
{
	size_t i;

	explicit_bzero(&master->room, sizeof(master->room));
	chan_close(&master->monitor);
	for (i = 0; i < master->workers.count; i++)
		chan_close(&master->workers.all[i].chan);
	worker_run(master->program, channel_fd);
}

static void
plan_retry(struct worker_slot *slot)
{
	if (slot->retry_ms < YOUNG_MS)
		slot->retry_ms = YOUNG_MS;
	slot->retry_at = clock_after(clock_now(), slot->retry_ms);
	if (slot->retry_ms < RETRY_MAX_MS)
		slot->retry_ms *= 2;
}

/* 0, or -1 with errno. */
static int
start(struct master *master, struct worker_slot *slot)
{
	int ends[2], error;

	if (fd_message_pair(ends) == -1)
		return -1;
	slot->pid = fork();
	error = errno;
	if (slot->pid == 0)
		become_worker(master, ends[1]);
	fd_close(&ends[1]);
	if (slot->pid == -1) {
		fd_close(&ends[0]);
		slot->pid = 0;
		errno = error;
		return -1;
	}
	chan_open(&slot->chan, ends[0]);
	slot->state = WORKER_STARTING;
	slot->is_ready = slot->has_served = false;
	slot->is_signalled = slot->is_reaped = false;
	slot->started = clock_now();
	return 0;
}

/* Fatal while starting, else it is tried again. */
static void
tell_failure(struct master *master, const char *sentence)
{
	char text[WORKER_ERROR_SIZE + 16];

	text_format(text, sizeof(text), "worker: %s", sentence);
	if (!master->is_serving)
		roles_give_up(master, text);
	events_error(&master->events, "%s", text);
}

void
workers_start_due(struct master *master)
{
	struct worker_slot *slot;
	char sentence[128];
	size_t i;

	if (master->is_stopping)
		return;
	for (i = 0; i < master->workers.active_count; i++) {
		slot = master->workers.active[i];
		if (slot->state != WORKER_DOWN || clock_now() < slot->retry_at)
			continue;
		if (start(master, slot) == 0)
			continue;
		text_format(sentence, sizeof(sentence), "unable to fork: %s",
		    strerror(errno));
		tell_failure(master, sentence);
		plan_retry(slot);
	}
}

bool
workers_are_ready(const struct master *master)
{
	size_t i;

	for (i = 0; i < master->workers.active_count; i++)
		if (master->workers.active[i]->state < WORKER_IDLE)
			return false;
	return true;
}

bool
workers_are_there(const struct master *master)
{
	size_t i;

	for (i = 0; i < master->workers.active_count; i++)
		if (master->workers.active[i]->state != WORKER_DOWN)
			return true;
	return false;
}

/* Never once it has been reaped: its pid may be a stranger's by now. */
static void
kill_worker(const struct worker_slot *slot)
{
	if (!slot->is_reaped)
		kill(slot->pid, SIGKILL);
}

/* Giving clients. */

static void
forget(
    struct workers *workers, struct worker_slot *slot, enum worker_state state)
{
	if (slot->state == WORKER_IDLE)
		wake(workers, slot);
	slot->state = state;
	chan_close(&slot->chan);
}

/*
 * It gets nobody any more.  Not asked to leave: what it has served is done,
 * and its place is needed, whatever its user's processes do to it.
 */
static void
dismiss(struct workers *workers, struct worker_slot *slot)
{
	forget(workers, slot, WORKER_LEAVING);
	kill_worker(slot);
}

/* All are busy, leaving or were not to be made: one more try for a client. */
static struct worker_slot *
make_one(struct master *master)
{
	struct worker_slot *slot;
	size_t i;

	errno = EAGAIN;
	for (i = 0; i < master->workers.active_count; i++) {
		slot = master->workers.active[i];
		if (slot->state == WORKER_DOWN)
			return start(master, slot) == -1 ? NULL : slot;
	}
	return NULL;
}

/* One that is starting finds its client when it is ready. */
static struct worker_slot *
take_one(struct master *master)
{
	struct worker_slot *slot = master->workers.idle;
	size_t i;

	if (slot != NULL) {
		wake(&master->workers, slot);
		return slot;
	}
	for (i = 0; i < master->workers.active_count; i++) {
		slot = master->workers.active[i];
		if (slot->state == WORKER_STARTING)
			return slot;
	}
	return make_one(master);
}

/* Can it be said to that one?  Not if it has died, unreaped yet. */
static bool
is_alive(const struct worker_slot *slot)
{
	struct pollfd p = { slot->chan.fd, POLLIN, 0 };

	return poll(&p, 1, 0) == 0 || (p.revents & (POLLHUP | POLLERR)) == 0;
}

pid_t
workers_give(struct master *master, struct msg *msg)
{
	struct msg given = *msg;
	struct worker_slot *slot;
	size_t i;

	for (i = 0; i < msg->fd_count; i++)
		(void)program_give_end(master->settings, msg->fds[i]);
	while ((slot = take_one(master)) != NULL) {
		if (is_alive(slot))
			break;
		dismiss(&master->workers, slot);
	}
	if (slot == NULL)
		return -1;
	msg->fd_count = 0; /* they are the channel's */
	slot->state = WORKER_BUSY;
	slot->conn = msg->conn;
	slot->is_signalled = false;
	slot->has_served = true;
	/* If it fails the worker is dead, or killed: the client hears that. */
	if (chan_send(&slot->chan, &given) == -1)
		kill_worker(slot);
	return slot->pid;
}

void
workers_will_signal(struct master *master, pid_t pid)
{
	struct worker_slot *slot;
	size_t i;

	for (i = 0; i < master->workers.active_count; i++) {
		slot = master->workers.active[i];
		if (slot->state != WORKER_BUSY || slot->is_signalled ||
		    (pid != 0 && slot->pid != pid))
			continue;
		slot->is_signalled = true;
		chan_send_bytes(&slot->chan, MSG_SIGNAL, slot->conn, NULL, 0);
	}
}

/* Hearing. */

/* And no further word of it is heard. */
static void
kill_liar(struct master *master, struct worker_slot *slot)
{
	events_warning(&master->events,
	    "worker %ld talked nonsense and was killed", (long)slot->pid);
	kill_worker(slot);
	chan_close(&slot->chan);
}

static void
is_done(struct master *master, struct worker_slot *slot, const struct msg *msg)
{
	struct msg_reader r;
	uint64_t conn, how;

	msg_read_from(&r, msg);
	how = msg_get_number(&r);
	if (msg_read_all(&r) == -1 || slot->state != WORKER_BUSY ||
	    msg->conn != slot->conn) {
		kill_liar(master, slot);
		return;
	}
	if (pids_remove(&master->programs, slot->pid, &conn) == 0)
		programs_died(master, slot->pid, conn, 0);
	if (how != WORKER_STAYS || slot->is_signalled || master->is_stopping)
		dismiss(&master->workers, slot);
	else
		be_idle(&master->workers, slot);
}

static void
is_ready(struct master *master, struct worker_slot *slot)
{
	slot->is_ready = true;
	slot->retry_ms = 0;
	if (slot->state != WORKER_STARTING)
		return; /* it has a client already */
	if (master->is_stopping)
		dismiss(&master->workers, slot);
	else
		be_idle(&master->workers, slot);
}

static void
has_failed(
    struct master *master, struct worker_slot *slot, const struct msg *msg)
{
	char sentence[WORKER_ERROR_SIZE];

	text_format(sentence, sizeof(sentence), "%.*s", (int)msg->len,
	    (const char *)msg->body);
	tell_failure(master, text_clean(sentence));
	chan_close(&slot->chan); /* its death follows */
}

/* READY or FAILED once; then one DONE for each client. */
static void
obey(struct master *master, struct worker_slot *slot, const struct msg *msg)
{
	if (msg->type == MSG_READY && !slot->is_ready)
		is_ready(master, slot);
	else if (msg->type == MSG_FAILED && !slot->is_ready)
		has_failed(master, slot, msg);
	else if (msg->type == MSG_DONE && slot->is_ready)
		is_done(master, slot, msg);
	else
		kill_liar(master, slot);
}

/* All that it has said. */
static void
hear(struct master *master, struct worker_slot *slot)
{
	struct msg msg;
	int r;

	while (slot->chan.fd != -1) {
		r = chan_receive(&slot->chan, &master->room, &msg, 0);
		if (r == 0)
			return;
		if (r == 1) {
			obey(master, slot, &msg);
			continue;
		}
		if (errno != 0)
			kill_liar(master, slot);
		chan_close(&slot->chan); /* its death follows */
	}
}

size_t
workers_collect(struct master *master, struct pollfd *p)
{
	struct workers *workers = &master->workers;
	struct worker_slot *slot;
	size_t i, n = 0;

	for (i = 0; i < workers->active_count; i++) {
		slot = workers->active[i];
		if (slot->chan.fd == -1)
			continue;
		workers->heard[n] = slot;
		p[n++] = (struct pollfd){ slot->chan.fd,
			POLLIN | (chan_is_waiting(&slot->chan) ? POLLOUT : 0),
			0 };
	}
	workers->heard_count = n;
	return n;
}

void
workers_hear(struct master *master, const struct pollfd *p)
{
	struct workers *workers = &master->workers;
	struct worker_slot *slot;
	size_t i;

	for (i = 0; i < workers->heard_count; i++) {
		slot = workers->heard[i];
		if (p[i].revents == 0 || p[i].fd != slot->chan.fd)
			continue;
		if (p[i].revents & POLLOUT && chan_flush(&slot->chan) == -1)
			kill_worker(slot);
		if (p[i].revents & ~POLLOUT)
			hear(master, slot);
	}
}

/* Endings. */

static void
tell_end(struct master *master, const struct worker_slot *slot, int status)
{
	char sentence[96];

	text_format(sentence, sizeof(sentence), "worker %ld ended by %s %d",
	    (long)slot->pid, WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (!master->is_serving)
		roles_give_up(master, sentence);
	if (!master->is_stopping)
		events_warning(&master->events, "%s", sentence);
}

static struct worker_slot *
find(struct master *master, pid_t pid)
{
	size_t i;

	for (i = 0; i < master->workers.count; i++)
		if (master->workers.all[i].state != WORKER_DOWN &&
		    master->workers.all[i].pid == pid)
			return &master->workers.all[i];
	return NULL;
}

bool
workers_reaped(struct master *master, pid_t pid, int status)
{
	struct worker_slot *slot = find(master, pid);
	uint64_t conn;
	bool is_early;

	if (slot == NULL)
		return false;
	slot->is_reaped = true;
	/* What it said last comes before its death. */
	hear(master, slot);
	is_early = slot->state == WORKER_STARTING ||
	    (slot->state == WORKER_IDLE && !slot->has_served &&
		clock_now() < clock_after(slot->started, YOUNG_MS));
	if (slot->state == WORKER_BUSY) {
		if (pids_remove(&master->programs, pid, &conn) == 0)
			programs_died(master, pid, conn, status);
	} else if (slot->state != WORKER_LEAVING)
		tell_end(master, slot, status);
	forget(&master->workers, slot, WORKER_DOWN);
	slot->pid = 0;
	slot->retry_at = 0;
	if (is_early)
		plan_retry(slot);
	return true;
}

int64_t
workers_deadline(const struct master *master, int64_t now)
{
	const struct worker_slot *slot;
	int64_t next = CLOCK_NEVER, at;
	size_t i;

	for (i = 0; i < master->workers.active_count; i++) {
		slot = master->workers.active[i];
		at = CLOCK_NEVER;
		if (slot->state == WORKER_STARTING)
			at = clock_after(slot->started, ROLE_START_MS);
		else if (slot->state == WORKER_DOWN && !master->is_stopping)
			at = slot->retry_at;
		else if (chan_is_held(&slot->chan))
			at = clock_after(now, HELD_MS);
		if (at < next)
			next = at;
	}
	return next;
}

void
workers_keep_deadlines(struct master *master, int64_t now)
{
	struct worker_slot *slot;
	size_t i;

	for (i = 0; i < master->workers.active_count; i++) {
		slot = master->workers.active[i];
		if (chan_is_held(&slot->chan))
			chan_flush(&slot->chan);
		if (slot->state != WORKER_STARTING ||
		    now < clock_after(slot->started, ROLE_START_MS))
			continue;
		slot->started = now;
		kill_worker(slot);
		tell_failure(master, "not ready in time");
	}
}

void
workers_stop(struct master *master)
{
	while (master->workers.idle != NULL)
		dismiss(&master->workers, master->workers.idle);
}

void
workers_kill(const struct master *master)
{
	size_t i;

	for (i = 0; i < master->workers.count; i++)
		if (master->workers.all[i].state != WORKER_DOWN)
			kill_worker(&master->workers.all[i]);
}
