/*
 * greet: a server made with libsslhandle, which asks for a name and greets.
 * usage: greet [options] host port [word]
 *
 *	cc -o greet greet.c $(pkg-config --cflags --libs sslhandle)
 *	CERTFILE=cert.pem KEYFILE=key.pem ./greet -v 127.0.0.1 4433 Hello
 *	openssl s_client -quiet -connect 127.0.0.1:4433
 *
 * server() is called for one client after another, in children that are
 * ready before anybody comes.
 */
#include <sslhandle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a client says is shown to that client alone, and printable. */
static void
clean(char *line)
{
	for (; *line != '\0'; line++)
		if (*line < ' ' || *line > '~')
			*line = '?';
}

static const char *
value_of(const char *name)
{
	const char *value = getenv(name);

	return value == NULL ? "unknown" : value;
}

void
server(int argc, char *const *argv)
{
	static unsigned long clients; /* of this child: it is not put back */
	char name[80];

	clients++;
	printf("Who are you?\r\n");
	fflush(stdout);
	if (fgets(name, sizeof(name), stdin) == NULL)
		return;
	name[strcspn(name, "\r\n")] = '\0';
	clean(name);
	printf("%s, %s at %s!\r\n", argc > 0 ? argv[0] : "Good day", name,
	    value_of("SSLREMOTEIP"));
	printf("You are number %lu here.\r\n", clients);
}
