/*
 * test_rulefile: a file is copied once it stands still, whole, into memory
 * that nobody can change; what is missing or no file is told once.
 */
#include "serve/rulefile.h"

#include "rules/rules.h"
#include "serve/settings.h"
#include "support.h"
#include "tableutil.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include <sys/resource.h>

/* A directory of each test's own, and the file in it. */
static char directory[64], path[80], other[80];

static int
make_directory(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/test-rulefile.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/rules.cdb", directory);
	snprintf(other, sizeof(other), "%s/rules.tmp", directory);
	return 0;
}

static int
remove_directory(void **state)
{
	(void)state;
	if (unlink(path) == -1)
		(void)rmdir(path);
	(void)unlink(other);
	return rmdir(directory);
}

static void
write_bytes(const char *name, const void *bytes, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	assert_int_equal(fd_write_all(fd, bytes, len), 0);
	close(fd);
}

/* A table of one rule that sets a variable to word. */
static struct table
table_of(const char *word)
{
	char line[100];

	snprintf(line, sizeof(line), ":allow,WORD=\"%s\"", word);
	return table_make(line, NULL);
}

static void
write_file(const char *name, const char *word)
{
	struct table table = table_of(word);

	write_bytes(name, table.bytes, table.len);
	free(table.bytes);
}

/* Another inode: differs whatever the clock says. */
static void
replace_file(const char *text)
{
	write_file(other, text);
	assert_int_equal(rename(other, path), 0);
}

/* The clock of these tests. */
static int64_t now = 1000000;

/* Look in the watcher's place. */
static enum rulefile_news
see(struct rulefile *file)
{
	struct watcher_sight sight = { 0 };

	if (stat(path, &sight.status) == -1)
		sight.error = errno;
	now += RULEFILE_LOOK_MS;
	return rulefile_saw(file, &sight, now);
}

static bool
reaped(struct rulefile *file, pid_t pid, int status, enum rulefile_news *news,
    int *fd)
{
	return rulefile_reaped(file, pid, status, now, news, fd);
}

/* Look, and wait for the copier if there is one. */
static enum rulefile_news
look(struct rulefile *file, int *fd)
{
	enum rulefile_news seen = see(file), news;
	int status;
	pid_t pid = file->copier;

	*fd = -1;
	if (pid == 0)
		return seen;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(reaped(file, pid, status, &news, fd));
	assert_int_equal(file->copier, 0);
	assert_true(seen == RULEFILE_SAME || news == RULEFILE_SAME);
	return seen == RULEFILE_SAME ? news : seen;
}

static void
assert_look(struct rulefile *file, enum rulefile_news expected)
{
	int fd;

	assert_int_equal(look(file, &fd), expected);
	assert_int_equal(fd, -1);
}

/* It has been there; so the third look tells. */
static void
assert_missing(struct rulefile *file)
{
	int i;

	for (i = 1; i < RULEFILE_MISSING_LOOKS; i++)
		assert_look(file, RULEFILE_SAME);
	assert_look(file, RULEFILE_MISSING);
}

/* Is fd the table of word? */
static void
assert_table(int fd, const char *word)
{
	struct table expected = table_of(word), found = table_read(fd);

	assert_int_equal(found.len, expected.len);
	assert_memory_equal(found.bytes, expected.bytes, expected.len);
	free(expected.bytes);
	free(found.bytes);
}

/* Look, and expect a copy of this table. */
static int
assert_copy(struct rulefile *file, const char *text)
{
	int fd;

	assert_int_equal(look(file, &fd), RULEFILE_NEW);
	assert_table(fd, text);
	return fd;
}

