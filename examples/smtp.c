/*
 * A mail server of one mailbox: SMTP (RFC 5321) with STARTTLS (RFC 3207).
 *   sslserver -n -u mail -g mail 0 25 ./smtp /var/mail/box
 * Who connects may leave messages for any address; each becomes a file in
 * the Maildir, with Unix line ends, behind a Return-Path and a Received line.
 * It passes nothing on to others, so there is nobody to authenticate.
 *
 * Under sslserver without -n all is inside TLS; under tcpserver nothing is.
 *
 * It runs as -u and -g say and trusts its environment, never the client:
 * lines have a maximum, addresses an alphabet, messages a size, and a line
 * in a message ends with CR LF and with nothing else, since servers that
 * disagree about that can be made to take one message for two.
 */
#include "lines.h"
#include "ucspitls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
	SILENCE_S = 300,      /* RFC 5321, 4.5.3.2.7 */
	COMMAND_MAX = 510,    /* 4.5.3.1.4, without CR LF */
	PATH_SIZE = 257,      /* 4.5.3.1.3, and a NUL */
	DOMAIN_SIZE = 256,    /* 4.5.3.1.2, and a NUL */
	RECIPIENTS_MAX = 100, /* 4.5.3.1.8 */
	MESSAGE_MAX = 10 * 1024 * 1024
};

struct smtp {
	struct lines lines;
	const char *host, *peer;
	bool is_tls, is_over;
	/* What the client has said; STARTTLS makes all of it void. */
	bool is_extended, has_sender;
	char helo[DOMAIN_SIZE], sender[PATH_SIZE];
	unsigned recipients;
};

/* A message that is being written. */
struct message {
	FILE *file;
	char name[64]; /* below tmp/, later below new/ */
	size_t size;
	const char *refusal; /* NULL: good so far */
};

static void
complain(const char *what)
{
	fprintf(stderr, "smtp: %s: %s\n", what, strerror(errno));
}

static void
reset_message(struct smtp *smtp)
{
	smtp->has_sender = false;
	smtp->sender[0] = '\0';
	smtp->recipients = 0;
}

static void
reset_client(struct smtp *smtp)
{
	smtp->helo[0] = '\0';
	smtp->is_extended = false;
	reset_message(smtp);
}

/* ---- the file ---- */

static int
message_open(struct message *message)
{
	struct timespec now;
	char path[80];
	int fd;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(message->name, sizeof(message->name), "%lld.M%09ldP%ld",
	    (long long)now.tv_sec, now.tv_nsec, (long)getpid());
	snprintf(path, sizeof(path), "tmp/%s", message->name);
	message->size = 0;
	message->refusal = NULL;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	message->file = fdopen(fd, "w");
	if (message->file == NULL) {
		close(fd);
		unlink(path);
		return -1;
	}
	return 0;
}

static void
message_discard(struct message *message)
{
	char path[80];

	fclose(message->file);
	snprintf(path, sizeof(path), "tmp/%s", message->name);
	unlink(path);
}

/* A new name lasts when its directory has been written. */
static int
sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result;

	if (fd == -1)
		return -1;
	result = fsync(fd);
	close(fd);
	return result;
}

/* "250" is a promise: the message is on the disk when this returns 0. */
static int
message_keep(struct message *message)
{
	char from[80], to[80];

	snprintf(from, sizeof(from), "tmp/%s", message->name);
	snprintf(to, sizeof(to), "new/%s", message->name);
	if (fflush(message->file) == EOF || ferror(message->file) ||
	    fsync(fileno(message->file)) == -1 || rename(from, to) == -1) {
		complain(to);
		message_discard(message);
		return -1;
	}
	fclose(message->file);
	if (sync_directory("new") == -1) {
		complain("new");
		return -1;
	}
	return 0;
}

static const char *
protocol_name(const struct smtp *smtp)
{
	/* RFC 3848 */
	if (!smtp->is_extended)
		return "SMTP";
	return smtp->is_tls ? "ESMTPS" : "ESMTP";
}

