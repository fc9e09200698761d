/*
 * A POP3 server of one mailbox (RFC 1939, 2449) with STLS (RFC 2595).
 *   sslserver -n -u mail -g mail 0 110 ./pop3 /var/mail/box account
 * The Maildir is what the smtp example fills; the file `account` holds one
 * line, name:password.
 *
 * A password is taken inside TLS alone, and USER is not even announced
 * before (RFC 2595, 2.2).  Under sslserver without -n all is inside TLS.
 *
 * It runs as -u and -g say and trusts its environment and the mailbox's
 * owner, never the client: who has not said the password sees no message.
 */
#include "lines.h"
#include "ucspitls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SILENCE_S = 600,   /* RFC 1939, 3 */
	COMMAND_MAX = 253, /* RFC 2449, 4, without CR LF */
	ACCOUNT_MAX = 255,
	ATTEMPTS_MAX = 3,
	MESSAGES_MAX = 10000
};

struct message {
	char *path; /* new/NAME or cur/NAME */
	unsigned long long inode;
	long long octets, arrived;
	bool is_deleted;
};

struct pop3 {
	struct lines lines;
	char account[ACCOUNT_MAX + 1];
	bool is_tls, is_over;
	/* What the client has said; STLS makes it void. */
	char user[COMMAND_MAX + 1];
	unsigned attempts;
	bool is_open; /* TRANSACTION: the password was right */
	struct message *messages;
	size_t count;
};

static void
complain(const char *what)
{
	fprintf(stderr, "pop3: %s: %s\n", what, strerror(errno));
}

/* ---- the mailbox ---- */

/* One line of a message, with CR LF and a leading point doubled. */
static void
put_line(struct lines *lines, const char *text, size_t length)
{
	if (length > 0 && *text == '.')
		lines_write(lines, ".", 1);
	lines_write(lines, text, length);
	lines_write(lines, "\r\n", 2);
}

/*
 * Passes the head of a message on and as many lines of its body (-1: all of
 * them), or only counts, with `lines` NULL.  Returns octets, or -1.
 */
static long long
copy_message(const char *path, struct lines *lines, long body_lines)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t capacity = 0;
	ssize_t length;
	long long octets = 0;
	bool is_body = false;

	if (file == NULL)
		return -1;
	while ((length = getline(&text, &capacity, file)) > 0) {
		if (is_body && body_lines-- == 0)
			break;
		if (text[length - 1] == '\n')
			length--;
		if (length > 0 && text[length - 1] == '\r')
			length--;
		is_body = is_body || length == 0;
		octets += length + 2;
		if (lines != NULL)
			put_line(lines, text, (size_t)length);
	}
	if (ferror(file))
		octets = -1;
	free(text);
	fclose(file);
	return octets;
}

/* A file that is gone, or is none, is no message. */
static void
add_message(struct pop3 *pop3, const char *directory, const char *name)
{
	struct message *message = &pop3->messages[pop3->count];
	size_t size = strlen(directory) + strlen(name) + 2;
	struct stat status;
	char *path = malloc(size);

	if (path == NULL)
		return;
	snprintf(path, size, "%s/%s", directory, name);
	message->octets = lstat(path, &status) == 0 && S_ISREG(status.st_mode)
	    ? copy_message(path, NULL, -1)
	    : -1;
	if (message->octets == -1) {
		free(path);
		return;
	}
	message->path = path;
	message->inode = (unsigned long long)status.st_ino;
	message->arrived = (long long)status.st_mtime;
	message->is_deleted = false;
	pop3->count++;
}

static int
add_directory(struct pop3 *pop3, const char *name)
{
	DIR *directory = opendir(name);
	struct dirent *entry;

	if (directory == NULL)
		return -1;
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.' && pop3->count < MESSAGES_MAX)
			add_message(pop3, name, entry->d_name);
	closedir(directory);
	return 0;
}

static int
compare_messages(const void *left, const void *right)
{
	const struct message *a = left, *b = right;

	if (a->arrived != b->arrived)
		return a->arrived < b->arrived ? -1 : 1;
	return strcmp(a->path + 4, b->path + 4);
}

