/*
 * sandbox: the system's own cage around a role, entered last of all.
 *
 * One file per system implements it.  sandbox_none.c is the one for
 * systems without, and for this version everywhere.
 */
#ifndef SERVE_SANDBOX_H
#define SERVE_SANDBOX_H

#include <stdbool.h>

enum sandbox_role {
	SANDBOX_MONITOR,
	SANDBOX_KEEPER,
	SANDBOX_NURSERY, /* inherited by sessions */
	SANDBOX_CLIENT,	 /* the TLS process of sslclient */
	SANDBOX_RESOLVER,
	SANDBOX_LOGGER,
	SANDBOX_CACHE
};

/* Can this build confine roles on this system? */
bool sandbox_is_available(void);

/*
 * Confine the calling process, which has dropped its rights and opened
 * what it needs.  0, or -1 with errno: the caller must exit.  Without a
 * sandbox it returns 0.
 */
int sandbox_enter(enum sandbox_role role);

#endif
