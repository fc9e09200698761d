/*
 * Starting programs.
 *
 * Runs in master and, between fork and exec, in the child.  The child is
 * still root when master is; it has seen no outside byte and leaves root
 * before exec.  The only place that lets a descriptor live through exec:
 * 0, 1, 2, those named with --keep-fd and, with -n, three more.
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

/* With -n: control socket, decrypted input, output to be encrypted. */
enum { CONTROL, READ, WRITE, DELAYED_FDS };
static const char *const delayed_names[DELAYED_FDS] = { "SSLCTLFD", "SSLREADFD",
	"SSLWRITEFD" };

/* No number that a program gets for them is as high: see choose_numbers. */
#define ABOVE_NUMBERS (3 + DELAYED_FDS + SETTINGS_KEEP_FDS_MAX)

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

void
program_execute(char *const *argv, char *const *environment)
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

static bool
is_kept(const struct settings *settings, int fd)
{
	size_t i;

	for (i = 0; i < settings->keep_fd_count; i++)
		if (settings->keep_fds[i] == fd)
			return true;
	return false;
}

/* The lowest numbers: some programs wait for them with select(2). */
static void
choose_numbers(const struct settings *settings, int numbers[DELAYED_FDS])
{
	int next = 3, i;

	for (i = 0; i < DELAYED_FDS; i++) {
		while (is_kept(settings, next))
			next++;
		numbers[i] = next++;
	}
}

/*
 * Bring the descriptors of -n to their numbers, and *report_fd out of their
 * way.  Nothing else is open by now, but for what stays.
 */
static int
number_descriptors(const struct settings *settings,
    const struct program_ends *ends, int *report_fd)
{
	const int given[DELAYED_FDS] = { ends->control, ends->read,
		ends->write };
	int moved[DELAYED_FDS], numbers[DELAYED_FDS], report, i;

	report = fd_dup_above(*report_fd, ABOVE_NUMBERS);
	if (report == -1)
		return -1;
	*report_fd = report;
	for (i = 0; i < DELAYED_FDS; i++) {
		moved[i] = fd_dup_above(given[i], ABOVE_NUMBERS);
		if (moved[i] == -1)
			return -1;
	}
	choose_numbers(settings, numbers);
	/* Without close-on-exec, which given[] and moved[] have. */
	for (i = 0; i < DELAYED_FDS; i++)
		if (dup2(moved[i], numbers[i]) == -1)
			return -1;
	return 0;
}

/*
 * Before the child has the program's uid: another program of that uid can
 * stop it where it stands, and what it held then would stay open.
 */
static int
set_descriptors(const struct settings *settings,
    const struct program_ends *ends, int *report_fd)
{
	int keep[7 + SETTINGS_KEEP_FDS_MAX] = { 0, 1, 2, *report_fd,
		ends->control, ends->read, ends->write };
	size_t i;

	for (i = 0; i < settings->keep_fd_count; i++)
		keep[7 + i] = settings->keep_fds[i];
	if (dup2(ends->in, 0) == -1 || dup2(ends->out, 1) == -1 ||
	    fd_close_except(keep, 7 + settings->keep_fd_count) == -1)
		return -1;
	for (i = 0; i < settings->keep_fd_count; i++)
		if (fd_inherit(settings->keep_fds[i]) == -1)
			return -1;
	if (ends->control == -1)
		return 0;
	return number_descriptors(settings, ends, report_fd);
}

/* The environment, with the numbers that only we know. */
static char **
make_environment(const struct program *program, const struct program_ends *ends,
    char *const *over, size_t count)
{
	static char texts[DELAYED_FDS][32];
	int numbers[DELAYED_FDS];
	char *names[DELAYED_FDS];
	char **environment;
	int i;

	environment = environment_merge(program->environment, over, count);
	if (environment == NULL || ends->control == -1)
		return environment;
	choose_numbers(program->settings, numbers);
	for (i = 0; i < DELAYED_FDS; i++) {
		names[i] = texts[i];
		text_format(texts[i], sizeof(texts[i]), "%s=%d",
		    delayed_names[i], numbers[i]);
	}
	return environment_merge(environment, names, DELAYED_FDS);
}

static int
enter_root(const char *root)
{
	if (root == NULL)
		return 0;
	return chdir(root) == -1 || chroot(".") == -1 ? -1 : 0;
}

/* Pipes open again through /dev/stdout, but only for their owner. */
static int
give_pipes(const struct settings *settings, const struct program_ends *ends)
{
	uid_t uid = settings->sets_uid ? settings->program_id.uid : 0;
	gid_t gid = settings->sets_gid ? settings->program_id.gid : (gid_t)-1;
	int numbers[DELAYED_FDS];
	int in = 0, out = 1;

	if (geteuid() != 0)
		return 0;
	if (ends->control != -1) {
		choose_numbers(settings, numbers);
		in = numbers[READ];
		out = numbers[WRITE];
	}
	return fchown(in, uid, gid) == -1 ? -1 : fchown(out, uid, gid);
}

static int
take_identity(const struct settings *settings, const struct program_ends *ends)
{
	const struct settings_identity *id = &settings->program_id;
	uid_t uid = settings->sets_uid ? id->uid : (uid_t)-1;
	gid_t gid = settings->sets_gid ? id->gid : (gid_t)-1;

	if (give_pipes(settings, ends) == -1)
		return -1;
	return privs_become(uid, gid);
}

/* In the child: everything up to exec.  Returns the step that failed. */
static enum step
become_program(const struct program *program, const struct program_ends *ends,
    int *report_fd, char *const *over, size_t count)
{
	const struct settings *settings = program->settings;
	char **environment;

	environment = make_environment(program, ends, over, count);
	if (environment == NULL)
		return STEP_EXEC;
	if (set_descriptors(settings, ends, report_fd) == -1)
		return STEP_DESCRIPTORS;
	if (enter_root(settings->program_root) == -1)
		return STEP_ROOT;
	if (take_identity(settings, ends) == -1)
		return STEP_IDENTITY;
	if (sig_restore(&program->signals) == -1)
		return STEP_EXEC;
	program_execute(settings->program, environment);
	return STEP_EXEC;
}

pid_t
program_spawn(const struct program *program, const struct program_ends *ends,
    char *const *over, size_t count, int *exec_fd)
{
	struct outcome outcome;
	int report[2], error;
	pid_t pid;

	if (fd_pipe(report) == -1)
		return -1;
	pid = fork();
	if (pid == 0) {
		outcome.step =
		    become_program(program, ends, &report[1], over, count);
		outcome.error = errno;
		fd_write_all(report[1], &outcome, sizeof(outcome));
		_exit(111);
	}
	error = errno;
	fd_close(&report[1]);
	if (pid == -1)
		fd_close(&report[0]);
	*exec_fd = report[0];
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
