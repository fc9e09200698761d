/*
 * sslconnect: a talk with a server that speaks in lines.  See
 * cmd/smallclient.c.
 */
#include "cmd/smallclient.h"

static int
talk(const struct smallclient_task *task)
{
	return smallclient_carry(task, 0);
}

int
main(int argc, char **argv)
{
	static const struct smallclient sslconnect = {
		.name = "sslconnect",
		.does = "Connects to a TLS server, prints what it says, and "
			"sends it descriptor 0,\nwith CR LF at the end of each "
			"line.",
		.carry = talk,
	};

	return smallclient_main(&sslconnect, argc, argv);
}
