/*
 * handover: how each keeper comes by the pass phrase of -3.
 *
 * The first one gets descriptor 3, every other a socket to a keeper that
 * has it.  Without -3 all of this is always possible and does nothing.
 */
#ifndef SERVE_HANDOVER_H
#define SERVE_HANDOVER_H

#include <stdbool.h>

#include "serve/roleconfig.h"

struct child;
struct master;

/* Could a keeper that is started now have the phrase? */
bool handover_is_possible(const struct master *master);

/*
 * Choose how a keeper that has been started gets it: *how, for its CONFIG,
 * and the descriptor to go with it in *fd, which is the caller's (-1: none
 * is needed).  A keeper that is asked is told here.  0, or -1: nobody
 * could be asked.
 */
int handover_begin(struct master *master, enum role_phrase *how, int *fd);

/*
 * After a keeper has died while the server serves: when none is left the
 * phrase is lost.  Then a line says so, and the server must stop.
 */
void handover_check(struct master *master);

#endif
