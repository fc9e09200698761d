/*
 * A program as s/qmail's are: it includes ucspissl.h by its old name, has a
 * stralloc of its own whose memory is no malloc's, and functions that are
 * called as some of ours.  Prints what the test compares.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stralloc.h"
#include "ucspissl.h"

static char memory[65536];

int
stralloc_ready(stralloc *to, unsigned int room)
{
	if (room > sizeof(memory) || (to->s != NULL && to->s != memory))
		return 0;
	to->s = memory;
	to->a = sizeof(memory);
	return 1;
}

/* Ours have these, too: whoever shows them to the linker breaks this. */
int
buf_append(void)
{
	return 1;
}

int
fd_close(void)
{
	return 2;
}

static int
handshake(SSL *server, SSL *client)
{
	int i, s = 0, c = 0;

	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (i = 0; i < 10 && (s != 1 || c != 1); i++) {
		if (c != 1)
			c = SSL_do_handshake(client);
		if (s != 1)
			s = SSL_do_handshake(server);
	}
	return s == 1 && c == 1;
}

int
main(int argc, char **argv)
{
	SSL_CTX *ctx[2] = { ssl_server(), ssl_client() };
	stralloc env = { 0 };
	SSL *ssl[2];
	int fds[2];

	if (argc != 3 || ssl_certkey(ctx[0], argv[1], argv[2], 0) != 0 ||
	    !ssl_ca(ctx[1], argv[1], 0, 1) || !ssl_params_rsa(ctx[0], 2048) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		return 1;
	ssl[0] = ssl_new(ctx[0], fds[0]);
	ssl[1] = ssl_new(ctx[1], fds[1]);
	if (!handshake(ssl[0], ssl[1]) || !ssl_server_env(ssl[0], &env))
		return 2;
	printf("%s %d %d %d\n", env.s, ssl_verify(ssl[1], "localhost", 0),
	    ssl_verify(ssl[1], "elsewhere", 0), buf_append() + fd_close());
	printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
	return env.s == memory ? 0 : 3;
}
