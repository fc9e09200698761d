/*
 * No sandbox.  Runs in every role as the last step before outside bytes.
 *
 * Identity, root directory, limits and no_new_privs (privs.c) hold without
 * it; what a sandbox adds is a small kernel.  An administrator who insists
 * on one says --require-sandbox and gets a refusal here instead of less
 * than was asked for.
 */
#include "serve/sandbox.h"

bool
sandbox_is_available(void)
{
	return false;
}

int
sandbox_enter(enum sandbox_role role)
{
	(void)role;
	return 0;
}
