/*
 * Process titles, by writing over the argument area.
 *
 * Runs in forked roles.  Linux shows that area as the command line, and
 * goes on into the environment behind it when its last byte has been
 * written over; BSDs have setproctitle(3) for it, which their own file
 * will use.  State, per process, set once in main: where the area lies, and what
 * titles begin with.
 */
#include "serve/title.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif

extern char **environ;

static char *area;
static size_t area_size;
static char name[24];

static char **
copy_strings(char *const *strings)
{
	size_t count = 0, i;
	char **copy;

	while (strings[count] != NULL)
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	if (copy == NULL)
		return NULL;
	for (i = 0; i < count; i++)
		if ((copy[i] = strdup(strings[i])) == NULL)
			return NULL;
	return copy;
}

/* The strings from first on that lie without a gap behind end. */
static char *
end_of_strings(char **strings, char *end)
{
	for (; *strings != NULL; strings++)
		if (*strings == end)
			end += strlen(end) + 1;
	return end;
}

int
title_prepare(char ***argv, const char *program)
{
	char **arguments = *argv, **argument_copy, **environment_copy;
	char *end;

	if (program == NULL)
		program = arguments[0] == NULL ? "" : arguments[0];
	text_format(
	    name, sizeof(name), "%.*s", (int)strcspn(program, ":"), program);
	if (arguments[0] == NULL)
		return 0;
	argument_copy = copy_strings(arguments);
	environment_copy = copy_strings(environ);
	if (argument_copy == NULL || environment_copy == NULL)
		return -1;
	end = end_of_strings(arguments, arguments[0]);
	end = end_of_strings(environ, end);
	area = arguments[0];
	area_size = (size_t)(end - area);
	*argv = argument_copy;
	environ = environment_copy;
	return 0;
}

void
title_set(const char *role)
{
	char title[64];

	text_format(title, sizeof(title), "%s: %s", name, role);
#ifdef __linux__
	prctl(PR_SET_NAME, title, 0, 0, 0);
#endif
	if (area_size == 0)
		return;
	memset(area, 0, area_size);
	text_copy(area, area_size, title);
}
