/*
 * sslprint: a TLS server that tells each client its environment.
 *
 * The smallest program of the framework; it shows what others find.  Runs as
 * -u and -g, and reads nothing of what the client sends.
 */
#include <sslhandle.h>
#include <stdio.h>

extern char **environ;

void
server(int argc, char *const *argv)
{
	char **variable;

	(void)argc;
	(void)argv;
	for (variable = environ; *variable != NULL; variable++)
		puts(*variable);
}