/* What rulefile_turn has started. */
static void
end_watcher(struct rulefile *file)
{
	pid_t pid = file->watcher.pid;

	close(file->watcher.fd);
	if (pid > 0)
		assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A turn whose question is answered, and not heard. */
static enum rulefile_news
turn(struct rulefile *file, int64_t at)
{
	enum rulefile_news news = rulefile_turn(file, at);
	struct pollfd polled = { .fd = file->watcher.fd, .events = POLLIN };
	struct watcher_sight sight;
	int error = errno;

	assert_int_equal(poll(&polled, 1, 30000), 1);
	assert_true(watcher_answer(&file->watcher, &sight));
	errno = error;
	return news;
}

static void
nothing_is_wanted(void **state)
{
	struct rulefile file;

	(void)state;
	rulefile_init(&file, NULL);
	assert_int_equal(rulefile_turn(&file, now), RULEFILE_SAME);
	assert_int_equal(file.watcher.pid, 0);
}

/* What is there is copied once more, and is what is in force. */
static void
copies_again(struct rulefile *file)
{
	enum rulefile_news news;
	int fd = -1, status;
	pid_t pid;

	assert_look(file, RULEFILE_SAME);
	assert_int_equal(see(file), RULEFILE_SAME);
	pid = file->copier;
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(reaped(file, pid, status, &news, &fd));
	assert_int_equal(news, RULEFILE_SAME);
	assert_int_equal(fd, -1);
	assert_true(file->has_copied);
	assert_int_equal(see(file), RULEFILE_SAME);
	assert_int_equal(file->copier, 0);
}

static void
a_copy_is_made_once_and_is_sealed(void **state)
{
	struct rulefile file;
	int fd, before = open_descriptors();

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	fd = assert_copy(&file, "first");
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(ftruncate(fd, 100), -1);
	/* The first copy did not wait for the file to rest. */
	file.in_force = fd;
	copies_again(&file);
	assert_look(&file, RULEFILE_SAME);
	/* What becomes of the file does not reach the copy. */
	write_bytes(path, "", 0);
	assert_table(fd, "first");
	close(fd);
	/* What it says of TLS, which is nothing, has a descriptor as well. */
	close(file.sets_fd);
	assert_int_equal(open_descriptors(), before);
}

static void
a_change_is_taken_when_it_stands_still(void **state)
{
	struct rulefile file;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	replace_file("second");
	assert_look(&file, RULEFILE_SAME);
	replace_file("third");
	assert_look(&file, RULEFILE_SAME);
	write_file(path, "third and more");
	assert_look(&file, RULEFILE_SAME);
	close(assert_copy(&file, "third and more"));
	assert_look(&file, RULEFILE_SAME);
}

/* The same size at another time is another file. */
static void
a_rewrite_of_the_same_size_is_a_change(void **state)
{
	struct timespec times[2] = { { 1000, 0 }, { 1000, 0 } };
	struct rulefile file;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	write_file(path, "other");
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_look(&file, RULEFILE_SAME);
	close(assert_copy(&file, "other"));
}

static void
what_is_missing_is_told_once(void **state)
{
	struct rulefile file;

	(void)state;
	rulefile_init(&file, path);
	assert_look(&file, RULEFILE_MISSING);
	assert_look(&file, RULEFILE_SAME);
	write_file(path, "here");
	close(assert_copy(&file, "here"));
	/* Again: that copy did not wait for it to rest. */
	assert_look(&file, RULEFILE_SAME);
	close(assert_copy(&file, "here"));
	assert_int_equal(rename(path, other), 0);
	assert_missing(&file);
	assert_look(&file, RULEFILE_SAME);
	/* Back as it was: it has been away, so it is new. */
	assert_int_equal(rename(other, path), 0);
	close(assert_copy(&file, "here"));
}

/* Who replaces it may leave a gap; the table in force stays. */
static void
a_gap_is_not_told(void **state)
{
	struct rulefile file;
	int i;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	for (i = 0; i < 3; i++) {
		assert_int_equal(unlink(path), 0);
		assert_look(&file, RULEFILE_SAME);
		assert_look(&file, RULEFILE_SAME);
		write_file(path, "second");
		assert_look(&file, RULEFILE_SAME);
		close(assert_copy(&file, "second"));
	}
	/* No look in between: they are not in a row. */
	assert_int_equal(unlink(path), 0);
	assert_missing(&file);
}

/* The copier comes into the gap. */
static void
what_goes_before_the_copy_is_not_told(void **state)
{
	enum rulefile_news news;
	struct rulefile file;
	int fd = -1;
	pid_t pid;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	replace_file("second");
	assert_look(&file, RULEFILE_SAME);
	assert_int_equal(see(&file), RULEFILE_SAME);
	pid = file.copier;
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(reaped(&file, pid, ENOENT << 8, &news, &fd));
	assert_int_equal(news, RULEFILE_SAME);
	close(assert_copy(&file, "second"));
}

/* Half of the first file is no news, as it was missing a moment ago. */
static void
the_first_file_is_not_waited_for(void **state)
{
	struct table table = table_of("some word");
	struct rulefile file;

	(void)state;
	rulefile_init(&file, path);
	assert_look(&file, RULEFILE_MISSING);
	write_bytes(path, table.bytes, table.len / 2);
	assert_look(&file, RULEFILE_SAME);
	write_bytes(path, table.bytes, table.len);
	close(assert_copy(&file, "some word"));
	assert_int_equal(unlink(path), 0);
	assert_missing(&file);
	write_bytes(path, table.bytes, table.len / 2);
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_DAMAGED);
	free(table.bytes);
}

