/*
 * A child of the framework: calls server() for one client after another.
 *
 * Runs in a child of master that has given up everything a program does not
 * have, before it calls a function of the administrator's.  It gets each
 * client as EXEC: what master laid over the environment is laid over a copy
 * here, the ends of the pipes become 0 and 1, and afterwards all is put back
 * that a process has outside its memory, so that the next client finds what
 * the first one found.  What cannot be put back ends the worker.  Its memory
 * is one: what server() keeps in variables, the next call sees.
 *
 * Signals: HUP, INT, QUIT and TERM are ignored while nobody is served.
 * Master says SIGNAL here before it sends one, so that one which came before
 * server() could take it is not lost.
 */
#include "serve/worker.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "compat/compat.h"
#include "serve/environment.h"
#include "serve/msg.h"
#include "serve/privs.h"
#include "serve/program.h"
#include "serve/settings.h"
#include "serve/title.h"

extern char **environ;

/*
 * The worker's own descriptors, out of server()'s way.  Linux makes no room
 * for numbers from 64 until one of them is used.
 */
#define OWN_FROM 60
enum own { CHANNEL, NOTHING, ERRORS, HOME, OWNS };

/* Numbers below this that prepare() leaves open stay so, and how many. */
#define PREPARED_BELOW 1024
#define PREPARED_MAX 64

/* EXEC's environment and that of the start, which the kernel has bounded. */
#define TEXTS_MAX (16 * (size_t)MSG_BODY_MAX)

/* What server() may have changed for good. */
struct self {
	pid_t pid, group, session;
	uid_t real_user, user;
	gid_t real_gid, gid;
};

struct worker {
	const struct program *program;
	int argc;
	int own[OWNS];
	/* What is open whenever a client comes. */
	int keep[3 + OWNS + SETTINGS_KEEP_FDS_MAX + PREPARED_MAX];
	size_t keep_count;
	struct sigaction actions[NSIG];
	sigset_t mask;
	mode_t umask;
	char directory[PATH_MAX]; /* where HOME is; empty: it has no name */
	struct self self;
	char **environment; /* of this client: an array, and its texts */
	struct buf texts;
	struct msg_room room;
	struct buf whole;
};

/* What a role ignores, and a worker that serves nobody. */
static const int idle_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
#define IDLE_SIGNALS (sizeof(idle_signals) / sizeof(idle_signals[0]))

/* Signals. */

static bool
is_idle_signal(int signo)
{
	size_t i;

	for (i = 0; i < IDLE_SIGNALS; i++)
		if (idle_signals[i] == signo)
			return true;
	return false;
}

static void
note_signals(struct worker *w)
{
	int signo;

	for (signo = 1; signo < NSIG; signo++)
		(void)sigaction(signo, NULL, &w->actions[signo]);
	(void)sigprocmask(SIG_SETMASK, NULL, &w->mask);
}

/* All dispositions as they were, but what an idle worker ignores. */
static void
reset_signals(const struct worker *w)
{
	int signo;

	for (signo = 1; signo < NSIG; signo++)
		if (is_idle_signal(signo))
			(void)signal(signo, SIG_IGN);
		else /* KILL and STOP have none, the C library keeps some */
			(void)sigaction(signo, &w->actions[signo], NULL);
}

/* What waits would find the next client. */
static void
drop_waiting_signals(void)
{
	static const struct timespec now;
	sigset_t all;

	sigfillset(&all);
	while (sigtimedwait(&all, NULL, &now) > 0)
		continue;
}

static void
stop_timers(void)
{
	static const struct itimerval never;

	(void)setitimer(ITIMER_REAL, &never, NULL);
	(void)setitimer(ITIMER_VIRTUAL, &never, NULL);
	(void)setitimer(ITIMER_PROF, &never, NULL);
}

/* From here on a signal is the request's. */
static void
take_signals(const struct worker *w)
{
	size_t i;

	for (i = 0; i < IDLE_SIGNALS; i++)
		(void)sigaction(
		    idle_signals[i], &w->actions[idle_signals[i]], NULL);
}

