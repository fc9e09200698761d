/*
 * test_program: a program gets its ends, its environment and nothing else,
 * and one that cannot be executed says why and ends with 111.
 */
#include "serve/program.h"

#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "serve/launch.h"
#include "serve/settings.h"

extern char **environ;

/* A directory of its own with what the tests execute. */
static char dir[] = "/tmp/test_program.XXXXXX";

static struct settings settings;
static char output[4096], reason[PROGRAM_REASON_SIZE];
static int outcome, status;
static bool was_launched;

static const char *
in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int
make_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	int r = fd_write_all(fd, text, strlen(text));

	fd_close(&fd);
	return r == -1 || chmod(in_dir(name), mode) == -1 ? -1 : 0;
}

/* first/both cannot be executed, second/both can. */
static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) == -1 ||
	    mkdir(in_dir("first"), 0755) == -1 ||
	    mkdir(in_dir("second"), 0755) == -1)
		return -1;
	return make_file("first/both", "#!/bin/sh\necho first\n", 0644) == -1 ||
	    make_file("second/both", "#!/bin/sh\necho second\n", 0755) == -1 ||
	    make_file("first/alone", "#!/bin/sh\n", 0644) == -1 ||
	    make_file("first/empty", "\1\2\3\4", 0755) == -1;
}

static int
tear_down(void **state)
{
	static const char *const files[] = { "first/both", "second/both",
		"first/alone", "first/empty" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(files); i++)
		unlink(in_dir(files[i]));
	rmdir(in_dir("first"));
	rmdir(in_dir("second"));
	return rmdir(dir);
}

static int
fresh_settings(void **state)
{
	(void)state;
	memset(&settings, 0, sizeof(settings));
	return 0;
}

