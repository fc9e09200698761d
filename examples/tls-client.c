/*
 * A TLS client: standard input to the server, its answer to standard
 * output.  The certificate must be the host's; CAFILE and the like in the
 * environment say whom to trust, else the system does.
 *
 *   cc -o tls-client tls-client.c $(pkg-config --cflags --libs ucspissl)
 *   echo hello | ./tls-client localhost 4433
 */
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ucspissl.h>

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "tls-client: %s: %s\n", what, why);
	exit(111);
}

static int
connect_to(const char *host, const char *port)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all, *one;
	int fd = -1;

	if (getaddrinfo(host, port, &hints, &all) != 0)
		die(host, "no such host or port");
	for (one = all; one != NULL && fd == -1; one = one->ai_next) {
		fd = socket(one->ai_family, SOCK_STREAM, 0);
		if (fd != -1 &&
		    connect(fd, one->ai_addr, one->ai_addrlen) == -1) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(all);
	return fd;
}

int
main(int argc, char **argv)
{
	struct ucspissl_settings *settings = ucspissl_settings_new();
	struct ucspissl_conn *conn;
	enum ucspissl_status status;
	int fd, in = 0, out = 1;

	if (argc != 3 || settings == NULL)
		die("usage", "tls-client host port");
	signal(SIGPIPE, SIG_IGN);
	if (ucspissl_settings_environment(settings) == -1 ||
	    ucspissl_settings_load(settings, UCSPISSL_CLIENT) == -1)
		die("settings", ucspissl_settings_error(settings));
	if ((fd = connect_to(argv[1], argv[2])) == -1)
		die(argv[1], "unable to connect");
	if ((conn = ucspissl_conn_client(settings, fd, argv[1])) == NULL)
		die(argv[1], "no name, or no memory");
	while ((status = ucspissl_conn_handshake(conn)) != UCSPISSL_OK) {
		struct pollfd wait = { .fd = fd,
			.events =
			    status == UCSPISSL_WANT_READ ? POLLIN : POLLOUT };

		if (status > UCSPISSL_WANT_WRITE)
			die(argv[1], ucspissl_conn_reason(conn));
		poll(&wait, 1, -1);
	}
	fprintf(stderr, "%s\n", ucspissl_conn_protocol(conn));
	if (ucspissl_conn_relay(conn, &out, &in, 0, -1) != UCSPISSL_END_CLEAN)
		die(argv[1], ucspissl_conn_reason(conn));
	ucspissl_conn_free(conn);
	ucspissl_settings_free(settings);
	return 0;
}
