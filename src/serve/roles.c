/*
 * Role processes.  Runs in master.
 *
 * Starts them in order, hands work sockets to both ends, and starts again
 * whoever dies.  What a keeper seals goes to the nursery as a descriptor.
 */
#include "serve/roles.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "net/sock.h"
#include "serve/generation.h"
#include "serve/handover.h"
#include "serve/master_state.h"
#include "serve/programs.h"
#include "serve/ruletables.h"
#include "serve/ticketfile.h"
#include "serve/sealed.h"

#define STATUS_NOT_LOADED 127 /* says the dynamic loader */
#define RESTART_MAX_MS 64000  /* and twice as long as the last time */
#define RESTART_MS 1000	      /* a role that died young waits so long */
#define SILENCE_MS 60000      /* of name servers, until it is told again */
#define LOG_QUEUE (1 << 20)   /* bytes: a thousand lines and more */

/*
 * Shut down, not only closed: the monitor holds it too, and so may a child
 * that was just forked; the port must be free now, whatever they are doing.
 */
void
roles_close_listener(struct master *master)
{
	if (master->listen_fd != -1)
		shutdown(master->listen_fd, SHUT_RDWR);
	fd_close(&master->listen_fd);
}

/* A start that cannot be: say why, and let every role see our end. */
void
roles_give_up(struct master *master, const char *sentence)
{
	char shown[960], line[1024];

	text_copy(shown, sizeof(shown), sentence);
	text_format(line, sizeof(line), "%s: fatal: (111) %s\n",
	    master->settings->program_name, text_clean(shown));
	fd_write_all(2, line, strlen(line));
	roles_close_listener(master);
	msg_send_bytes(master->front_fd, MSG_FAILED, 0, NULL, 0, true);
	_exit(111);
}

/* A role failed: fatal while starting, else try again later. */
void
roles_fail(struct master *master, struct child *child, const char *sentence)
{
	if (!master->is_serving)
		roles_give_up(master, sentence);
	if (generation_is_coming(master, child))
		generation_fail(master, child, sentence, true);
	else if (!child->is_dismissed)
		events_error(&master->events, "%s: %s", child->name, sentence);
	if (child->pid > 0)
		kill(child->pid, SIGKILL);
}

/* Hand the monitor one end of something, with two numbers. */
static void
give_monitor(struct master *master, enum msg_type type, uint64_t first,
    uint64_t second, int fd)
{
	const uint64_t body[2] = { first, second };
	struct msg msg = { .type = type,
		.body = (const unsigned char *)body,
		.len = sizeof(body),
		.fds = { fd },
		.fd_count = 1 };

	if (fd != -1)
		chan_send(&master->monitor, &msg);
}

/* With what its sessions are bound to. */
static void
give_nursery(struct master *master, const struct child *nursery, int fd)
{
	const struct generation *generation = nursery->generation;
	unsigned char body[(3 + PROFILES_LISTS) * sizeof(uint64_t) +
	    sizeof(generation->digests)];
	struct msg msg = {
		.type = MSG_NURSERY, .body = body, .fds = { fd }, .fd_count = 1
	};
	struct msg_writer w;
	size_t i;

	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, generation->number);
	msg_put_number(&w, (uint64_t)nursery->pid);
	msg_put_bytes(&w, generation->digests, generation->digests_len);
	for (i = 0; i < PROFILES_LISTS; i++) {
		msg_put_number(&w, generation->list_fds[i] != -1);
		if (generation->list_fds[i] != -1)
			msg.fds[msg.fd_count++] =
			    fd_dup_above(generation->list_fds[i], 3);
	}
	msg_written(&w, &msg.len);
	/* Without one it would number profiles in another way. */
	for (i = 0; i < msg.fd_count; i++)
		if (msg.fds[i] == -1) {
			msg_close_fds(&msg);
			kill(nursery->pid, SIGKILL);
			return;
		}
	chan_send(&master->monitor, &msg);
}

