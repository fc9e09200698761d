/*
 * The nursery: settings loaded and warmed up, one fork per allowed client.
 *
 * Gives up its rights before it looks at a certificate, and never opens a
 * file: certificates come from a keeper by way of master, so that a file
 * which holds certificate and key is never read here.  It sees no byte of
 * a client either; its sessions do, and what they inherit is what this
 * process has: no rights, an empty root, public data.
 */
#include "serve/nursery.h"

#include <poll.h>
#include <signal.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/rehearsal.h"
#include "base/sig.h"
#include "serve/births.h"
#include "serve/cache.h"
#include "serve/pids.h"
#include "serve/privs.h"
#include "serve/reaper.h"
#include "serve/role.h"
#include "serve/sandbox.h"
#include "serve/session.h"
#include "serve/title.h"
#include "tls/tlsctx.h"
#include "tls/tlsfile.h"
#include "tls/tlslib.h"

/* Its own, those of one START, and those of others that wait. */
#define NURSERY_DESCRIPTORS (32 + BIRTHS_MAX * START_FDS)
/* For a session whose monitor is gone, to shut its client's socket down. */
#define LEAVE_MS 1000
/* What a session polls; RLIMIT_NOFILE below it would fail poll(2). */
#define SESSION_DESCRIPTORS 4
/* And room for one client's, in one that takes another one afterwards. */
#define STAYING_DESCRIPTORS (SESSION_DESCRIPTORS + START_NEXT_FDS)
/* What a session has but /dev/null: from here on, as START brings it. */
#define SESSION_FIRST 3
/* Above all that a session has. */
#define ASIDE 16

struct nursery {
	struct role role;
	struct msg *birth; /* START of the session that is being made */
	struct tls_public *publics; /* of each profile, as the next two */
	struct tlsctx **ctxs;
	unsigned char (*digests)[CACHE_PROFILE_SIZE];
	struct pids sessions;
	struct reaper reaper;
	struct births births;
	int signal_fd;
	int64_t kill_at; /* sessions of a monitor that is gone */
};

/*
 * What a session that is resumed must have in common with the connection
 * that resumes it: the variables, whose paths stand for the server's
 * certificate, so that a renewed one keeps sessions; and what clients are
 * checked by, byte for byte.
 */
static int
digest_profile(const struct profile *profile, const struct tlstrust *trust,
    unsigned char digest[CACHE_PROFILE_SIZE])
{
	struct {
		unsigned char variables[TLSLIB_SHA256_SIZE];
		unsigned char cas[TLSLIB_SHA256_SIZE];
		unsigned char crls[TLSLIB_SHA256_SIZE];
	} parts;
	struct msg_writer w;
	unsigned char *bytes;
	int r;

	msg_write_to(&w, NULL, MSG_BODY_MAX);
	profile_put(profile, &w);
	bytes = malloc(w.len);
	if (bytes == NULL)
		return -1;
	msg_write_to(&w, bytes, w.len);
	profile_put(profile, &w);
	r = tlslib_sha256(bytes, w.len, parts.variables);
	free(bytes);
	if (r == -1 ||
	    tlslib_sha256(trust->cas.data, trust->cas.len, parts.cas) == -1 ||
	    tlslib_sha256(trust->crls.data, trust->crls.len, parts.crls) == -1)
		return -1;
	return tlslib_sha256(&parts, sizeof(parts), digest);
}

static struct tlsctx *
make_ctx(struct nursery *nursery, size_t i, char *error, size_t size)
{
	const struct role *role = &nursery->role;
	struct tls_settings settings;
	struct tlsctx *ctx;

	profile_settings(&role->profiles.all[i].profile, &settings);
	settings.session_s = role->config.session_s;
	settings.seals_tickets = role->config.seals_tickets;
	ctx = tlsctx_new(&settings, &nursery->publics[i], error, size);
	if (ctx != NULL)
		tlsctx_warm_up(ctx);
	return ctx;
}

static void
load_profile(struct nursery *nursery, size_t i)
{
	const struct role *role = &nursery->role;
	struct tlstrust *trust = &nursery->publics[i].trust;
	char error[TLSFILE_ERROR_SIZE];

	if (digest_profile(&role->profiles.all[i].profile, trust,
		nursery->digests[i]) == -1)
		role_fail(role, "unable to compute a SHA-256");
	nursery->ctxs[i] = make_ctx(nursery, i, error, sizeof(error));
	tlstrust_free(trust);
	if (nursery->ctxs[i] == NULL)
		role_fail_profile(role, i, error);
}

