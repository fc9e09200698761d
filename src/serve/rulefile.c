/*
 * Copies of rule files.  Runs in master and in a short-lived child of it.
 *
 * Reads the administrator's file with the rights sslserver was started
 * with; whether they are a table is checked by the child after it has given
 * those up.
 */
#include "serve/rulefile.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "rules/rules.h"
#include "serve/privs.h"
#include "serve/sealed.h"

/* A constant database has 32-bit offsets. */
#define SIZE_MAX_BYTES 4294967295LL

/* The copier's exit codes; others are an errno. */
#define COPIED 0
#define CHANGED 255
#define DAMAGED 254

void
rulefile_init(struct rulefile *file, const char *path)
{
	memset(file, 0, sizeof(*file));
	file->path = path;
	file->copy_fd = -1;
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

static int
copy_bytes(int from, int to)
{
	char bytes[65536];
	ssize_t len;

	while ((len = fd_read_all(from, bytes, sizeof(bytes))) > 0)
		if (fd_write_all(to, bytes, (size_t)len) == -1)
			return -1;
	return (int)len;
}

/* Not a byte of it is understood before the rights are gone. */
static int
check(int fd, size_t len)
{
	const void *bytes;

	if (len == 0)
		return DAMAGED;
	bytes = sealed_map(fd, len);
	if (bytes == NULL)
		return errno;
	return rules_check(bytes, len) == 0 ? COPIED : DAMAGED;
}

/* In the child.  Returns its exit code. */
static int
copy(const struct rulefile *file)
{
	const struct privs privs = { .identity = file->identity,
		.root_fd = -1,
		.descriptors = PRIVS_KEEP,
		.processes = PRIVS_KEEP };
	char error[PRIVS_ERROR_SIZE];
	struct stat before, after;
	int fd;

	/*
	 * Nothing of master: a slow disk may hold this process, and it must
	 * not hold the listener or a life line then.
	 */
	if (fd_close_except(&file->copy_fd, 1) == -1)
		return errno;
	fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &before) == -1)
		return errno;
	if (!S_ISREG(before.st_mode))
		return EINVAL;
	if (before.st_size > SIZE_MAX_BYTES)
		return EFBIG;
	if (!is_same(&before, &file->candidate))
		return CHANGED;
	if (file->identity != NULL && privs_drop(&privs, error) == -1)
		return EPERM;
	if (copy_bytes(fd, file->copy_fd) == -1 || fstat(fd, &after) == -1)
		return errno;
	if (!is_same(&before, &after))
		return CHANGED;
	if (sealed_seal(file->copy_fd) == -1)
		return errno;
	return check(file->copy_fd, (size_t)before.st_size);
}

static enum rulefile_news
tell(struct rulefile *file, enum rulefile_news news)
{
	file->has_candidate = file->has_copied = false;
	if (file->told == news)
		return RULEFILE_SAME;
	file->told = news;
	return news;
}

static enum rulefile_news
start_copy(struct rulefile *file)
{
	file->copy_fd = sealed_make();
	if (file->copy_fd == -1)
		return RULEFILE_SAME; /* the next look tries again */
	file->copier = fork();
	if (file->copier == 0)
		_exit(copy(file));
	if (file->copier == -1) {
		file->copier = 0;
		fd_close(&file->copy_fd);
	}
	return RULEFILE_SAME;
}

enum rulefile_news
rulefile_look(struct rulefile *file)
{
	struct stat now;

	if (file->path == NULL || file->copier != 0)
		return RULEFILE_SAME;
	if (stat(file->path, &now) == -1)
		return tell(file,
		    errno == ENOENT || errno == ENOTDIR ? RULEFILE_MISSING
							: RULEFILE_UNREADABLE);
	if (file->has_copied && is_same(&now, &file->copied))
		return RULEFILE_SAME;
	/* The first time there is nothing to wait for. */
	if (file->told == RULEFILE_SAME ||
	    (file->has_candidate && is_same(&now, &file->candidate))) {
		file->candidate = now;
		return start_copy(file);
	}
	file->candidate = now;
	file->has_candidate = true;
	return RULEFILE_SAME;
}

bool
rulefile_reaped(struct rulefile *file, pid_t pid, int status,
    enum rulefile_news *news, int *fd)
{
	/* Killed: nothing is known of the file; the next look tries again. */
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : CHANGED;

	if (file->copier == 0 || pid != file->copier)
		return false;
	file->copier = 0;
	*news = RULEFILE_SAME;
	if (code == COPIED) {
		file->copied = file->candidate;
		file->has_copied = true;
		file->told = *news = RULEFILE_NEW;
		*fd = file->copy_fd;
		file->copy_fd = -1;
		return true;
	}
	fd_close(&file->copy_fd);
	if (code == CHANGED)
		return true;
	/* Always news: a file that failed before is looked at when it is new. */
	*news = code == DAMAGED			? RULEFILE_DAMAGED
	    : code == ENOENT || code == ENOTDIR ? RULEFILE_MISSING
						: RULEFILE_UNREADABLE;
	file->told = *news;
	file->has_candidate = false;
	/* Not again until it changes. */
	file->copied = file->candidate;
	file->has_copied = true;
	errno = code;
	return true;
}
