/*
 * A TLS server on 127.0.0.1 that runs a program for each connection.
 * sslserver does this better, with the key out of reach.
 *   cc -o tls-server tls-server.c $(pkg-config --cflags --libs ucspissl)
 *   CERTFILE=cert.pem KEYFILE=key.pem ./tls-server 4433 /usr/bin/env
 */
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ucspissl.h>

extern char **environ;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "tls-server: %s: %s\n", what, why);
	_exit(111);
}

static void
serve(struct ucspissl_settings *settings, int fd, char **program)
{
	struct ucspissl_conn *conn = ucspissl_conn_server(settings, fd, NULL);
	struct pollfd wait = { .fd = fd };
	enum ucspissl_status status;
	int in[2], out[2];

	if (conn == NULL || pipe(in) == -1 || pipe(out) == -1)
		die("connection", "no memory, or no pipe");
	while ((status = ucspissl_conn_handshake(conn)) != UCSPISSL_OK) {
		wait.events = status == UCSPISSL_WANT_READ ? POLLIN : POLLOUT;
		if (status > UCSPISSL_WANT_WRITE || poll(&wait, 1, 26000) == 0)
			die("handshake", ucspissl_conn_reason(conn));
	}
	if (fork() == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		for (int i = 3; i <= out[1]; i++)
			close(i);
		environ = ucspissl_conn_environment(conn, environ);
		execv(program[0], program);
		die(program[0], "unable to run");
	}
	close(in[0]);
	close(out[1]);
	if (ucspissl_conn_relay(conn, &in[1], &out[0], 3600000, -1) !=
	    UCSPISSL_END_CLEAN)
		die("connection", ucspissl_conn_reason(conn));
	_exit(0);
}

int
main(int argc, char **argv)
{
	struct ucspissl_settings *settings = ucspissl_settings_new();
	struct sockaddr_in here = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), client;

	if (argc < 3 || settings == NULL)
		die("usage", "tls-server port program");
	ucspissl_settings_environment(settings);
	if (ucspissl_settings_load(settings, UCSPISSL_SERVER) == -1)
		die("settings", ucspissl_settings_error(settings));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	here.sin_port = htons((unsigned short)atoi(argv[1]));
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) == -1 ||
	    listen(fd, 20) == -1)
		die(argv[1], "unable to listen");
	for (;; close(client))
		if ((client = accept(fd, NULL, NULL)) != -1 && fork() == 0)
			serve(settings, client, argv + 2);
}
