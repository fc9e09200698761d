/*
 * A look at a file by a child.
 *
 * The child runs in master's place: with the rights sslserver was started
 * with, because others might not reach the file, but with none of master's
 * descriptors, and it reads no byte of any file.  It ends with the socket
 * to master.
 */
#include "serve/watcher.h"

#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sig.h"
#include "serve/title.h"

/*
 * Until a child that died, or was killed, is replaced.  One that could be
 * killed and reaped was not held by a disk: there is nothing to spare.
 */
#define AGAIN_MS 1000

void
watcher_init(struct watcher *w, const char *path)
{
	memset(w, 0, sizeof(*w));
	w->path = path;
	w->fd = -1;
	w->asked_at = CLOCK_NEVER;
}

/* In the child. */
__attribute__((noreturn)) static void
look_when_asked(const char *path, int fd)
{
	struct watcher_sight sight;
	char question;

	title_set("watcher");
	sig_release();
	if (fd_close_except(&fd, 1) == -1)
		_exit(111);
	while (fd_read_all(fd, &question, 1) == 1) {
		memset(&sight, 0, sizeof(sight));
		if (stat(path, &sight.status) == -1)
			sight.error = errno;
		if (fd_write_all(fd, &sight, sizeof(sight)) == -1)
			break;
	}
	_exit(0);
}

static void
start(struct watcher *w, int64_t now)
{
	int ends[2];
	pid_t pid;

	if (fd_message_pair(ends) == -1)
		return;
	pid = fork();
	if (pid == 0)
		look_when_asked(w->path, ends[1]);
	fd_close(&ends[1]);
	if (pid == -1) {
		fd_close(&ends[0]);
		return;
	}
	w->pid = pid;
	w->fd = ends[0];
	w->has_sent = false;
	w->asked_at = now;
}

void
watcher_ask(struct watcher *w, int64_t now)
{
	if (w->asked_at == CLOCK_NEVER)
		w->asked_at = now;
	if (w->pid == 0 && now >= w->start_at)
		start(w, now);
	if (w->fd != -1 && !w->has_sent)
		w->has_sent =
		    send(w->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

bool
watcher_answer(struct watcher *w, struct watcher_sight *sight)
{
	ssize_t len = recv(w->fd, sight, sizeof(*sight), MSG_DONTWAIT);

	if (len == (ssize_t)sizeof(*sight)) {
		w->asked_at = CLOCK_NEVER;
		w->has_sent = w->is_stuck = false;
		return true;
	}
	if (len != -1 || (errno != EAGAIN && errno != EINTR))
		fd_close(&w->fd); /* its death follows */
	return false;
}

bool
watcher_gives_up(struct watcher *w, int64_t now)
{
	bool was_stuck = w->is_stuck;

	if (w->asked_at == CLOCK_NEVER ||
	    now < clock_after(w->asked_at, WATCHER_PATIENCE_MS))
		return false;
	/* Where the kernel itself waits, that takes effect later or never. */
	if (w->pid > 0)
		kill(w->pid, SIGKILL);
	w->asked_at = now;
	w->is_stuck = true;
	return !was_stuck;
}

bool
watcher_reaped(struct watcher *w, pid_t pid, int64_t now)
{
	if (w->pid == 0 || pid != w->pid)
		return false;
	w->pid = 0;
	w->has_sent = false;
	w->start_at = clock_after(now, AGAIN_MS);
	fd_close(&w->fd);
	return true;
}