/* The monitor's end of a role's work socket. */
static void
give_work(struct master *master, const struct child *child, int fd)
{
	uint64_t pid = (uint64_t)child->pid;

	if (child->kind == ROLE_RESOLVER)
		give_monitor(master, MSG_RESOLVER, pid, 0, fd);
	else if (child->kind == ROLE_CACHE)
		give_monitor(master, MSG_CACHE, pid, 0, fd);
	else if (child->kind == ROLE_NURSERY)
		give_nursery(master, child, fd);
	else
		give_monitor(master, MSG_KEEPER, child->generation->number,
		    child->number, fd);
}

void
roles_connect(struct master *master, struct child *child)
{
	struct msg msg = { .type = MSG_WORK, .fd_count = 1 };
	int ends[2];

	if (child->state != ROLE_READY || master->monitor.fd == -1 ||
	    child->life_fd == -1)
		return;
	if (fd_message_pair(ends) == -1) {
		roles_fail(master, child, "unable to make a socket");
		return;
	}
	msg.fds[0] = ends[0];
	if (msg_send(child->life_fd, &msg, true) == -1)
		kill(child->pid, SIGKILL);
	fd_close(&ends[0]);
	give_work(master, child, ends[1]);
}

/*
 * When to try again.  One that had been ready: at once, unless it died
 * young.  One that had not: later each time.
 */
static void
plan_retry(struct child *child, bool was_ready)
{
	if (was_ready) {
		child->retry_ms = RESTART_MS;
		child->retry_at = clock_after(child->started, RESTART_MS);
		return;
	}
	if (child->retry_ms < RESTART_MS)
		child->retry_ms = RESTART_MS;
	child->retry_at = clock_after(clock_now(), child->retry_ms);
	if (child->retry_ms < RESTART_MAX_MS)
		child->retry_ms *= 2;
}

static void
note_start(struct child *child, pid_t pid, enum role_state state)
{
	child->pid = pid;
	child->state = pid == -1 ? ROLE_DOWN : state;
	child->started = clock_now();
	child->is_dismissed = false;
	if (pid == -1)
		plan_retry(child, false);
}

static void
start_logger(struct master *master, struct child *child)
{
	int ends[2];
	pid_t pid;

	if (fd_message_pair(ends) == -1) {
		roles_fail(master, child, "unable to make a socket");
		plan_retry(child, false);
		return;
	}
	/*
	 * One direction only; full means: count the line as lost.  That is for
	 * a reader that is stuck, not for one that is late.
	 */
	sock_deepen(ends[1], LOG_QUEUE);
	pid = children_fork_logger(&master->how, ends[0]);
	fd_close(&ends[0]);
	note_start(child, pid, ROLE_READY);
	if (pid == -1) {
		fd_close(&ends[1]);
		roles_fail(master, child, "unable to fork");
		return;
	}
	fd_close(&master->events.fd);
	master->events.fd = ends[1];
	/* That line went to nobody. */
	if (master->is_serving)
		events_warning(&master->events, "logger started again");
	give_monitor(master, MSG_LOGGER, 0, 0, fd_dup_above(ends[1], 3));
}

static void
configure(struct master *master, struct child *child)
{
	enum role_phrase phrase;
	int phrase_fd, r;

	if (child->kind == ROLE_NURSERY)
		r = children_configure_nursery(&master->how, child->life_fd,
		    child->generation->list_fds, child->generation->public_fd);
	else if (handover_begin(master, &phrase, &phrase_fd) == 0) {
		r = children_configure_keeper(&master->how, child->life_fd,
		    child->generation->list_fds, phrase, phrase_fd);
		fd_close(&phrase_fd);
	} else {
		roles_fail(master, child,
		    "no keeper could be asked for the pass phrase");
		return;
	}
	/* A role that is already gone says so when it is reaped. */
	if (r == -1 && errno == EMSGSIZE)
		roles_fail(master, child, "settings are too large");
}

