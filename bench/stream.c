/*
 * stream: what the servers run to measure bulk: bytes one way, as fast as
 * they go.
 *
 * A line says how: "give N" is answered by N bytes, "take N" is followed by
 * N bytes and answered by a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char bytes[64 * 1024];

static int
give(unsigned long long left)
{
	while (left > 0) {
		size_t len =
		    left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
		ssize_t n = write(1, bytes, len);

		if (n <= 0)
			return 1;
		left -= (unsigned long long)n;
	}
	return 0;
}

static int
take(unsigned long long left)
{
	static const char answer[] = "served\n";

	while (left > 0) {
		size_t len =
		    left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
		ssize_t n = read(0, bytes, len);

		if (n <= 0)
			return 1;
		left -= (unsigned long long)n;
	}
	return write(1, answer, sizeof(answer) - 1) ==
		(ssize_t)(sizeof(answer) - 1)
	    ? 0
	    : 1;
}

int
main(void)
{
	char line[64];
	size_t len = 0;

	/* Byte by byte: what follows the line belongs to take. */
	do
		if (len == sizeof(line) - 1 || read(0, line + len, 1) != 1)
			return 1;
	while (line[len++] != '\n');
	line[len] = '\0';
	if (strncmp(line, "give ", 5) == 0)
		return give(strtoull(line + 5, NULL, 10));
	if (strncmp(line, "take ", 5) == 0)
		return take(strtoull(line + 5, NULL, 10));
	return 1;
}
