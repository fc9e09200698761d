/*
 * test_program: a program gets its ends, its environment and nothing else,
 * and one that cannot be executed says why and ends with 111.
 */
#include "serve/program.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "serve/settings.h"

struct run {
	char output[1024];
	char reason[PROGRAM_REASON_SIZE];
	int outcome, status;
};

/* Run argv with input to its end. */
static struct run
run(char *const *argv, char **environment, char *const *over, size_t count,
    const char *input)
{
	struct settings settings = { .program = argv };
	struct program program = { .settings = &settings,
		.environment = environment };
	int in[2], out[2], exec_fd;
	struct run result = { .outcome = 0 };
	ssize_t got;
	pid_t pid;

	assert_int_equal(sig_save(&program.signals), 0);
	assert_int_equal(fd_pipe(in), 0);
	assert_int_equal(fd_pipe(out), 0);
	pid = program_spawn(&program, in[0], out[1], over, count, &exec_fd);
	assert_true(pid > 0);
	fd_close(&in[0]);
	fd_close(&out[1]);
	result.outcome = program_outcome(&exec_fd, result.reason);
	assert_int_equal(exec_fd, -1);
	(void)fd_write_all(in[1], input, strlen(input));
	fd_close(&in[1]);
	got = fd_read_all(out[0], result.output, sizeof(result.output) - 1);
	result.output[got > 0 ? got : 0] = '\0';
	fd_close(&out[0]);
	assert_int_equal(waitpid(pid, &result.status, 0), pid);
	return result;
}

static char no_variable[] = "PATH=/usr/bin:/bin";
static char *plain[] = { no_variable, NULL };

static void
input_and_output_are_the_ends(void **state)
{
	static char cat[] = "/bin/cat";
	char *argv[] = { cat, NULL };
	struct run result = run(argv, plain, NULL, 0, "some bytes");

	(void)state;
	assert_int_equal(result.outcome, 0);
	assert_string_equal(result.output, "some bytes");
	assert_int_equal(result.status, 0);
}

static void
path_is_searched_and_status_kept(void **state)
{
	static char sh[] = "sh", c[] = "-c", text[] = "exit 3";
	char *argv[] = { sh, c, text, NULL };
	struct run result = run(argv, plain, NULL, 0, "");

	(void)state;
	assert_int_equal(result.outcome, 0);
	assert_int_equal(result.status, 3 << 8);
}

static void
environment_is_laid_over(void **state)
{
	static char env[] = "env", one[] = "ONE=1", two[] = "TWO=2";
	static char no_one[] = "ONE", new_two[] = "TWO=two";
	char *argv[] = { env, NULL };
	char *base[] = { no_variable, one, two, NULL };
	char *over[] = { no_one, new_two };
	struct run result = run(argv, base, over, 2, "");

	(void)state;
	assert_string_equal(result.output, "PATH=/usr/bin:/bin\nTWO=two\n");
}

static void
nothing_else_is_open(void **state)
{
	static const int standard[] = { 0, 1, 2 };
	static char sh[] = "/bin/sh", c[] = "-c";
	static char text[] = "cd /proc/self/fd && echo *";
	char *argv[] = { sh, c, text, NULL };
	struct run result;

	(void)state;
	if (access("/proc/self/fd", X_OK) == -1)
		skip();
	/* What this test inherited is none of the module's business. */
	assert_int_equal(fd_close_except(standard, 3), 0);
	result = run(argv, plain, NULL, 0, "");
	/* 3 is the shell's, which reads the directory. */
	assert_string_equal(result.output, "0 1 2 3\n");
}

static void
failure_to_execute_is_told(void **state)
{
	static char none[] = "/nonexistent/program";
	char *argv[] = { none, NULL };
	struct run result = run(argv, plain, NULL, 0, "");

	(void)state;
	assert_int_equal(result.outcome, -1);
	assert_non_null(strstr(result.reason, strerror(ENOENT)));
	assert_int_equal(result.status, 111 << 8);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(input_and_output_are_the_ends),
		cmocka_unit_test(path_is_searched_and_status_kept),
		cmocka_unit_test(environment_is_laid_over),
		cmocka_unit_test(nothing_else_is_open),
		cmocka_unit_test(failure_to_execute_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