static void
start_executable(struct master *master, struct child *child)
{
	enum children_kind kind =
	    child->kind == ROLE_KEEPER ? CHILD_KEEPER : CHILD_NURSERY;
	char sentence[128];
	pid_t pid;

	pid = children_exec(&master->how, kind, &child->life_fd);
	note_start(child, pid, ROLE_STARTING);
	if (pid == -1) {
		text_format(sentence, sizeof(sentence),
		    "unable to start the %s: %s", child->name, strerror(errno));
		roles_fail(master, child, sentence);
		return;
	}
	configure(master, child);
}

static void
start_monitor(struct master *master, struct child *child)
{
	size_t i;
	pid_t pid;

	pid = children_fork_monitor(&master->how, &child->life_fd);
	note_start(child, pid, ROLE_STARTING);
	if (pid == -1) {
		roles_fail(master, child, "unable to fork the monitor");
		return;
	}
	/* Its life line is its channel. */
	chan_open(&master->monitor, child->life_fd);
	child->life_fd = -1;
	master->is_idle = false;
	give_monitor(
	    master, MSG_LOGGER, 0, 0, fd_dup_above(master->events.fd, 3));
	for (i = RESOLVER; i < master->child_count; i++)
		if (generation_serves(&master->children[i]))
			roles_connect(master, &master->children[i]);
	ruletables_tell(master);
	give_monitor(
	    master, MSG_LISTENER, 0, 0, fd_dup_above(master->listen_fd, 3));
	if (master->is_stopping)
		chan_send_bytes(&master->monitor, MSG_STOP, 0, NULL, 0);
}

static void
start_resolver(struct master *master, struct child *child)
{
	pid_t pid;

	pid = children_fork_resolver(
	    &master->how, &master->names, &child->life_fd);
	note_start(child, pid, ROLE_STARTING);
	if (pid == -1)
		roles_fail(master, child, "unable to fork the resolver");
}

static void
start_cache(struct master *master, struct child *child)
{
	pid_t pid = children_fork_cache(&master->how, &child->life_fd);

	note_start(child, pid, ROLE_STARTING);
	if (pid == -1)
		roles_fail(master, child, "unable to fork the cache");
}

static bool
all_are_ready(const struct master *master)
{
	return master->newest != NULL &&
	    master->children[RESOLVER].state == ROLE_READY &&
	    master->children[CACHE].state == ROLE_READY &&
	    workers_are_ready(master);
}

/* At zero: not while a program of the last one lives. */
static bool
monitor_is_due(const struct master *master)
{
	return !master->settings->only_checks && master->programs.count == 0 &&
	    ruletables_are_settled(master) &&
	    (master->is_serving || all_are_ready(master));
}

/* May this role be started now? */
static bool
is_due(const struct master *master, const struct child *child)
{
	if (child->state != ROLE_DOWN || clock_now() < child->retry_at)
		return false;
	switch (child->kind) {
	case ROLE_MONITOR:
		return monitor_is_due(master);
	case ROLE_NURSERY:
		return generation_wants(master, child);
	case ROLE_KEEPER:
		return generation_wants(master, child) &&
		    handover_is_possible(master);
	default:
		return true;
	}
}

void
roles_begin_serving(struct master *master)
{
	if (master->is_serving)
		return;
	master->is_serving = true;
	msg_send_bytes(master->front_fd, MSG_READY, 0, NULL, 0, true);
	if (master->settings->only_checks)
		_exit(0);
}

static void
start(struct master *master, struct child *child)
{
	switch (child->kind) {
	case ROLE_LOGGER:
		start_logger(master, child);
		break;
	case ROLE_MONITOR:
		start_monitor(master, child);
		break;
	case ROLE_RESOLVER:
		start_resolver(master, child);
		break;
	case ROLE_CACHE:
		start_cache(master, child);
		break;
	default:
		start_executable(master, child);
	}
}

