/*
 * launch: a child that shares our memory until it executes a program.
 *
 * Runs in master, and in the child, which is root as master is, and leaves
 * root before exec.  The two run at the same time on the same memory: the
 * child has a stack of its own, writes to nothing but that and its struct
 * launch, and makes bare system calls, as those of the C library write to
 * errno.  All signals are blocked, so that no handler runs in it; a change
 * of uid sets the memory's access, master's with it, to fs.suid_dumpable:
 * with 1 the new uid could look into it, and no child is made so.  With 2 it
 * cannot, but Linux before 5.16 ends all who share the memory of one that a
 * signal ends with a core: so it is undumpable before a signal can come.
 * Whatever else it needs is made ready before.  exec gives up the shared memory before it closes the report.
 */
#include "serve/launch.h"

#include <errno.h>

#include "config.h"

#ifdef SHARED_LAUNCH

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sig.h"
#include "base/text.h"
#include "compat/compat.h"
#include "serve/environment.h"
#include "serve/program.h"

#define STACK_SIZE ((size_t)16 << 10)
#define PATH_SIZE 4096

/* What rt_sigaction(2) takes on each system we know: all of it zero. */
struct kernel_action {
	uint64_t words[4];
};

#define KERNEL_SIGNALS 64

struct launch {
	struct launch_plan plan;
	gid_t only; /* the one group */
	uint64_t mask, reset;
	char **environment, **paths;
	char *over, *names; /* what these point to */
	bool is_searched;
	/* Written by the child. */
	volatile enum launch_step step;
	volatile int error;
	_Alignas(16) unsigned char stack[STACK_SIZE];
};

/*
 * In the child
 */

/* The answer of the kernel: an errno is negative. */
#if defined(__x86_64__)
static inline long
call(long number, long a, long b, long c, long d)
{
	register long fourth __asm__("r10") = d;
	long answer;

	__asm__ volatile("syscall"
			 : "=a"(answer)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
			 : "rcx", "r11", "memory");
	return answer;
}
#elif defined(__aarch64__)
static inline long
call(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
			 : "memory");
	return x0;
}
#else
#error "SHARED_LAUNCH is for systems listed in meson.build"
#endif

/* 0, or -1 with launch->error. */
static int
conclude(struct launch *launch, long answer)
{
	if (answer >= 0)
		return 0;
	launch->error = (int)-answer;
	return -1;
}

static int
put(struct launch *launch, int from, int to)
{
	if (from == to)
		return 0;
	return conclude(launch, call(SYS_dup3, from, to, 0, 0));
}

/*
 * Before the child has the program's uid: another program of that uid can
 * stop it where it stands, and what it held then would stay open.
 */
static int
set_descriptors(struct launch *launch)
{
	const struct launch_plan *plan = &launch->plan;
	long report = plan->report;

	if (put(launch, plan->in, 0) == -1 || put(launch, plan->out, 1) == -1)
		return -1;
	if (report > 3 &&
	    conclude(launch, call(SYS_close_range, 3, report - 1, 0, 0)) == -1)
		return -1;
	return conclude(
	    launch, call(SYS_close_range, report + 1, (long)UINT_MAX, 0, 0));
}

static int
give_ends(struct launch *launch)
{
	const struct launch_plan *plan = &launch->plan;
	long fd;

	for (fd = 0; plan->gives_ends && fd < 2; fd++)
		if (conclude(launch,
			call(SYS_fchown, fd, (long)plan->owner,
			    (long)plan->group, 0)) == -1)
			return -1;
	return 0;
}

static bool
is_group(long gid)
{
	return call(SYS_getgid, 0, 0, 0, 0) == gid &&
	    call(SYS_getegid, 0, 0, 0, 0) == gid;
}

static bool
is_user(long uid)
{
	return call(SYS_getuid, 0, 0, 0, 0) == uid &&
	    call(SYS_geteuid, 0, 0, 0, 0) == uid;
}

static bool
can_regain(void)
{
	return call(SYS_setuid, 0, 0, 0, 0) >= 0 ||
	    call(SYS_setresuid, -1, 0, -1, 0) >= 0;
}

