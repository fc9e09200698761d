/*
 * program: what both servers run in a benchmark: read a line, answer it.
 *
 * Static and tiny, so that the figures are those of the server and of
 * accept, fork, exec and exit, and not of a dynamic linker.
 */
#include <string.h>
#include <unistd.h>

int
main(void)
{
	static const char answer[] = "served\n";
	char line[256];
	size_t len = 0;
	ssize_t got;

	do {
		got = read(0, line + len, sizeof(line) - len);
		if (got <= 0)
			return 1;
		len += (size_t)got;
	} while (memchr(line, '\n', len) == NULL && len < sizeof(line));
	return write(1, answer, sizeof(answer) - 1) ==
		(ssize_t)(sizeof(answer) - 1)
	    ? 0
	    : 1;
}