void
roles_start_due(struct master *master)
{
	size_t i;

	for (i = 0; i < master->child_count; i++)
		if (is_due(master, &master->children[i]))
			start(master, &master->children[i]);
	if (master->settings->only_checks && all_are_ready(master) &&
	    ruletables_are_settled(master))
		roles_begin_serving(master);
}

/* Not what a keeper of ours would send; the next one may be better. */
static void
refuse_public(struct master *master, struct child *child, const char *sentence)
{
	roles_fail(master, child, sentence);
	child->state = ROLE_STARTING;
}

/* The files are not what they were when the first keeper read them. */
static void
take_change(struct master *master, struct child *child)
{
	if (master->is_serving && generation_serves(child)) {
		generation_is_outdated(master, child);
		child->state = ROLE_STARTING;
	} else
		refuse_public(master, child,
		    "certificate or parameter files have changed while they "
		    "were loaded");
}

/*
 * What all keepers of a generation read must be the same; the first one
 * decides.  Its bytes are for the nursery, master goes by the digest.
 */
static void
take_public(struct master *master, struct child *child, struct msg *msg)
{
	struct generation *generation = child->generation;

	if (msg->fd_count != 1 || msg->len != ROLE_DIGEST_SIZE)
		refuse_public(master, child, "the keeper sent no certificates");
	else if (sealed_check(msg->fds[0], ROLE_PUBLIC_MAX, NULL) == -1)
		refuse_public(master, child,
		    errno == EFBIG
			? "the keeper's certificates are larger than 32 MiB"
			: "the keeper's certificates are not in sealed memory");
	else if (generation->public_fd == -1) {
		memcpy(generation->public_digest, msg->body, ROLE_DIGEST_SIZE);
		generation->public_fd = msg->fds[0];
		msg->fd_count = 0;
	} else if (memcmp(generation->public_digest, msg->body,
		       ROLE_DIGEST_SIZE) != 0)
		take_change(master, child);
}

static void
role_is_ready(struct master *master, struct child *child, struct msg *msg)
{
	/* It may have said so before it could see that it shall leave. */
	if (child->is_dismissed)
		return;
	child->state = ROLE_READY;
	if (child->kind == ROLE_KEEPER)
		take_public(master, child, msg);
	else if (child->kind == ROLE_NURSERY &&
	    msg->len <= sizeof(child->generation->digests)) {
		child->generation->digests_len = msg->len;
		memcpy(child->generation->digests, msg->body, msg->len);
	} else if (child->kind == ROLE_CACHE)
		ticketfile_give(master, child);
	if (child->generation == NULL)
		roles_connect(master, child);
	else if (child->state == ROLE_READY)
		generation_role_is_ready(master, child);
}

static void
take_note(
    struct master *master, const struct child *child, const struct msg *msg)
{
	const char *name, *text;
	struct msg_reader r;
	uint64_t kind;

