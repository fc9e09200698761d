/*
 * Copies of rule files.  Runs in master and in a short-lived child of it.
 *
 * The child opens the administrator's file with the rights sslserver was
 * started with, and gives them up before it reads a byte.  Both children,
 * this one and the watcher, may be held by a disk or a network: they have
 * deadlines, and nothing of master's that would be held with them.
 */
#include "serve/rulefile.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sig.h"
#include "rules/rules.h"
#include "serve/privs.h"
#include "serve/profiles.h"
#include "serve/sealed.h"
#include "serve/title.h"

/* The copier's exit codes; others are an errno. */
#define COPIED 192	     /* and the kinds of its rules, added */
#define NEW_SETS RULES_KINDS /* added too: there are some */
#define CROWDED 252
#define CHANGED 255
#define DAMAGED 254
#define UNCHANGED 253 /* the bytes that are in force */
/* No errno is as large: the line that damages it, added. */
#define DAMAGED_AT 140
#define LINES_MAX (COPIED - 1 - DAMAGED_AT)

#define BYTES_PER_SECOND (8 << 20)
#define OWN_PATIENCE_S 5 /* the copier's, when master is gone */

/* Can it be a table, so that it is worth a copy? */
static bool
has_header(int fd, uint64_t len)
{
	unsigned char header[RULES_HEADER_SIZE];

	return fd_read_all(fd, header, sizeof(header)) ==
	    (ssize_t)sizeof(header) &&
	    rules_check_header(header, len) == 0;
}

static int
check_rules(const void *bytes, size_t len, unsigned *line)
{
	*line = 0;
	return rules_check(bytes, len) == -1 ? -1
					     : (int)rules_kinds(bytes, len);
}

static const struct rulefile_form table_of_rules = { .max = RULES_SIZE_MAX,
	.begins_well = has_header,
	.check = check_rules,
	.has_sets = true };

