/*
 * fuzz_ident: a reply of whoever listens on port 113 of the client.
 *
 * A reply that is believed names the right ports and gives printable text
 * within its bounds.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "net/ident.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char info[IDENT_INFO_SIZE];
	size_t i;

	memset(info, 0x55, sizeof(info));
	if (ident_parse(info, (const char *)data, size, 6193, 23) == -1)
		return 0;
	assert(memmem(data, size, "6193", 4) != NULL);
	assert(memchr(info, '\0', sizeof(info)) != NULL);
	assert(info[0] != '\0' && info[0] != ' ');
	for (i = 0; info[i] != '\0'; i++)
		assert(info[i] >= ' ' && info[i] <= '~');
	return 0;
}
