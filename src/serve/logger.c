/*
 * The logger: lines in, descriptor 2 out.
 *
 * A process of its own because descriptor 2 may block for as long as its
 * reader likes, and the monitor must not.  Runs as the monitor's user
 * without rights; trusts that monitor and master made the lines.  It ends
 * last: when nobody is left who could have something to say.
 */
#include "serve/logger.h"

#include <sys/socket.h>
#include <sys/types.h>

#include <errno.h>

#include "base/fd.h"

void
logger_run(int work_fd)
{
	char line[4096];
	ssize_t len;

	for (;;) {
		len = recv(work_fd, line, sizeof(line), 0);
		if (len == -1 && errno == EINTR)
			continue;
		if (len <= 0)
			return;
		/* A reader that is gone is no reason to stop listening. */
		fd_write_all(2, line, (size_t)len);
	}
}
