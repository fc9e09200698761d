/*
 * tcprules: rule text on descriptor 0 into a rule table.
 *
 * Run by an administrator or a script, with their rights.  The table is
 * made in the temporary file, brought to the disk, and put in the place of
 * the old one by rename(2): at every moment, a crash of the machine
 * included, the name leads to a whole table, the old or the new.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cdb.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/text.h"
#include "config.h"
#include "rules/rules.h"
#include "rules/ruletext.h"
#include "rules/rulevars.h"
#include "rules/shadow.h"

#define USAGE "usage: tcprules rules.cdb rules.tmp < rules.txt\n"
#define BLOCK 65536
#define PROGRESS_STEP 50000

/* Lines of descriptor 0. */
struct input {
	struct buf buf;
	size_t at; /* of the next line in buf */
	bool is_at_end;
};

struct job {
	const char *table_path, *temporary_path;
	const char *owned; /* to be removed when something fails, or NULL */
	int fd;
	bool shows_progress;
	uint32_t line;
	struct input input;
	struct cdb_make make;
	struct shadow *shadow;
};

/* ----- endings ----- */

/* Remove what is ours and end; the old table stays. */
__attribute__((noreturn)) static void
fail(const struct job *job, int code)
{
	if (job->owned != NULL && unlink(job->owned) == -1)
		fprintf(stderr, "tcprules: warning: unable to remove %s: %s\n",
		    job->owned, strerror(errno));
	exit(code);
}

__attribute__((noreturn)) static void
die(const struct job *job, const char *what, const char *path,
    const char *reason)
{
	fprintf(stderr, "tcprules: fatal: (111) unable to %s%s%s: %s\n", what,
	    path[0] != '\0' ? " " : "", path, reason);
	fail(job, 111);
}

__attribute__((noreturn)) static void
die_errno(const struct job *job, const char *what, const char *path)
{
	die(job, what, path, strerror(errno));
}

__attribute__((noreturn)) static void
die_syntax(const struct job *job, const char *sentence)
{
	fprintf(stderr, "tcprules: syntax: line %lu: %s\n",
	    (unsigned long)job->line, sentence);
	fail(job, 101);
}

/* ----- the temporary file ----- */

/* The file at path is the one of that status. */
static bool
is_same_file(const char *path, const struct stat *status)
{
	struct stat other;

	return lstat(path, &other) == 0 && other.st_dev == status->st_dev &&
	    other.st_ino == status->st_ino;
}

/*
 * A file that is there already: ours alone.  In a directory where others may
 * write, theirs would be open to them after it is in force, and another name
 * of it would lead to bytes that somebody needs.
 */
static void
check_owner(const struct job *job, const struct stat *status)
{
	const char *path = job->temporary_path;

	if (!S_ISREG(status->st_mode))
		die(job, "write", path, "it is no regular file");
	if (status->st_uid != geteuid())
		die(job, "write", path, "it belongs to another user");
	if (status->st_nlink > 1)
		die(job, "write", path, "the file has another name, too");
}

/* Made by us, or left over. */
static int
open_or_create(const char *path)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd;

	for (;;) {
		fd = open(path, flags | O_CREAT | O_EXCL, 0644);
		if (fd != -1 || errno != EEXIST)
			return fd;
		fd = open(path, flags);
		/* Unless somebody has removed it in between. */
		if (fd != -1 || errno != ENOENT)
			return fd;
	}
}

/*
 * Open it and keep others that would write there at the same time away: the
 * rename of one would put the half-written file of the other in force.  The
 * lock is of the file, so look whether it still has the name.
 */
static void
lock_temporary(struct job *job, struct stat *status)
{
	const char *path = job->temporary_path;

	for (;;) {
		job->fd = open_or_create(path);
		if (job->fd == -1)
			die_errno(job, "create", path);
		if (fstat(job->fd, status) == -1)
			die_errno(job, "look at", path);
		/* Removed: the name leads elsewhere, or nowhere. */
		if (status->st_nlink > 0)
			check_owner(job, status);
		/* Where there are no locks, go on as without this one. */
		if (flock(job->fd, LOCK_EX | LOCK_NB) == -1 &&
		    errno == EWOULDBLOCK)
			die(job, "write", path, "another tcprules is at it");
		if (is_same_file(path, status))
			return;
		fd_close(&job->fd);
	}
}

/*
 * Before anything is made or cut: the rules would be gone, and an empty
 * table lets everybody in.
 */