	/* Each keeper reads the same; one of them may tell. */
	if (child->number != 0)
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

/* The servers are named by us: the resolver meets the network. */
static void
tell_silence(struct master *master)
{
	char list[RESOLVCONF_SERVERS_MAX * (RESOLVCONF_SERVER_SIZE + 1)] = "";
	char text[RESOLVCONF_SERVER_SIZE];
	int64_t now = clock_now();
	size_t i, used = 0;

	if (now < master->silence_at)
		return;
	master->silence_at = clock_after(now, SILENCE_MS);
	for (i = 0; i < master->names.server_count; i++) {
		text_format(list + used, sizeof(list) - used, " %s",
		    resolvconf_format(text, &master->names.servers[i]));
		used += strlen(list + used);
	}
	events_warning(
	    &master->events, "no name server answers; asked:%s", list);
}

static void
obey_role(struct master *master, struct child *child, struct msg *msg)
{
	char sentence[1200];

	switch (msg->type) {
	case MSG_READY:
		role_is_ready(master, child, msg);
		break;
	case MSG_NOTE:
		take_note(master, child, msg);
		break;
	case MSG_SILENCE:
		if (child->kind == ROLE_RESOLVER)
			tell_silence(master);
		break;
	case MSG_FAILED:
		text_format(sentence, sizeof(sentence), "%.*s", (int)msg->len,
		    (const char *)msg->body);
		/* As a rule it is about a file, which it names. */
		if (generation_is_coming(master, child))
			generation_fail(master, child, sentence, false);
		else
			roles_fail(master, child, sentence);
		break;
	default:
		break;
	}
}

bool
roles_hear(struct master *master, struct child *child)
{
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(child->life_fd, &master->room, &msg,
	    child->kind == ROLE_KEEPER ? 1 : 0, true, &more);
	if (r == 0)
		return false;
	if (r == -1) {
		fd_close(&child->life_fd); /* its death follows */
		return false;
	}
	if (!more)
		obey_role(master, child, &msg);
	msg_close_fds(&msg);
	if (!more)
		return true;
	/* None of them has so much to say. */
	kill(child->pid, SIGKILL);
	fd_close(&child->life_fd);
	return false;
}

static void
describe_end(const struct child *child, int status, char *sentence, size_t size)
{
	if (child->state == ROLE_STARTING && WIFEXITED(status) &&
	    WEXITSTATUS(status) == STATUS_NOT_LOADED)
		text_format(sentence, size,
		    "%s could not be loaded (exit status %d); is a memory "
		    "limit (softlimit -m) too low?",
		    child->name, STATUS_NOT_LOADED);
	else if (child->fault != NULL)
		text_format(sentence, size, "%s %ld %s and was killed",
		    child->name, (long)child->pid, child->fault);
	else
		text_format(sentence, size, "%s %ld ended by %s %d",
		    child->name, (long)child->pid,
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status)
					: WEXITSTATUS(status));
}

/* If it is news: one that was told to leave has left, or what had to come. */
static void
tell_end(struct master *master, struct child *child, const char *sentence)
{
	if (child->is_dismissed ||
	    (master->is_stopping && child->kind == ROLE_LOGGER))
		return;
	if (generation_is_coming(master, child))
		generation_fail(master, child, sentence, true);
	else
		events_warning(&master->events, "%s", sentence);
}

/* What others lose with it. */
static void
take_leave(struct master *master, struct child *child)
{
	switch (child->kind) {
	case ROLE_MONITOR:
		chan_close(&master->monitor);
		programs_end(master);
		generation_lost_monitor(master);
		break;
	case ROLE_LOGGER:
		fd_close(&master->events.fd);
		break;
	case ROLE_KEEPER:
		handover_check(master);
		generation_role_died(master, child);
		break;
	case ROLE_NURSERY:
		generation_role_died(master, child);
		break;
	case ROLE_RESOLVER:
	case ROLE_CACHE:
		break;
	}
}

void
roles_died(struct master *master, struct child *child, int status)
{
	char sentence[160];

	describe_end(child, status, sentence, sizeof(sentence));
	/*
	 * What it said last explains it better than its status.  All of it
	 * is here; the end of file may not be, when a session that was just
	 * forked still holds the other end.
	 */
	while (child->life_fd != -1 && roles_hear(master, child))
		continue;
	if (!master->is_serving)
		roles_give_up(master, sentence);
	tell_end(master, child, sentence);
	fd_close(&child->life_fd);
	child->fault = NULL;
	plan_retry(child, child->state == ROLE_READY);
	child->state = ROLE_DOWN;
	child->pid = 0;
	take_leave(master, child);
}

void
roles_keep_deadlines(struct master *master, int64_t now)
{
	struct child *child;
	size_t i;

	for (i = 0; i < master->child_count; i++) {
		child = &master->children[i];
		if (child->state == ROLE_STARTING && child->pid > 0 &&
		    now >= clock_after(child->started, ROLE_START_MS)) {
			child->started = now;
			roles_fail(master, child, "not ready in time");
			kill(child->pid, SIGKILL);
		}
	}
}
