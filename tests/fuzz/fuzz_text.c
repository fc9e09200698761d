/*
 * fuzz_text: what users and clients can write: numbers, lists, addresses,
 * and bytes that are to be shown in a log line.
 *
 * The asserts are the contracts of base/text.h and net/ip.h: a number that
 * was read is the text's, a shown text is harmless, an address that was read
 * survives being written and read again.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_number(const char *s)
{
	unsigned long value = 77;
	char again[32];

	if (text_number(s, 0, 65535, &value) == -1) {
		assert(value == 77);
		return;
	}
	assert(value <= 65535);
	snprintf(again, sizeof(again), "%lu", value);
	assert(strcmp(again, s + strspn(s, "0")) == 0 || value == 0);
}

static void
check_printable(const uint8_t *data, size_t size)
{
	char text[TEXT_PRINTABLE_SIZE];
	size_t i;

	assert(text_printable(text, data, size) == text);
	assert(strlen(text) < sizeof(text));
	for (i = 0; text[i] != '\0'; i++)
		assert(text[i] >= ' ' && text[i] < 0x7f && text[i] != '%');
}

static void
check_pieces(const char *s)
{
	const char *rest = s, *piece;
	size_t len, sum = 0, count = 0;

	while ((piece = text_piece(&rest, ':', &len)) != NULL) {
		assert(memchr(piece, ':', len) == NULL);
		sum += len;
		count++;
	}
	assert(count == 0 || sum + count - 1 <= strlen(s));
}

static void
check_address(const char *s)
{
	char text[IP_TEXT_SIZE];
	struct ip ip, again;

	if (ip_parse(s, &ip) == -1)
		return;
	assert(ip_parse(ip_format(text, &ip), &again) == 0);
	assert(ip_equal(&ip, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = malloc(size + 1);

	if (s == NULL)
		return 0;
	memcpy(s, data, size);
	s[size] = '\0';
	check_number(s);
	check_printable(data, size);
	check_pieces(s);
	check_address(s);
	free(s);
	return 0;
}
