/*
 * Log lines.  Runs in the monitor and in master, which hold the sending
 * end of the logger's socket; neither ever waits for it.
 *
 * The forms are those of ucspi-ssl 0.12, which log analysers know; the
 * manual lists them.  Outside bytes pass text_printable first.
 */
#include "serve/events.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define LINE_SIZE 2048

void
events_init(struct events *events, const char *program, int fd,
    enum settings_verbosity verbosity)
{
	events->program = program;
	events->fd = fd;
	events->verbosity = verbosity;
	events->lost = 0;
}

static int
send_line(struct events *events, const char *line, size_t len)
{
	ssize_t sent;

	if (events->fd == -1)
		return -1;
	do
		sent = send(events->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	return sent == -1 ? -1 : 0;
}

static int
report_lost(struct events *events)
{
	char line[96];
	int len;

	len = snprintf(line, sizeof(line), "%s: warning: %lu log lines lost\n",
	    events->program, events->lost);
	if (send_line(events, line, (size_t)len) == -1)
		return -1;
	events->lost = 0;
	return 0;
}

__attribute__((format(printf, 2, 0))) static void
write_line(struct events *events, const char *format, va_list args)
{
	char line[LINE_SIZE];
	size_t used;
	int len;

	text_format(line, sizeof(line), "%s: ", events->program);
	used = strlen(line);
	len = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	if (len < 0)
		return;
	used += (size_t)len;
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	if (events->lost > 0 && report_lost(events) == -1)
		events->lost++;
	else if (send_line(events, line, used) == -1)
		events->lost++;
}

/* A line that is shown from this verbosity on. */
__attribute__((format(printf, 3, 4))) static void
say(struct events *events, enum settings_verbosity from, const char *format,
    ...)
{
	va_list args;

	if (events->verbosity < from)
		return;
	va_start(args, format);
	write_line(events, format, args);
	va_end(args);
}

static const char *
known(const char *text, char shown[TEXT_PRINTABLE_SIZE])
{
	return text == NULL ? "" : text_printable(shown, text, strlen(text));
}

void
events_status(struct events *events, size_t open, size_t limit, size_t per_ip)
{
	say(events, VERBOSITY_ALL, "status: %zu/%zu/%zu", open, limit, per_ip);
}

void
events_pid(struct events *events, pid_t pid, const struct ip *remote)
{
	char ip[IP_TEXT_SIZE];

	if (events->verbosity >= VERBOSITY_ALL)
		say(events, VERBOSITY_ALL, "pid %ld from %s", (long)pid,
		    ip_format(ip, remote));
}

/* `ok' and `deny': whom a line is about, from both ends. */
static void
say_client(struct events *events, const char *what, pid_t pid,
    const struct events_client *client, const char *suffix)
{
	char local[IP_TEXT_SIZE], remote[IP_TEXT_SIZE];
	char local_host[TEXT_PRINTABLE_SIZE], host[TEXT_PRINTABLE_SIZE];
	char info[TEXT_PRINTABLE_SIZE];

	if (events->verbosity < VERBOSITY_ALL)
		return;
	say(events, VERBOSITY_ALL, "%s %ld %s:%s:%u %s:%s:%s:%u%s", what,
	    (long)pid, known(client->local_host, local_host),
	    ip_format(local, &client->local->ip), client->local->port,
	    known(client->remote_host, host),
	    ip_format(remote, &client->remote->ip),
	    known(client->remote_info, info), client->remote->port, suffix);
}

void
events_ok(struct events *events, pid_t pid, pid_t session,
    const struct events_client *client)
{
	char suffix[32] = "";

	if (events->verbosity >= VERBOSITY_DETAILS && session != 0)
		text_format(
		    suffix, sizeof(suffix), " session %ld", (long)session);
	say_client(events, "ok", pid, client, suffix);
}

void
events_tls(
    struct events *events, pid_t pid, const char *protocol, const char *cipher)
{
	if (events->verbosity >= VERBOSITY_DETAILS)
		say(events, VERBOSITY_DETAILS, "tls %ld accept %s:%s",
		    (long)pid, protocol, cipher);
	else
		say(events, VERBOSITY_ALL, "tls %ld accept", (long)pid);
}

void
events_ended(struct events *events, pid_t pid, int wait_status)
{
	say(events, VERBOSITY_ALL, "ended by %ld status %d", (long)pid,
	    wait_status);
}

/* The end of the lines about a failed connection. */
static void
say_failure(struct events *events, const char *what, const struct ip *remote,
    pid_t pid, const char *reason, bool was_truncated)
{
	char ip[IP_TEXT_SIZE], shown[TEXT_PRINTABLE_SIZE];

	say(events, VERBOSITY_ERRORS, "%s: %s for pid: %ld %s%s", what,
	    ip_format(ip, remote), (long)pid,
	    text_printable(shown, reason, strlen(reason)),
	    was_truncated ? " truncated" : "");
}

void
events_unable_to_accept(struct events *events, const struct ip *remote,
    pid_t pid, const char *reason, bool was_truncated)
{
	say_failure(events, "fatal: (111) unable to accept TLS from", remote,
	    pid, reason, was_truncated);
}

void
events_unable_to_speak(struct events *events, const struct ip *remote,
    pid_t pid, const char *reason, bool was_truncated)
{
	say_failure(events, "error: (111) unable to speak TLS with", remote,
	    pid, reason, was_truncated);
}

void
events_valid_cert(struct events *events, const struct ip *remote, pid_t pid)
{
	char ip[IP_TEXT_SIZE];

	if (events->verbosity >= VERBOSITY_ALL)
		say(events, VERBOSITY_ALL,
		    "info: valid client cert received from: %s for pid: %ld",
		    ip_format(ip, remote), (long)pid);
}

void
events_no_cert(struct events *events, const struct ip *remote, pid_t pid)
{
	char ip[IP_TEXT_SIZE];

	say(events, VERBOSITY_ERRORS,
	    "error: (110) no client certificate from: %s for pid: %ld",
	    ip_format(ip, remote), (long)pid);
}

void
events_bad_cert(struct events *events, const struct ip *remote, pid_t pid,
    const char *reason)
{
	say_failure(events,
	    "error: (110) missing credentials (CA) or unable to validate "
	    "client certificate from",
	    remote, pid, reason, false);
}

void
events_bad_name(struct events *events, const struct ip *remote, pid_t pid,
    const char *host, const char *name)
{
	char ip[IP_TEXT_SIZE], shown_host[TEXT_PRINTABLE_SIZE];
	char shown[TEXT_PRINTABLE_SIZE];

	say(events, VERBOSITY_ERRORS,
	    "error: (110) client hostname does not match certificate for "
	    "pid: %ld %s <=> %s",
	    (long)pid,
	    host == NULL ? ip_format(ip, remote) : known(host, shown_host),
	    known(name, shown));
}

/* A path or word of the administrator's: printable, but whole. */
static const char *
shown_whole(char shown[LINE_SIZE / 2], const char *word)
{
	size_t i;

	for (i = 0; word[i] != '\0' && i < LINE_SIZE / 2 - 1; i++)
		shown[i] = word[i] < ' ' || word[i] > '~' ? '?' : word[i];
	shown[i] = '\0';
	return shown;
}

void
events_unable_to_run(
    struct events *events, const char *program, pid_t pid, const char *reason)
{
	char shown[LINE_SIZE / 2];

	say(events, VERBOSITY_ERRORS,
	    "fatal: (111) unable to run %s for pid: %ld %s",
	    shown_whole(shown, program), (long)pid, reason);
}

void
events_setting(
    struct events *events, const char *name, pid_t pid, const char *value)
{
	char shown[LINE_SIZE / 2];

	say(events, VERBOSITY_ALL, "%s %ld %s", name, (long)pid,
	    shown_whole(shown, value));
}

void
events_reloaded(struct events *events, unsigned long generation)
{
	say(events, VERBOSITY_ALL,
	    "info: certificates, keys and lists are loaded anew, "
	    "generation %lu",
	    generation);
}

__attribute__((format(printf, 3, 0))) static void
say_sentence(
    struct events *events, const char *kind, const char *format, va_list args)
{
	char sentence[LINE_SIZE - 64];

	vsnprintf(sentence, sizeof(sentence), format, args);
	text_clean(sentence);
	say(events, VERBOSITY_ERRORS, "%s %s", kind, sentence);
}

void
events_warning(struct events *events, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_sentence(events, "warning:", format, args);
	va_end(args);
}

void
events_error(struct events *events, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_sentence(events, "error: (111)", format, args);
	va_end(args);
}

void
events_fatal(struct events *events, const char *sentence)
{
	say(events, VERBOSITY_QUIET, "fatal: (111) %s", sentence);
}

void
events_report_lost(struct events *events)
{
	if (events->lost > 0)
		(void)report_lost(events);
}

void
events_deny(struct events *events, const struct events_client *client,
    const char *rule, size_t limit)
{
	char suffix[64 + TEXT_PRINTABLE_SIZE] = "", shown[TEXT_PRINTABLE_SIZE];
	size_t used = 0;

	if (rule != NULL && events->verbosity >= VERBOSITY_DETAILS) {
		text_format(suffix, sizeof(suffix), " rule %s",
		    text_printable(shown, rule, strlen(rule)));
		used = strlen(suffix);
	}
	/* At the end, where it always was. */
	if (limit > 0)
		text_format(suffix + used, sizeof(suffix) - used,
		    " ip connection limit:%zu exceeded", limit);
	say_client(events, "deny", 0, client, suffix);
}

void
events_rules(
    struct events *events, bool is_early, const char *path, size_t bytes)
{
	char shown[LINE_SIZE / 2];

	say(events, VERBOSITY_ALL, "%s %ld %s %zu",
	    is_early ? "earlyrules" : "rules", (long)getpid(),
	    shown_whole(shown, path), bytes);
}

void
events_limit(struct events *events, const struct ip *remote, size_t limit)
{
	char ip[IP_TEXT_SIZE];

	if (events->verbosity >= VERBOSITY_ERRORS)
		say(events, VERBOSITY_ERRORS,
		    "warning: ip connection limit of %zu exceeded for: %s",
		    limit, ip_format(ip, remote));
}

void
events_rules_unusable(struct events *events, const char *path, const char *ip)
{
	say(events, VERBOSITY_ERRORS,
	    "error: (110) rule file %s is unusable, connection refused from: "
	    "%s",
	    path, ip);
}