/* As privs_become. */
static int
become(struct launch *launch)
{
	const struct launch_plan *plan = &launch->plan;
	long only = (long)launch->only, uid = (long)plan->uid;

	if (conclude(launch,
		call(SYS_setgroups, 1, (long)&launch->only, 0, 0)) == -1 ||
	    conclude(launch, call(SYS_setgid, only, 0, 0, 0)) == -1)
		return -1;
	launch->error = EPERM;
	if (!is_group(only))
		return -1;
	if (plan->uid == (uid_t)-1)
		return 0;
	if (conclude(launch, call(SYS_setuid, uid, 0, 0, 0)) == -1 ||
	    conclude(launch, call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0)) == -1)
		return -1;
	launch->error = EPERM;
	return is_user(uid) && (uid == 0 || !can_regain()) ? 0 : -1;
}

/* exec resets handlers, but not what is ignored; and none must run here. */
static int
restore_signals(struct launch *launch)
{
	static const struct kernel_action none;
	long signo;

	for (signo = 1; signo <= KERNEL_SIGNALS; signo++)
		if ((launch->reset >> (signo - 1) & 1) != 0 &&
		    conclude(launch,
			call(SYS_rt_sigaction, signo, (long)&none, 0, 8)) == -1)
			return -1;
	return conclude(launch,
	    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&launch->mask, 0, 8));
}

/* As program_execute, with the names made ready. */
static void
execute(struct launch *launch)
{
	char **path;
	int error = ENOENT;

	for (path = launch->paths; *path != NULL; path++) {
		int now = (int)-call(SYS_execve, (long)*path,
		    (long)launch->plan.argv, (long)launch->environment, 0);

		if (!launch->is_searched || (now != ENOENT && now != ENOTDIR))
			error = now;
		if (error != ENOENT && error != EACCES)
			break;
	}
	launch->error = error;
}

static enum launch_step
become_program(struct launch *launch)
{
	if (set_descriptors(launch) == -1)
		return LAUNCH_DESCRIPTORS;
	if (give_ends(launch) == -1 ||
	    (launch->plan.sets_id && become(launch) == -1))
		return LAUNCH_IDENTITY;
	if (restore_signals(launch) == 0)
		execute(launch);
	return LAUNCH_EXEC;
}

static int
child(void *arg)
{
	struct launch *launch = arg;

	launch->step = become_program(launch);
	call(SYS_exit_group, 111, 0, 0, 0);
	return 111;
}

/*
 * In the parent
 */

/* Is the memory of who changes its uid kept from the new one?  See above. */
static bool
memory_is_guarded(void)
{
	char text[2] = "";
	int fd = open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n == 1 && text[0] != '1';
}

bool
launch_is_possible(void)
{
	static enum { UNKNOWN, YES, NO } answer;

	/* Nothing to close is an error; no such call is another one. */
	if (answer == UNKNOWN)
		answer = syscall(SYS_close_range, 1, 0, 0) == -1 &&
			errno == EINVAL && memory_is_guarded()
		    ? YES
		    : NO;
	return answer == YES;
}

static const char *
path_of(char *const *environment)
{
	for (; *environment != NULL; environment++)
		if (text_begins(*environment, "PATH="))
			return *environment + 5;
	return PROGRAM_DEFAULT_PATH;
}

/* Texts that last as long as the child needs them, end to end. */
struct texts {
	char *bytes;
	size_t used, size;
};

/* There is room: the size was computed of the same texts. */
static char *
keep(struct texts *texts, const char *text)
{
	char *copy = texts->bytes + texts->used;

	text_copy(copy, texts->size - texts->used, text);
	texts->used += strlen(copy) + 1;
	return copy;
}

/* What is laid over is soon the caller's again, and so it is copied. */
static int
make_environment(struct launch *launch)
{
	const struct launch_plan *plan = &launch->plan;
	char **over = calloc(plan->over_count + 1, sizeof(*over));
	struct texts texts = { .size = 1 };
	size_t i;

	for (i = 0; i < plan->over_count; i++)
		texts.size += strlen(plan->over[i]) + 1;
	texts.bytes = launch->over = malloc(texts.size);
	if (over != NULL && texts.bytes != NULL) {
		for (i = 0; i < plan->over_count; i++)
			over[i] = keep(&texts, plan->over[i]);
		launch->environment =
		    environment_merge(plan->environment, over, i);
	}
	free(over);
	return launch->environment == NULL ? -1 : 0;
}

