/*
 * text: strict reading of numbers and lists, and safe showing of outside
 * bytes.  Pure functions; nothing here allocates or uses the locale.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The longest text text_printable makes of outside bytes, with its NUL. */
#define TEXT_PRINTABLE_SIZE 104

/*
 * Read all of s as a decimal number in min..max: digits only, no sign, no
 * blank, no trailing byte, no overflow; leading zeros do not matter.  0 and
 * *out, or -1 and *out as it was.
 */
int text_number(
    const char *s, unsigned long min, unsigned long max, unsigned long *out);

/*
 * Show len outside bytes in a log line: bytes 0x21-0x7e and blank stay,
 * every other byte and '%' becomes '?'; after 100 bytes, "...".  dst gets
 * a C string.  Returns dst.
 */
char *text_printable(
    char dst[TEXT_PRINTABLE_SIZE], const void *bytes, size_t len);

/*
 * Make every byte of a sentence of ours printable, in place: it may hold a
 * path or word from outside.  Returns s.
 */
char *text_clean(char *s);

/*
 * Copy the C string s into dst of size bytes, always terminated.  0, or
 * -1 when it was cut.
 */
int text_copy(char *dst, size_t size, const char *s);

/* snprintf into dst, always terminated.  0, or -1 when it was cut. */
int text_format(char *dst, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Does the C string s begin with prefix? */
bool text_begins(const char *s, const char *prefix);

/*
 * The next piece of a list.  *list points to the rest and is advanced past
 * the piece and its separator, or becomes NULL after the last piece; *len
 * is the piece's length.  Returns the piece (not terminated; may be empty),
 * or NULL, *len untouched, when *list is NULL.  "" is one empty piece, "a:"
 * are two, so a caller that wants "" to mean none asks first.
 */
const char *text_piece(const char **list, char separator, size_t *len);

/* The value of a digit of hex, in either case; -1: it is none. */
int text_hex_digit(char c);

/* Fill hex[2 * len + 1] with the lower-case hex of len bytes and a NUL. */
void text_hex(char *hex, const unsigned char *bytes, size_t len);

#endif