static void
check_names(struct job *job)
{
	static const char source[] = "it is the file the rules are read from";
	struct stat input;

	if (strcmp(job->table_path, job->temporary_path) == 0)
		die(job, "write", job->temporary_path,
		    "it is the table itself");
	if (fstat(0, &input) == -1 || !S_ISREG(input.st_mode))
		return;
	if (is_same_file(job->temporary_path, &input))
		die(job, "write", job->temporary_path, source);
	if (is_same_file(job->table_path, &input))
		die(job, "write", job->table_path, source);
}

static void
open_temporary(struct job *job)
{
	const char *path = job->temporary_path;
	struct stat status;

	check_names(job);
	lock_temporary(job, &status);
	if (is_same_file(job->table_path, &status))
		die(job, "write", path, "it is the table itself");
	job->owned = path;
	/* Readable for servers without rights, as it always was. */
	if (ftruncate(job->fd, 0) == -1 || fchmod(job->fd, 0644) == -1)
		die_errno(job, "write", path);
}

/* The directory, so that the new name is on the disk too. */
static void
sync_directory(struct job *job)
{
	const char *slash = strrchr(job->table_path, '/');
	char *directory = NULL;
	int fd;

	if (slash == NULL)
		directory = strdup(".");
	else
		directory = strndup(
		    job->table_path, (size_t)(slash - job->table_path) + 1);
	if (directory == NULL)
		die_errno(job, "name the directory of", job->table_path);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Who may write there may not always read; the table is in force. */
	if (fd == -1)
		fprintf(stderr,
		    "tcprules: warning: unable to sync directory %s: %s\n",
		    directory, strerror(errno));
	/* Some file systems cannot and say so. */
	else if (fsync(fd) == -1 && errno != EINVAL)
		die_errno(job, "sync directory", directory);
	fd_close(&fd);
	free(directory);
}

static void
put_in_force(struct job *job)
{
	if (fsync(job->fd) == -1)
		die_errno(job, "sync", job->temporary_path);
	if (rename(job->temporary_path, job->table_path) == -1)
		die_errno(job, "rename to", job->table_path);
	job->owned = NULL;
	sync_directory(job);
}

/* ----- reading and adding ----- */

/* More bytes of descriptor 0, or is_at_end. */
static void
read_block(struct job *job)
{
	struct input *in = &job->input;
	unsigned char *room;
	ssize_t n;

	buf_consume(&in->buf, in->at);
	in->at = 0;
	room = buf_reserve(&in->buf, BLOCK);
	if (room == NULL && errno == EMSGSIZE) {
		job->line++;
		die_syntax(job, "the line is too long");
	}
	if (room == NULL)
		die_errno(job, "read rules", "");
	n = fd_read_all(0, room, BLOCK);
	if (n == -1)
		die_errno(job, "read rules", "");
	in->buf.len += (size_t)n;
	in->is_at_end = n < BLOCK;
}

/* The next line without its newline, or NULL after the last. */
static const char *
next_line(struct job *job, size_t *len)
{
	struct input *in = &job->input;
	const char *line, *end;
	size_t seen = 0;

	for (;;) {
		line = (const char *)in->buf.data + in->at;
		*len = in->buf.len - in->at;
		end =
		    *len > seen ? memchr(line + seen, '\n', *len - seen) : NULL;
		if (end != NULL || in->is_at_end)
			break;
		seen = *len;
		read_block(job);
	}
	if (end == NULL && *len == 0)
		return NULL;
	if (end != NULL)
		*len = (size_t)(end - line);
	in->at += *len + (end != NULL);
	return line;
}

static void
add_record(struct job *job, const struct ruletext_record *r)
{
	/* A rule line is short enough for unsigned. */
	if (cdb_make_add(&job->make, r->key, (unsigned)r->key_len, r->data,
		(unsigned)r->data_len) != 0)
		die_errno(job, "write", job->temporary_path);
	if (shadow_add(job->shadow, r, job->line) == -1)
		die_errno(job, "remember line", "");
}

static void
warn_of_variable(const struct job *job, const char *variable)
{
	const char *reason = rulevars_refusal(variable);
	const char *doubt = rulevars_doubt(variable);
	unsigned long line = job->line;
	char shown[TEXT_PRINTABLE_SIZE];

	if (reason != NULL)
		fprintf(stderr,
		    "tcprules: warning: line %lu: sslserver refuses "
		    "its clients: %s: %s\n",
		    line, text_printable(shown, variable, strlen(variable)),
		    reason);
	if (doubt != NULL)
		fprintf(
		    stderr, "tcprules: warning: line %lu: %s\n", line, doubt);
}

