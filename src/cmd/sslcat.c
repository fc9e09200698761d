/*
 * sslcat: what a server says, to descriptor 1.  See cmd/smallclient.c.
 */
#include "cmd/smallclient.h"

static int
print_server(const struct smallclient_task *task)
{
	return smallclient_carry(task, -1);
}

int
main(int argc, char **argv)
{
	static const struct smallclient sslcat = {
		.name = "sslcat",
		.does = "Connects to a TLS server and prints what it says.",
		.carry = print_server,
	};

	return smallclient_main(&sslcat, argc, argv);
}