/*
 * Takes the mailbox for this process alone (RFC 1939, 4) and lists it.
 * NULL, or the reply that says why not.
 */
static const char *
open_mailbox(struct pop3 *pop3)
{
	int lock_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (lock_fd == -1 || flock(lock_fd, LOCK_EX | LOCK_NB) == -1) {
		if (lock_fd != -1)
			close(lock_fd);
		return "-ERR [IN-USE] somebody else reads this mail";
	}
	/* Held open, and with it the lock, as long as the process lives. */
	pop3->messages = calloc(MESSAGES_MAX, sizeof(*pop3->messages));
	if (pop3->messages == NULL || add_directory(pop3, "new") == -1 ||
	    add_directory(pop3, "cur") == -1) {
		complain("cannot list the mailbox");
		pop3->is_over = true;
		return "-ERR [SYS/TEMP] cannot list the mailbox";
	}
	qsort(pop3->messages, pop3->count, sizeof(*pop3->messages),
	    compare_messages);
	return NULL;
}

/* ---- AUTHORIZATION ---- */

static void
do_capa(struct pop3 *pop3, char *argument)
{
	(void)argument;
	lines_put(&pop3->lines,
	    "+OK\r\nTOP\r\nUIDL\r\nPIPELINING\r\n"
	    "RESP-CODES\r\nAUTH-RESP-CODE\r\n");
	if (pop3->is_tls)
		lines_put(&pop3->lines, "USER\r\n");
	if (ucspitls_is_offered() && !pop3->is_open)
		lines_put(&pop3->lines, "STLS\r\n");
	lines_put(&pop3->lines, ".\r\n");
}

static void
do_stls(struct pop3 *pop3, char *argument)
{
	if (*argument != '\0' || !ucspitls_is_offered()) {
		lines_put(&pop3->lines,
		    pop3->is_tls ? "-ERR this is TLS already\r\n"
				 : "-ERR no TLS here\r\n");
		return;
	}
	/* The answer goes out in plain text, before anybody speaks TLS. */
	lines_put(&pop3->lines, "+OK go ahead\r\n");
	if (lines_flush(&pop3->lines) == -1 || ucspitls_request() == -1) {
		complain("cannot ask for TLS");
		pop3->is_over = true;
		return;
	}
	/* RFC 2595, 4: all that came in plain text is void. */
	lines_drop_input(&pop3->lines);
	pop3->user[0] = '\0';
	pop3->is_tls = true;
}

static void
do_user(struct pop3 *pop3, char *argument)
{
	if (!pop3->is_tls) {
		lines_put(&pop3->lines, "-ERR [AUTH] not in plain text\r\n");
		return;
	}
	strcpy(pop3->user, argument);
	lines_put(&pop3->lines, "+OK\r\n");
}

/* Takes the same time wherever the texts differ. */
static bool
is_account(const struct pop3 *pop3, const char *password)
{
	char said[2 * COMMAND_MAX + 2];
	unsigned char difference = 0;
	size_t i, length = strlen(pop3->account);

	snprintf(said, sizeof(said), "%s:%s", pop3->user, password);
	if (strlen(said) != length)
		return false;
	for (i = 0; i < length; i++)
		difference |= (unsigned char)(said[i] ^ pop3->account[i]);
	return difference == 0;
}

static void
do_pass(struct pop3 *pop3, char *argument)
{
	const char *refusal;

	if (!pop3->is_tls || pop3->user[0] == '\0') {
		lines_put(&pop3->lines,
		    pop3->is_tls ? "-ERR USER first\r\n"
				 : "-ERR [AUTH] not in plain text\r\n");
		return;
	}
	if (!is_account(pop3, argument)) {
		pop3->is_over = ++pop3->attempts == ATTEMPTS_MAX;
		lines_put(&pop3->lines, "-ERR [AUTH] no\r\n");
		return;
	}
	refusal = open_mailbox(pop3);
	pop3->is_open = refusal == NULL;
	if (refusal != NULL)
		lines_put(&pop3->lines, "%s\r\n", refusal);
	else
		lines_put(&pop3->lines, "+OK %zu messages\r\n", pop3->count);
}

