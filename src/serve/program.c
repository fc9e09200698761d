/*
 * Starting programs.
 *
 * Runs in master and, between fork and exec, in the child.  The child is
 * still root when master is; it has seen no outside byte and leaves root
 * before exec.  The only place that lets a descriptor live through exec:
 * 0, 1, 2 and those named with --keep-fd.
 *
 * A plain fork, because a parent that shares memory or waits, as vfork
 * does, could be held up by another program of the same uid that stops
 * the fresh child.
 */
#include "serve/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "serve/environment.h"
#include "serve/privs.h"
#include "serve/settings.h"

extern char **environ;

/* What execlp and other UCSPI tools use when PATH is unset. */
#define DEFAULT_PATH "/bin:/usr/bin"
#define PATH_SIZE 4096

enum step { STEP_EXEC, STEP_DESCRIPTORS, STEP_ROOT, STEP_IDENTITY, STEPS };

static const char *const step_names[STEPS] = { "",
	"unable to set descriptors: ", "unable to enter --root: ",
	"unable to change identity: " };

struct outcome {
	int step;
	int error;
};

char **
program_environment(void)
{
	size_t count = 0, kept = 0, i;
	char **environment;

	while (environ[count] != NULL)
		count++;
	environment = calloc(count + 1, sizeof(*environment));
	if (environment == NULL)
		return NULL;
	for (i = 0; i < count; i++)
		if (!environment_is_ours(environ[i]))
			environment[kept++] = environ[i];
	return environment;
}

static const char *
find_variable(char *const *environment, const char *prefix)
{
	for (; *environment != NULL; environment++)
		if (text_begins(*environment, prefix))
			return *environment + strlen(prefix);
	return NULL;
}

/* Returns only when it fails. */
static void
execute(char *const *argv, char *const *environment)
{
	const char *path, *piece;
	char file[PATH_SIZE];
	int error = ENOENT;
	size_t len;

	if (strchr(argv[0], '/') != NULL) {
		execve(argv[0], argv, environment);
		return;
	}
	path = find_variable(environment, "PATH=");
	if (path == NULL)
		path = DEFAULT_PATH;
	while ((piece = text_piece(&path, ':', &len)) != NULL) {
		if (text_format(file, sizeof(file), "%.*s/%s",
			(int)(len ? len : 1), len ? piece : ".", argv[0]) == -1)
			continue;
		execve(file, argv, environment);
		/* One that is there but forbidden tells more than none. */
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
		if (error != ENOENT && error != EACCES)
			break;
	}
	errno = error;
}

/*
 * Before the child has the program's uid: another program of that uid can
 * stop it where it stands, and what it held then would stay open.
 */
static int
set_descriptors(const struct settings *settings, int in, int out, int report_fd)
{
	int keep[4 + SETTINGS_KEEP_FDS_MAX] = { 0, 1, 2, report_fd };
	size_t i;

	for (i = 0; i < settings->keep_fd_count; i++)
		keep[4 + i] = settings->keep_fds[i];
	if (dup2(in, 0) == -1 || dup2(out, 1) == -1 ||
	    fd_close_except(keep, 4 + settings->keep_fd_count) == -1)
		return -1;
	for (i = 0; i < settings->keep_fd_count; i++)
		if (fd_inherit(settings->keep_fds[i]) == -1)
			return -1;
	return 0;
}

static int
enter_root(const char *root)
{
	if (root == NULL)
		return 0;
	return chdir(root) == -1 || chroot(".") == -1 ? -1 : 0;
}

static int
take_identity(const struct settings *settings)
{
	const struct settings_identity *id = &settings->program_id;
	uid_t uid = settings->sets_uid ? id->uid : (uid_t)-1;
	gid_t gid = settings->sets_gid ? id->gid : (gid_t)-1;

	/* The monitor made the pipes; /dev/stdout opens for their owner. */
	if (geteuid() == 0 &&
	    (fchown(0, settings->sets_uid ? uid : 0, gid) == -1 ||
		fchown(1, settings->sets_uid ? uid : 0, gid) == -1))
		return -1;
	return privs_become(uid, gid);
}

/* In the child: everything up to exec.  Returns the step that failed. */
static enum step
become_program(const struct program *program, int in, int out, int report_fd,
    char *const *over, size_t count)
{
	const struct settings *settings = program->settings;
	char **environment;

	environment = environment_merge(program->environment, over, count);
	if (environment == NULL)
		return STEP_EXEC;
	if (set_descriptors(settings, in, out, report_fd) == -1)
		return STEP_DESCRIPTORS;
	if (enter_root(settings->program_root) == -1)
		return STEP_ROOT;
	if (take_identity(settings) == -1)
		return STEP_IDENTITY;
	if (sig_restore(&program->signals) == -1)
		return STEP_EXEC;
	execute(settings->program, environment);
	return STEP_EXEC;
}

pid_t
program_spawn(const struct program *program, int in, int out, char *const *over,
    size_t count, int *exec_fd)
{
	struct outcome outcome;
	int ends[2], error;
	pid_t pid;

	if (fd_pipe(ends) == -1)
		return -1;
	pid = fork();
	if (pid == 0) {
		outcome.step =
		    become_program(program, in, out, ends[1], over, count);
		outcome.error = errno;
		fd_write_all(ends[1], &outcome, sizeof(outcome));
		_exit(111);
	}
	error = errno;
	fd_close(&ends[1]);
	if (pid == -1)
		fd_close(&ends[0]);
	*exec_fd = ends[0];
	errno = error;
	return pid;
}

int
program_outcome(int *exec_fd, char reason[PROGRAM_REASON_SIZE])
{
	struct outcome outcome;
	ssize_t len;

	len = fd_read_all(*exec_fd, &outcome, sizeof(outcome));
	fd_close(exec_fd);
	if (len == 0)
		return 0;
	if (len != (ssize_t)sizeof(outcome) || outcome.step < 0 ||
	    outcome.step >= STEPS)
		text_copy(reason, PROGRAM_REASON_SIZE, "no report");
	else
		text_format(reason, PROGRAM_REASON_SIZE, "%s%s",
		    step_names[outcome.step], strerror(outcome.error));
	return -1;
}
