/*
 * Starting programs.
 *
 * Runs in master and, between fork and exec, in the child.  The child is
 * still root when master is; it has seen no outside byte and leaves root
 * before exec.  The only place that lets a descriptor live through exec:
 * 0, 1, 2, those named with --keep-fd and, with -n, three more.
 *
 * The child has no descriptors to number, as a rule, and no root to enter:
 * then it is made by launch.  Otherwise by a plain fork.  Never by vfork: a
 * parent that waits could be held up by another program of the same uid
 * that stops the fresh child.
 */
#include "serve/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "serve/environment.h"
#include "serve/launch.h"
#include "serve/privs.h"
#include "serve/settings.h"

extern char **environ;

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
		path = PROGRAM_DEFAULT_PATH;
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

int
program_enter_root(const struct settings *settings)
{
	const char *root = settings->program_root;

	if (root == NULL)
		return 0;
	return chdir(root) == -1 || chroot(".") == -1 ? -1 : 0;
}

int
program_give_end(const struct settings *settings, int fd)
{
	uid_t uid = settings->sets_uid ? settings->program_id.uid : 0;
	gid_t gid = settings->sets_gid ? settings->program_id.gid : (gid_t)-1;

	return geteuid() == 0 ? fchown(fd, uid, gid) : 0;
}

static int
give_pipes(const struct settings *settings, const struct program_ends *ends)
{
	int numbers[DELAYED_FDS];
	int in = 0, out = 1;

	if (ends->control != -1) {
		choose_numbers(settings, numbers);
		in = numbers[READ];
		out = numbers[WRITE];
	}
	return program_give_end(settings, in) == -1
	    ? -1
	    : program_give_end(settings, out);
}

int
program_take_identity(const struct settings *settings)
{
	const struct settings_identity *id = &settings->program_id;
	uid_t uid = settings->sets_uid ? id->uid : (uid_t)-1;
	gid_t gid = settings->sets_gid ? id->gid : (gid_t)-1;

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
	if (program_enter_root(settings) == -1)
		return STEP_ROOT;
	if (give_pipes(settings, ends) == -1 ||
	    program_take_identity(settings) == -1)
		return STEP_IDENTITY;
	if (sig_restore(&program->signals) == -1)
		return STEP_EXEC;
	program_execute(settings->program, environment);
	return STEP_EXEC;
}

static pid_t
spawn_by_fork(const struct program *program, const struct program_ends *ends,
    char *const *over, size_t count, int report_fd)
{
	struct outcome outcome;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	outcome.step = become_program(program, ends, &report_fd, over, count);
	outcome.error = errno;
	fd_write_all(report_fd, &outcome, sizeof(outcome));
	_exit(111);
}

static bool
can_launch(const struct settings *settings, const struct program_ends *ends)
{
	return launch_is_possible() && ends->control == -1 &&
	    settings->keep_fd_count == 0 && settings->program_root == NULL;
}

static pid_t
spawn_by_launch(const struct program *program, const struct program_ends *ends,
    char *const *over, size_t count, int report_fd, struct launch **launch)
{
	const struct settings *settings = program->settings;
	const struct settings_identity *id = &settings->program_id;
	struct launch_plan plan = { .in = ends->in,
		.out = ends->out,
		.report = report_fd,
		.sets_id = settings->sets_uid || settings->sets_gid,
		.gives_ends = geteuid() == 0,
		.uid = settings->sets_uid ? id->uid : (uid_t)-1,
		.gid = settings->sets_gid ? id->gid : (gid_t)-1,
		.owner = settings->sets_uid ? id->uid : 0,
		.group = settings->sets_gid ? id->gid : (gid_t)-1,
		.signals = &program->signals,
		.argv = settings->program,
		.environment = program->environment,
		.over = over,
		.over_count = count };

	return launch_start(&plan, launch);
}

pid_t
program_spawn(const struct program *program, const struct program_ends *ends,
    char *const *over, size_t count, struct program_start *start)
{
	int report[2], error;
	pid_t pid;

	start->launch = NULL;
	if (fd_pipe(report) == -1)
		return -1;
	if (can_launch(program->settings, ends))
		pid = spawn_by_launch(
		    program, ends, over, count, report[1], &start->launch);
	else
		pid = spawn_by_fork(program, ends, over, count, report[1]);
	error = errno;
	fd_close(&report[1]);
	if (pid == -1)
		fd_close(&report[0]);
	start->exec_fd = report[0];
	errno = error;
	return pid;
}

/* The same words, whoever failed. */
static int
step_of_launch(enum launch_step step)
{
	switch (step) {
	case LAUNCH_DESCRIPTORS:
		return STEP_DESCRIPTORS;
	case LAUNCH_IDENTITY:
		return STEP_IDENTITY;
	case LAUNCH_NONE:
	case LAUNCH_EXEC:
	default:
		return STEP_EXEC;
	}
}

int
program_outcome(struct program_start *start, char reason[PROGRAM_REASON_SIZE])
{
	struct outcome outcome = { STEPS, 0 };
	ssize_t len = fd_read_all(start->exec_fd, &outcome, sizeof(outcome));

	/* Its end has come: a child that was launched is out of our memory. */
	fd_close(&start->exec_fd);
	if (start->launch != NULL) {
		enum launch_step step =
		    launch_end(start->launch, &outcome.error);

		start->launch = NULL;
		if (step == LAUNCH_NONE)
			return 0;
		outcome.step = step_of_launch(step);
	} else if (len == 0)
		return 0;
	else if (len != (ssize_t)sizeof(outcome))
		outcome.step = STEPS;
	if (outcome.step < 0 || outcome.step >= STEPS)
		text_copy(reason, PROGRAM_REASON_SIZE, "no report");
	else
		text_format(reason, PROGRAM_REASON_SIZE, "%s%s",
		    step_names[outcome.step], strerror(outcome.error));
	return -1;
}