static void
a_path_through_a_file_is_missing(void **state)
{
	struct watcher_sight sight = { 0 };
	struct rulefile file;
	char below[100];

	(void)state;
	write_file(path, "file");
	snprintf(below, sizeof(below), "%s/rules.cdb", path);
	rulefile_init(&file, below);
	assert_int_equal(stat(below, &sight.status), -1);
	sight.error = errno;
	assert_int_equal(rulefile_saw(&file, &sight, now), RULEFILE_MISSING);
	assert_int_equal(rulefile_saw(&file, &sight, now), RULEFILE_SAME);
}

static void
what_is_no_file_is_told_once(void **state)
{
	struct rulefile file;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	rulefile_init(&file, path);
	/* Nobody even tries to open it. */
	assert_int_equal(see(&file), RULEFILE_IRREGULAR);
	assert_int_equal(file.copier, 0);
	assert_int_equal(see(&file), RULEFILE_SAME);
	assert_int_equal(file.copier, 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(see(&file), RULEFILE_SAME);
	assert_int_equal(see(&file), RULEFILE_SAME);
	assert_int_equal(file.copier, 0);
	replace_file("a file");
	assert_look(&file, RULEFILE_SAME);
	close(assert_copy(&file, "a file"));
}

/* What is no sound table is told once, and once more when it changes. */
static void
what_is_no_table_is_told_once(void **state)
{
	struct table table = table_of("good");
	struct rulefile file;

	(void)state;
	write_bytes(path, "", 0);
	rulefile_init(&file, path);
	assert_look(&file, RULEFILE_DAMAGED);
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_SAME);
	write_bytes(path, table.bytes, table.len);
	assert_look(&file, RULEFILE_SAME);
	close(assert_copy(&file, "good"));
	write_bytes(path, table.bytes, table.len - 1);
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_DAMAGED);
	assert_look(&file, RULEFILE_SAME);
	memset(table.bytes, 'x', table.len);
	write_bytes(other, table.bytes, table.len);
	assert_int_equal(rename(other, path), 0);
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_DAMAGED);
	assert_look(&file, RULEFILE_SAME);
	assert_int_equal(unlink(path), 0);
	assert_missing(&file);
	free(table.bytes);
}

/* Another user may not do what the file's owner may; reading comes first. */
static void
the_copier_changes_identity(void **state)
{
	struct settings_identity identity = {
		.is_set = true, .uid = SOME_UID, .gid = SOME_GID
	};
	struct rulefile file;

	(void)state;
	need_root();
	write_file(path, "for root alone");
	rulefile_init(&file, path);
	file.identity = &identity;
	close(assert_copy(&file, "for root alone"));
}

static void
what_may_not_be_read_is_told(void **state)
{
	struct rulefile file;

	(void)state;
	if (geteuid() == 0)
		SKIP("root may read everything");
	write_file(path, "secret");
	assert_int_equal(chmod(path, 0), 0);
	rulefile_init(&file, path);
	assert_look(&file, RULEFILE_UNREADABLE);
	assert_int_equal(errno, EACCES);
	assert_look(&file, RULEFILE_SAME);
	assert_int_equal(chmod(path, 0400), 0);
	assert_look(&file, RULEFILE_SAME);
	close(assert_copy(&file, "secret"));
}

