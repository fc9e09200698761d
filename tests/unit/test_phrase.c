/*
 * test_phrase: the pass phrase is read from whatever it comes from, to its
 * NUL or end and no longer than it may take; giving it never waits.
 */
#include "serve/phrase.h"

#include "support.h"

#include <sys/socket.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"

#define LONG_MS 20000 /* not waited for, unless something is wrong */

static struct phrase phrase;
static int life[2];

static int
open_life(void **state)
{
	(void)state;
	if (phrase.bytes == NULL && phrase_init(&phrase) == -1)
		return -1;
	return fd_message_pair(life);
}

static int
close_life(void **state)
{
	(void)state;
	fd_close(&life[0]);
	fd_close(&life[1]);
	return 0;
}

static enum phrase_news
read_from(int fd, bool needs_nul)
{
	return phrase_read(
	    &phrase, fd, needs_nul, life[0], clock_after(clock_now(), LONG_MS));
}

static void
assert_no_byte_is_left(size_t from)
{
	size_t i;

	for (i = from; i <= PHRASE_MAX; i++)
		assert_int_equal(phrase.bytes[i], 0);
}

static void
assert_phrase(const char *text, size_t len)
{
	assert_int_equal(phrase.len, len);
	assert_memory_equal(phrase.bytes, text, len);
	assert_no_byte_is_left(len);
}

enum { PIPE, STREAM, PACKETS, FILE_OF_ITS_OWN, KINDS };

/* ends[0] reads what was written to ends[1]; a file: once it is whole. */
static void
open_kind(int kind, int ends[2])
{
	char path[] = "/tmp/test-phrase.XXXXXX";

	switch (kind) {
	case PIPE:
		assert_int_equal(pipe(ends), 0);
		break;
	case STREAM:
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		break;
	case PACKETS:
		assert_int_equal(fd_message_pair(ends), 0);
		break;
	default:
		ends[1] = mkstemp(path);
		ends[0] = open(path, O_RDONLY);
		assert_int_equal(unlink(path), 0);
		break;
	}
}

static void
every_kind_is_read_to_its_end(void **state)
{
	int kind, ends[2];

	(void)state;
	for (kind = 0; kind < KINDS; kind++) {
		open_kind(kind, ends);
		assert_int_equal(write(ends[1], "correct horse\n", 14), 14);
		close(ends[1]);
		assert_int_equal(read_from(ends[0], false), PHRASE_WHOLE);
		assert_phrase("correct horse\n", 14);
		close(ends[0]);
	}
}

/* The other end stays open: nobody waits for it. */
static void
every_kind_is_read_to_a_nul(void **state)
{
	int kind, ends[2];

	(void)state;
	for (kind = 0; kind < KINDS; kind++) {
		open_kind(kind, ends);
		assert_int_equal(
		    write(ends[1], "correct\0of no concern", 21), 21);
		assert_int_equal(read_from(ends[0], kind & 1), PHRASE_WHOLE);
		assert_phrase("correct", 7);
		close(ends[0]);
		close(ends[1]);
	}
}

static void
it_may_be_empty(void **state)
{
	int ends[2];

	(void)state;
	open_kind(PIPE, ends);
	assert_int_equal(write(ends[1], "", 1), 1);
	assert_int_equal(read_from(ends[0], true), PHRASE_WHOLE);
	assert_phrase("", 0);
	close(ends[1]);
	assert_int_equal(read_from(ends[0], false), PHRASE_WHOLE);
	assert_phrase("", 0);
	close(ends[0]);
}