void
rulefile_init(struct rulefile *file, const char *path)
{
	memset(file, 0, sizeof(*file));
	file->path = path;
	file->form = &table_of_rules;
	file->copy_fd = file->list_fd = file->in_force = -1;
	file->sets_fd = file->sets_in_force = -1;
	file->changed_at = CLOCK_NEVER;
	watcher_init(&file->watcher, path);
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* All that was there when it was opened; what is written behind may be endless. */
static int
copy_bytes(int from, int to, off_t left)
{
	char bytes[65536];
	size_t want;
	ssize_t len;

	for (; left > 0; left -= len) {
		want =
		    left < (off_t)sizeof(bytes) ? (size_t)left : sizeof(bytes);
		len = fd_read_all(from, bytes, want);
		if (len == -1 || fd_write_all(to, bytes, (size_t)len) == -1)
			return -1;
		if (len == 0)
			break;
	}
	return 0;
}

static bool
is_in_force(const struct rulefile *file, const void *bytes, size_t len)
{
	struct stat status;
	const void *others;

	if (file->in_force == -1 || fstat(file->in_force, &status) == -1 ||
	    (size_t)status.st_size != len)
		return false;
	others = sealed_map(file->in_force, len);
	return others != NULL && memcmp(bytes, others, len) == 0;
}

/* The copy. */
static int
check(const struct rulefile *file, size_t len)
{
	const void *bytes = sealed_map(file->copy_fd, len);
	unsigned line;
	int kinds;

	if (bytes == NULL)
		return errno;
	if (is_in_force(file, bytes, len))
		return UNCHANGED;
	kinds = file->form->check(bytes, len, &line);
	if (kinds == -1)
		return line > 0 && line <= LINES_MAX ? DAMAGED_AT + (int)line
						     : DAMAGED;
	if (!file->form->has_sets)
		return COPIED + kinds;
	if (profiles_list(bytes, len, file->path, file->list_fd) == -1)
		return errno == E2BIG ? CROWDED : errno;
	return COPIED + kinds +
	    (profiles_covers(file->sets_in_force, file->list_fd) ? 0
								 : NEW_SETS);
}

/* Nothing of master but copies, and an end of its own. */
static int
settle(const struct rulefile *file, unsigned seconds)
{
	const int keep[] = { file->copy_fd, file->in_force, file->list_fd,
		file->sets_in_force };

	title_set("copier");
	sig_release();
	/* A limit of file size is an error with a name (EFBIG), no death. */
	if (signal(SIGALRM, SIG_DFL) == SIG_ERR ||
	    signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return -1;
	alarm(seconds);
	return fd_close_except(keep, sizeof(keep) / sizeof(keep[0]));
}

static bool
begins_well(const struct rulefile_form *form, int fd, off_t size)
{
	return form->begins_well == NULL ||
	    (form->begins_well(fd, (uint64_t)size) &&
		lseek(fd, 0, SEEK_SET) == 0);
}

/* In the child.  Returns its exit code. */
static int
copy(const struct rulefile *file, unsigned seconds)
{
	const struct privs privs = { .identity = file->identity,
		.root_fd = -1,
		.descriptors = PRIVS_KEEP,
		.processes = PRIVS_KEEP };
	char error[PRIVS_ERROR_SIZE];
	struct stat before, after;
	int fd;

	if (settle(file, seconds) == -1)
		return errno;
	fd = fd_open_regular(file->path, &before);
	if (fd == -1)
		return errno;
	if ((uint64_t)before.st_size > file->form->max)
		return EFBIG;
	if (!is_same(&before, &file->candidate))
		return CHANGED;
	/* Not a byte of it is read before the rights are gone. */
	if (file->identity != NULL && privs_drop(&privs, error) == -1)
		return EPERM;
	if (!begins_well(file->form, fd, before.st_size))
		return DAMAGED;
	if (copy_bytes(fd, file->copy_fd, before.st_size) == -1 ||
	    fstat(fd, &after) == -1)
		return errno;
	if (!is_same(&before, &after))
		return CHANGED;
	if (sealed_seal(file->copy_fd) == -1)
		return errno;
	return check(file, (size_t)before.st_size);
}

/* What was seen is dealt with: a copy, or there can be none. */
static void
settle_change(struct rulefile *file)
{
	file->has_candidate = false;
	file->restless = 0;
	file->changed_at = CLOCK_NEVER;
	file->is_late = false;
	file->has_failed = false;
}

static enum rulefile_news
tell(struct rulefile *file, enum rulefile_news news)
{
	settle_change(file);
	file->has_copied = false;
	if (file->told == news)
		return RULEFILE_SAME;
	file->told = news;
	return news;
}

static void
close_copy(struct rulefile *file)
{
	fd_close(&file->copy_fd);
	fd_close(&file->list_fd);
}

static int
make_copy(struct rulefile *file)
{
	file->copy_fd = sealed_make();
	if (file->copy_fd == -1 || !file->form->has_sets)
		return file->copy_fd;
	file->list_fd = sealed_make();
	return file->list_fd;
}

static void
start_copy(struct rulefile *file, bool is_hasty, int64_t now)
{
	int64_t patience = RULEFILE_COPY_MS +
	    (int64_t)file->candidate.st_size / BYTES_PER_SECOND * 1000;
	pid_t pid;

	file->restless = 0;
	file->is_asked = false;
	file->is_hasty = is_hasty;
	pid = make_copy(file) == -1 ? -1 : fork();
	if (pid == 0)
		_exit(copy(file, (unsigned)(patience / 1000) + OWN_PATIENCE_S));
	/* A later look tries again. */
	file->copy_error = pid == -1 ? errno : 0;
	if (pid == -1) {
		close_copy(file);
		return;
	}
	file->copier = pid;
	file->copy_by = clock_after(now, patience);
}

/* Not a word of a file yet, or that there is none? */
static bool
is_unknown(const struct rulefile *file)
{
	return file->told == RULEFILE_SAME || file->told == RULEFILE_MISSING;
}

/* There is a file, and it is not what was copied last. */
static void
consider(struct rulefile *file, const struct stat *status, int64_t now)
{
	bool has_rested =
	    file->has_candidate && is_same(status, &file->candidate);

	if (file->changed_at == CLOCK_NEVER)
		file->changed_at = now;
	if (file->has_candidate && !has_rested)
		file->restless++;
	/* What has changed may be better: no more waiting. */
	if (file->has_failed && !has_rested) {
		file->has_failed = false;
		file->copy_not_before = now;
	}
	file->candidate = *status;
	file->has_candidate = true;
	if (now < file->copy_not_before)
		return;
	/*
	 * The first one is not waited for: until there is a table everybody
	 * is refused, or with -X let in.
	 */
	if (has_rested || file->is_asked || is_unknown(file) ||
	    file->restless >= RULEFILE_RESTLESS_LOOKS)
		start_copy(file, !has_rested, now);
}

/* There is none; perhaps it is just being replaced. */
static enum rulefile_news
miss(struct rulefile *file)
{
	if (file->missing < RULEFILE_MISSING_LOOKS)
		file->missing++;
	if (file->told != RULEFILE_SAME &&
	    file->missing < RULEFILE_MISSING_LOOKS)
		return RULEFILE_SAME;
	fd_close(&file->sets_fd);
	return tell(file, RULEFILE_MISSING);
}

/* News of which one line is enough, whatever else is slow. */
static enum rulefile_news
tell_late(struct rulefile *file, enum rulefile_news news)
{
	file->is_late = true;
	file->told = news;
	return news;
}

/*
 * Have looks found it changed for too long, and does it still not rest?  Only
 * a look knows: from one that does not come nothing follows.
 */
static bool
is_overdue(const struct rulefile *file, int64_t now)
{
	return !file->is_late && (file->copier == 0 || file->is_hasty) &&
	    file->changed_at != CLOCK_NEVER &&
	    now >= clock_after(file->changed_at, RULEFILE_LATE_MS);
}

enum rulefile_news
rulefile_saw(
    struct rulefile *file, const struct watcher_sight *sight, int64_t now)
{
	if (file->copier != 0)
		return RULEFILE_SAME;
	if (sight->error == ENOENT || sight->error == ENOTDIR)
		return miss(file);
	file->missing = 0;
	if (sight->error != 0) {
		errno = sight->error;
		return tell(file, RULEFILE_UNREADABLE);
	}
	/* To open a FIFO or a device can do something to it. */
	if (!S_ISREG(sight->status.st_mode))
		return tell(file, RULEFILE_IRREGULAR);
	if (file->has_copied && !file->is_asked &&
	    is_same(&sight->status, &file->copied))
		settle_change(file);
	else
		consider(file, &sight->status, now);
	if (!is_overdue(file, now))
		return RULEFILE_SAME;
	errno = file->copy_error;
	return tell_late(file, RULEFILE_LATE);
}

enum rulefile_news
rulefile_hear(struct rulefile *file, int64_t now)
{
	struct watcher_sight sight;

	if (!watcher_answer(&file->watcher, &sight))
		return RULEFILE_SAME;
	return rulefile_saw(file, &sight, now);
}

enum rulefile_news
rulefile_turn(struct rulefile *file, int64_t now)
{
	bool was_stuck = file->copier_is_stuck;

	if (file->path == NULL)
		return RULEFILE_SAME;
	watcher_ask(&file->watcher, now);
	if (watcher_gives_up(&file->watcher, now))
		return tell_late(file, RULEFILE_STUCK);
	if (file->copier != 0 && now >= file->copy_by) {
		kill(file->copier, SIGKILL);
		file->copy_by = CLOCK_NEVER;
		file->copier_is_stuck = true;
		return was_stuck ? RULEFILE_SAME
				 : tell_late(file, RULEFILE_STUCK);
	}
	return RULEFILE_SAME;
}

static bool
is_damage(int code)
{
	return code == DAMAGED ||
	    (code > DAMAGED_AT && code <= DAMAGED_AT + LINES_MAX);
}

static enum rulefile_news
news_of_failure(const struct rulefile *file, int code)
{
	if (is_damage(code))
		/* What does not rest may be half of something sound. */
		return file->is_hasty && file->told != RULEFILE_SAME
		    ? RULEFILE_SAME
		    : RULEFILE_DAMAGED;
	switch (code) {
	case CHANGED:
	case ENOENT: /* since the look; the next ones will tell */
	case ENOTDIR:
		return RULEFILE_SAME;
	case CROWDED:
		return RULEFILE_CROWDED;
	default:
		errno = code;
		return RULEFILE_UNREADABLE;
	}
}

/* Is it what the file is, and no state of the system around it? */
static bool
is_permanent(int code)
{
	return is_damage(code) || code == CROWDED || code == EINVAL ||
	    code == EFBIG || code == ELOOP || code == EISDIR;
}

/* Nothing is known of the file: told once, and tried again later. */
static enum rulefile_news
take_trouble(struct rulefile *file, enum rulefile_news news, int64_t now)
{
	file->has_failed = true;
	file->copy_not_before = clock_after(now, RULEFILE_AGAIN_MS);
	/* The line that says so is the one about its being late. */
	file->is_late = true;
	if (file->told == news)
		return RULEFILE_SAME;
	file->told = news;
	return news;
}

/* No sound table: always news, as the file is; not again until it changes. */
static enum rulefile_news
take_failure(struct rulefile *file, int code, int64_t now)
{
	enum rulefile_news news = news_of_failure(file, code);

	if (news == RULEFILE_SAME)
		return news;
	file->line = is_damage(code) && code != DAMAGED
	    ? (unsigned)code - DAMAGED_AT
	    : 0;
	if (!is_permanent(code))
		return take_trouble(file, news, now);
	settle_change(file);
	file->copied = file->candidate;
	file->has_copied = true;
	file->told = news;
	return news;
}

/* A sound table, new or the same as before; *fd is the new one. */
static enum rulefile_news
take_copy(struct rulefile *file, int code, int *fd)
{
	settle_change(file);
	file->copied = file->candidate;
	/*
	 * Times of files are coarse: what was written just before the copy
	 * may have been written on since without another time.
	 */
	file->has_copied = !file->is_hasty;
	file->told = RULEFILE_NEW;
	if (code == UNCHANGED) {
		close_copy(file);
		return RULEFILE_SAME;
	}
	file->kinds = (unsigned)(code - COPIED) % RULES_KINDS;
	file->has_new_sets = code - COPIED >= NEW_SETS;
	fd_close(&file->sets_fd);
	file->sets_fd = file->list_fd;
	file->sets_serial++;
	*fd = file->copy_fd;
	file->copy_fd = file->list_fd = -1;
	return RULEFILE_NEW;
}

/* The copier was killed, by us or by somebody else. */
static enum rulefile_news
take_death(struct rulefile *file, int signo, int64_t now)
{
	if (file->copy_by != CLOCK_NEVER) {
		file->copier_is_stuck = false;
		file->ended_by = signo;
		return take_trouble(file, RULEFILE_ABORTED, now);
	}
	/* That has been told; another file does not make the disk faster. */
	file->copy_not_before = clock_after(now, RULEFILE_AGAIN_MS);
	return RULEFILE_SAME;
}

/* The copier has ended. */
static enum rulefile_news
judge(struct rulefile *file, int status, int64_t now, int *fd)
{
	enum rulefile_news news;
	int code = WEXITSTATUS(status);

	file->copier = 0;
	if (!WIFSIGNALED(status))
		file->copier_is_stuck = false;
	if (!WIFSIGNALED(status) &&
	    (code == UNCHANGED ||
		(code >= COPIED && code < COPIED + 2 * NEW_SETS)))
		return take_copy(file, code, fd);
	news = WIFSIGNALED(status) ? take_death(file, WTERMSIG(status), now)
				   : take_failure(file, code, now);
	close_copy(file);
	return news;
}

void
rulefile_reload(struct rulefile *file)
{
	file->is_asked = true;
	file->has_copied = false;
	file->copy_not_before = 0;
	if (!is_unknown(file))
		file->told = RULEFILE_NEW;
}

bool
rulefile_reaped(struct rulefile *file, pid_t pid, int status, int64_t now,
    enum rulefile_news *news, int *fd)
{
	*news = RULEFILE_SAME;
	if (watcher_reaped(&file->watcher, pid, now))
		return true;
	if (file->copier == 0 || pid != file->copier)
		return false;
	*news = judge(file, status, now, fd);
	return true;
}
