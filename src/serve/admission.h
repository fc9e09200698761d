/*
 * admission: who gets a session, and under which rule.
 *
 * Order: limits of the start, early rules by address, names and IDENT,
 * rules, limits of the rule.  Whoever is refused has cost no process.
 */
#ifndef SERVE_ADMISSION_H
#define SERVE_ADMISSION_H

#include <stdbool.h>

#include "net/ip.h"

struct connection;
struct monitor;
struct msg;

/* Begin: nobody waits. */
void admission_prepare(struct monitor *m);

/*
 * Which profile has a connection whose rules have been taken?  0 and
 * conn->profile, or -1: none of the newest generation.
 */
int admission_find_profile(const struct monitor *m, struct connection *conn);

/* RULES from master: a new table, or that there is none. */
void admission_take_rules(struct monitor *m, const struct msg *msg, int fd);

/*
 * A client has been accepted.  client_fd is taken over: closed, kept until
 * the names are known, or handed to monitor_admit.  Returns whether the client
 * was not refused at once.
 */
bool admission_begin(
    struct monitor *m, int client_fd, const struct ip_endpoint *remote);

/* NAMES of the resolver for a connection that asked; others are ignored. */
void admission_take_names(
    struct monitor *m, struct connection *conn, const struct msg *msg);

/* Nobody will tell its names any more: they are unknown. */
void admission_without_names(struct monitor *m, struct connection *conn);

/* The deadline of a connection in LOOKUP is over. */
void admission_deadline(struct monitor *m, struct connection *conn);

/* A connection in LOOKUP ends before it was admitted.  Releases it. */
void admission_cancel(struct monitor *m, struct connection *conn);

#endif
