/*
 * framework: a server that calls a function for each connection, in children
 * that are ready before.
 */
#ifndef CMD_FRAMEWORK_H
#define CMD_FRAMEWORK_H

struct worker_code;

/*
 * servermain_run, with sslhandle's options, for a program that is named as
 * argv[0] says.  words are the names of what must follow host and port, NULL
 * behind the last, or NULL: nothing must.
 */
int framework_run(const struct worker_code *code, const char *const *words,
    int argc, char **argv);

#endif
