/*
 * text: strict reading of numbers and lists, safe showing of outside bytes.
 *
 * Used by every process; pure functions of their arguments.  strtoul(3) is
 * not used because it takes blanks, signs and the locale's ideas; nothing
 * here calls ctype functions, whose answers depend on the locale too.
 * Outside bytes are mapped to a small set before they reach a log line, so
 * that no client can forge a line, colour a terminal or hit a format.
 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 100

_Static_assert(TEXT_PRINTABLE_SIZE == SHOWN_MAX + sizeof("..."),
    "text_printable needs room for what it shows");

int
text_number(
    const char *s, unsigned long min, unsigned long max, unsigned long *out)
{
	unsigned long value = 0;
	unsigned long digit;

	if (*s == '\0')
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		digit = (unsigned long)(*s - '0');
		/* Exceeding max early also makes overflow impossible. */
		if (digit > max || value > (max - digit) / 10)
			return -1;
		value = value * 10 + digit;
	}
	if (value < min)
		return -1;
	*out = value;
	return 0;
}

char *
text_printable(char dst[TEXT_PRINTABLE_SIZE], const void *bytes, size_t len)
{
	const unsigned char *from = bytes;
	size_t shown = len > SHOWN_MAX ? SHOWN_MAX : len;
	size_t i;

	for (i = 0; i < shown; i++) {
		if (from[i] < 0x20 || from[i] > 0x7e || from[i] == '%')
			dst[i] = '?';
		else
			dst[i] = (char)from[i];
	}
	(void)text_copy(dst + shown, TEXT_PRINTABLE_SIZE - shown,
	    len > SHOWN_MAX ? "..." : "");
	return dst;
}

int
text_copy(char *dst, size_t size, const char *s)
{
	size_t len = strlen(s);
	int cut = len >= size;

	if (size == 0)
		return -1;
	if (cut)
		len = size - 1;
	memcpy(dst, s, len);
	dst[len] = '\0';
	return cut ? -1 : 0;
}

int
text_format(char *dst, size_t size, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(dst, size, format, args);
	va_end(args);
	if (n < 0) {
		/* What it left is unspecified; an empty string is safe. */
		if (size > 0)
			dst[0] = '\0';
		return -1;
	}
	return (size_t)n < size ? 0 : -1;
}

bool
text_begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

const char *
text_piece(const char **list, char separator, size_t *len)
{
	const char *piece = *list;
	const char *end;

	if (piece == NULL)
		return NULL;
	end = piece;
	while (*end != '\0' && *end != separator)
		end++;
	*len = (size_t)(end - piece);
	*list = *end == '\0' ? NULL : end + 1;
	return piece;
}

int
text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void
text_hex(char *hex, const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		*hex++ = digits[bytes[i] >> 4];
		*hex++ = digits[bytes[i] & 15];
	}
	*hex = '\0';
}

char *
text_clean(char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (s[i] < ' ' || s[i] > '~')
			s[i] = '?';
	return s;
}