/* One that was sent while we still ignored it: master had told us before. */
static void
take_missed_signal(const struct worker *w)
{
	char byte;

	if (recv(w->own[CHANNEL], &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
		raise(SIGTERM);
		_exit(111);
	}
}

/* The start: everything that a program does not have is left here. */

__attribute__((noreturn)) static void
fail(const struct worker *w, const char *sentence)
{
	msg_send_bytes(w->own[CHANNEL], MSG_FAILED, 0, sentence,
	    strlen(sentence) + 1, false);
	_exit(111);
}

__attribute__((noreturn)) static void
fail_to(const struct worker *w, const char *step)
{
	char sentence[WORKER_ERROR_SIZE];

	text_format(sentence, sizeof(sentence), "unable to %s: %s", step,
	    strerror(errno));
	fail(w, sentence);
}

/* Where the limit of open files is low it lies among server()'s. */
static int
move_away(int fd)
{
	int moved = fd_dup_above(fd, OWN_FROM);

	return moved != -1 || errno != EINVAL ? moved : fd_dup_above(fd, 3);
}

static void
keep(struct worker *w, int fd)
{
	w->keep[w->keep_count++] = fd;
}

/* 0 and 1 are /dev/null in master. */
static int
set_descriptors(struct worker *w)
{
	const struct settings *settings = w->program->settings;
	size_t i;

	w->own[NOTHING] = move_away(0);
	w->own[ERRORS] = move_away(2);
	if (w->own[NOTHING] == -1 || w->own[ERRORS] == -1)
		return -1;
	for (i = 0; i < 3; i++)
		keep(w, (int)i);
	for (i = 0; i < HOME; i++)
		keep(w, w->own[i]);
	for (i = 0; i < settings->keep_fd_count; i++) {
		if (fd_inherit(settings->keep_fds[i]) == -1)
			return -1;
		keep(w, settings->keep_fds[i]);
	}
	return fd_close_except(w->keep, w->keep_count);
}

/* One that is gone, or out of sight, has no name. */
static void
find_directory(char directory[PATH_MAX])
{
	if (getcwd(directory, PATH_MAX) == NULL)
		directory[0] = '\0';
}

/* First while it may be opened, with the rights of the start. */
static int
open_home(struct worker *w)
{
	int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return -1;
	w->own[HOME] = move_away(fd);
	fd_close(&fd);
	find_directory(w->directory);
	return w->own[HOME] == -1 ? -1 : 0;
}

/* To where prepare() went; under the same number, which is kept. */
static int
move_home(struct worker *w)
{
	int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fd == -1 ? -1 : dup3(fd, w->own[HOME], O_CLOEXEC);

	fd_close(&fd);
	find_directory(w->directory);
	return r == -1 ? -1 : 0;
}

/* By its name, as it may be one that this user cannot enter. */
static int
go_home(const struct worker *w)
{
	char directory[PATH_MAX];

	find_directory(directory);
	return strcmp(directory, w->directory) == 0 ? 0 : fchdir(w->own[HOME]);
}

static struct self
look_at_self(void)
{
	return (struct self){ .pid = getpid(),
		.group = getpgrp(),
		.session = getsid(0),
		.real_user = getuid(),
		.user = geteuid(),
		.real_gid = getgid(),
		.gid = getegid() };
}

static bool
is_same(const struct self *a, const struct self *b)
{
	return a->group == b->group && a->session == b->session &&
	    a->real_user == b->real_user && a->user == b->user &&
	    a->real_gid == b->real_gid && a->gid == b->gid;
}

/* As a program is started, in the same order: see program.c. */
static void
settle(struct worker *w)
{
	const struct settings *settings = w->program->settings;

	title_set("worker");
	w->own[CHANNEL] = move_away(w->own[CHANNEL]);
	if (w->own[CHANNEL] == -1)
		_exit(111);
	if (set_descriptors(w) == -1)
		fail_to(w, "set descriptors");
	sig_forget();
	if (program_enter_root(settings) == -1)
		fail_to(w, "enter --root");
	if (open_home(w) == -1)
		fail_to(w, "open the working directory");
	keep(w, w->own[HOME]);
	if (program_take_identity(settings) == -1)
		fail_to(w, "change identity");
	privs_show();
	if (sig_restore(&w->program->signals) == -1)
		fail_to(w, "set signals");
}

/* The environment. */

/* Those of EXEC, where they lie, to be freed; NULL: malformed, no memory. */
static char **
read_texts(const struct msg *msg, size_t *count)
{
	struct msg_reader r;
	const char *text;
	char **texts;
	size_t size = 0;

	for (msg_read_from(&r, msg); r.left > 0 && !r.failed; size++)
		(void)msg_get_text(&r);
	texts = calloc(size + 1, sizeof(*texts));
	*count = 0;
	msg_read_from(&r, msg);
	while (texts != NULL && (text = msg_get_text(&r)) != NULL)
		texts[(*count)++] = (char *)(uintptr_t)text;
	if (texts == NULL || *count == size)
		return texts;
	free(texts);
	return NULL;
}

/* Texts of its own, as server() may write to what getenv gives it. */
static int
copy_texts(struct worker *w)
{
	char **environment = w->environment;
	size_t i, used = 0;

	for (i = 0; environment[i] != NULL; i++)
		if (buf_append(&w->texts, environment[i],
			strlen(environment[i]) + 1) == -1)
			return -1;
	for (i = 0; environment[i] != NULL; i++) {
		size_t len = strlen(environment[i]) + 1;

		environment[i] = (char *)w->texts.data + used;
		used += len;
	}
	return 0;
}

/* The start's environment with that of msg laid over it.  0 or -1. */
static int
set_environment(struct worker *w, const struct msg *msg)
{
	size_t count;
	char **over = read_texts(msg, &count);

	if (over == NULL)
		return -1;
	w->environment =
	    environment_merge(w->program->environment, over, count);
	free(over);
	if (w->environment == NULL || copy_texts(w) == -1)
		return -1;
	environ = w->environment;
	return 0;
}

/* What came with EXEC, from where it was read. */
static void
wipe(struct worker *w)
{
	explicit_bzero(w->room.bytes, sizeof(w->room.bytes));
	if (w->whole.len > 0)
		explicit_bzero(w->whole.data, w->whole.len);
	w->whole.len = 0;
}

/* Nothing of it stays behind. */
static void
drop_environment(struct worker *w)
{
	static char *none[] = { NULL };

	environ = none;
	free(w->environment);
	w->environment = NULL;
	if (w->texts.len > 0)
		explicit_bzero(w->texts.data, w->texts.len);
	w->texts.len = 0;
}

/* A client. */

static void
close_pair(const struct msg *msg)
{
	int in = msg->fds[0], out = msg->fds[1];

	fd_close(&in);
	fd_close(&out);
}

/* Does not return where the request cannot begin: the worker ends. */
static void
begin(struct worker *w, const struct msg *msg)
{
	/* Two did not fit into this process: server() leaves too many. */
	if (msg->fd_count != 2 || set_environment(w, msg) == -1 ||
	    dup2(msg->fds[0], 0) == -1 || dup2(msg->fds[1], 1) == -1)
		_exit(111);
	close_pair(msg);
	wipe(w);
	take_signals(w);
	take_missed_signal(w);
}

/* What server() forked and let return is no worker. */
static void
leave_if_forked(const struct worker *w)
{
	if (getpid() != w->self.pid)
		exit(0);
}

/*
 * What was read and not asked for is that client's, and so is what could
 * not be written.
 */
static void
empty_streams(void)
{
	FILE *const streams[] = { stdin, stdout, stderr };
	size_t i;

	for (i = 0; i < 3; i++) {
		fpurge(streams[i]);
		clearerr(streams[i]);
	}
}

/* Whether all three are the standard descriptors still. */
static bool
has_streams(void)
{
	return fileno(stdin) == 0 && fileno(stdout) == 1 && fileno(stderr) == 2;
}

/* 0 and 1 first, as the client waits for that. */
static int
reset_descriptors(const struct worker *w)
{
	if (dup2(w->own[NOTHING], 0) == -1 || dup2(w->own[NOTHING], 1) == -1 ||
	    dup2(w->own[ERRORS], 2) == -1)
		return -1;
	return fd_close_except(w->keep, w->keep_count);
}

static void
reap_all(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}

/* All that a process has besides its memory.  0, or -1: it cannot. */
static int
put_back(struct worker *w)
{
	struct self now;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	stop_timers();
	empty_streams();
	if (reset_descriptors(w) == -1)
		return -1;
	drop_environment(w);
	umask(w->umask);
	reap_all();
	reset_signals(w);
	drop_waiting_signals();
	sigprocmask(SIG_SETMASK, &w->mask, NULL);
	now = look_at_self();
	return go_home(w) == 0 && is_same(&now, &w->self) && has_streams() ? 0
									   : -1;
}

static void
tell_done(const struct worker *w, uint64_t conn, enum worker_done how)
{
	uint64_t number = how;

	if (msg_send_bytes(w->own[CHANNEL], MSG_DONE, conn, &number,
		sizeof(number), false) == -1 ||
	    how == WORKER_LEAVES)
		_exit(0);
}

static void
serve_next(struct worker *w)
{
	const struct settings *settings = w->program->settings;
	struct msg msg;
	int r;

	/* Its end is ours: we are not needed any more, or master is gone. */
	r = msg_receive_whole(
	    w->own[CHANNEL], &w->room, &w->whole, &msg, 2, false);
	if (r != 1 || msg.type != MSG_EXEC)
		_exit(0);
	begin(w, &msg);
	settings->code->server(w->argc, settings->program);
	leave_if_forked(w);
	/* Still part of the request: it may wait, and be signalled. */
	(void)fflush(NULL);
	r = put_back(w);
	tell_done(w, msg.conn, r == -1 ? WORKER_LEAVES : WORKER_STAYS);
}

/* What is open now beyond what was before. */
static void
keep_prepared(struct worker *w)
{
	size_t before = w->keep_count, i;
	int fd;

	for (fd = 3; fd < PREPARED_BELOW; fd++) {
		for (i = 0; i < before && w->keep[i] != fd; i++)
			continue;
		if (i < before || fcntl(fd, F_GETFD) == -1)
			continue;
		if (w->keep_count - before == PREPARED_MAX)
			fail(w,
			    "too many files are open before the first "
			    "client");
		keep(w, fd);
	}
}

/* Every client shall find what there is now. */
static void
note_state(struct worker *w)
{
	char directory[PATH_MAX];

	find_directory(directory);
	if (strcmp(directory, w->directory) != 0 && move_home(w) == -1)
		fail_to(w, "open the working directory");
	note_signals(w);
	w->umask = umask(0);
	umask(w->umask);
	w->self = look_at_self();
}

/* What the administrator's code needs before the first client. */
static void
prepare(struct worker *w)
{
	const struct settings *settings = w->program->settings;
	const struct msg none = { .len = 0 };
	char error[WORKER_ERROR_SIZE];

	buf_init(&w->texts, TEXTS_MAX);
	buf_init(&w->whole, MSG_BODY_MAX);
	while (settings->program[w->argc] != NULL)
		w->argc++;
	if (settings->code->prepare == NULL)
		return;
	if (set_environment(w, &none) == -1)
		fail_to(w, "make an environment");
	if (settings->code->prepare(w->argc, settings->program, error) == -1)
		fail(w, error);
	(void)fflush(NULL);
	empty_streams();
	drop_environment(w);
	keep_prepared(w);
}

void
worker_run(const struct program *program, int channel_fd)
{
	static struct worker w;

	w.program = program;
	w.own[CHANNEL] = channel_fd;
	settle(&w);
	prepare(&w);
	note_state(&w);
	reset_signals(&w);
	msg_send_bytes(w.own[CHANNEL], MSG_READY, 0, NULL, 0, false);
	for (;;)
		serve_next(&w);
}
