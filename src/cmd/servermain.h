/*
 * servermain: the main of sslserver and of sslhandle, which differ in what
 * options_program says and in nothing else.
 */
#ifndef CMD_SERVERMAIN_H
#define CMD_SERVERMAIN_H

struct options_program;

/*
 * Be that program: read the command line and the environment, listen, start
 * the processes, and serve until told to stop.  argv is main's.  Returns
 * the exit status, or exits: 100 after a usage error, 111 after another
 * one, each with one sentence on descriptor 2.
 */
int servermain_run(
    const struct options_program *program, int argc, char **argv);

#endif