/* For rehearsal_run: what load does with the first profile. */
static void
rehearse_load(void *arg)
{
	struct nursery *nursery = arg;
	char error[TLSFILE_ERROR_SIZE];

	role_public_take(&nursery->role, nursery->publics);
	/* What is wrong with it is told when it is loaded. */
	if (digest_profile(&nursery->role.profiles.all[0].profile,
		&nursery->publics[0].trust, nursery->digests[0]) == -1)
		_exit(111);
	nursery->ctxs[0] = make_ctx(nursery, 0, error, sizeof(error));
	if (nursery->ctxs[0] == NULL)
		_exit(111);
}

/* And what a session does with it. */
static void
rehearse_session(void *arg)
{
	const struct nursery *nursery = arg;

	tlsctx_rehearse(nursery->ctxs[0], rehearsal_watch);
}

static void
load(struct nursery *nursery)
{
	struct role *role = &nursery->role;
	size_t i, count;

	role_make_profiles(role);
	count = role->profiles.count;
	nursery->publics = calloc(count, sizeof(*nursery->publics));
	nursery->ctxs = calloc(count, sizeof(struct tlsctx *));
	nursery->digests = calloc(count, sizeof(*nursery->digests));
	if (nursery->publics == NULL || nursery->ctxs == NULL ||
	    nursery->digests == NULL)
		role_fail(role, "out of memory");
	rehearsal_run(rehearse_load, rehearse_session, nursery);
	role_public_take(role, nursery->publics);
	for (i = 0; i < count; i++)
		load_profile(nursery, i);
}

/* To a number that no session has. */
static int
move_aside(int *fd)
{
	int aside = fd_dup_above(*fd, ASIDE);

	if (aside == -1)
		return -1;
	fd_close(fd);
	*fd = aside;
	return 0;
}

/*
 * Leave the lowest numbers to what comes with START: a session has its
 * descriptors where they shall be, and closes the rest in one call.  The
 * self-pipe is made while something else is there.  0 or -1.
 */
static int
make_room(struct nursery *nursery)
{
	int held[START_FDS], i;

	if (move_aside(&nursery->role.life_fd) == -1)
		return -1;
	for (i = 0; i < START_FDS; i++) {
		held[i] = fd_dup_above(0, SESSION_FIRST);
		if (held[i] != SESSION_FIRST + i)
			return -1;
	}
	nursery->signal_fd = sig_pipe();
	fd_close_all(held, START_FDS);
	return nursery->signal_fd == -1 ? -1 : 0;
}

static void
prepare(struct nursery *nursery)
{
	struct role *role = &nursery->role;
	struct privs privs = { .identity = &role->config.identity,
		.root_fd = role->jail_fd,
		.descriptors = NURSERY_DESCRIPTORS,
		.processes = PRIVS_KEEP };
	char error[PRIVS_ERROR_SIZE] = "unable to enter the sandbox";

	if (privs_drop(&privs, error) == -1 ||
	    sandbox_enter(SANDBOX_NURSERY) == -1)
		role_fail(role, error);
	role->jail_fd = -1;
	/* Where the allocator cannot wipe what is free, the library must. */
	if (role->config.is_pooled && !arena_wipe_freed())
		(void)tlslib_wipe_freed();
	load(nursery);
	/* Sessions need what is there, and nothing that comes. */
	arena_freeze();
	if (make_room(nursery) == -1 || sig_catch(SIGCHLD) == -1 ||
	    pids_init(&nursery->sessions, 2 * role->config.limit) == -1)
		role_fail(role, "out of memory");
	reaper_init(&nursery->reaper);
	births_init(&nursery->births);
}

/*
 * Its descriptors are then 0-2 (/dev/null), control socket, client and
 * pipes: the lowest free number is one that the limit forbids.
 */
static int
limit_session(bool stays)
{
	int keep[SESSION_FIRST + START_FDS], i;

	for (i = 0; i < SESSION_FIRST + START_FDS; i++)
		keep[i] = i;
	if (fd_close_except(keep, SESSION_FIRST + START_FDS) == -1)
		return -1;
	return privs_limit_session(
	    stays ? STAYING_DESCRIPTORS : SESSION_DESCRIPTORS);
}

/*
 * In the child.  SIGCHLD's handler is still there, and does nothing: a
 * session is not its owner.
 */
static void
become_session(void *arg)
{
	struct nursery *nursery = arg;
	const struct msg *msg = nursery->birth;
	const struct role_config *config = &nursery->role.config;
	struct session session = { .ctxs = nursery->ctxs,
		.profile_count = nursery->role.profiles.count,
		.control_fd = msg->fds[START_CONTROL],
		.client_fd = msg->fds[START_CLIENT],
		.program_in = msg->fds[START_PROGRAM_IN],
		.program_out = msg->fds[START_PROGRAM_OUT],
		.idle_s = config->idle_s,
		.strict_close = config->strict_close,
		.greeting = config->greeting,
		.greeting_len = config->greeting_len };

	if (session_begin(&session, msg) == -1 ||
	    limit_session(session.start.stays) == -1)
		_exit(111);
	/* What it says is the session's to forget: see there. */
	if (session.start.stays)
		msg_wipe(&nursery->role.room, msg);
	/* And what others wait for is none of its business. */
	if (nursery->births.count > 0)
		explicit_bzero(&nursery->births, sizeof(nursery->births));
	title_set("session");
	session_run(&session);
}