/* The copier's own view: what it copied was changed meanwhile. */
static void
a_copy_of_a_changing_file_is_dropped(void **state)
{
	enum rulefile_news news;
	struct rulefile file;
	int fd = -1, status, before = open_descriptors();
	pid_t pid;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	assert_int_equal(see(&file), RULEFILE_SAME);
	pid = file.copier;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(reaped(&file, pid + 1, status, &news, &fd));
	assert_true(reaped(&file, pid, 255 << 8, &news, &fd));
	assert_int_equal(news, RULEFILE_SAME);
	assert_int_equal(fd, -1);
	assert_int_equal(open_descriptors(), before);
	close(assert_copy(&file, "first"));
}

/* Looks while a copier is under way start no second one. */
static void
one_copier_at_a_time(void **state)
{
	enum rulefile_news news;
	struct rulefile file;
	int fd = -1, status;
	pid_t pid;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	assert_int_equal(see(&file), RULEFILE_SAME);
	pid = file.copier;
	replace_file("second");
	assert_int_equal(see(&file), RULEFILE_SAME);
	assert_int_equal(see(&file), RULEFILE_SAME);
	assert_int_equal(file.copier, pid);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(reaped(&file, pid, status, &news, &fd));
	if (news == RULEFILE_NEW) {
		/* It was faster than the change. */
		assert_table(fd, "first");
		close(fd);
		assert_look(&file, RULEFILE_SAME);
	} else {
		assert_int_equal(news, RULEFILE_SAME);
	}
	close(assert_copy(&file, "second"));
}

static void
a_killed_copier_is_tried_again(void **state)
{
	enum rulefile_news news;
	struct rulefile file;
	int fd = -1, status;
	pid_t pid;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	replace_file("second");
	assert_look(&file, RULEFILE_SAME);
	assert_int_equal(see(&file), RULEFILE_SAME);
	pid = file.copier;
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* As if it had been killed: the file is good and did not change. */
	assert_true(reaped(&file, pid, SIGKILL, &news, &fd));
	assert_int_equal(news, RULEFILE_ABORTED);
	assert_int_equal(file.ended_by, SIGKILL);
	assert_int_equal(fd, -1);
	/* Not at once; and nobody says that the file changes. */
	assert_look(&file, RULEFILE_SAME);
	now += RULEFILE_AGAIN_MS;
	assert_int_equal(turn(&file, now), RULEFILE_SAME);
	close(assert_copy(&file, "second"));
	end_watcher(&file);
}

/* A look that starts a copier, which fails with this error. */
static enum rulefile_news
look_and_fail(struct rulefile *file, int error)
{
	enum rulefile_news news;
	int fd = -1;
	pid_t pid;

	assert_int_equal(see(file), RULEFILE_SAME);
	pid = file->copier;
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(reaped(file, pid, error << 8, &news, &fd));
	assert_int_equal(fd, -1);
	return news;
}

/* The file is good; memory, or the table of files, was short. */
static void
what_may_come_right_is_tried_again(void **state)
{
	static const int errors[] = { ENOMEM, ENFILE, EIO, ESTALE, ENOSPC,
		EPERM };
	struct rulefile file;
	size_t i;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		replace_file("second");
		assert_look(&file, RULEFILE_SAME);
		assert_int_equal(
		    look_and_fail(&file, errors[i]), RULEFILE_UNREADABLE);
		assert_int_equal(errno, errors[i]);
		assert_look(&file, RULEFILE_SAME);
		now += RULEFILE_AGAIN_MS;
		assert_int_equal(turn(&file, now), RULEFILE_SAME);
		/* Told once, and until then it is that of before. */
		assert_int_equal(
		    look_and_fail(&file, errors[i]), RULEFILE_SAME);
		assert_look(&file, RULEFILE_SAME);
		now += RULEFILE_AGAIN_MS;
		close(assert_copy(&file, "second"));
	}
	end_watcher(&file);
}

/* At the start, too: nobody waits for another file. */
static void
the_first_copy_is_tried_again(void **state)
{
	struct rulefile file;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	assert_int_equal(look_and_fail(&file, ENOMEM), RULEFILE_UNREADABLE);
	assert_look(&file, RULEFILE_SAME);
	now += RULEFILE_AGAIN_MS;
	close(assert_copy(&file, "first"));
}

