/*
 * What a program of the framework is: sslhandle with a function.
 *
 * Runs with the rights of the start.  The program has a name of its own, that
 * of its file, so that its lines can be told from others' in a log.
 */
#include "cmd/framework.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "cmd/options.h"
#include "cmd/servermain.h"
#include "serve/worker.h"

/* As much as a title shows. */
#define NAME_SIZE 24

static void
find_name(char name[NAME_SIZE], const char *path)
{
	const char *slash;

	if (path == NULL || *path == '\0')
		path = "sslhandle";
	slash = strrchr(path, '/');
	text_copy(name, NAME_SIZE, slash == NULL ? path : slash + 1);
	text_clean(name);
}

int
framework_run(const struct worker_code *code, const char *const *words,
    int argc, char **argv)
{
	static char name[NAME_SIZE];
	const struct options_program program = {
		.name = name, .is_pooled = true, .words = words, .code = code
	};

	find_name(name, argv[0]);
	return servermain_run(&program, argc, argv);
}