static void
it_may_come_in_pieces(void **state)
{
	int ends[2], status;
	const char *c;
	pid_t pid;

	(void)state;
	open_kind(STREAM, ends);
	/* Somebody made the open file non-blocking: theirs to decide. */
	assert_int_equal(fd_set_nonblocking(ends[0], 1), 0);
	pid = fork();
	if (pid == 0) {
		for (c = "correct horse"; *c != '\0'; c++) {
			usleep(2000);
			if (write(ends[1], c, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(read_from(ends[0], false), PHRASE_WHOLE);
	assert_phrase("correct horse", 13);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ends[0]);
}

static void
its_length_has_a_limit(void **state)
{
	char text[PHRASE_MAX + 2];
	int kind, ends[2];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (kind = 0; kind < KINDS; kind++) {
		open_kind(kind, ends);
		assert_true(write(ends[1], text, PHRASE_MAX) == PHRASE_MAX);
		close(ends[1]);
		assert_int_equal(read_from(ends[0], false), PHRASE_WHOLE);
		assert_phrase(text, PHRASE_MAX);
		close(ends[0]);
		open_kind(kind, ends);
		assert_true(
		    write(ends[1], text, PHRASE_MAX + 1) == PHRASE_MAX + 1);
		assert_int_equal(read_from(ends[0], false), PHRASE_LONG);
		assert_phrase("", 0);
		close(ends[0]);
		close(ends[1]);
	}
	text[PHRASE_MAX] = '\0';
	open_kind(PIPE, ends);
	assert_true(write(ends[1], text, PHRASE_MAX + 2) == PHRASE_MAX + 2);
	assert_int_equal(read_from(ends[0], true), PHRASE_WHOLE);
	assert_phrase(text, PHRASE_MAX);
	close(ends[0]);
	close(ends[1]);
}

static void
waiting_has_an_end(void **state)
{
	int ends[2];

	(void)state;
	open_kind(PIPE, ends);
	assert_int_equal(write(ends[1], "half", 4), 4);
	assert_int_equal(phrase_read(&phrase, ends[0], false, life[0],
			     clock_after(clock_now(), 30)),
	    PHRASE_LATE);
	assert_phrase("", 0);
	/* Master is gone, or has something else to say. */
	fd_close(&life[1]);
	assert_int_equal(read_from(ends[0], false), PHRASE_LIFE);
	close(ends[0]);
	close(ends[1]);
}

static void
a_giver_that_dies_gives_nothing(void **state)
{
	int ends[2];

	(void)state;
	open_kind(PIPE, ends);
	assert_int_equal(write(ends[1], "half", 4), 4);
	close(ends[1]);
	assert_int_equal(read_from(ends[0], true), PHRASE_CUT);
	assert_phrase("", 0);
	close(ends[0]);
}

static void
what_cannot_be_read_is_said(void **state)
{
	int ends[2], fd;

	(void)state;
	open_kind(PIPE, ends);
	assert_int_equal(read_from(ends[1], false), PHRASE_UNREADABLE);
	assert_int_equal(errno, EBADF);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(read_from(ends[0], false), PHRASE_UNREADABLE);
	assert_int_equal(errno, EBADF);
	fd = open("/", O_RDONLY);
	assert_int_equal(read_from(fd, false), PHRASE_UNREADABLE);
	assert_int_equal(errno, EISDIR);
	close(fd);
}

static void
take(const char *text, size_t len)
{
	int ends[2];

	open_kind(PIPE, ends);
	assert_true(write(ends[1], text, len) == (ssize_t)len);
	close(ends[1]);
	assert_int_equal(read_from(ends[0], false), PHRASE_WHOLE);
	close(ends[0]);
}

static void
what_was_given_is_the_same(void **state)
{
	char text[PHRASE_MAX];
	int ends[2];

	(void)state;
	memset(text, 'y', sizeof(text));
	take(text, sizeof(text));
	open_kind(PACKETS, ends);
	assert_int_equal(phrase_give(&phrase, ends[1]), 0);
	take("another", 7);
	assert_int_equal(read_from(ends[0], true), PHRASE_WHOLE);
	assert_phrase(text, sizeof(text));
	take("", 0);
	assert_int_equal(phrase_give(&phrase, ends[1]), 0);
	take("another", 7);
	assert_int_equal(read_from(ends[0], true), PHRASE_WHOLE);
	assert_phrase("", 0);
	close(ends[0]);
	close(ends[1]);
}

static void
giving_never_waits(void **state)
{
	int ends[2];

	(void)state;
	take("correct horse", 13);
	open_kind(PACKETS, ends);
	while (send(ends[1], phrase.bytes, 1, MSG_DONTWAIT) == 1)
		continue;
	assert_int_equal(phrase_give(&phrase, ends[1]), -1);
	assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
	close(ends[0]);
	close(ends[1]);
	/* Nor is there a signal. */
	open_kind(PACKETS, ends);
	close(ends[0]);
	assert_int_equal(phrase_give(&phrase, ends[1]), -1);
	assert_int_equal(errno, EPIPE);
	close(ends[1]);
}

static void
wiping_leaves_nothing(void **state)
{
	(void)state;
	take("correct horse", 13);
	phrase_wipe(&phrase);
	assert_phrase("", 0);
}

#define WITH_LIFE(test) \
	cmocka_unit_test_setup_teardown(test, open_life, close_life)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_LIFE(every_kind_is_read_to_its_end),
		WITH_LIFE(every_kind_is_read_to_a_nul),
		WITH_LIFE(it_may_be_empty),
		WITH_LIFE(it_may_come_in_pieces),
		WITH_LIFE(its_length_has_a_limit),
		WITH_LIFE(waiting_has_an_end),
		WITH_LIFE(a_giver_that_dies_gives_nothing),
		WITH_LIFE(what_cannot_be_read_is_said),
		WITH_LIFE(what_was_given_is_the_same),
		WITH_LIFE(giving_never_waits),
		WITH_LIFE(wiping_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