static int
reply(const struct nursery *nursery, enum msg_type type, uint64_t conn,
    uint64_t value)
{
	return msg_send_bytes(
	    nursery->role.work_fd, type, conn, &value, sizeof(value), false);
}

/*
 * Never, as the monitor starts no session in the place of one that it has
 * not been told is gone; unless sessions of a monitor that died linger.
 */
static bool
is_full(const struct nursery *nursery)
{
	return nursery->sessions.count >= 2 * nursery->role.config.limit;
}

/* They came to the lowest free numbers, all of them: see make_room. */
static bool
are_in_place(const struct msg *msg)
{
	size_t i;

	for (i = 0; i < msg->fd_count; i++)
		if (msg->fds[i] != SESSION_FIRST + (int)i)
			return false;
	return msg->fd_count == START_FDS;
}

/* A session for that START.  0, or an errno. */
static int
make_session(struct nursery *nursery, struct msg *msg, pid_t *pid)
{
	if (is_full(nursery))
		return EAGAIN;
	if (!are_in_place(msg))
		return msg->fd_count < START_FDS ? EMFILE : EINVAL;
	nursery->birth = msg;
	*pid = arena_fork(become_session, nursery);
	if (*pid == -1)
		return errno;
	/* There is room: see is_full. */
	pids_add(&nursery->sessions, *pid, msg->conn, -1);
	reaper_started(&nursery->reaper, *pid);
	births_succeed(&nursery->births);
	return 0;
}

static int
tell_outcome(const struct nursery *nursery, uint64_t conn, int error, pid_t pid)
{
	if (error != 0)
		return reply(nursery, MSG_FAILED, conn, (uint64_t)error);
	return reply(nursery, MSG_STARTED, conn, (uint64_t)pid);
}

/* There is no process for it: away from where the next one's will be. */
static bool
put_off(struct nursery *nursery, const struct msg *msg)
{
	struct msg aside = *msg;
	size_t i;

	for (aside.fd_count = 0; aside.fd_count < msg->fd_count;
	     aside.fd_count++) {
		i = aside.fd_count;
		aside.fds[i] = fd_dup_above(msg->fds[i], ASIDE);
		if (aside.fds[i] == -1)
			break;
	}
	if (aside.fd_count == START_FDS &&
	    births_put_off(&nursery->births, &aside, clock_now()))
		return true;
	msg_close_fds(&aside);
	return false;
}

static int
start(struct nursery *nursery, struct msg *msg)
{
	int error = EAGAIN;
	bool waits;
	pid_t pid = -1;

	/* Not before those who wait already. */
	if (nursery->births.count == 0)
		error = make_session(nursery, msg, &pid);
	waits = births_may_wait_for(error) && put_off(nursery, msg);
	msg_close_fds(msg);
	/* A name and an address: not for those that are made later. */
	msg_wipe(&nursery->role.room, msg);
	if (waits)
		return reply(nursery, MSG_SHORT, msg->conn, (uint64_t)error);
	return tell_outcome(nursery, msg->conn, error, pid);
}

/* As make_session, for one that waits: its descriptors are aside. */
static int
make_late(struct nursery *nursery, const struct msg *late, pid_t *pid)
{
	struct msg msg = *late;
	int error = 0;

	for (msg.fd_count = 0; msg.fd_count < late->fd_count; msg.fd_count++) {
		msg.fds[msg.fd_count] = SESSION_FIRST + (int)msg.fd_count;
		if (dup2(late->fds[msg.fd_count], msg.fds[msg.fd_count]) == -1)
			error = errno;
	}
	if (error == 0)
		error = make_session(nursery, &msg, pid);
	msg_close_fds(&msg);
	return error;
}

/* Those who wait for a process, until there is none for one of them. */
static void
start_late(struct nursery *nursery)
{
	struct births *births = &nursery->births;
	const struct msg *msg;
	int error = 0;
	pid_t pid = -1;

	while (error == 0 && (msg = births_first(births)) != NULL) {
		error = make_late(nursery, msg, &pid);
		if (births_may_wait_for(error) &&
		    births_try_again(births, clock_now())) {
			reply(nursery, MSG_SHORT, msg->conn, (uint64_t)error);
			return;
		}
		tell_outcome(nursery, msg->conn, error, pid);
		births_drop_first(births);
	}
}

