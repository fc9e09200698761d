/*
 * client: lines on descriptor 2, and the end.
 *
 * Runs in the process that was started, and, with the same descriptor, in
 * its helpers.  A line is one write, so that those of several processes do
 * not mix.
 */
#include "client/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#define LINE_SIZE 2048

int
client_handshake_ms(const struct client_settings *settings)
{
	return (int)(settings->first_s + settings->again_s) * 1000;
}

bool
client_wants_facts(const struct client_settings *settings)
{
	return settings->has_tls_environment || settings->is_delayed;
}

__attribute__((format(printf, 2, 0))) static void
write_line(const char *kind, const char *format, va_list args)
{
	char line[LINE_SIZE];
	size_t used;

	text_format(line, sizeof(line) - 1, "sslclient: %s", kind);
	used = strlen(line);
	vsnprintf(line + used, sizeof(line) - 1 - used, format, args);
	text_clean(line);
	used = strlen(line);
	line[used] = '\n';
	(void)fd_write_all(2, line, used + 1);
}

void
client_say(const struct client_settings *settings,
    enum settings_verbosity verbosity, const char *format, ...)
{
	va_list args;

	if (settings->verbosity < verbosity)
		return;
	va_start(args, format);
	write_line("", format, args);
	va_end(args);
}

void
client_die(int code, const char *kind, const char *format, ...)
{
	char shown[64];
	va_list args;

	text_format(shown, sizeof(shown), "%s: (%d) ", kind, code);
	va_start(args, format);
	write_line(shown, format, args);
	va_end(args);
	exit(code);
}
