/*
 * ucspissl-nursery: started by sslserver, not by hand; see serve/nursery.c.
 */
#include <stdio.h>
#include <string.h>

#include "compat/hugetext.h"
#include "config.h"
#include "serve/nursery.h"
#include "serve/title.h"
#include "tls/tlsctx.h"

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("ucspissl-nursery %s, %s\n", VERSION, tlsctx_library());
		return fflush(stdout) == 0 ? 0 : 111;
	}
	if (argc != 1) {
		fputs("ucspissl-nursery: run by the servers of ucspi-ssl\n",
		    stderr);
		return 100;
	}
	(void)hugetext_move();
	if (title_prepare(&argv, NULL) == -1)
		return 111;
	title_set("nursery");
	nursery_run();
}