static void
kill_session(const struct nursery *nursery, const struct msg *msg)
{
	struct msg_reader r;
	pid_t pid;

	msg_read_from(&r, msg);
	pid = (pid_t)msg_get_number(&r);
	if (msg_read_all(&r) == 0 &&
	    pids_has(&nursery->sessions, pid, msg->conn))
		kill(pid, SIGKILL);
}

/*
 * The monitor is gone: its sessions see that and leave, or are killed after
 * a grace.  At once would be too soon: with -n a program holds the client's
 * socket too, and only they shut it down.  What becomes of them must not be
 * told to the next monitor, which numbers its connections anew.
 */
static void
lose_monitor(struct nursery *nursery)
{
	fd_close(&nursery->role.work_fd); /* master sends a new one */
	while (births_first(&nursery->births) != NULL)
		births_drop_first(&nursery->births);
	pids_disown(&nursery->sessions);
	nursery->kill_at = clock_after(clock_now(), LEAVE_MS);
}

/* -1: the monitor is gone, or talks nonsense. */
static int
serve(struct nursery *nursery, struct msg *msg)
{
	switch (msg->type) {
	case MSG_START:
		return start(nursery, msg);
	case MSG_KILL:
		kill_session(nursery, msg);
		return 0;
	default:
		msg_close_fds(msg);
		return -1;
	}
}

static void
serve_work(struct nursery *nursery)
{
	struct role *role = &nursery->role;
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(
	    role->work_fd, &role->room, &msg, START_FDS, true, &more);
	if (r == 0)
		return;
	if (r == -1 || serve(nursery, &msg) == -1)
		lose_monitor(nursery);
}

static void
reap(struct nursery *nursery)
{
	size_t *count = &nursery->sessions.count;
	uint64_t conn;
	pid_t pid;
	int status;

	while (sig_next() != 0)
		reaper_signalled(&nursery->reaper, *count);
	while ((pid = reaper_next(&nursery->reaper, *count, &status)) > 0)
		if (pids_remove(&nursery->sessions, pid, &conn) == 0 &&
		    conn != 0 && nursery->role.work_fd != -1)
			reply(nursery, MSG_GONE, conn, (uint64_t)pid);
}

/* Those who have not left by then do not want to. */
static void
kill_disowned(struct nursery *nursery)
{
	if (nursery->kill_at == CLOCK_NEVER || clock_now() < nursery->kill_at)
		return;
	pids_signal_disowned(&nursery->sessions, SIGKILL);
	nursery->kill_at = CLOCK_NEVER;
}

/* When something is due that no descriptor tells. */
static int64_t
deadline(const struct nursery *nursery)
{
	int64_t at = reaper_deadline(&nursery->reaper);

	if (nursery->births.again < at)
		at = nursery->births.again;
	return at < nursery->kill_at ? at : nursery->kill_at;
}

static void
take_monitor(struct nursery *nursery)
{
	if (nursery->role.work_fd != -1)
		lose_monitor(nursery);
	role_life(&nursery->role);
	if (nursery->role.work_fd != -1 &&
	    move_aside(&nursery->role.work_fd) == -1)
		role_fail(
		    &nursery->role, "unable to move the monitor's socket");
}

void
nursery_run(void)
{
	static struct nursery nursery;
	struct pollfd fds[3];

	role_begin(&nursery.role);
	prepare(&nursery);
	nursery.kill_at = CLOCK_NEVER;
	msg_send_bytes(nursery.role.life_fd, MSG_READY, 0, nursery.digests,
	    nursery.role.profiles.count * sizeof(*nursery.digests), false);
	for (;;) {
		fds[0] = (struct pollfd){ nursery.role.life_fd, POLLIN, 0 };
		fds[1] = (struct pollfd){ nursery.role.work_fd, POLLIN, 0 };
		/* Who cannot even wait is the monitor's until somebody can. */
		if (births_are_full(&nursery.births))
			fds[1].events = 0;
		fds[2] = (struct pollfd){ nursery.signal_fd, POLLIN, 0 };
		if (poll(fds, 3,
			clock_poll_timeout(clock_now(), deadline(&nursery))) ==
		    -1) {
			/* A child has ended, as a rule: that much is known. */
			fds[0].revents = fds[1].revents = 0;
			fds[2].revents = errno == EINTR ? POLLIN : 0;
		}
		kill_disowned(&nursery);
		if (fds[2].revents != 0 ||
		    clock_now() >= reaper_deadline(&nursery.reaper))
			reap(&nursery);
		if (clock_now() >= nursery.births.again)
			start_late(&nursery);
		if (fds[0].revents != 0)
			take_monitor(&nursery);
		else if (fds[1].revents != 0)
			serve_work(&nursery);
	}
}
