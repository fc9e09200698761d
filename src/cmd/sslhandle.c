/*
 * sslhandle: run a program for every TLS connection, from a pool of ready
 * TLS processes.
 *
 * The same server as sslserver; only a TLS process serves one client after
 * another, which is cheaper and keeps them less apart.
 */
#include "cmd/options.h"
#include "cmd/servermain.h"

int
main(int argc, char **argv)
{
	static const char *const words[] = { "program", NULL };
	static const struct options_program program = {
		.name = "sslhandle", .is_pooled = true, .words = words
	};

	return servermain_run(&program, argc, argv);
}