static void
write_trace(const struct smtp *smtp, struct message *message)
{
	time_t now = time(NULL);
	char date[64];

	strftime(
	    date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", gmtime(&now));
	fprintf(message->file, "Return-Path: <%s>\n", smtp->sender);
	fprintf(message->file, "Received: from %s (%s)\n\tby %s with %s; %s\n",
	    smtp->helo, smtp->peer, smtp->host, protocol_name(smtp), date);
}

static void
write_line(struct message *message, const struct line *line)
{
	const char *text = line->text;
	size_t length = line->length;

	/* RFC 5321, 4.5.2: a leading point was doubled. */
	if (length > 0 && *text == '.') {
		text++;
		length--;
	}
	if (line->is_cut)
		message->refusal = "500 a line is longer than 1000 bytes";
	message->size += length + 2;
	if (message->size > MESSAGE_MAX)
		message->refusal = "552 the message is too big";
	if (message->refusal != NULL)
		return;
	fwrite(text, 1, length, message->file);
	fputc('\n', message->file);
}

/* Up to the line with the point: 0, or -1 when the connection is over. */
static int
read_message(struct smtp *smtp, struct message *message)
{
	struct line line;

	while (lines_read(&smtp->lines, &line)) {
		if (!line.ends_in_crlf ||
		    memchr(line.text, '\r', line.length) != NULL) {
			/* Nothing behind this has a meaning that is certain. */
			lines_put(&smtp->lines,
			    "554 CR and LF come together "
			    "only (RFC 5321, 2.3.8)\r\n");
			return -1;
		}
		if (line.length == 1 && line.text[0] == '.')
			return 0;
		write_line(message, &line);
	}
	return -1;
}

/* ---- what the client says ---- */

/* A name as HELO has it; it is shown in a header, so it is looked at. */
static bool
is_domain(const char *text)
{
	size_t length = strspn(text,
	    "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]");

	return length > 0 && length < DOMAIN_SIZE && text[length] == '\0';
}

/*
 * Takes "FROM:<path>" apart.  Returns what follows the path, or NULL when
 * this is none; printable ASCII without blanks is all a path may be here.
 */
static const char *
take_path(const char *text, const char *keyword, char path[PATH_SIZE])
{
	size_t length = 0;

	if (strncasecmp(text, keyword, strlen(keyword)) != 0)
		return NULL;
	text += strlen(keyword);
	text += strspn(text, " ");
	if (*text++ != '<')
		return NULL;
	while (text[length] > ' ' && text[length] < 127 &&
	    text[length] != '<' && text[length] != '>')
		length++;
	if (text[length] != '>' || length >= PATH_SIZE)
		return NULL;
	memcpy(path, text, length);
	path[length] = '\0';
	return text + length + 1;
}

/* The parameters of MAIL: NULL, or the reply that refuses them. */
static const char *
check_parameters(const char *text)
{
	size_t length;

	for (;;) {
		text += strspn(text, " ");
		length = strcspn(text, " ");
		if (length == 0)
			return NULL;
		if (strncasecmp(text, "SIZE=", 5) == 0) {
			if (strtoull(text + 5, NULL, 10) > MESSAGE_MAX)
				return "552 the message is too big";
		} else if (strncasecmp(text, "BODY=", 5) != 0)
			return "555 this parameter is not known here";
		text += length;
	}
}

static void
do_helo(struct smtp *smtp, const char *argument)
{
	if (!is_domain(argument)) {
		lines_put(&smtp->lines, "501 that is no host name\r\n");
		return;
	}
	reset_client(smtp);
	strcpy(smtp->helo, argument);
	lines_put(&smtp->lines, "250 %s\r\n", smtp->host);
}

static void
do_ehlo(struct smtp *smtp, const char *argument)
{
	if (!is_domain(argument)) {
		lines_put(&smtp->lines, "501 that is no host name\r\n");
		return;
	}
	reset_client(smtp);
	strcpy(smtp->helo, argument);
	smtp->is_extended = true;
	lines_put(&smtp->lines, "250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n",
	    smtp->host);
	if (ucspitls_is_offered())
		lines_put(&smtp->lines, "250-STARTTLS\r\n");
	lines_put(&smtp->lines, "250 SIZE %d\r\n", MESSAGE_MAX);
}

static void
do_starttls(struct smtp *smtp, const char *argument)
{
	if (*argument != '\0') {
		lines_put(&smtp->lines, "501 STARTTLS stands alone\r\n");
		return;
	}
	if (!ucspitls_is_offered()) {
		lines_put(&smtp->lines,
		    smtp->is_tls ? "503 this is TLS already\r\n"
				 : "502 no TLS here\r\n");
		return;
	}
	/* The answer goes out in plain text, before anybody speaks TLS. */
	lines_put(&smtp->lines, "220 go ahead\r\n");
	if (lines_flush(&smtp->lines) == -1 || ucspitls_request() == -1) {
		complain("cannot ask for TLS");
		smtp->is_over = true;
		return;
	}
	/* RFC 3207, 4.2: all that came in plain text is void. */
	lines_drop_input(&smtp->lines);
	reset_client(smtp);
	smtp->is_tls = true;
}

static void
do_mail(struct smtp *smtp, const char *argument)
{
	char sender[PATH_SIZE];
	const char *rest = take_path(argument, "FROM:", sender);
	const char *refusal;

	if (smtp->has_sender) {
		lines_put(&smtp->lines, "503 one sender, please\r\n");
		return;
	}
	refusal =
	    rest == NULL ? "501 MAIL FROM:<address>" : check_parameters(rest);
	if (refusal != NULL) {
		lines_put(&smtp->lines, "%s\r\n", refusal);
		return;
	}
	strcpy(smtp->sender, sender);
	smtp->has_sender = true;
	lines_put(&smtp->lines, "250 ok\r\n");
}

static void
do_rcpt(struct smtp *smtp, const char *argument)
{
	char recipient[PATH_SIZE];
	const char *rest = take_path(argument, "TO:", recipient);
	const char *reply = "250 ok\r\n";

	if (!smtp->has_sender)
		reply = "503 MAIL first\r\n";
	else if (rest == NULL || *recipient == '\0')
		reply = "501 RCPT TO:<address>\r\n";
	else if (*rest != '\0')
		reply = "555 this parameter is not known here\r\n";
	else if (smtp->recipients == RECIPIENTS_MAX)
		reply = "452 too many recipients\r\n";
	else
		smtp->recipients++;
	lines_put(&smtp->lines, "%s", reply);
}

/* After the point: is the message kept? */
static void
end_message(struct smtp *smtp, struct message *message)
{
	if (message->refusal != NULL) {
		message_discard(message);
		lines_put(&smtp->lines, "%s\r\n", message->refusal);
	} else if (message_keep(message) == -1)
		lines_put(&smtp->lines, "451 the message is not kept\r\n");
	else
		lines_put(&smtp->lines, "250 kept\r\n");
	reset_message(smtp);
}

static void
do_data(struct smtp *smtp, const char *argument)
{
	struct message message;

	if (*argument != '\0' || smtp->recipients == 0) {
		lines_put(&smtp->lines,
		    *argument != '\0' ? "501 DATA stands alone\r\n"
				      : "503 RCPT first\r\n");
		return;
	}
	if (message_open(&message) == -1) {
		complain("cannot create a file in tmp");
		lines_put(&smtp->lines, "451 cannot keep messages now\r\n");
		return;
	}
	lines_put(&smtp->lines, "354 end with a point\r\n");
	write_trace(smtp, &message);
	if (read_message(smtp, &message) == -1) {
		message_discard(&message);
		smtp->is_over = true;
	} else
		end_message(smtp, &message);
}

static void
do_rset(struct smtp *smtp, const char *argument)
{
	(void)argument;
	reset_message(smtp);
	lines_put(&smtp->lines, "250 ok\r\n");
}

static void
do_noop(struct smtp *smtp, const char *argument)
{
	(void)argument;
	lines_put(&smtp->lines, "250 ok\r\n");
}

static void
do_vrfy(struct smtp *smtp, const char *argument)
{
	(void)argument;
	lines_put(&smtp->lines, "252 try it\r\n");
}

static void
do_quit(struct smtp *smtp, const char *argument)
{
	(void)argument;
	lines_put(&smtp->lines, "221 %s\r\n", smtp->host);
	smtp->is_over = true;
}

static const struct command {
	const char *name;
	bool needs_helo;
	void (*run)(struct smtp *, const char *);
} commands[] = { { "HELO", false, do_helo }, { "EHLO", false, do_ehlo },
	{ "STARTTLS", true, do_starttls }, { "MAIL", true, do_mail },
	{ "RCPT", true, do_rcpt }, { "DATA", true, do_data },
	{ "RSET", false, do_rset }, { "NOOP", false, do_noop },
	{ "VRFY", false, do_vrfy }, { "QUIT", false, do_quit },
	{ NULL, false, NULL } };

static void
obey(struct smtp *smtp, char *text)
{
	const struct command *command = commands;
	char *argument = text + strcspn(text, " ");
	size_t length;

	if (*argument != '\0')
		*argument++ = '\0';
	argument += strspn(argument, " ");
	for (length = strlen(argument); length > 0; length--)
		if (argument[length - 1] != ' ')
			break;
	argument[length] = '\0';
	while (command->name != NULL && strcasecmp(command->name, text) != 0)
		command++;
	if (command->name == NULL)
		lines_put(&smtp->lines, "502 not known here\r\n");
	else if (command->needs_helo && smtp->helo[0] == '\0')
		lines_put(&smtp->lines, "503 EHLO first\r\n");
	else
		command->run(smtp, argument);
}

static void
serve(struct smtp *smtp)
{
	struct line line;

	lines_put(&smtp->lines, "220 %s ESMTP\r\n", smtp->host);
	while (!smtp->is_over && lines_read(&smtp->lines, &line)) {
		if (line.is_cut || line.length > COMMAND_MAX)
			lines_put(&smtp->lines, "500 line too long\r\n");
		else if (strlen(line.text) != line.length)
			lines_put(&smtp->lines, "500 a NUL is no text\r\n");
		else
			obey(smtp, line.text);
	}
	if (!smtp->is_over && errno == ETIMEDOUT)
		lines_put(&smtp->lines, "421 nothing to do\r\n");
	lines_flush(&smtp->lines);
}

static const char *
setting(const char *ssl_name, const char *tcp_name, const char *otherwise)
{
	const char *value = getenv(ssl_name);

	if (value == NULL)
		value = getenv(tcp_name);
	return value != NULL ? value : otherwise;
}

int
main(int argc, char **argv)
{
	struct smtp smtp = { 0 };

	if (argc != 2) {
		fprintf(stderr, "usage: smtp maildir\n");
		return 100;
	}
	smtp.host = setting("SSLLOCALHOST", "TCPLOCALHOST", "localhost");
	smtp.peer = setting("SSLREMOTEIP", "TCPREMOTEIP", "unknown");
	/* Started by sslserver and nothing to ask for: TLS has begun. */
	smtp.is_tls = getenv("SSLREMOTEIP") != NULL && !ucspitls_is_offered();
	lines_init(&smtp.lines, SILENCE_S);
	if (chdir(argv[1]) == -1 || access("tmp", W_OK) == -1 ||
	    access("new", W_OK) == -1) {
		complain(argv[1]);
		/* RFC 5321, 3.8: so that the client tries again later. */
		lines_put(
		    &smtp.lines, "421 %s has no mailbox now\r\n", smtp.host);
		lines_flush(&smtp.lines);
		return 111;
	}
	serve(&smtp);
	return 0;
}
