/*
 * events: every line of the log, made from typed arguments.
 *
 * One event, one line, one message to the logger.  Sending never blocks:
 * when the logger is slow or gone the line is counted, and the next one
 * that gets through is preceded by the number lost.
 */
#ifndef SERVE_EVENTS_H
#define SERVE_EVENTS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "net/ip.h"
#include "serve/settings.h"

struct events {
	const char *program; /* each line begins with its name */
	int fd;		     /* to the logger; -1: count only */
	enum settings_verbosity verbosity;
	unsigned long lost;
};

/* What the fields of `ok' and `deny' name. */
struct events_client {
	const char *local_host; /* NULL: unknown */
	const struct ip_endpoint *local, *remote;
	const char *remote_host; /* NULL: unknown */
	const char *remote_info; /* NULL: unknown */
};

/*
 * Write to fd (which stays the caller's) lines of that program, whose name
 * must stay, up to this verbosity.
 */
void events_init(struct events *events, const char *program, int fd,
    enum settings_verbosity verbosity);

void events_status(
    struct events *events, size_t open, size_t limit, size_t per_ip);
void events_pid(struct events *events, pid_t pid, const struct ip *remote);
/* session 0: there is none yet. */
void events_ok(struct events *events, pid_t pid, pid_t session,
    const struct events_client *client);
/*
 * limit 0: by a rule; else by that limit of a rule.  -V shows the rule; NULL:
 * there is none that decided.
 */
void events_deny(struct events *events, const struct events_client *client,
    const char *rule, size_t limit);

/* This process has a table of so many bytes in force; is_early: that of -y. */
void events_rules(
    struct events *events, bool is_early, const char *path, size_t bytes);

/* Over the limit at accept. */
void events_limit(struct events *events, const struct ip *remote, size_t limit);

/* No table to decide by: refused. */
void events_rules_unusable(
    struct events *events, const char *path, const char *ip);

void events_tls(
    struct events *events, pid_t pid, const char *protocol, const char *cipher);
void events_ended(struct events *events, pid_t pid, int wait_status);

/* About clients' certificates; reason and name are shown printable. */
void events_valid_cert(
    struct events *events, const struct ip *remote, pid_t pid);
void events_no_cert(struct events *events, const struct ip *remote, pid_t pid);
void events_bad_cert(struct events *events, const struct ip *remote, pid_t pid,
    const char *reason);
/* host NULL: unknown, its address stands there. */
void events_bad_name(struct events *events, const struct ip *remote, pid_t pid,
    const char *host, const char *name);

/* REASON is shown printable; was_truncated adds the word. */
void events_unable_to_accept(struct events *events, const struct ip *remote,
    pid_t pid, const char *reason, bool was_truncated);
void events_unable_to_speak(struct events *events, const struct ip *remote,
    pid_t pid, const char *reason, bool was_truncated);
void events_unable_to_run(
    struct events *events, const char *program, pid_t pid, const char *reason);

/* `PROGRAM: NAME PID VALUE' of a file or setting in use. */
void events_setting(
    struct events *events, const char *name, pid_t pid, const char *value);

/* Certificates, keys and lists of that generation are in force. */
void events_reloaded(struct events *events, unsigned long generation);

/* A warning or error about ourselves, in one sentence. */
void events_warning(struct events *events, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void events_error(struct events *events, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Why the server ends; shown at any verbosity. */
void events_fatal(struct events *events, const char *sentence);

/* Say now how many lines were lost, if any: the next line may not come. */
void events_report_lost(struct events *events);

#endif
