/*
 * generation: certificates, keys and lists as they were at one time, with
 * the keepers and the nursery that hold them; and how a new one takes over.
 *
 * Master starts one beside the newest, and gives its work sockets to the
 * monitor when all of it is ready; one that does not come up changes
 * nothing but a log line.  The one before stays for its sessions, and its
 * keepers for as long as a handshake may take.  Nobody here ever waits.
 */
#ifndef SERVE_GENERATION_H
#define SERVE_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct child;
struct master;

/*
 * How many role processes there may be at once, in all generations; and the
 * descriptors of one.
 */
size_t generation_children(size_t keepers);
size_t generation_descriptors(size_t keepers);

/* Give the slots of children[] from here on to generations; none is begun. */
void generation_prepare(struct master *master, struct child *children);

/*
 * Load everything anew.  If a generation is coming up, or if there is no
 * room for one, another follows as soon as there can be one; what was asked
 * for meanwhile is asked for once.
 */
void generation_start(struct master *master);

/* Begin what is due; to be called in every turn of the loop. */
void generation_turn(struct master *master, int64_t now);

/* When generation_turn has something to do by itself. */
int64_t generation_deadline(const struct master *master);

/* May this role of a generation be started, or started again? */
bool generation_wants(const struct master *master, const struct child *child);

/* Does it serve already, so that its roles get work sockets? */
bool generation_serves(const struct child *child);

/* Is it coming up beside one that serves?  Then what fails is not fatal. */
bool generation_is_coming(
    const struct master *master, const struct child *child);

/* One of its roles is ready.  If all are, it becomes the newest. */
void generation_role_is_ready(struct master *master, struct child *child);

/*
 * It cannot come up: a line says why, with what stays in force.  may_pass:
 * the reason is no file, so it is tried again later.
 */
void generation_fail(struct master *master, const struct child *child,
    const char *sentence, bool may_pass);

/* A keeper of the newest one has found other files than the first did. */
void generation_is_outdated(struct master *master, struct child *keeper);

/* A role of one has been reaped, and its slot emptied. */
void generation_role_died(struct master *master, const struct child *child);

/* The monitor says that the one of that number has no session any more. */
void generation_is_spent(struct master *master, uint64_t number);

/* The monitor is gone, and with it every session of whatever generation. */
void generation_lost_monitor(struct master *master);

/* The server stops: no other generation will come. */
void generation_stop(struct master *master);

#endif
