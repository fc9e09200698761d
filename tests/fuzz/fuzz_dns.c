/*
 * fuzz_dns: the answer of a DNS server, and names that want to be a host's.
 *
 * The first byte says what was asked.  Whatever is found has the bounds of
 * net/dnsmsg.h, and a name that passed the check for host names can do no
 * harm and passes it again unchanged.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/dnsmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_host_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	char host[DNSMSG_NAME_SIZE], again[DNSMSG_NAME_SIZE];
	size_t len;

	if (dnsmsg_host_name(host, name) == -1)
		return;
	len = strlen(host);
	assert(len > 0 && len <= 253);
	assert(strspn(host, allowed) == len);
	assert(host[0] != '.' && host[len - 1] != '.' && host[0] != '-');
	assert(strstr(host, "..") == NULL);
	assert(dnsmsg_host_name(again, host) == 0);
	assert(strcmp(host, again) == 0);
}

static void
check_names(const struct dnsmsg_answer *answer)
{
	size_t i;

	assert(answer->count > 0 && answer->count <= DNSMSG_NAMES_MAX);
	for (i = 0; i < answer->count; i++) {
		assert(memchr(answer->names[i], '\0', 254) != NULL);
		check_host_name(answer->names[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dnsmsg_answer answer;
	enum dnsmsg_type type;
	char *s;

	if (size == 0)
		return 0;
	type = data[0] % 3 == 0 ? DNSMSG_PTR
	    : data[0] % 3 == 1	? DNSMSG_A
				: DNSMSG_AAAA;
	if (dnsmsg_read(&answer, data + 1, size - 1,
		type == DNSMSG_PTR ? "4.3.2.1.in-addr.arpa" : "host.example",
		type) == DNSMSG_FOUND) {
		if (type == DNSMSG_PTR)
			check_names(&answer);
		else
			assert(answer.count <= DNSMSG_ADDRESSES_MAX);
	}
	s = malloc(size);
	if (s == NULL)
		return 0;
	memcpy(s, data + 1, size - 1);
	s[size - 1] = '\0';
	check_host_name(s);
	free(s);
	return 0;
}