/* Run argv with input to its end: outcome, reason, output, status. */
static void
run_over(char *const *argv, char **environment, char *const *over, size_t count,
    const char *input)
{
	struct program program = { .settings = &settings,
		.environment = environment };
	struct program_ends ends = { -1, -1, -1, -1, -1 };
	struct program_start start;
	int in[2], out[2], before = open_descriptors();
	ssize_t got;
	pid_t pid;

	settings.program = argv;
	assert_int_equal(sig_save(&program.signals), 0);
	assert_int_equal(fd_pipe(in), 0);
	assert_int_equal(fd_pipe(out), 0);
	ends.in = in[0];
	ends.out = out[1];
	pid = program_spawn(&program, &ends, over, count, &start);
	assert_true(pid > 0);
	was_launched = start.launch != NULL;
	fd_close(&in[0]);
	fd_close(&out[1]);
	reason[0] = '\0';
	outcome = program_outcome(&start, reason);
	assert_int_equal(start.exec_fd, -1);
	assert_null(start.launch);
	if (input[0] != '\0')
		assert_int_equal(fd_write_all(in[1], input, strlen(input)), 0);
	fd_close(&in[1]);
	got = fd_read_all(out[0], output, sizeof(output) - 1);
	output[got > 0 ? got : 0] = '\0';
	fd_close(&out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(open_descriptors(), before);
}

/* Run one word or more with PATH, and nothing laid over. */
static void
run(const char *path, char *const *argv)
{
	char variable[300];
	char *environment[] = { variable, NULL };

	snprintf(
	    variable, sizeof(variable), "PATH=%s", path == NULL ? "" : path);
	run_over(
	    argv, path == NULL ? environment + 1 : environment, NULL, 0, "");
}

/* Run text with the shell. */
static void
run_shell(const char *text)
{
	static char sh[] = "/bin/sh", c[] = "-c";
	char copy[512];
	char *argv[] = { sh, c, copy, NULL };

	snprintf(copy, sizeof(copy), "%s", text);
	run("/usr/bin:/bin", argv);
}

static void
expect_failure(const char *why)
{
	assert_int_equal(outcome, -1);
	assert_string_equal(reason, why);
	assert_int_equal(status, 111 << 8);
	assert_string_equal(output, "");
}

static void
input_and_output_are_the_ends(void **state)
{
	static char cat[] = "/bin/cat";
	char *argv[] = { cat, NULL };
	char *none[] = { NULL };

	(void)state;
	run_over(argv, none, NULL, 0, "some bytes");
	assert_int_equal(outcome, 0);
	assert_string_equal(output, "some bytes");
	assert_int_equal(status, 0);
	assert_int_equal(was_launched, launch_is_possible());
	run_shell("exit 3");
	assert_int_equal(outcome, 0);
	assert_int_equal(status, 3 << 8);
	run_shell("kill -9 $$");
	assert_int_equal(status, 9);
}

static void
path_is_searched(void **state)
{
	static char both[] = "both", none[] = "none", alone[] = "alone";
	static char empty[] = "empty", sh[] = "sh", c[] = "-c";
	static char text[] = "echo $0";
	char *run_both[] = { both, NULL }, *run_none[] = { none, NULL };
	char *run_alone[] = { alone, NULL }, *run_empty[] = { empty, NULL };
	char *run_sh[] = { sh, c, text, NULL };
	char path[256];

	(void)state;
	/* What is forbidden is passed over, and told when there is no other. */
	snprintf(
	    path, sizeof(path), "/none:/dev/null:%s/first:%s/second", dir, dir);
	run(path, run_both);
	assert_int_equal(outcome, 0);
	assert_string_equal(output, "second\n");
	run(path, run_none);
	expect_failure(strerror(ENOENT));
	run(path, run_alone);
	expect_failure(strerror(EACCES));
	run(path, run_empty);
	expect_failure(strerror(ENOEXEC));
	/* An empty piece is the working directory; unset has a default. */
	assert_int_equal(chdir(in_dir("second")), 0);
	run("/none:", run_both);
	assert_string_equal(output, "second\n");
	run(NULL, run_sh);
	assert_string_equal(output, "sh\n");
	run(NULL, run_both);
	expect_failure(strerror(ENOENT));
	assert_int_equal(chdir("/"), 0);
}

static void
a_path_is_not_searched(void **state)
{
	static char relative[] = "./both", none[] = "/none/program";
	static char directory[] = "/", path[128];
	char *run_relative[] = { relative, NULL }, *run_none[] = { none, NULL };
	char *run_directory[] = { directory, NULL },
	     *run_alone[] = { path, NULL };

	(void)state;
	assert_int_equal(chdir(in_dir("first")), 0);
	run(in_dir("second"), run_relative);
	expect_failure(strerror(EACCES));
	assert_int_equal(chdir("/"), 0);
	run("/bin", run_none);
	expect_failure(strerror(ENOENT));
	run("/bin", run_directory);
	expect_failure(strerror(EACCES));
	snprintf(path, sizeof(path), "%s", in_dir("first/alone"));
	run("/bin", run_alone);
	expect_failure(strerror(EACCES));
}

static void
environment_is_laid_over(void **state)
{
	static char env[] = "env", one[] = "ONE=1", two[] = "TWO=2";
	static char no_one[] = "ONE", new_two[] = "TWO=two";
	static char path[] = "PATH=/usr/bin:/bin", no_path[] = "PATH=/none";
	char *argv[] = { env, NULL };
	char *base[] = { no_path, one, two, NULL };
	char *over[] = { no_one, new_two, path };

	(void)state;
	/* The PATH that counts is the program's. */
	run_over(argv, base, over, 3, "");
	assert_string_equal(output, "PATH=/usr/bin:/bin\nTWO=two\n");
	run_over(argv, base, over, 2, "");
	expect_failure(strerror(ENOENT));
}

static void
what_only_we_may_set_is_not_inherited(void **state)
{
	static char path[] = "PATH=/bin", proto[] = "PROTO=TCP";
	static char ip[] = "TCPREMOTEIP=1.2.3.4", home[] = "HOME=/";
	char *mixed[] = { proto, path, ip, home, NULL };
	char **saved = environ, **kept;

	(void)state;
	environ = mixed;
	kept = program_environment();
	environ = saved;
	assert_non_null(kept);
	assert_ptr_equal(kept[0], path);
	assert_ptr_equal(kept[1], home);
	assert_null(kept[2]);
	free(kept);
}

static int
open_nothing_else(void)
{
	static const int standard[] = { 0, 1, 2 };

	/* What this test inherited is none of the module's business. */
	EXPECT(fd_close_except(standard, 3) == 0);
	EXPECT(dup2(0, 7) == 7 && fcntl(7, F_SETFD, FD_CLOEXEC) == 0);
	EXPECT(dup2(0, 9) == 9 && fcntl(9, F_SETFD, FD_CLOEXEC) == 0);
	/* 3 is the shell's, which reads the directory. */
	run_shell("cd /proc/self/fd && echo *");
	EXPECT(strcmp(output, "0 1 2 3\n") == 0);
	settings.keep_fds[0] = 9;
	settings.keep_fd_count = 1;
	run_shell("cd /proc/self/fd && echo *");
	EXPECT(strcmp(output, "0 1 2 3 9\n") == 0);
	return 0;
}

/* For steps that close everything: in_child wants its report open. */
static void
in_child_without_report(int (*step)(void))
{
	pid_t pid;
	int line;

	if (access("/proc/self/fd", X_OK) == -1)
		SKIP("no /proc");
	pid = fork();
	if (pid == 0) {
		line = step();
		if (line != 0)
			dprintf(2, "# line %d: %s", line, output);
		_exit(line != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
nothing_else_is_open(void **state)
{
	(void)state;
	in_child_without_report(open_nothing_else);
}

static void
a_kept_descriptor_that_is_gone(void **state)
{
	(void)state;
	settings.keep_fds[0] = 1000;
	settings.keep_fd_count = 1;
	run_shell(":");
	assert_int_equal(outcome, -1);
	assert_non_null(strstr(reason, "unable to set descriptors: "));
	assert_int_equal(status, 111 << 8);
}

/* What -n adds: our ends, and the program's. */
struct delayed {
	int client[2], control[2], read[2], write[2];
};

/* Run text with the shell, and what -n adds. */
static int
spawn_delayed(struct delayed *d, const char *text, pid_t *pid)
{
	static char sh[] = "/bin/sh", c[] = "-c", path[] = "PATH=/usr/bin:/bin";
	static char inherited[] = "SSLCTLFD=99";
	char copy[512];
	char *argv[] = { sh, c, copy, NULL }, *environment[] = { path, NULL };
	char *over[] = { inherited };
	struct program program = { .settings = &settings,
		.environment = environment };
	struct program_ends ends;
	struct program_start start;

	snprintf(copy, sizeof(copy), "%s", text);
	settings.program = argv;
	EXPECT(sig_save(&program.signals) == 0);
	EXPECT(fd_stream_pair(d->client) == 0);
	EXPECT(fd_stream_pair(d->control) == 0);
	EXPECT(fd_pipe(d->read) == 0 && fd_pipe(d->write) == 0);
	ends = (struct program_ends){ d->client[1], d->client[1], d->control[1],
		d->read[0], d->write[1] };
	*pid = program_spawn(&program, &ends, over, 1, &start);
	EXPECT(*pid > 0);
	fd_close(&d->client[1]);
	fd_close(&d->control[1]);
	fd_close(&d->read[0]);
	fd_close(&d->write[1]);
	EXPECT(program_outcome(&start, reason) == 0);
	return 0;
}

static int
read_text(int fd)
{
	ssize_t got = fd_read_all(fd, output, sizeof(output) - 1);

	EXPECT(got >= 0);
	output[got] = '\0';
	return 0;
}

/* Each of the five is what it says; then all of them end. */
static int
use_delayed(void)
{
	static const char text[] = "cat <&$SSLREADFD >&$SSLWRITEFD; "
				   "echo control >&$SSLCTLFD; cat; "
				   "echo $SSLCTLFD $SSLREADFD $SSLWRITEFD";
	struct delayed d;
	pid_t pid;

	EXPECT(spawn_delayed(&d, text, &pid) == 0);
	EXPECT(fd_write_all(d.read[1], "decrypted", 9) == 0);
	fd_close(&d.read[1]);
	EXPECT(fd_write_all(d.client[0], "plain ", 6) == 0);
	EXPECT(shutdown(d.client[0], SHUT_WR) == 0);
	EXPECT(read_text(d.write[0]) == 0 && strcmp(output, "decrypted") == 0);
	EXPECT(read_text(d.control[0]) == 0);
	EXPECT(strcmp(output, "control\n") == 0);
	EXPECT(read_text(d.client[0]) == 0);
	EXPECT(strcmp(output, "plain 3 4 5\n") == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}

static void
delayed_ends(void **state)
{
	(void)state;
	in_child(use_delayed);
}

/* The names of what is open, and their numbers, as the program sees them. */
static int
list_delayed(const char *expected)
{
	static const char text[] = "cd /proc/self/fd && echo *; "
				   "echo $SSLCTLFD $SSLREADFD $SSLWRITEFD";
	struct delayed d;
	pid_t pid;

	EXPECT(spawn_delayed(&d, text, &pid) == 0);
	EXPECT(read_text(d.client[0]) == 0);
	EXPECT(strcmp(output, expected) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	fd_close(&d.client[0]);
	fd_close(&d.control[0]);
	fd_close(&d.read[1]);
	fd_close(&d.write[0]);
	return 0;
}

static int
list_all_delayed(void)
{
	static const int standard[] = { 0, 1, 2 }, kept[] = { 5, 3, 21, 6 };
	size_t i;

	EXPECT(fd_close_except(standard, 3) == 0);
	/* The highest is the shell's, which reads the directory. */
	EXPECT(list_delayed("0 1 2 3 4 5 6\n3 4 5\n") == 0);
	for (i = 0; i < COUNT(kept); i++) {
		EXPECT(dup2(2, kept[i]) == kept[i]);
		settings.keep_fds[settings.keep_fd_count++] = kept[i];
	}
	EXPECT(list_delayed("0 1 2 21 3 4 5 6 7 8 9\n4 7 8\n") == 0);
	/* As many as there can be, and sources in the way of targets. */
	while (settings.keep_fd_count < SETTINGS_KEEP_FDS_MAX) {
		EXPECT((i = (size_t)dup(2)) < 30);
		settings.keep_fds[settings.keep_fd_count++] = (int)i;
	}
	EXPECT(list_delayed("0 1 10 11 12 13 14 15 16 17 18 19 2 20 21 22 3 4 "
			    "5 6 7 8 9\n18 19 20\n") == 0);
	return 0;
}

static void
delayed_numbers(void **state)
{
	(void)state;
	in_child_without_report(list_all_delayed);
}

static int
spawn_with_signals(void)
{
	/* No shell: some change the mask. */
	static char grep[] = "grep", e[] = "-E", what[] = "Sig(Blk|Ign)";
	static char where[] = "/proc/self/status";
	char *argv[] = { grep, e, what, where, NULL }, *none[] = { NULL };
	struct program program = { .settings = &settings, .environment = none };
	struct program_ends ends = { 0, -1, -1, -1, -1 };
	struct program_start start;
	int out[2];
	unsigned long long blocked = 0, ignored = 0;
	sigset_t set;

	/* Blocked by who started us: it stays.  Ignored by us: it does not. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	EXPECT(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	settings.program = argv;
	EXPECT(sig_save(&program.signals) == 0);
	EXPECT(sig_ignore_terminal() == 0);
	EXPECT(fd_pipe(out) == 0);
	ends.out = out[1];
	EXPECT(program_spawn(&program, &ends, NULL, 0, &start) > 0);
	fd_close(&out[1]);
	EXPECT(program_outcome(&start, reason) == 0);
	EXPECT(fd_read_all(out[0], output, sizeof(output) - 1) > 0);
	EXPECT(sscanf(output, "SigBlk: %llx SigIgn: %llx", &blocked,
		   &ignored) == 2);
	EXPECT(blocked == 1ull << (SIGUSR2 - 1));
	EXPECT((ignored &
		   (1ull << (SIGHUP - 1) | 1ull << (SIGINT - 1) |
		       1ull << (SIGQUIT - 1) | 1ull << (SIGPIPE - 1) |
		       1ull << (SIGTERM - 1) | 1ull << (SIGCHLD - 1))) == 0);
	return 0;
}

static void
signals_are_as_at_start(void **state)
{
	(void)state;
	if (access("/proc/self/status", R_OK) == -1)
		SKIP("no /proc");
	in_child(spawn_with_signals);
}

static void
root_and_identity(void **state)
{
	static char id[] = "id -u; id -g; id -G; pwd";
	char expected[64];
	int i;

	(void)state;
	need_root();
	settings.sets_uid = settings.sets_gid = true;
	settings.program_id.uid = SOME_UID;
	settings.program_id.gid = SOME_GID;
	snprintf(expected, sizeof(expected), "%d\n%d\n%d\n/\n", SOME_UID,
	    SOME_GID, SOME_GID);
	assert_int_equal(chdir("/"), 0);
	/* Launched, as a rule, and forked. */
	for (i = 0; i < 2; i++) {
		settings.program_root = i == 0 ? NULL : "/";
		run_shell(id);
		assert_string_equal(output, expected);
	}
	assert_false(was_launched);
	/* What is not set stays. */
	settings.sets_gid = false;
	run_shell("id -u; id -g");
	snprintf(
	    expected, sizeof(expected), "%d\n%d\n", SOME_UID, (int)getegid());
	assert_string_equal(output, expected);
	/* PATH is searched inside the new root. */
	settings.program_root = dir;
	run_shell(":");
	expect_failure(strerror(ENOENT));
	settings.program_root = "/none";
	run_shell(":");
	assert_non_null(strstr(reason, "unable to enter --root: "));
}

static int
ask_without_root(void)
{
	EXPECT(
	    geteuid() != 0 || (setgid(SOME_GID) == 0 && setuid(SOME_UID) == 0));
	settings.sets_uid = true;
	settings.program_id.uid = SOME_UID + 1;
	run_shell("echo it runs");
	EXPECT(outcome == -1 && output[0] == '\0' && status == 111 << 8);
	EXPECT(strstr(reason, "unable to change identity: ") != NULL);
	settings.sets_uid = false;
	settings.program_root = "/";
	run_shell("echo it runs");
	EXPECT(outcome == -1 && output[0] == '\0' && status == 111 << 8);
	EXPECT(strstr(reason, "unable to enter --root: ") != NULL);
	return 0;
}

/* Many at once, each with its own words, while others begin. */
static void
those_that_start_at_once_keep_apart(void **state)
{
	static char sh[] = "/bin/sh", c[] = "-c", text[] = "echo $NUMBER";
	static char path[] = "PATH=/usr/bin:/bin";
	char *argv[] = { sh, c, text, NULL }, *environment[] = { path, NULL };
	char number[20], *over[] = { number };
	struct program program = { .settings = &settings,
		.environment = environment };
	struct program_start starts[40];
	int i, in = open("/dev/null", O_RDONLY | O_CLOEXEC), out[40][2];

	(void)state;
	settings.program = argv;
	assert_int_equal(sig_save(&program.signals), 0);
	for (i = 0; i < 40; i++) {
		struct program_ends ends = { in, -1, -1, -1, -1 };

		assert_int_equal(fd_pipe(out[i]), 0);
		ends.out = out[i][1];
		snprintf(number, sizeof(number), "NUMBER=%d", i);
		assert_true(
		    program_spawn(&program, &ends, over, 1, &starts[i]) > 0);
		memset(number, 'x', sizeof(number) - 1);
		fd_close(&out[i][1]);
	}
	for (i = 0; i < 40; i++) {
		assert_int_equal(program_outcome(&starts[i], reason), 0);
		assert_true(fd_read_all(out[i][0], output, 10) > 0);
		assert_int_equal(atoi(output), i);
		fd_close(&out[i][0]);
		assert_true(wait(&status) > 0);
	}
	fd_close(&in);
}

static void
without_rights_it_does_not_run(void **state)
{
	(void)state;
	in_child(ask_without_root);
}

static int
spawn_without_descriptors(void)
{
	struct rlimit limit = { 0, 0 };
	static char word[] = "/bin/true";
	char *argv[] = { word, NULL }, *none[] = { NULL };
	struct program program = { .settings = &settings, .environment = none };
	const struct program_ends ends = { 0, 1, -1, -1, -1 };
	struct program_start start;
	int before;

	settings.program = argv;
	EXPECT(sig_save(&program.signals) == 0);
	limit.rlim_cur = limit.rlim_max = (rlim_t)dup(0) + 1;
	EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	before = open_descriptors();
	errno = 0;
	EXPECT(program_spawn(&program, &ends, NULL, 0, &start) == -1);
	EXPECT(errno == EMFILE);
	EXPECT(open_descriptors() == before);
	return 0;
}

static int
spawn_without_processes(void)
{
	struct rlimit none_left = { 0, 0 };
	static char word[] = "/bin/true";
	char *argv[] = { word, NULL }, *none[] = { NULL };
	struct program program = { .settings = &settings, .environment = none };
	const struct program_ends ends = { 0, 1, -1, -1, -1 };
	struct program_start start;
	int before = open_descriptors();

	settings.program = argv;
	EXPECT(
	    geteuid() != 0 || (setgid(SOME_GID) == 0 && setuid(SOME_UID) == 0));
	EXPECT(sig_save(&program.signals) == 0);
	EXPECT(setrlimit(RLIMIT_NPROC, &none_left) == 0);
	errno = 0;
	EXPECT(program_spawn(&program, &ends, NULL, 0, &start) == -1);
	EXPECT(errno == EAGAIN);
	EXPECT(open_descriptors() == before);
	return 0;
}

static void
no_process_is_an_error_and_no_leak(void **state)
{
	(void)state;
	in_child(spawn_without_descriptors);
	in_child(spawn_without_processes);
}

static void
half_a_report_is_a_failure(void **state)
{
	static const int reports[][2] = { { -1, ENOENT }, { 4, ENOENT },
		{ INT32_MAX, 0 } };
	struct program_start start = { -1, NULL };
	int fds[2];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(reports) + 1; i++) {
		assert_int_equal(fd_pipe(fds), 0);
		if (i < COUNT(reports))
			assert_int_equal(fd_write_all(fds[1], reports[i],
					     sizeof(reports[i])),
			    0);
		else
			assert_int_equal(fd_write_all(fds[1], "x", 1), 0);
		fd_close(&fds[1]);
		start.exec_fd = fds[0];
		assert_int_equal(program_outcome(&start, reason), -1);
		assert_string_equal(reason, "no report");
		assert_int_equal(start.exec_fd, -1);
	}
}

#define FRESH(test) cmocka_unit_test_setup(test, fresh_settings)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FRESH(input_and_output_are_the_ends),
		FRESH(path_is_searched),
		FRESH(a_path_is_not_searched),
		FRESH(environment_is_laid_over),
		FRESH(what_only_we_may_set_is_not_inherited),
		FRESH(nothing_else_is_open),
		FRESH(delayed_ends),
		FRESH(delayed_numbers),
		FRESH(a_kept_descriptor_that_is_gone),
		FRESH(signals_are_as_at_start),
		FRESH(root_and_identity),
		FRESH(those_that_start_at_once_keep_apart),
		FRESH(without_rights_it_does_not_run),
		FRESH(no_process_is_an_error_and_no_leak),
		FRESH(half_a_report_is_a_failure),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
