/*
 * test_watcher: a child tells what a path is, whenever it is asked; one that
 * does not answer is killed and replaced.
 */
#include "serve/watcher.h"

#include "support.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define AGAIN_MS 1000

static char path[] = "/tmp/test-watcher.XXXXXX";
static const int64_t start = 1000000;

/* Wait for what the child has to say. */
static bool
wait_answer(struct watcher *w, struct watcher_sight *sight)
{
	struct pollfd polled = { .fd = w->fd, .events = POLLIN };

	assert_int_equal(poll(&polled, 1, 30000), 1);
	return watcher_answer(w, sight);
}

static void
end(struct watcher *w)
{
	pid_t pid = w->pid;
	int status;

	close(w->fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
it_says_what_is_there(void **state)
{
	struct watcher_sight sight;
	struct watcher w;
	struct stat status;
	pid_t pid;
	int fd;

	(void)state;
	fd = mkstemp(path);
	assert_int_equal(write(fd, "abc", 3), 3);
	watcher_init(&w, path);
	assert_int_equal(w.fd, -1);
	watcher_ask(&w, start);
	pid = w.pid;
	assert_true(wait_answer(&w, &sight));
	assert_int_equal(sight.error, 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(sight.status.st_ino, status.st_ino);
	assert_int_equal(sight.status.st_size, 3);
	/* One answer to each question. */
	assert_false(watcher_answer(&w, &sight));
	assert_int_equal(write(fd, "d", 1), 1);
	watcher_ask(&w, start);
	watcher_ask(&w, start);
	assert_true(wait_answer(&w, &sight));
	assert_int_equal(sight.status.st_size, 4);
	assert_int_equal(unlink(path), 0);
	close(fd);
	watcher_ask(&w, start);
	assert_true(wait_answer(&w, &sight));
	assert_int_equal(sight.error, ENOENT);
	assert_int_equal(w.pid, pid);
	end(&w);
}

/* It might be held for long: with nothing that somebody waits for. */
static void
it_has_no_descriptor_of_ours(void **state)
{
	struct watcher_sight sight;
	struct watcher w;
	char name[64], target[64];
	int fd, count = 0;

	(void)state;
	watcher_init(&w, "/");
	watcher_ask(&w, start);
	assert_true(wait_answer(&w, &sight));
	for (fd = 0; fd < 256; fd++) {
		snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)w.pid, fd);
		count += readlink(name, target, sizeof(target)) != -1;
	}
	assert_int_equal(count, 1);
	end(&w);
}

static void
one_that_does_not_answer_is_replaced(void **state)
{
	struct watcher_sight sight;
	struct watcher w;
	int status, before = open_descriptors();
	pid_t pid;

	(void)state;
	watcher_init(&w, "/");
	watcher_ask(&w, start);
	assert_true(wait_answer(&w, &sight));
	pid = w.pid;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	watcher_ask(&w, start);
	assert_false(watcher_gives_up(&w, start + WATCHER_PATIENCE_MS - 1));
	watcher_ask(&w, start + WATCHER_PATIENCE_MS - 1);
	assert_true(watcher_gives_up(&w, start + WATCHER_PATIENCE_MS));
	/* Told once. */
	assert_false(watcher_gives_up(&w, start + WATCHER_PATIENCE_MS * 2));
	/* No second one until it is gone, and then not at once. */
	watcher_ask(&w, start + WATCHER_PATIENCE_MS * 2);
	assert_int_equal(w.pid, pid);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_false(watcher_reaped(&w, pid + 1, start));
	assert_true(watcher_reaped(&w, pid, start));
	watcher_ask(&w, start + AGAIN_MS - 1);
	assert_int_equal(w.pid, 0);
	watcher_ask(&w, start + AGAIN_MS);
	assert_true(w.pid > 0);
	assert_true(wait_answer(&w, &sight));
	assert_int_equal(sight.error, 0);
	assert_false(watcher_gives_up(&w, CLOCK_NEVER - 1));
	end(&w);
	assert_int_equal(open_descriptors(), before);
}

/* What it was asked is asked of the next one. */
static void
one_that_dies_is_replaced(void **state)
{
	struct watcher_sight sight;
	struct watcher w;
	int status;
	pid_t pid;

	(void)state;
	watcher_init(&w, "/");
	watcher_ask(&w, start);
	assert_true(wait_answer(&w, &sight));
	pid = w.pid;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	watcher_ask(&w, start);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(wait_answer(&w, &sight));
	assert_int_equal(w.fd, -1);
	assert_true(watcher_reaped(&w, pid, start));
	watcher_ask(&w, start + AGAIN_MS - 1);
	assert_int_equal(w.pid, 0);
	watcher_ask(&w, start + AGAIN_MS);
	assert_true(wait_answer(&w, &sight));
	assert_int_equal(sight.error, 0);
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_what_is_there),
		cmocka_unit_test(it_has_no_descriptor_of_ours),
		cmocka_unit_test(one_that_does_not_answer_is_replaced),
		cmocka_unit_test(one_that_dies_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
