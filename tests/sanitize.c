/*
 * sanitize: the sanitizers' settings, linked into the programs of a
 * sanitizer build alone.
 *
 * Roles start with an empty environment, so ASAN_OPTIONS would not reach
 * them.  Leaks are not looked for: a process of ours ends by _exit and lets
 * the system take its memory, and the search needs a thread that a jailed
 * session may not make.  The limit of core files stays what it was: it is
 * the program's.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0:disable_coredump=0:exitcode=86";
}

const char *
__ubsan_default_options(void)
{
	return "halt_on_error=1:exitcode=86:print_stacktrace=1";
}