/* Each look sees another file, and it is copied all the same. */
static void
what_never_rests_is_copied(void **state)
{
	struct rulefile file;
	int fd;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	replace_file("a");
	assert_look(&file, RULEFILE_SAME);
	replace_file("b");
	assert_look(&file, RULEFILE_SAME);
	replace_file("c");
	assert_look(&file, RULEFILE_SAME);
	replace_file("d");
	close(assert_copy(&file, "d"));
	/* And so on. */
	replace_file("e");
	assert_look(&file, RULEFILE_SAME);
	replace_file("f");
	assert_look(&file, RULEFILE_SAME);
	replace_file("g");
	assert_look(&file, RULEFILE_SAME);
	replace_file("h");
	fd = assert_copy(&file, "h");
	/*
	 * Now it rests, and is copied again: times are too coarse to tell
	 * that nothing more was written.  It is no news.
	 */
	file.in_force = fd;
	copies_again(&file);
	close(fd);
}

/* Half of something sound is no news before it rests. */
static void
what_never_rests_is_not_damaged_yet(void **state)
{
	struct table table = table_of("some word");
	struct rulefile file;
	int i;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	for (i = 0; i < 20; i++) {
		write_bytes(other, table.bytes, table.len / 2);
		assert_int_equal(rename(other, path), 0);
		assert_look(&file, RULEFILE_SAME);
	}
	/* It changed for four seconds; a look is late after five. */
	now += RULEFILE_LATE_MS;
	assert_int_equal(turn(&file, now), RULEFILE_SAME);
	replace_file("a");
	assert_look(&file, RULEFILE_LATE);
	assert_int_equal(errno, 0);
	write_bytes(other, table.bytes, table.len / 2);
	assert_int_equal(rename(other, path), 0);
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_DAMAGED);
	now += RULEFILE_LATE_MS;
	assert_look(&file, RULEFILE_SAME);
	free(table.bytes);
	end_watcher(&file);
}

/* Once; and once more when it was better in between. */
static void
lateness_is_told_once(void **state)
{
	struct rulefile file;
	int i;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	for (i = 0; i < 2; i++) {
		replace_file("a");
		assert_look(&file, RULEFILE_SAME);
		now += RULEFILE_LATE_MS - RULEFILE_LOOK_MS - 1;
		replace_file("aa");
		assert_look(&file, RULEFILE_SAME);
		replace_file("b");
		assert_look(&file, RULEFILE_LATE);
		close(assert_copy(&file, "b"));
		now += RULEFILE_LATE_MS;
		assert_look(&file, RULEFILE_SAME);
	}
	end_watcher(&file);
}

/* Who cannot look does not know whether it changes. */
static void
without_a_look_nothing_is_late(void **state)
{
	struct rulefile file;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	replace_file("a");
	assert_look(&file, RULEFILE_SAME);
	now += RULEFILE_LATE_MS;
	assert_int_equal(turn(&file, now), RULEFILE_SAME);
	/* It has come to rest long since. */
	close(assert_copy(&file, "a"));
	end_watcher(&file);
}

/* A process that does not end, in the copier's place. */
static pid_t
stuck_copier(struct rulefile *file)
{
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0) {
		alarm(60); /* when the test has failed meanwhile */
		pause();
		_exit(0);
	}
	file->copier = pid;
	file->copy_by = now + RULEFILE_COPY_MS;
	return pid;
}

static void
a_stuck_copier_is_killed(void **state)
{
	enum rulefile_news news;
	struct rulefile file;
	int i, status, fd = -1;
	pid_t pid;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	close(assert_copy(&file, "first"));
	replace_file("second");
	assert_look(&file, RULEFILE_SAME);
	for (i = 0; i < 2; i++) {
		pid = stuck_copier(&file);
		now += RULEFILE_COPY_MS - 1;
		assert_int_equal(turn(&file, now), RULEFILE_SAME);
		now++;
		/* One line, however often it happens. */
		assert_int_equal(
		    turn(&file, now), i == 0 ? RULEFILE_STUCK : RULEFILE_SAME);
		assert_int_equal(turn(&file, now), RULEFILE_SAME);
		/* No second one beside it. */
		assert_int_equal(see(&file), RULEFILE_SAME);
		assert_int_equal(file.copier, pid);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_true(reaped(&file, pid, status, &news, &fd));
		assert_int_equal(news, RULEFILE_SAME);
		/* Not at once. */
		assert_look(&file, RULEFILE_SAME);
	}
	now += RULEFILE_AGAIN_MS;
	close(assert_copy(&file, "second"));
	pid = stuck_copier(&file);
	now += RULEFILE_COPY_MS;
	assert_int_equal(turn(&file, now), RULEFILE_STUCK);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	end_watcher(&file);
}

