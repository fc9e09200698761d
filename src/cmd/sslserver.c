/*
 * sslserver: run a program for every TLS connection.
 *
 * A TLS process of its own for each, which serves nobody else.
 */
#include "cmd/options.h"
#include "cmd/servermain.h"

int
main(int argc, char **argv)
{
	static const char *const words[] = { "program", NULL };
	static const struct options_program program = { .name = "sslserver",
		.words = words };

	return servermain_run(&program, argc, argv);
}
