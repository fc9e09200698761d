/*
 * rulekey: how an address is spelled in a rule table.
 *
 * Used by tcprules, which writes the keys, and by the look-up in monitor
 * and tcprulescheck, which must come to the same bytes; no privileges, no
 * trust needed, as the input is 16 bytes of any value.  The spelling is that
 * of the tools in use, including the two of prefixes, which differ: a 1 bit
 * of IPv4 is the letter of its position, one of IPv6 counts the 1 bits
 * before it.
 */
#include "rules/rulekey.h"

#include <string.h>

#include <arpa/inet.h>

#include "base/text.h"

#define V4_AT 12 /* where the four bytes of IPv4 begin */

bool
rulekey_is_v4(const unsigned char ip[16])
{
	static const unsigned char mapped[V4_AT] = { [10] = 0xff, [11] = 0xff };

	return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

static size_t
put_decimal(char *key, unsigned number)
{
	size_t len = 0;

	if (number >= 100)
		key[len++] = (char)('0' + number / 100);
	if (number >= 10)
		key[len++] = (char)('0' + number / 10 % 10);
	key[len++] = (char)('0' + number % 10);
	return len;
}

size_t
rulekey_address(char key[RULEKEY_SIZE], const unsigned char ip[16], bool is_v4)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = 0;
	int i;

	if (is_v4) {
		for (i = V4_AT; i < 16; i++) {
			if (i > V4_AT)
				key[len++] = '.';
			len += put_decimal(key + len, ip[i]);
		}
		return len;
	}
	for (i = 0; i < 16; i++) {
		if (i > 0 && i % 2 == 0)
			key[len++] = ':';
		key[len++] = hex[ip[i] >> 4];
		key[len++] = hex[ip[i] & 15];
	}
	return len;
}

size_t
rulekey_prefix(char key[RULEKEY_SIZE], const unsigned char ip[16], bool is_v4,
    unsigned bits)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz123456";
	const unsigned char *from = is_v4 ? ip + V4_AT : ip;
	unsigned ones = 0;
	unsigned i;

	key[0] = is_v4 ? '_' : '^';
	for (i = 0; i < bits; i++) {
		if ((from[i / 8] & 0x80 >> i % 8) == 0)
			key[1 + i] = '0';
		else
			key[1 + i] = is_v4 ? letters[i] : (char)('`' + ones++);
	}
	return 1 + (size_t)bits;
}

static int
hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Eight groups of four digits.  0 or -1. */
static int
read_groups(unsigned char ip[16], const unsigned char *key, size_t len)
{
	size_t i, at = 0;
	int high, low;

	if (len != 39)
		return -1;
	for (i = 0; i < 16; i++, at += 2) {
		if (i > 0 && i % 2 == 0 && key[at++] != ':')
			return -1;
		high = hex_digit(key[at]);
		low = hex_digit(key[at + 1]);
		if (high == -1 || low == -1)
			return -1;
		ip[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}

/* A character per bit.  0, or -1: it is not what rulekey_prefix makes. */
static int
read_bits(unsigned char ip[16], const unsigned char *key, size_t len)
{
	char again[RULEKEY_SIZE];
	bool is_v4 = len > 0 && key[0] == '_';
	size_t bits = len - 1, i;

	if (len < 2 || (!is_v4 && key[0] != '^') || bits > (is_v4 ? 32 : 128))
		return -1;
	for (i = 0; i < bits; i++)
		if (key[1 + i] != '0')
			ip[(is_v4 ? V4_AT : 0) + i / 8] |=
			    (unsigned char)(0x80 >> i % 8);
	return rulekey_prefix(again, ip, is_v4, (unsigned)bits) == len &&
		memcmp(again, key, len) == 0
	    ? 0
	    : -1;
}

int
rulekey_spell(
    char text[RULEKEY_TEXT_SIZE], const unsigned char *key, size_t len)
{
	unsigned char ip[16] = { 0 };
	char address[INET6_ADDRSTRLEN];
	bool is_v4 = len > 0 && key[0] == '_';

	if (read_groups(ip, key, len) == 0) {
		inet_ntop(AF_INET6, ip, text, RULEKEY_TEXT_SIZE);
		return 0;
	}
	if (read_bits(ip, key, len) == -1)
		return -1;
	inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? ip + V4_AT : ip, address,
	    sizeof(address));
	return text_format(text, RULEKEY_TEXT_SIZE, "%s/%zu", address, len - 1);
}
