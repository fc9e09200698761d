/*
 * nurseries: the monitor's ways to the processes of each generation.
 *
 * New sessions are of the newest generation; one that is has its nursery
 * and its keepers to the end.  See succession.h.
 */
#ifndef SERVE_NURSERIES_H
#define SERVE_NURSERIES_H

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct generation;
struct monitor;
struct msg;
struct msg_reader;

/* Make all channels, closed.  0, or -1: no memory. */
int nurseries_prepare(struct monitor *m);

/* Is there one that can make sessions now? */
bool nurseries_are_ready(const struct monitor *m);

/*
 * What master says of the generation of that number: the socket of its
 * nursery, with its pid, its profiles' digests and what they are made of as
 * the next fields (its descriptors become ours), which
 * makes it the newest unless there is a later one; that of a keeper (fd
 * becomes ours); and that it has left.
 */
void nurseries_take(
    struct monitor *m, uint64_t number, struct msg_reader *r, struct msg *msg);
void nurseries_take_keeper(
    struct monitor *m, uint64_t number, uint64_t keeper, int fd);
void nurseries_forget(struct monitor *m, uint64_t number);

/*
 * Have the newest nursery make the session that START describes: the
 * connection is of that generation from here on.  Takes the descriptors.
 * 0, or -1 with errno.
 */
int nurseries_start_session(
    struct monitor *m, struct connection *conn, const struct msg *start);

/*
 * There is no session, or no more.  When an old generation has lost its
 * last one, master is told.
 */
void nurseries_end_session(struct monitor *m, struct connection *conn);

/* The same of a session without a connection. */
void nurseries_drop_session(struct monitor *m, struct generation *generation);

/* chan_send to that nursery. */
int nurseries_send_to(
    struct monitor *m, struct generation *generation, const struct msg *msg);

/* chan_send to the nursery of the connection's session. */
int nurseries_send(
    struct monitor *m, const struct connection *conn, const struct msg *msg);

/* The pid of that nursery; 0: there is none. */
uint64_t nurseries_pid(const struct connection *conn);

/* As chan_is_held and chan_flush, for all of them. */
bool nurseries_are_held(const struct monitor *m);
void nurseries_flush(struct monitor *m);

#endif
