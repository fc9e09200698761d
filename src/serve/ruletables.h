/*
 * ruletables: master's rule files and resolver settings, as they change.
 */
#ifndef SERVE_RULETABLES_H
#define SERVE_RULETABLES_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

struct generation;
struct master;

/* Begin: nothing has been looked at yet. */
void ruletables_prepare(struct master *master);

/* Look at the files, if it is time; what is new goes to those who use it. */
void ruletables_look(struct master *master);

/*
 * Look at them at once and take each as if it had changed; a line about one
 * that cannot be used comes again.
 */
void ruletables_reload(struct master *master);

/* The watcher of rule file which, below RULE_FILES, has something to say. */
void ruletables_hear(struct master *master, size_t which);

/*
 * Is every rule file known, be it sound or not, and a list of ticket keys
 * sound?  Then a monitor may start.
 */
bool ruletables_are_settled(const struct master *master);

/*
 * All tables are settled and a generation begins: what they say of TLS is
 * what its profiles are made of.  0, or -1: no descriptor for it.
 */
int ruletables_give_lists(struct master *master, struct generation *generation);

/*
 * It is the newest now: a table that says something else is to start
 * another one.  false: one does so already.
 */
bool ruletables_lists_are_in_force(
    struct master *master, const struct generation *generation);

/* Tell a new monitor all there is. */
void ruletables_tell(struct master *master);

/* Is pid a copier or a watcher, now reaped? */
bool ruletables_reaped(struct master *master, pid_t pid, int status);

#endif