/* A large table has time in proportion. */
static void
time_grows_with_the_file(void **state)
{
	enum rulefile_news news;
	struct rulefile file;
	int fd = -1, status;
	pid_t pid;

	(void)state;
	write_file(path, "first");
	assert_int_equal(truncate(path, 800 << 20), 0);
	rulefile_init(&file, path);
	assert_int_equal(see(&file), RULEFILE_SAME);
	assert_int_equal(file.copy_by, now + RULEFILE_COPY_MS + 100000);
	pid = file.copier;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(reaped(&file, pid, status, &news, &fd));
	assert_int_equal(news, RULEFILE_DAMAGED);
}

static int
look_at_sparse_files(void)
{
	const struct rlimit small = { 1 << 20, 1 << 20 };
	struct rulefile file;
	enum rulefile_news news;
	int fd, round;

	/* As large as a table can be, and as large as a file here. */
	for (round = 0; round < 2; round++) {
		write_bytes(path, "", 0);
		EXPECT(truncate(path,
			   round == 0 ? 4294967295LL : 4294967296LL) == 0);
		if (round == 0)
			rulefile_init(&file, path);
		EXPECT(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
		if (fork() == 0) {
			/* What copied it would die of SIGXFSZ. */
			if (setrlimit(RLIMIT_FSIZE, &small) == -1)
				_exit(1);
			rulefile_init(&file, path);
			news = look(&file, &fd);
			if (round == 0)
				_exit(news != RULEFILE_DAMAGED);
			_exit(news != RULEFILE_UNREADABLE || errno != EFBIG);
		}
		EXPECT(wait(&fd) != -1 && fd == 0);
	}
	return 0;
}

/* Nobody fills the memory with the nothing that a sparse file holds. */
static void
the_header_is_looked_at_before_copying(void **state)
{
	(void)state;
	in_child(look_at_sparse_files);
}

static int
copy_beyond_a_limit(void)
{
	const struct rlimit small = { 100, 100 };
	struct rulefile file;
	int fd;

	EXPECT(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
	EXPECT(setrlimit(RLIMIT_FSIZE, &small) == 0);
	rulefile_init(&file, path);
	EXPECT(look(&file, &fd) == RULEFILE_UNREADABLE && errno == EFBIG);
	return 0;
}

static void
a_file_size_limit_is_told(void **state)
{
	(void)state;
	write_file(path, "a table is larger than a hundred bytes");
	in_child(copy_beyond_a_limit);
}

static void
kinds_come_with_the_copy(void **state)
{
	struct table table = table_make("=a.b:deny\n", NULL);
	struct rulefile file;
	int fd;

	(void)state;
	write_bytes(path, table.bytes, table.len);
	rulefile_init(&file, path);
	assert_int_equal(look(&file, &fd), RULEFILE_NEW);
	assert_int_equal(file.kinds, RULES_BY_HOST);
	close(fd);
	replace_file("none");
	assert_look(&file, RULEFILE_SAME);
	close(assert_copy(&file, "none"));
	assert_int_equal(file.kinds, 0);
	free(table.bytes);
}

/* At once, though nothing has changed; the same bytes are no news. */
static void
what_is_asked_for_is_copied_again(void **state)
{
	struct rulefile file;
	int fd;

	(void)state;
	write_file(path, "first");
	rulefile_init(&file, path);
	assert_int_equal(look(&file, &fd), RULEFILE_NEW);
	file.in_force = fd;
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_SAME);
	rulefile_reload(&file);
	assert_look(&file, RULEFILE_SAME);
	/* One that was written within a tick of the clock. */
	assert_look(&file, RULEFILE_SAME);
	write_file(path, "other");
	assert_int_equal(stat(path, &file.copied), 0);
	assert_look(&file, RULEFILE_SAME);
	rulefile_reload(&file);
	close(assert_copy(&file, "other"));
	close(file.in_force);
}

/* What cannot be used is told again; what is missing, after three looks. */
static void
what_is_asked_for_is_told_again(void **state)
{
	struct rulefile file;

	(void)state;
	write_bytes(path, "no table", 8);
	rulefile_init(&file, path);
	assert_look(&file, RULEFILE_DAMAGED);
	assert_look(&file, RULEFILE_SAME);
	rulefile_reload(&file);
	/* It may be half-written, so once more when it has rested. */
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_DAMAGED);
	assert_look(&file, RULEFILE_SAME);
	write_file(path, "here");
	rulefile_reload(&file);
	close(assert_copy(&file, "here"));
	assert_int_equal(unlink(path), 0);
	rulefile_reload(&file);
	assert_missing(&file);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

/*
 * Files of another form: a line that begins with x is to blame for all.
 */

static int
check_lines(const void *bytes, size_t len, unsigned *line)
{
	const char *text = bytes;
	size_t i;

	*line = 1;
	for (i = 0; i < len; i++) {
		if (text[i] == 'x')
			return -1;
		*line += text[i] == '\n';
	}
	*line = 0;
	return len == 1 ? -1 : 0;
}

static void
other_forms_are_copied_as_well(void **state)
{
	static const struct rulefile_form lines = { .max = 10,
		.check = check_lines };
	struct rulefile file;
	int fd;

	(void)state;
	rulefile_init(&file, path);
	file.form = &lines;
	write_bytes(path, "good\n", 5);
	assert_int_equal(look(&file, &fd), RULEFILE_NEW);
	assert_int_equal(lseek(fd, 0, SEEK_END), 5);
	close(fd);
	write_bytes(path, "a\nb\nx\n", 6);
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_DAMAGED);
	assert_int_equal(file.line, 3);
	write_bytes(path, "a", 1);
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_DAMAGED);
	assert_int_equal(file.line, 0);
	write_bytes(path, "this is too long", 16);
	assert_look(&file, RULEFILE_SAME);
	assert_look(&file, RULEFILE_UNREADABLE);
	assert_int_equal(errno, EFBIG);
	end_watcher(&file);
}