/* ---- TRANSACTION ---- */

/* The message of a number, or NULL and a reply. */
static struct message *
find_message(struct pop3 *pop3, const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text >= '0' && *text <= '9' && *end == '\0' && number >= 1 &&
	    number <= pop3->count && !pop3->messages[number - 1].is_deleted)
		return &pop3->messages[number - 1];
	lines_put(&pop3->lines, "-ERR there is no such message\r\n");
	return NULL;
}

static void
do_stat(struct pop3 *pop3, char *argument)
{
	long long octets = 0;
	size_t i, count = 0;

	(void)argument;
	for (i = 0; i < pop3->count; i++) {
		if (pop3->messages[i].is_deleted)
			continue;
		octets += pop3->messages[i].octets;
		count++;
	}
	lines_put(&pop3->lines, "+OK %zu %lld\r\n", count, octets);
}

static void
put_size(struct pop3 *pop3, const struct message *message)
{
	lines_put(&pop3->lines, "%zu %lld\r\n",
	    (size_t)(message - pop3->messages) + 1, message->octets);
}

/* A message keeps inode and time when it moves to cur. */
static void
put_id(struct pop3 *pop3, const struct message *message)
{
	lines_put(&pop3->lines, "%zu %llx-%llx\r\n",
	    (size_t)(message - pop3->messages) + 1, message->inode,
	    (unsigned long long)message->arrived);
}

static void
list(struct pop3 *pop3, const char *argument,
    void (*put)(struct pop3 *, const struct message *))
{
	const struct message *message;
	size_t i;

	if (*argument != '\0') {
		message = find_message(pop3, argument);
		if (message != NULL) {
			lines_put(&pop3->lines, "+OK ");
			put(pop3, message);
		}
		return;
	}
	lines_put(&pop3->lines, "+OK\r\n");
	for (i = 0; i < pop3->count; i++)
		if (!pop3->messages[i].is_deleted)
			put(pop3, &pop3->messages[i]);
	lines_put(&pop3->lines, ".\r\n");
}

static void
do_list(struct pop3 *pop3, char *argument)
{
	list(pop3, argument, put_size);
}

static void
do_uidl(struct pop3 *pop3, char *argument)
{
	list(pop3, argument, put_id);
}

static void
retrieve(struct pop3 *pop3, const char *number, long body_lines)
{
	const struct message *message = find_message(pop3, number);

	if (message == NULL)
		return;
	if (access(message->path, R_OK) == -1) {
		lines_put(
		    &pop3->lines, "-ERR [SYS/TEMP] it cannot be read\r\n");
		return;
	}
	lines_put(&pop3->lines, "+OK\r\n");
	/* Half a message must not look like a whole one. */
	if (copy_message(message->path, &pop3->lines, body_lines) == -1) {
		complain(message->path);
		pop3->is_over = true;
		return;
	}
	lines_put(&pop3->lines, ".\r\n");
}

static void
do_retr(struct pop3 *pop3, char *argument)
{
	retrieve(pop3, argument, -1);
}

static void
do_top(struct pop3 *pop3, char *argument)
{
	char *number = argument + strcspn(argument, " ");
	char *end;
	long body_lines;

	if (*number != '\0')
		*number++ = '\0';
	body_lines = strtol(number, &end, 10);
	if (*number < '0' || *number > '9' || *end != '\0')
		lines_put(&pop3->lines, "-ERR TOP message lines\r\n");
	else
		retrieve(pop3, argument, body_lines);
}

static void
do_dele(struct pop3 *pop3, char *argument)
{
	struct message *message = find_message(pop3, argument);

	if (message == NULL)
		return;
	message->is_deleted = true;
	lines_put(&pop3->lines, "+OK\r\n");
}

static void
do_noop(struct pop3 *pop3, char *argument)
{
	(void)argument;
	lines_put(&pop3->lines, "+OK\r\n");
}

static void
do_rset(struct pop3 *pop3, char *argument)
{
	size_t i;

	(void)argument;
	for (i = 0; i < pop3->count; i++)
		pop3->messages[i].is_deleted = false;
	lines_put(&pop3->lines, "+OK\r\n");
}