/* Every name under which the program may be found, in order. */
static int
make_search(struct launch *launch, const char *name, const char *path)
{
	size_t count = 1, used = 0, len;
	struct texts texts = { .size = 1 };
	char file[PATH_SIZE];
	const char *piece;

	for (piece = path; *piece != '\0'; piece++)
		count += *piece == ':';
	texts.size += strlen(path) + count * (strlen(name) + 3);
	texts.bytes = launch->names = malloc(texts.size);
	launch->paths = calloc(count + 1, sizeof(*launch->paths));
	if (texts.bytes == NULL || launch->paths == NULL)
		return -1;
	launch->is_searched = true;
	while ((piece = text_piece(&path, ':', &len)) != NULL)
		if (text_format(file, sizeof(file), "%.*s/%s",
			(int)(len ? len : 1), len ? piece : ".", name) != -1)
			launch->paths[used++] = keep(&texts, file);
	return 0;
}

static int
make_paths(struct launch *launch)
{
	char *name = launch->plan.argv[0];

	if (strchr(name, '/') == NULL)
		return make_search(launch, name, path_of(launch->environment));
	launch->paths = calloc(2, sizeof(*launch->paths));
	if (launch->paths == NULL)
		return -1;
	launch->paths[0] = name;
	return 0;
}

static void
set_signals(struct launch *launch)
{
	int signo;

	/* The kernel's set is the first of the C library's words. */
	memcpy(
	    &launch->mask, &launch->plan.signals->mask, sizeof(launch->mask));
	for (signo = 1; signo <= KERNEL_SIGNALS; signo++)
		if (sig_is_changed(signo))
			launch->reset |= (uint64_t)1 << (signo - 1);
}

static void
launch_free(struct launch *launch)
{
	free(launch->environment);
	free(launch->paths);
	free(launch->over);
	free(launch->names);
	free(launch);
}

static struct launch *
launch_new(const struct launch_plan *plan)
{
	struct launch *launch = malloc(sizeof(*launch));

	if (launch == NULL)
		return NULL;
	memset(launch, 0, offsetof(struct launch, stack));
	launch->plan = *plan;
	launch->only = plan->gid == (gid_t)-1 ? getegid() : plan->gid;
	set_signals(launch);
	if (make_environment(launch) == 0 && make_paths(launch) == 0)
		return launch;
	launch_free(launch);
	errno = ENOMEM;
	return NULL;
}

pid_t
launch_start(const struct launch_plan *plan, struct launch **launch)
{
	struct launch *new = launch_new(plan);
	sigset_t all, before;
	pid_t pid = -1;
	int error;

	*launch = NULL;
	if (new == NULL)
		return -1;
	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, &before) == 0) {
		pid = clone(child, new->stack + sizeof(new->stack),
		    CLONE_VM | SIGCHLD, new);
		error = errno;
		sigprocmask(SIG_SETMASK, &before, NULL);
		errno = error;
	}
	if (pid == -1) {
		error = errno;
		launch_free(new);
		errno = error;
		return -1;
	}
	*launch = new;
	return pid;
}

enum launch_step
launch_end(struct launch *launch, int *error)
{
	enum launch_step step;

	*error = 0;
	if (launch == NULL)
		return LAUNCH_NONE;
	step = launch->step;
	*error = launch->error;
	launch_free(launch);
	return step;
}

#else

bool
launch_is_possible(void)
{
	return false;
}

pid_t
launch_start(const struct launch_plan *plan, struct launch **launch)
{
	(void)plan;
	*launch = NULL;
	errno = ENOSYS;
	return -1;
}

enum launch_step
launch_end(struct launch *launch, int *error)
{
	(void)launch;
	*error = 0;
	return LAUNCH_NONE;
}

#endif
