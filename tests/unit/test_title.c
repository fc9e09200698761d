/*
 * test_title: ps shows the title, cut to the room there is, and arguments
 * and environment live on as copies.
 *
 * The area is what the kernel put there at exec, so the test executes
 * itself; called "+" it is the other half.
 */
#include "serve/title.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

extern char **environ;

static const char *self;

/* Shown by /proc/self/NAME, to the first NUL. */
static int
read_shown(const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd_read_all(fd, text, size - 1);
	fd_close(&fd);
	text[len < 0 ? 0 : len] = '\0';
	return len < 0 ? -1 : 0;
}

/* The other half: take the title, and say what is seen. */
static int
show_title(char **argv)
{
	char before[256], shown[256], comm[64], **typed = argv;
	size_t i;

	EXPECT(read_shown("cmdline", before, sizeof(before)) == 0);
	EXPECT(title_prepare(&argv, "sslserver") == 0);
	EXPECT(argv != typed);
	/* Nothing is to be seen before title_set. */
	EXPECT(read_shown("cmdline", shown, sizeof(shown)) == 0);
	EXPECT(strcmp(shown, before) == 0);
	title_set("session");
	EXPECT(read_shown("cmdline", shown, sizeof(shown)) == 0);
	EXPECT(read_shown("comm", comm, sizeof(comm)) == 0);
	printf("%s|%s", shown, strtok(comm, "\n"));
	for (i = 0; argv[i] != NULL; i++)
		printf("|%s", argv[i]);
	for (i = 0; environ[i] != NULL; i++)
		printf("|%s", environ[i]);
	printf("\n");
	/* Twice: the last one stands, without a rest of the first. */
	title_set("x");
	memset(shown, 0, sizeof(shown));
	EXPECT(read_shown("cmdline", shown, sizeof(shown)) == 0);
	for (i = strlen(shown); i < sizeof(shown); i++)
		EXPECT(shown[i] == '\0');
	printf("%s", shown);
	return fflush(stdout) == 0 ? 0 : __LINE__;
}

/* Execute the other half, and return what it says. */
static const char *
shown(char *const *argv, char *const *environment)
{
	static char text[1024];
	int fds[2], status;
	ssize_t len;
	pid_t pid;

	assert_int_equal(fd_pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		execve(self, argv, environment);
		_exit(111);
	}
	fd_close(&fds[1]);
	len = fd_read_all(fds[0], text, sizeof(text) - 1);
	fd_close(&fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(len >= 0);
	text[len] = '\0';
	return text;
}

static char mark[] = "+", word[] = "a long enough argument";
static char variable[] = "VARIABLE=some value", other[] = "B=2";

static void
need_proc(void)
{
	if (access("/proc/self/cmdline", R_OK) == -1)
		SKIP("no /proc");
}

static void
the_title_replaces_the_arguments(void **state)
{
	char *argv[] = { mark, word, NULL };
	char *none[] = { NULL };

	(void)state;
	need_proc();
	assert_string_equal(shown(argv, none),
	    "sslserver: session|sslserver: sess|+|a long enough argument\n"
	    "sslserver: x");
}

static void
it_reaches_into_the_environment(void **state)
{
	char *argv[] = { mark, NULL };
	char *environment[] = { variable, other, NULL };

	(void)state;
	need_proc();
	assert_string_equal(shown(argv, environment),
	    "sslserver: session|sslserver: sess|+|VARIABLE=some value|B=2\n"
	    "sslserver: x");
}

static void
it_is_cut_to_the_room_there_is(void **state)
{
	char *argv[] = { mark, NULL };
	char *environment[] = { other, NULL };
	char *none[] = { NULL };

	(void)state;
	need_proc();
	/* "+" and "B=2" with their NULs are six bytes. */
	assert_string_equal(
	    shown(argv, environment), "sslse|sslserver: sess|+|B=2\nsslse");
	assert_string_equal(shown(argv, none), "s|sslserver: sess|+\ns");
}

static int
set_unprepared(void)
{
	char before[256], after[256];

	EXPECT(read_shown("cmdline", before, sizeof(before)) == 0);
	title_set("session");
	EXPECT(read_shown("cmdline", after, sizeof(after)) == 0);
	EXPECT(strcmp(before, after) == 0);
	return 0;
}

static void
unprepared_it_writes_nowhere(void **state)
{
	(void)state;
	need_proc();
	in_child(set_unprepared);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_title_replaces_the_arguments),
		cmocka_unit_test(it_reaches_into_the_environment),
		cmocka_unit_test(it_is_cut_to_the_room_there_is),
		cmocka_unit_test(unprepared_it_writes_nowhere),
	};

	if (argc > 0 && strcmp(argv[0], mark) == 0)
		_exit(show_title(argv) != 0);
	self = argv[0];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
