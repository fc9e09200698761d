/*
 * The main of a program that links libsslhandle.
 *
 * Runs with the rights of the start; what it calls server() in has those of
 * -u and -g.
 */
#include "cmd/framework.h"

#include <sslhandle.h>
#include <stddef.h>

#include "serve/worker.h"

int
main(int argc, char **argv)
{
	static const struct worker_code code = { .server = server };

	return framework_run(&code, NULL, argc, argv);
}