/*
 * Of a rule that lets its clients in, but has a variable that sslserver
 * refuses them for, or is likely to be a slip.  Other servers may do
 * otherwise.
 */
static void
warn_of_variables(const struct job *job, const struct ruletext *text)
{
	const struct rules_verdict rule = { .data = text->data.data,
		.data_len = text->data.len };
	const char *variable;
	size_t at = 0;

	if (rule.data_len > 0 && rule.data[0] == 'D')
		return;
	while ((variable = rules_variable(&rule, &at)) != NULL)
		warn_of_variable(job, variable);
}

/* All records of the line that was read. */
static void
add_rule(struct job *job, struct ruletext *text)
{
	struct ruletext_record record;
	const char *error;
	int result;

	while ((result = ruletext_next(text, &record, &error)) == 1)
		add_record(job, &record);
	if (result == -1 && error != NULL)
		die_syntax(job, error);
	if (result == -1 || shadow_end_line(job->shadow, job->line) == -1)
		die_errno(job, "remember line", "");
	warn_of_variables(job, text);
}

static void
show_progress(const struct job *job, bool is_done)
{
	if (job->shows_progress && job->line >= PROGRESS_STEP &&
	    (is_done || job->line % PROGRESS_STEP == 0))
		fprintf(stderr, "\rtcprules: %lu lines%s",
		    (unsigned long)job->line, is_done ? "\n" : "");
}

static void
read_rules(struct job *job)
{
	struct ruletext text;
	const char *line, *error;
	size_t len;
	int result;

	ruletext_init(&text);
	read_block(job); /* from here on there is a buffer */
	while ((line = next_line(job, &len)) != NULL) {
		if (job->line == UINT32_MAX)
			die_syntax(job, "too many lines");
		job->line++;
		result = ruletext_read(&text, line, len, &error);
		if (result == -1 && error != NULL)
			die_syntax(job, error);
		if (result == -1)
			die_errno(job, "read rules", "");
		if (result == 1)
			add_rule(job, &text);
		show_progress(job, false);
	}
	show_progress(job, true);
	ruletext_free(&text);
	buf_free(&job->input.buf);
}

/* ----- what can never match ----- */

static void
warn(uint32_t line, const char *reason)
{
	fprintf(stderr, "tcprules: warning: line %lu can never match: %s\n",
	    (unsigned long)line, reason);
}

static void
report_shadows(struct job *job)
{
	struct stat status;
	void *table;

	if (fstat(job->fd, &status) == -1)
		die_errno(job, "look at", job->temporary_path);
	table = mmap(
	    NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, job->fd, 0);
	if (table == MAP_FAILED)
		die_errno(job, "read", job->temporary_path);
	if (shadow_report(job->shadow, table, (size_t)status.st_size, warn) ==
	    -1)
		die_errno(job, "compare the rules", "");
	(void)munmap(table, (size_t)status.st_size);
}

static void
make_table(struct job *job)
{
	job->shadow = shadow_new();
	if (job->shadow == NULL || cdb_make_start(&job->make, job->fd) != 0)
		die_errno(job, "write", job->temporary_path);
	read_rules(job);
	if (cdb_make_finish(&job->make) != 0)
		die_errno(job, "write", job->temporary_path);
	report_shadows(job);
	shadow_free(job->shadow);
}

/* Two words, or one of the long options. */
static void
read_command_line(struct job *job, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(USAGE, stdout);
		exit(fflush(stdout) == 0 ? 0 : 111);
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("tcprules " VERSION);
		exit(fflush(stdout) == 0 ? 0 : 111);
	}
	if (argc > 1 && strcmp(argv[1], "--") == 0) {
		argc--;
		argv++;
	} else if (argc > 1 && argv[1][0] == '-') {
		argc = 0;
	}
	if (argc != 3) {
		fputs("tcprules: " USAGE, stderr);
		exit(100);
	}
	job->table_path = argv[1];
	job->temporary_path = argv[2];
}

int
main(int argc, char **argv)
{
	static struct job job = { .fd = -1 };

	/* No input is not the same as no rules, which would allow all. */
	if (fcntl(0, F_GETFD) == -1)
		die_errno(&job, "read rules", "");
	if (fd_fill_standard() == -1)
		return 111;
	read_command_line(&job, argc, argv);
	job.shows_progress = isatty(2);
	buf_init(&job.input.buf, RULETEXT_LINE_MAX);
	open_temporary(&job);
	make_table(&job);
	put_in_force(&job);
	fd_close(&job.fd);
	return 0;
}