/* Only who says QUIT has deleted anything (RFC 1939, 6). */
static void
do_quit(struct pop3 *pop3, char *argument)
{
	size_t i, failed = 0;

	(void)argument;
	for (i = 0; i < pop3->count; i++)
		if (pop3->messages[i].is_deleted &&
		    unlink(pop3->messages[i].path) == -1)
			failed++;
	lines_put(&pop3->lines,
	    failed == 0 ? "+OK\r\n"
			: "-ERR [SYS/PERM] some messages are still there\r\n");
	pop3->is_over = true;
}

/* ---- commands ---- */

enum { BEFORE = 1, AFTER = 2 };

static const struct command {
	const char *name;
	int when;
	void (*run)(struct pop3 *, char *);
} commands[] = { { "CAPA", BEFORE | AFTER, do_capa },
	{ "STLS", BEFORE, do_stls }, { "USER", BEFORE, do_user },
	{ "PASS", BEFORE, do_pass }, { "QUIT", BEFORE | AFTER, do_quit },
	{ "STAT", AFTER, do_stat }, { "LIST", AFTER, do_list },
	{ "UIDL", AFTER, do_uidl }, { "RETR", AFTER, do_retr },
	{ "TOP", AFTER, do_top }, { "DELE", AFTER, do_dele },
	{ "NOOP", AFTER, do_noop }, { "RSET", AFTER, do_rset },
	{ NULL, 0, NULL } };

static void
obey(struct pop3 *pop3, char *text)
{
	const struct command *command = commands;
	char *argument = text + strcspn(text, " ");

	/* One blank: a password may begin or end with others. */
	if (*argument != '\0')
		*argument++ = '\0';
	while (command->name != NULL && strcasecmp(command->name, text) != 0)
		command++;
	if (command->name == NULL)
		lines_put(&pop3->lines, "-ERR not known here\r\n");
	else if ((command->when & (pop3->is_open ? AFTER : BEFORE)) == 0)
		lines_put(&pop3->lines, "-ERR not now\r\n");
	else
		command->run(pop3, argument);
}

static void
serve(struct pop3 *pop3)
{
	struct line line;

	lines_put(&pop3->lines, "+OK POP3\r\n");
	while (!pop3->is_over && lines_read(&pop3->lines, &line)) {
		if (line.is_cut || line.length > COMMAND_MAX ||
		    strlen(line.text) != line.length)
			lines_put(&pop3->lines, "-ERR that is no line\r\n");
		else
			obey(pop3, line.text);
	}
	lines_flush(&pop3->lines);
}

/* The first line of the file of the account. */
static int
read_account(struct pop3 *pop3, const char *path)
{
	FILE *file = fopen(path, "re");
	char *text;

	if (file == NULL)
		return -1;
	text = fgets(pop3->account, sizeof(pop3->account), file);
	fclose(file);
	errno = EINVAL;
	if (text == NULL || strchr(text, '\n') == NULL)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	return strchr(text, ':') > text ? 0 : -1;
}

/* Says on descriptor 2 why, to the client only that (RFC 3206). */
static int
give_up(struct pop3 *pop3, const char *what)
{
	complain(what);
	lines_put(&pop3->lines, "-ERR [SYS/PERM] there is no mailbox now\r\n");
	lines_flush(&pop3->lines);
	return 111;
}

int
main(int argc, char **argv)
{
	struct pop3 pop3 = { 0 };

	if (argc != 3) {
		fprintf(stderr, "usage: pop3 maildir account\n");
		return 100;
	}
	lines_init(&pop3.lines, SILENCE_S);
	if (read_account(&pop3, argv[2]) == -1)
		return give_up(&pop3, argv[2]);
	if (chdir(argv[1]) == -1)
		return give_up(&pop3, argv[1]);
	/* Started by sslserver and nothing to ask for: TLS has begun. */
	pop3.is_tls = getenv("SSLREMOTEIP") != NULL && !ucspitls_is_offered();
	serve(&pop3);
	return 0;
}