/* A number that fits no exit code is not told wrong. */
static void
a_line_far_down_has_no_number(void **state)
{
	static const struct rulefile_form lines = { .max = 1000,
		.check = check_lines };
	char text[500];
	struct rulefile file;
	unsigned i;

	(void)state;
	rulefile_init(&file, path);
	file.form = &lines;
	for (i = 0; i < sizeof(text); i++) {
		memset(text, '\n', sizeof(text));
		text[i] = 'x';
		(void)unlink(path);
		write_bytes(path, text, sizeof(text));
		rulefile_init(&file, path);
		file.form = &lines;
		assert_look(&file, RULEFILE_DAMAGED);
		assert_true(file.line == i + 1 || (i > 40 && file.line == 0));
		i += i / 8;
	}
	end_watcher(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_wanted),
		TEST(a_copy_is_made_once_and_is_sealed),
		TEST(a_change_is_taken_when_it_stands_still),
		TEST(a_rewrite_of_the_same_size_is_a_change),
		TEST(what_is_missing_is_told_once),
		TEST(a_gap_is_not_told),
		TEST(what_goes_before_the_copy_is_not_told),
		TEST(the_first_file_is_not_waited_for),
		TEST(a_path_through_a_file_is_missing),
		TEST(what_is_no_file_is_told_once),
		TEST(what_is_no_table_is_told_once),
		TEST(the_copier_changes_identity),
		TEST(what_may_not_be_read_is_told),
		TEST(a_copy_of_a_changing_file_is_dropped),
		TEST(one_copier_at_a_time),
		TEST(a_killed_copier_is_tried_again),
		TEST(what_may_come_right_is_tried_again),
		TEST(the_first_copy_is_tried_again),
		TEST(a_file_size_limit_is_told),
		TEST(what_never_rests_is_copied),
		TEST(what_never_rests_is_not_damaged_yet),
		TEST(lateness_is_told_once),
		TEST(without_a_look_nothing_is_late),
		TEST(a_stuck_copier_is_killed),
		TEST(time_grows_with_the_file),
		TEST(the_header_is_looked_at_before_copying),
		TEST(kinds_come_with_the_copy),
		TEST(what_is_asked_for_is_copied_again),
		TEST(what_is_asked_for_is_told_again),
		TEST(other_forms_are_copied_as_well),
		TEST(a_line_far_down_has_no_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
