/*
 * UCSPI-TLS, the side that offers TLS to a program.
 *
 * Runs in programs of others that do what sslserver -n does.  The client's
 * socket is the program's as 0 and 1 and is nothing of this: whoever offers
 * must not read it before the program has asked, or what was sent in plain
 * text could surface inside TLS.
 */
#include "lib/offer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/text.h"
#include "lib/connection.h"

static const char *const names[] = { "SSLCTLFD", "SSLREADFD", "SSLWRITEFD" };

enum { CONTROL, READ, WRITE, ENDS };

void
ucspissl_offer_keep(struct ucspissl_offer *offer)
{
	int i;

	for (i = 0; i < ENDS; i++)
		fd_close(&offer->theirs[i]);
}

static void
close_ours(struct ucspissl_offer *offer)
{
	fd_close(&offer->control_fd);
	fd_close(&offer->program_in);
	fd_close(&offer->program_out);
}

void
ucspissl_offer_close(struct ucspissl_offer *offer)
{
	close_ours(offer);
	ucspissl_offer_keep(offer);
}

int
ucspissl_offer_open(struct ucspissl_offer *offer)
{
	int control[2] = { -1, -1 }, in[2] = { -1, -1 }, out[2] = { -1, -1 };
	int r;

	r = fd_stream_pair(control) == 0 && fd_pipe(in) == 0 &&
		fd_pipe(out) == 0
	    ? 0
	    : -1;
	*offer = (struct ucspissl_offer){ .control_fd = control[0],
		.program_in = in[1],
		.program_out = out[0],
		.theirs = { control[1], in[0], out[1] } };
	if (r == -1)
		ucspissl_offer_close(offer);
	return r;
}

/* Clear of 0, 1 and 2, which the program has for something else. */
static int
raise_end(int *fd)
{
	int above;

	if (*fd > 2)
		return 0;
	above = fd_dup_above(*fd, 3);
	if (above == -1)
		return -1;
	fd_close(fd);
	*fd = above;
	return 0;
}

int
ucspissl_offer_enter(struct ucspissl_offer *offer)
{
	char number[16];
	int i;

	close_ours(offer);
	for (i = 0; i < ENDS; i++) {
		if (raise_end(&offer->theirs[i]) == -1 ||
		    fd_inherit(offer->theirs[i]) == -1)
			return -1;
		text_format(number, sizeof(number), "%d", offer->theirs[i]);
		if (setenv(names[i], number, 1) == -1)
			return -1;
	}
	return 0;
}

enum ucspissl_wish
ucspissl_offer_wish(const struct ucspissl_offer *offer)
{
	char byte;
	ssize_t n;

	do
		n = recv(offer->control_fd, &byte, 1, MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return UCSPISSL_WISH_NONE;
	if (n == 0)
		return UCSPISSL_WISH_PLAIN;
	if (n == 1 && byte == 'y')
		return UCSPISSL_WISH_TLS;
	return n == 1 && byte == 'Y' ? UCSPISSL_WISH_TLS_FACTS
				     : UCSPISSL_WISH_BAD;
}

int
ucspissl_offer_facts(
    const struct ucspissl_offer *offer, const struct ucspissl_conn *conn)
{
	size_t len, sent = 0;
	char *block = connection_block(conn, &len);
	ssize_t n = 0;

	if (block == NULL) {
		errno = ENOMEM;
		return -1;
	}
	while (sent < len && n != -1) {
		/* A program that has gone is an error, no signal. */
		n = send(
		    offer->control_fd, block + sent, len - sent, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			n = 0;
		if (n > 0)
			sent += (size_t)n;
	}
	free(block);
	return n == -1 ? -1 : 0;
}
