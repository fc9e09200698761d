/*
 * ticketfile: the file of TICKETKEYS, as it changes.
 *
 * It is watched and copied like a rule file.  The copy goes to the cache;
 * master keeps its descriptor for the next one, and reads no byte of it.
 */
#ifndef SERVE_TICKETFILE_H
#define SERVE_TICKETFILE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

struct child;
struct master;

/* Begin: nothing has been looked at yet. */
void ticketfile_prepare(struct master *master);

/* Every RULEFILE_LOOK_MS; what is new goes to the cache. */
void ticketfile_look(struct master *master, int64_t now);

/* Its watcher has something to say. */
void ticketfile_hear(struct master *master);

/* Is there a sound copy, or none wanted?  Before that nobody is served. */
bool ticketfile_is_settled(const struct master *master);

/* The cache is ready: give it the keys, if there are any. */
void ticketfile_give(struct master *master, const struct child *cache);

/* Is pid its copier or watcher, now reaped? */
bool ticketfile_reaped(struct master *master, pid_t pid, int status);

#endif
