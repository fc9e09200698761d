/*
 * lookup: nanoseconds of a look-up in a rule table.
 *
 * usage: lookup rules.cdb 4|6 COUNT
 *
 * Clients have random addresses of one family and a host name, so that
 * nearly none is in the table and every step of the look-up is taken: the
 * longest way there is.  Prints processor time per look-up.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/fd.h"
#include "rules/rules.h"

#define CLIENTS 4096

static unsigned char clients[CLIENTS][16];

static void
make_clients(int is_v4)
{
	uint32_t seed = 7;
	size_t i, k;

	for (i = 0; i < CLIENTS; i++) {
		for (k = 0; k < 16; k++) {
			seed = seed * 1664525 + 1013904223;
			clients[i][k] = (unsigned char)(seed >> 24);
		}
		if (is_v4) {
			memset(clients[i], 0, 10);
			memset(clients[i] + 10, 0xff, 2);
		}
	}
}

static double
nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static unsigned char *
read_table(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char *table;
	struct stat status;

	if (fd == -1 || fstat(fd, &status) == -1)
		return NULL;
	*len = (size_t)status.st_size;
	table = malloc(*len + 1);
	if (table != NULL && fd_read_all(fd, table, *len) == -1)
		return NULL;
	return table;
}

int
main(int argc, char **argv)
{
	struct rules_client client = { .host = "mail.example.com" };
	struct rules_verdict verdict;
	unsigned long count, i, found = 0;
	unsigned char *table;
	double start;
	size_t len;

	if (argc != 4)
		return 100;
	table = read_table(argv[1], &len);
	if (table == NULL || rules_check(table, len) == -1)
		return 111;
	count = strtoul(argv[3], NULL, 10);
	make_clients(argv[2][0] == '4');
	start = nanoseconds();
	for (i = 0; i < count; i++) {
		client.ip = clients[i % CLIENTS];
		if (rules_decide(&verdict, table, len, &client) == -1)
			return 111;
		found += verdict.is_found;
	}
	printf("%.0f %lu\n", (nanoseconds() - start) / (double)count, found);
	return 0;
}
