/*
 * UCSPI-TLS, the program's side: the whole of what a program needs that
 * wants TLS in the middle of a connection (STARTTLS, STLS).  Copy it.
 *
 * It trusts its environment: the numbers come from sslserver, which removes
 * inherited variables of these names.  Nothing here knows anything of TLS.
 */
#include "ucspitls.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* The descriptor number that a variable holds, or -1. */
static int
fd_of(const char *name)
{
	const char *value = getenv(name);
	char *end;
	long number;

	if (value == NULL || *value < '0' || *value > '9')
		return -1;
	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || *end != '\0' || number < 3 || number > 65535)
		return -1;
	return (int)number;
}

bool
ucspitls_is_offered(void)
{
	return fd_of("SSLCTLFD") != -1 && fd_of("SSLREADFD") != -1 &&
	    fd_of("SSLWRITEFD") != -1;
}

static int
write_byte(int fd, char byte)
{
	ssize_t written;

	do
		written = write(fd, &byte, 1);
	while (written == -1 && errno == EINTR);
	return written == 1 ? 0 : -1;
}

int
ucspitls_request(void)
{
	int control_fd = fd_of("SSLCTLFD");
	int read_fd = fd_of("SSLREADFD");
	int write_fd = fd_of("SSLWRITEFD");

	if (!ucspitls_is_offered()) {
		errno = ENOTCONN;
		return -1;
	}
	if (write_byte(control_fd, 'y') == -1 || dup2(read_fd, 0) == -1 ||
	    dup2(write_fd, 1) == -1)
		return -1;
	/* A copy left open would keep the client waiting for its end. */
	close(control_fd);
	close(read_fd);
	close(write_fd);
	unsetenv("SSLCTLFD");
	unsetenv("SSLREADFD");
	unsetenv("SSLWRITEFD");
	return 0;
}
