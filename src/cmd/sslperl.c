/*
 * sslperl: a TLS server whose program is a Perl subroutine.
 *
 * A program of the framework.  In each worker, with the rights of -u and -g,
 * an interpreter runs the file once; then it calls the subroutine for each
 * connection.  A small subroutine of ours around it gives it STDIN, STDOUT
 * and %ENV of its own; what else Perl has in variables goes on, which is what
 * the file is loaded once for.
 *
 * One that dies costs its client; one that exits, the worker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <EXTERN.h>
#include <perl.h>

#include "base/text.h"
#include "cmd/framework.h"
#include "serve/worker.h"

extern char **environ;

EXTERN_C void boot_DynaLoader(pTHX_ CV *cv);

static PerlInterpreter *my_perl;
static SV *wrapper;
static char *name; /* $0 after the file has run */

/*
 * Handles in the place of those that are there, so that neither their
 * buffers nor what becomes of them is seen again.
 */
static const char wrapper_text[] =
    "sub {\n"
    "	my ($sub, $words, @environment) = @_;\n"
    "	local (*STDIN, *STDOUT, $_);\n"
    "	open(STDIN, '<&=', 0) or die \"STDIN: $!\\n\";\n"
    "	open(STDOUT, '>&=', 1) or die \"STDOUT: $!\\n\";\n"
    "	select(STDOUT);\n"
    "	%ENV = @environment;\n"
    "	&$sub(@$words);\n"
    "}\n";

static void
boot(pTHX)
{
	newXS("DynaLoader::boot_DynaLoader", boot_DynaLoader, __FILE__);
}

/* What exit(3) would leave in a buffer. */
static void
flush(void)
{
	PerlIO_flush(NULL);
}

/* The last error in one line, which may hold what a client has sent. */
static void
complain(const char *sub)
{
	char line[1024], *end;

	text_format(line, sizeof(line), "sslperl: error: pid %ld: %s: %s",
	    (long)getpid(), sub, SvPV_nolen(ERRSV));
	end = line + strcspn(line, "\n");
	*end = '\0';
	fprintf(stderr, "%s\n", text_clean(line));
}

/* NAME and value of each variable, after each other, on Perl's stack. */
static void
push_environment(void)
{
	char **variable, *end;
	dSP;

	for (variable = environ; *variable != NULL; variable++) {
		end = strchr(*variable, '=');
		if (end == NULL)
			continue;
		XPUSHs(
		    sv_2mortal(newSVpvn(*variable, (STRLEN)(end - *variable))));
		XPUSHs(sv_2mortal(newSVpv(end + 1, 0)));
	}
	PUTBACK;
}

/* An array of the words, as a reference. */
static SV *
make_words(int argc, char *const *argv)
{
	AV *words = newAV();
	int i;

	for (i = 0; i < argc; i++)
		av_push(words, newSVpv(argv[i], 0));
	return newRV_noinc((SV *)words);
}

static void
push_two(SV *first, SV *second)
{
	dSP;

	PUSHMARK(SP);
	XPUSHs(sv_2mortal(first));
	XPUSHs(sv_2mortal(second));
	PUTBACK;
}

/* To assign to it is to change the title, too. */
static void
restore_name(void)
{
	SV *now = get_sv("0", 0);

	if (now != NULL && strcmp(SvPV_nolen(now), name) != 0) {
		sv_setpv(now, name);
		SvSETMAGIC(now);
	}
}

static void
serve(int argc, char *const *argv)
{
	ENTER;
	SAVETMPS;
	push_two(newSVpv(argv[1], 0), make_words(argc - 2, argv + 2));
	push_environment();
	call_sv(wrapper, G_VOID | G_DISCARD | G_EVAL);
	if (SvTRUE(ERRSV))
		complain(argv[1]);
	FREETMPS;
	LEAVE;
	/*
	 * Handles that it has left open: what they still hold would go to
	 * whom their numbers belong next.
	 */
	if (PerlIO_flush(NULL) != 0)
		_exit(0);
	restore_name();
}

/* The command line of an interpreter: file and what follows sub. */
static char **
make_line(int argc, char *const *argv)
{
	static char own[] = "sslperl", end[] = "--";
	char **line = calloc((size_t)argc + 3, sizeof(*line));
	int i, used = 0;

	if (line == NULL)
		return NULL;
	line[used++] = own;
	line[used++] = end;
	line[used++] = argv[0];
	for (i = 2; i < argc; i++)
		line[used++] = argv[i];
	return line;
}

/* Perl has said on descriptor 2 what is wrong with the file. */
static int
run_file(int argc, char *const *argv, char error[WORKER_ERROR_SIZE])
{
	char **line = make_line(argc, argv);

	my_perl = line == NULL ? NULL : perl_alloc();
	if (my_perl == NULL) {
		text_copy(error, WORKER_ERROR_SIZE, "out of memory");
		return -1;
	}
	perl_construct(my_perl);
	if (perl_parse(my_perl, boot, argc + 1, line, NULL) == 0 &&
	    perl_run(my_perl) == 0) {
		flush(); /* to nobody, and not to the first client */
		return 0;
	}
	text_format(error, WORKER_ERROR_SIZE, "unable to run %.200s", argv[0]);
	return -1;
}

static int
prepare(int argc, char *const *argv, char error[WORKER_ERROR_SIZE])
{
	static char **variables;
	static char *none[] = { NULL }, **words = none;
	static int count;

	variables = environ;
	PERL_SYS_INIT3(&count, &words, &variables);
	if (run_file(argc, argv, error) == -1)
		return -1;
	if (get_cv(argv[1], 0) == NULL) {
		text_format(error, WORKER_ERROR_SIZE,
		    "%.120s defines no subroutine %.80s", argv[0], argv[1]);
		return -1;
	}
	wrapper = newSVsv(eval_pv(wrapper_text, TRUE));
	name = strdup(SvPV_nolen(get_sv("0", GV_ADD)));
	if (name == NULL || atexit(flush) != 0) {
		text_copy(error, WORKER_ERROR_SIZE, "out of memory");
		return -1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	static const char *const words[] = { "file", "sub", NULL };
	static const struct worker_code code = { .server = serve,
		.prepare = prepare };

	return framework_run(&code, words, argc, argv);
}
